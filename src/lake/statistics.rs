//! Column statistics of a data file, as table formats such as Iceberg state them for each file:
//! engines use them to skip files without opening them.

use parquet::file::metadata::{ColumnChunkMetaData, RowGroupMetaData};
use parquet::file::statistics::Statistics;
use serde::{Deserialize, Serialize};

/// The statistics of a data file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileStatistics {
    /// The offsets in bytes at which its row groups begin: where engines can split it.
    pub split_offsets: Vec<i64>,
    /// Its columns, in the order of the file.
    pub columns: Vec<ColumnStatistics>,
}

/// The statistics of a column. The commit file states them as an array of their members, because
/// they are its largest part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Packed", into = "Packed")]
pub struct ColumnStatistics {
    /// The field id of the column.
    pub field_id: u32,
    /// The bytes that it takes in the file, compressed.
    pub bytes: u64,
    /// The number of its nulls.
    pub nulls: u64,
    /// No value is less than this; `None` if there is no value, or it is not known.
    pub lower_bound: Option<Bound>,
    /// No value is greater than this; `None` as above.
    pub upper_bound: Option<Bound>,
}

type Packed = (u32, u64, u64, Option<Bound>, Option<Bound>);

impl From<Packed> for ColumnStatistics {
    fn from((field_id, bytes, nulls, lower_bound, upper_bound): Packed) -> Self {
        Self { field_id, bytes, nulls, lower_bound, upper_bound }
    }
}

impl From<ColumnStatistics> for Packed {
    fn from(column: ColumnStatistics) -> Self {
        let ColumnStatistics { field_id, bytes, nulls, lower_bound, upper_bound } = column;
        (field_id, bytes, nulls, lower_bound, upper_bound)
    }
}

/// A bound of a column's values.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Bound {
    /// Of a column of true and false.
    Boolean(bool),
    /// A whole number; microseconds since 1970 of a timestamp; days since 1970 of a date.
    Integer(i64),
    /// The first characters of a text, or a number: of a decimal the number without its point, of a
    /// floating-point number its shortest form.
    Text(String),
}

/// Maximum number of characters of a text bound, as in Iceberg.
const CHARACTERS: usize = 16;

impl FileStatistics {
    /// Collects the column statistics of a file that was written: null counts, lower and upper bounds,
    /// and split offsets, from the row groups of its writer. `nulls` are the numbers of nulls by
    /// column: those columns have it too for which the writer collects nothing.
    pub(super) fn collect(groups: &[RowGroupMetaData], nulls: &[u64]) -> Self {
        let offset = |group: &RowGroupMetaData| {
            let first = group.columns().first()?;
            Some(first.dictionary_page_offset().unwrap_or_else(|| first.data_page_offset()))
        };
        let columns = nulls.iter().enumerate().map(|(index, nulls)| {
            let chunks = groups.iter().filter_map(|group| group.columns().get(index));
            column(&chunks.collect::<Vec<_>>(), *nulls)
        });
        Self {
            split_offsets: groups.iter().filter_map(offset).collect(),
            columns: columns.collect(),
        }
    }
}

fn column(chunks: &[&ColumnChunkMetaData], nulls: u64) -> ColumnStatistics {
    let info = chunks.first().map(|chunk| chunk.column_descr().self_type().get_basic_info());
    let id = info.filter(|info| info.has_id()).and_then(|info| u32::try_from(info.id()).ok());
    let bytes = chunks.iter().filter_map(|chunk| u64::try_from(chunk.compressed_size()).ok()).sum();
    let (lower_bound, upper_bound) = bounds(chunks).unzip();
    ColumnStatistics { field_id: id.unwrap_or(0), bytes, nulls, lower_bound, upper_bound }
}

/// A value in the order of its type.
#[derive(Clone, Debug, PartialEq, PartialOrd)]
enum Value {
    Boolean(bool),
    Integer(i64),
    Float(f64),
    Decimal(i128),
    Text(String),
}

/// The bounds over all row groups; `None` if a row group with values states none.
fn bounds(chunks: &[&ColumnChunkMetaData]) -> Option<(Bound, Bound)> {
    let mut all: Option<(Value, Value)> = None;
    for chunk in chunks {
        let statistics = chunk.statistics()?;
        if statistics.null_count_opt().and_then(|nulls| i64::try_from(nulls).ok())
            == Some(chunk.num_values())
        {
            continue;
        }
        let (least, greatest) = extremes(statistics)?;
        all = Some(match all {
            None => (least, greatest),
            Some((low, high)) => (
                if least < low { least } else { low },
                if greatest > high { greatest } else { high },
            ),
        });
    }
    let (least, greatest) = all?;
    Some((lower(least), upper(greatest)?))
}

fn extremes(statistics: &Statistics) -> Option<(Value, Value)> {
    let text = |bytes: &[u8]| std::str::from_utf8(bytes).ok().map(|text| Value::Text(text.into()));
    match statistics {
        Statistics::Boolean(found) => {
            Some((Value::Boolean(*found.min_opt()?), Value::Boolean(*found.max_opt()?)))
        }
        Statistics::Int32(found) => Some((
            Value::Integer(i64::from(*found.min_opt()?)),
            Value::Integer(i64::from(*found.max_opt()?)),
        )),
        Statistics::Int64(found) => {
            Some((Value::Integer(*found.min_opt()?), Value::Integer(*found.max_opt()?)))
        }
        Statistics::Double(found) => {
            Some((Value::Float(*found.min_opt()?), Value::Float(*found.max_opt()?)))
        }
        Statistics::ByteArray(found) => {
            Some((text(found.min_opt()?.data())?, text(found.max_opt()?.data())?))
        }
        Statistics::FixedLenByteArray(found) => Some((
            Value::Decimal(decimal(found.min_opt()?.data())?),
            Value::Decimal(decimal(found.max_opt()?.data())?),
        )),
        Statistics::Int96(_) | Statistics::Float(_) => None,
    }
}

/// A decimal of 38 digits, as Parquet stores it: 16 bytes, the most significant first.
fn decimal(bytes: &[u8]) -> Option<i128> {
    Some(i128::from_be_bytes(bytes.try_into().ok()?))
}

fn lower(value: Value) -> Bound {
    match value {
        Value::Text(text) => Bound::Text(text.chars().take(CHARACTERS).collect()),
        other => exact(other),
    }
}

/// `None` for a text that cannot be cut off and still be a bound.
fn upper(value: Value) -> Option<Bound> {
    match value {
        Value::Text(text) => cut_up(&text).map(Bound::Text),
        other => Some(exact(other)),
    }
}

fn exact(value: Value) -> Bound {
    match value {
        Value::Boolean(truth) => Bound::Boolean(truth),
        Value::Integer(number) => Bound::Integer(number),
        Value::Float(number) => Bound::Text(number.to_string()),
        Value::Decimal(number) => Bound::Text(number.to_string()),
        Value::Text(text) => Bound::Text(text),
    }
}

/// A short text that is not less than this one: its first characters, the last of which is raised
/// if there are more.
fn cut_up(text: &str) -> Option<String> {
    let mut kept: Vec<char> = text.chars().take(CHARACTERS).collect();
    if text.chars().nth(CHARACTERS).is_none() {
        return Some(text.to_owned());
    }
    while let Some(last) = kept.pop() {
        let next = (u32::from(last) + 1..=u32::from(char::MAX)).find_map(char::from_u32);
        if let Some(next) = next {
            kept.push(next);
            return Some(kept.into_iter().collect());
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn bounds_of_texts_hold(text in "\\PC{0,40}") {
            let Bound::Text(low) = lower(Value::Text(text.clone())) else { panic!() };
            prop_assert!(low <= text && low.chars().count() <= CHARACTERS);
            let high = cut_up(&text).unwrap();
            prop_assert!(high >= text && high.chars().count() <= CHARACTERS);
        }
    }

    #[test]
    fn a_text_of_the_last_characters_has_no_short_bound() {
        let last = char::MAX.to_string();
        assert_eq!(cut_up(&last.repeat(17)), None);
        assert_eq!(cut_up(&last.repeat(16)), Some(last.repeat(16)));
        // The characters after U+D7FF begin at U+E000.
        assert_eq!(
            cut_up(&format!("{}\u{d7ff}b", "a".repeat(15))).unwrap().chars().last(),
            Some('\u{e000}')
        );
    }

    #[test]
    fn a_commit_states_a_column_as_an_array() {
        let column = ColumnStatistics {
            field_id: 7,
            bytes: 80,
            nulls: 2,
            lower_bound: Some(Bound::Integer(-1)),
            upper_bound: Some(Bound::Text("run".to_owned())),
        };
        let text = serde_json::to_string(&column).unwrap();
        assert_eq!(text, r#"[7,80,2,-1,"run"]"#);
        assert_eq!(serde_json::from_str::<ColumnStatistics>(&text).unwrap(), column);
    }
}
