//! Builds Arrow columns from cells.

use std::sync::Arc;

use arrow::array::{
    ArrayBuilder, ArrayRef, BooleanBuilder, Date32Builder, Decimal128Builder, Float64Builder,
    Int64Builder, RecordBatch, StringBuilder, TimestampMicrosecondBuilder,
};
use arrow::error::ArrowError;

use super::cell::Cell;
use super::report::{TableReport, Usage};
use crate::json::TimeUnit;
use crate::tables::{Kind, MappedTable};

/// The columns of one table while rows are added.
#[derive(Debug)]
pub(super) struct TableBuilder<'m> {
    pub(super) mapped: &'m MappedTable,
    columns: Vec<ColumnBuilder>,
    /// For each column, the largest capacity that its values needed.
    sizes: Vec<SizeEstimate>,
    rows: usize,
    bytes: usize,
    usage: Option<Box<Usage>>,
}

/// A capacity: number of values, and bytes of text in total.
#[derive(Clone, Copy, Debug, Default)]
struct SizeEstimate {
    values: usize,
    bytes: usize,
}

#[derive(Debug)]
enum ColumnBuilder {
    Text(StringBuilder),
    Integer(Int64Builder),
    Float(Float64Builder),
    Decimal(Decimal128Builder),
    Boolean(BooleanBuilder),
    Timestamp(TimestampMicrosecondBuilder),
    Date(Date32Builder),
}

impl<'m> TableBuilder<'m> {
    pub(super) fn new(mapped: &'m MappedTable) -> Self {
        let columns = mapped.columns.iter().map(|column| ColumnBuilder::new(column.kind));
        let sizes = vec![SizeEstimate::default(); mapped.columns.len()];
        Self { mapped, columns: columns.collect(), sizes, rows: 0, bytes: 0, usage: None }
    }

    /// Sets the next row's value of a column. Each column is set once a row, in any order.
    pub(super) fn set(&mut self, column: usize, cell: Option<&Cell<'_>>) {
        if let Some(Cell::Text(text)) = cell {
            self.bytes += text.len();
        }
        if let Some(builder) = self.columns.get_mut(column) {
            builder.append(cell);
        }
    }

    pub(super) fn end_row(&mut self) {
        self.rows += 1;
        self.bytes += 8 * self.columns.len();
    }

    /// From now on counts at which sources values were found.
    pub(super) fn observe(&mut self) {
        self.usage = Some(Box::new(Usage::new(self.mapped)));
    }

    pub(super) fn note_source(&mut self, column: usize, rank: Option<usize>) {
        if let (Some(usage), Some(rank)) = (&mut self.usage, rank) {
            usage.note_source(column, rank);
        }
    }

    /// Records that there is a value at a column's source, whether it fills the column or not.
    pub(super) fn note_candidate(&mut self, column: usize, rank: usize) {
        if let Some(usage) = &mut self.usage {
            usage.note_candidate(column, rank);
        }
    }

    pub(super) fn note_unit(&mut self, column: usize, unit: TimeUnit) {
        if let Some(usage) = &mut self.usage {
            usage.note_unit(column, unit);
        }
    }

    pub(super) fn note_leftovers(&mut self, extra: Option<&str>) {
        if let Some(usage) = &mut self.usage {
            usage.note_row(extra);
        }
    }

    pub(super) fn report(&self) -> Option<TableReport> {
        self.usage.as_ref().map(|usage| usage.report(self.mapped))
    }

    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    /// Approximate size of the rows in memory, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn finish(&mut self) -> Result<RecordBatch, ArrowError> {
        self.rows = 0;
        self.bytes = 0;
        let columns = self.columns.iter_mut().zip(&mut self.sizes);
        let arrays = columns.map(|(column, room)| column.finish(room)).collect();
        RecordBatch::try_new(Arc::clone(&self.mapped.schema), arrays)
    }
}

impl ColumnBuilder {
    fn new(kind: Kind) -> Self {
        match kind {
            Kind::Text | Kind::Json => Self::Text(StringBuilder::new()),
            Kind::Integer => Self::Integer(Int64Builder::new()),
            Kind::Float => Self::Float(Float64Builder::new()),
            Kind::Decimal => {
                Self::Decimal(Decimal128Builder::new().with_data_type(Kind::Decimal.arrow()))
            }
            Kind::Boolean => Self::Boolean(BooleanBuilder::new()),
            Kind::Date => Self::Date(Date32Builder::new()),
            Kind::Timestamp => {
                Self::Timestamp(TimestampMicrosecondBuilder::new().with_timezone("UTC"))
            }
        }
    }

    /// Appends a cell. One of another type cannot occur, because cells are read by the column's own
    /// kind; it would become null.
    fn append(&mut self, cell: Option<&Cell<'_>>) {
        match (self, cell) {
            (Self::Text(builder), Some(Cell::Text(text))) => builder.append_value(text),
            (Self::Text(builder), _) => builder.append_null(),
            (Self::Integer(builder), Some(Cell::Integer(number))) => builder.append_value(*number),
            (Self::Integer(builder), _) => builder.append_null(),
            (Self::Float(builder), Some(Cell::Float(number))) => builder.append_value(*number),
            (Self::Float(builder), _) => builder.append_null(),
            (Self::Decimal(builder), Some(Cell::Decimal(number))) => builder.append_value(*number),
            (Self::Decimal(builder), _) => builder.append_null(),
            (Self::Boolean(builder), Some(Cell::Boolean(truth))) => builder.append_value(*truth),
            (Self::Boolean(builder), _) => builder.append_null(),
            (Self::Timestamp(builder), Some(Cell::Timestamp(at))) => {
                builder.append_value(at.as_micros());
            }
            (Self::Timestamp(builder), _) => builder.append_null(),
            (Self::Date(builder), Some(Cell::Date(day))) => builder.append_value(*day),
            (Self::Date(builder), _) => builder.append_null(),
        }
    }

    /// Returns the values so far. The next ones get the largest capacity that was needed so far:
    /// growing step by step would copy them as often.
    fn finish(&mut self, room: &mut SizeEstimate) -> ArrayRef {
        match self {
            Self::Text(builder) => {
                room.values = room.values.max(builder.len());
                room.bytes = room.bytes.max(builder.values_slice().len());
                let next = StringBuilder::with_capacity(room.values, room.bytes);
                Arc::new(std::mem::replace(builder, next).finish())
            }
            // Numbers take little memory, so growing costs little.
            Self::Integer(builder) => Arc::new(builder.finish()),
            Self::Float(builder) => Arc::new(builder.finish()),
            Self::Decimal(builder) => Arc::new(builder.finish()),
            Self::Boolean(builder) => Arc::new(builder.finish()),
            Self::Timestamp(builder) => Arc::new(builder.finish()),
            Self::Date(builder) => Arc::new(builder.finish()),
        }
    }
}
