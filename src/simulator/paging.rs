//! Paging of lists. The API documents only `page` and `pageSize`; the other options are what
//! similar servers do.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// How the next page is requested.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PagingStyle {
    /// `page=2`.
    #[default]
    Number,
    /// `offset=20`. `page` is ignored.
    Offset,
    /// `cursor=…`, with the value of `nextCursor`. `page` is ignored.
    Cursor,
    /// `starting_after=<id of the last row>`, after pages that state `hasMore`. `page` is ignored.
    LastId,
    /// The address in `next`.
    Link,
    /// The address in the `Link` header.
    LinkHeader,
}

impl PagingStyle {
    /// All styles.
    pub const ALL: [Self; 6] =
        [Self::Number, Self::Offset, Self::Cursor, Self::LastId, Self::Link, Self::LinkHeader];
}

/// The response after the last page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PastEnd {
    /// A page without rows.
    #[default]
    Empty,
    /// The first page again.
    First,
    /// 400.
    BadRequest,
    /// 404.
    NotFound,
}

/// How lists are paged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Paging {
    /// How the next page is requested.
    pub style: PagingStyle,
    /// Whether pages state `hasMore`.
    pub has_more: bool,
    /// The response after the last page.
    pub past_end: PastEnd,
    /// Whether a request for a list without `page` is refused.
    pub needs_number: bool,
    /// Number of rows after which further rows are refused; `None` for no limit.
    pub deepest_row: Option<u32>,
    /// Number of days above which a range is refused; `None` for no limit.
    pub largest_range_days: Option<u32>,
    /// Rows per page of spans and tool calls; `None` for whole lists.
    pub document_rows: Option<u32>,
    /// Whether further pages of documents repeat the first one: announced rows then cannot be
    /// fetched.
    pub withholds_rows: bool,
}

/// Members that hold the id of a span or of a tool call.
const ID_NAMES: &[&str] = &["id", "call_id", "callId", "event_id", "eventId", "span_id", "spanId"];

/// The position of a page in its list, in rows.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cut {
    pub(super) offset: u64,
    pub(super) size: u64,
    /// Number of rows of the whole list.
    pub(super) rows: u64,
}

impl Cut {
    fn next(self) -> Option<u64> {
        let next = self.offset.saturating_add(self.size);
        (next < self.rows).then_some(next)
    }
}

impl Paging {
    /// The number of rows to skip, according to these parameters; `None` for numbered pages.
    /// `position` returns the position of the row with an id; there are no rows after an unknown
    /// id.
    pub(super) fn skip(
        &self,
        parameters: &HashMap<String, String>,
        position: impl Fn(&str) -> Option<u64>,
    ) -> Option<u64> {
        let number = |name: &str| parameters.get(name).and_then(|text| text.parse().ok());
        match self.style {
            PagingStyle::Number => None,
            PagingStyle::Offset => Some(number("offset").unwrap_or(0)),
            PagingStyle::Cursor => {
                let cursor = parameters.get("cursor");
                let rows = cursor.and_then(|text| text.strip_prefix("after-")?.parse().ok());
                Some(rows.unwrap_or(0))
            }
            PagingStyle::LastId => {
                let after = parameters.get("starting_after");
                Some(after.map_or(0, |id| position(id).map_or(u64::MAX, |before| before + 1)))
            }
            PagingStyle::Link | PagingStyle::LinkHeader => Some(number("start_row").unwrap_or(0)),
        }
    }

    /// Adds to the body what a page states about the next one.
    pub(super) fn annotate(&self, body: &mut Map<String, Value>, cut: Cut, address: &str) {
        let next = cut.next();
        match self.style {
            PagingStyle::Number | PagingStyle::LinkHeader | PagingStyle::LastId => {}
            PagingStyle::Offset => {
                body.insert("offset".to_owned(), cut.offset.into());
                body.insert("limit".to_owned(), cut.size.into());
            }
            PagingStyle::Cursor => {
                let cursor = next.map(|next| Value::from(format!("after-{next}")));
                body.insert("nextCursor".to_owned(), cursor.unwrap_or(Value::Null));
            }
            PagingStyle::Link => {
                let next = next.map(|next| Value::from(with_row(address, next)));
                body.insert("next".to_owned(), next.unwrap_or(Value::Null));
            }
        }
        if self.has_more || self.style == PagingStyle::LastId {
            body.insert("hasMore".to_owned(), next.is_some().into());
        }
    }

    /// The `Link` header of a page.
    pub(super) fn link(&self, cut: Cut, address: &str) -> Option<String> {
        if self.style != PagingStyle::LinkHeader {
            return None;
        }
        let first = format!("<{}>; rel=\"first\"", with_row(address, 0));
        let next = cut.next().map(|next| format!(", <{}>; rel=\"next\"", with_row(address, next)));
        Some(first + &next.unwrap_or_default())
    }

    /// One page of a document's body; the whole body if it is not paged.
    pub(super) fn document_page(
        &self,
        mut body: Value,
        parameters: &HashMap<String, String>,
        page_base: u32,
        address: &str,
    ) -> (Value, Option<Cut>) {
        let Some(size) = self.document_rows.map(u64::from) else { return (body, None) };
        let page = parameters.get("page").and_then(|text| text.parse::<u64>().ok());
        let base = u64::from(page_base);
        let number = page.unwrap_or(base).max(base);
        let Some(object) = object_with_rows(&mut body) else { return (body, None) };
        let Some(rows) = object.values_mut().find_map(Value::as_array_mut) else {
            return (body, None);
        };
        let position = |id: &str| {
            let is_it = |row: &Value| ID_NAMES.iter().any(|name| row[*name] == *id);
            rows.iter().position(is_it).and_then(|place| u64::try_from(place).ok())
        };
        let offset = self.skip(parameters, position).unwrap_or_else(|| (number - base) * size);
        let offset = if self.withholds_rows { 0 } else { offset };
        let cut = Cut { offset, size, rows: u64::try_from(rows.len()).unwrap_or(u64::MAX) };
        if cut.rows <= size && offset == 0 {
            return (body, None);
        }
        let (skip, take) = (index(offset), index(size));
        *rows = rows.iter().skip(skip).take(take).cloned().collect();
        object.insert("total".to_owned(), cut.rows.into());
        if self.style == PagingStyle::Number {
            object.insert("page".to_owned(), number.into());
            object.insert("pageSize".to_owned(), size.into());
        }
        self.annotate(object, cut, address);
        (body, Some(cut))
    }
}

/// The object that contains the list of a document: the body, or the object inside it.
fn object_with_rows(body: &mut Value) -> Option<&mut Map<String, Value>> {
    let object = body.as_object_mut()?;
    if object.values().any(Value::is_array) {
        return Some(object);
    }
    let inner = object.values_mut().find_map(Value::as_object_mut)?;
    inner.values().any(Value::is_array).then_some(inner)
}

/// An address with another first row.
fn with_row(address: &str, row: u64) -> String {
    let (path, query) = address.split_once('?').unwrap_or((address, ""));
    let kept = query.split('&').filter(|pair| !pair.is_empty() && !pair.starts_with("start_row="));
    let query: Vec<String> = kept.map(str::to_owned).chain([format!("start_row={row}")]).collect();
    format!("{path}?{}", query.join("&"))
}

fn index(rows: u64) -> usize {
    usize::try_from(rows).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_document_is_cut_where_it_is_long() {
        let paging =
            Paging { style: PagingStyle::Cursor, document_rows: Some(2), ..Paging::default() };
        let page = |cursor: Option<&str>| {
            let parameters = cursor.map(|cursor| ("cursor".to_owned(), cursor.to_owned()));
            let body = json!({"trace": {"run_id": "r", "spans": [1, 2, 3]}});
            paging.document_page(body, &parameters.into_iter().collect(), 1, "/x").0
        };
        assert_eq!(
            page(None),
            json!({"trace": {"run_id": "r", "spans": [1, 2], "total": 3, "nextCursor": "after-2"}})
        );
        assert_eq!(
            page(Some("after-2")),
            json!({"trace": {"run_id": "r", "spans": [3], "total": 3, "nextCursor": null}})
        );
        let short = json!({"rows": [1, 2]});
        let (whole, _) = paging.document_page(short.clone(), &HashMap::new(), 1, "/x");
        assert_eq!(whole, short);
    }

    #[test]
    fn an_address_keeps_its_parameters() {
        assert_eq!(with_row("/runs?range=7d&start_row=20", 40), "/runs?range=7d&start_row=40");
        assert_eq!(with_row("/runs", 20), "/runs?start_row=20");
    }
}
