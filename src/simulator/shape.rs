//! Shapes: the form of bodies, independent of their content. Each option is something that is not
//! documented.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::dialect::DocumentDialect;
use super::paging::{Cut, Paging, PagingStyle};

/// Keys whose values belong to customers: shapes do not change what is below them.
const PAYLOADS: [&str; 6] =
    ["arguments", "result", "attributes", "metadata", "input_preview", "result_preview"];

/// The envelope of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ListEnvelope {
    /// `{"rows": [...]}`, as `/mcp-servers` is documented.
    #[default]
    Rows,
    /// Named after the resource: `{"runs": [...]}`, `{"tool_calls": [...]}`.
    Runs,
    /// `{"data": [...]}`.
    Data,
    /// `{"items": [...]}`.
    Items,
    /// `{"results": [...]}`.
    Results,
    /// The array itself, without room for a page number or a total.
    Bare,
}

/// How keys are spelt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Casing {
    /// `started_at`.
    #[default]
    Snake,
    /// `startedAt`.
    Camel,
}

/// The form of all bodies. `/org` and `/mcp-servers` keep their documented form in every shape.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[expect(clippy::struct_excessive_bools, reason = "independent choices, each one yes or no")]
pub struct Shape {
    /// The envelope of lists.
    pub list: ListEnvelope,
    /// How keys are spelt, except inside arguments, results, attributes and metadata.
    pub casing: Casing,
    /// The dialect of a run's documents.
    pub documents: DocumentDialect,
    /// Whether single objects are wrapped under their name: `{"run": {...}}`.
    pub wrapped: bool,
    /// The number of the first page: 0 or 1.
    pub page_base: u32,
    /// Rows per page if no page size is requested.
    pub default_page_size: u32,
    /// Maximum page size; larger ones are reduced to it without an error.
    pub maximum_page_size: u32,
    /// Whether the requested page size is ignored.
    pub ignores_page_size: bool,
    /// Whether lists of runs repeat `page` and `pageSize`.
    pub has_page_echo: bool,
    /// Whether lists of runs have a `total`.
    pub has_total: bool,
    /// Whether the page number is ignored, so that every page is the first one.
    pub ignores_page: bool,
    /// Whether numbers in records are strings.
    pub numbers_as_text: bool,
    /// Whether every record has an unknown key.
    pub has_unknown_keys: bool,
    /// How lists are paged.
    pub paging: Paging,
}

impl Default for Shape {
    fn default() -> Self {
        Self {
            list: ListEnvelope::Rows,
            casing: Casing::Snake,
            documents: DocumentDialect::Plain,
            wrapped: false,
            page_base: 1,
            default_page_size: 20,
            maximum_page_size: 100,
            ignores_page_size: false,
            has_page_echo: true,
            has_total: true,
            ignores_page: false,
            numbers_as_text: false,
            has_unknown_keys: false,
            paging: Paging::default(),
        }
    }
}

/// The position of a page in the list of runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Page {
    pub(super) number: u32,
    pub(super) size: u32,
    /// Number of rows before it; `None` for numbered pages.
    pub(super) skip: Option<u64>,
}

impl Shape {
    /// The page that is served for a requested number and size.
    pub(super) fn page(&self, number: Option<u32>, size: Option<u32>) -> Page {
        let number = number.filter(|_| !self.ignores_page).unwrap_or(self.page_base);
        let size = size.filter(|_| !self.ignores_page_size);
        Page {
            number: number.max(self.page_base),
            size: size.unwrap_or(self.default_page_size).clamp(1, self.maximum_page_size.max(1)),
            skip: None,
        }
    }

    /// The number of runs before a page.
    pub(super) fn offset(&self, page: Page) -> u64 {
        page.skip.unwrap_or_else(|| {
            u64::from(page.number.saturating_sub(self.page_base)) * u64::from(page.size)
        })
    }

    /// The position of a page in a list of `rows` rows.
    pub(super) fn cut(&self, page: Page, rows: u64) -> Cut {
        Cut { offset: self.offset(page), size: page.size.into(), rows }
    }

    /// Converts a canonical record to this shape.
    pub(super) fn record(&self, canonical: Value) -> Value {
        match canonical {
            Value::Object(entries) => {
                let unknown = ("x_new_field".to_owned(), json!({"since": "today"}));
                let unknown = self.has_unknown_keys.then_some(unknown);
                let entries = entries.into_iter().map(|(key, value)| self.entry(key, value));
                Value::Object(entries.chain(unknown).collect())
            }
            Value::Array(values) => {
                Value::Array(values.into_iter().map(|value| self.record(value)).collect())
            }
            Value::Number(number) if self.numbers_as_text => Value::String(number.to_string()),
            other => other,
        }
    }

    fn entry(&self, key: String, value: Value) -> (String, Value) {
        let is_payload = PAYLOADS.contains(&key.as_str());
        let value = if is_payload { value } else { self.record(value) };
        (self.spelt(key), value)
    }

    fn spelt(&self, key: String) -> String {
        match self.casing {
            Casing::Snake => key,
            Casing::Camel => camel(&key),
        }
    }

    /// Converts a single canonical object, and wraps it under `name` if this shape wraps objects.
    pub(super) fn single(&self, name: &str, canonical: Value) -> Value {
        let record = self.record(canonical);
        if self.wrapped { json!({ name: record }) } else { record }
    }

    /// Converts canonical records to a list of the resource `name`.
    pub(super) fn list(&self, name: &str, canonical: Vec<Value>) -> Value {
        let records = canonical.into_iter().map(|record| self.record(record)).collect();
        self.enveloped(name, records, Map::new())
    }

    /// One page of the list of runs, from records that are already in this shape.
    pub(super) fn page_of_runs(
        &self,
        records: Vec<Value>,
        page: Page,
        total: Option<u64>,
        rows: u64,
        address: &str,
    ) -> Value {
        let mut more = Map::new();
        self.paging.annotate(&mut more, self.cut(page, rows), address);
        if self.has_page_echo && self.paging.style == PagingStyle::Number {
            more.insert("page".to_owned(), page.number.into());
            more.insert("pageSize".to_owned(), page.size.into());
        }
        if let Some(total) = total.filter(|_| self.has_total) {
            more.insert("total".to_owned(), total.into());
        }
        self.enveloped("runs", records, more)
    }

    fn enveloped(&self, name: &str, records: Vec<Value>, mut body: Map<String, Value>) -> Value {
        let key = match self.list {
            ListEnvelope::Rows => "rows".to_owned(),
            ListEnvelope::Runs => self.spelt(name.to_owned()),
            ListEnvelope::Data => "data".to_owned(),
            ListEnvelope::Items => "items".to_owned(),
            ListEnvelope::Results => "results".to_owned(),
            ListEnvelope::Bare => return Value::Array(records),
        };
        body.insert(key, Value::Array(records));
        Value::Object(body)
    }
}

fn camel(key: &str) -> String {
    let mut words = key.split('_');
    let mut spelt = words.next().unwrap_or_default().to_owned();
    for word in words {
        let mut letters = word.chars();
        spelt.extend(letters.next().map(|first| first.to_ascii_uppercase()));
        spelt.push_str(letters.as_str());
    }
    spelt
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> Value {
        json!({"started_at": "x", "cost_usd": 0.0123, "arguments": {"max_rows": 3},
               "criteria": [{"is_required": true, "position": 0}]})
    }

    #[test]
    fn casing_and_numbers_stop_at_payloads() {
        let shape = Shape { casing: Casing::Camel, numbers_as_text: true, ..Shape::default() };
        assert_eq!(
            shape.record(record()),
            json!({"startedAt": "x", "costUsd": "0.0123", "arguments": {"max_rows": 3},
                   "criteria": [{"isRequired": true, "position": "0"}]})
        );
        assert_eq!(Shape::default().record(record()), record());
    }

    #[test]
    fn lists_stand_under_their_key() {
        let list = |list, casing| {
            Shape { list, casing, ..Shape::default() }.list("tool_calls", vec![json!({})])
        };
        assert_eq!(list(ListEnvelope::Rows, Casing::Camel), json!({"rows": [{}]}));
        assert_eq!(list(ListEnvelope::Runs, Casing::Camel), json!({"toolCalls": [{}]}));
        assert_eq!(list(ListEnvelope::Runs, Casing::Snake), json!({"tool_calls": [{}]}));
        assert_eq!(list(ListEnvelope::Data, Casing::Snake), json!({"data": [{}]}));
        assert_eq!(list(ListEnvelope::Items, Casing::Snake), json!({"items": [{}]}));
        assert_eq!(list(ListEnvelope::Results, Casing::Snake), json!({"results": [{}]}));
        assert_eq!(list(ListEnvelope::Bare, Casing::Snake), json!([{}]));
    }

    #[test]
    fn pages_are_clamped_and_based() {
        let shape = Shape::default();
        assert_eq!(shape.page(None, None), Page { number: 1, size: 20, skip: None });
        assert_eq!(shape.page(Some(0), Some(1000)), Page { number: 1, size: 100, skip: None });
        assert_eq!(shape.offset(shape.page(Some(3), Some(10))), 20);
        let from_zero = Shape { page_base: 0, ..shape };
        assert_eq!(from_zero.offset(from_zero.page(Some(3), Some(10))), 30);
        let own = Shape { ignores_page_size: true, ..shape };
        assert_eq!(own.page(None, Some(50)).size, 20);
        let stuck = Shape { ignores_page: true, ..shape };
        assert_eq!(stuck.page(Some(3), None).number, 1);
    }

    #[test]
    fn echo_total_and_wrapping_are_choices() {
        let shape = Shape { has_page_echo: false, has_total: false, ..Shape::default() };
        let page = shape.page(None, None);
        assert_eq!(shape.page_of_runs(vec![], page, Some(9), 9, "/runs"), json!({"rows": []}));
        assert_eq!(
            Shape::default().page_of_runs(vec![], page, Some(9), 9, "/runs"),
            json!({"rows": [], "page": 1, "pageSize": 20, "total": 9})
        );
        let wrapped = Shape { wrapped: true, ..shape };
        assert_eq!(wrapped.single("run", json!({})), json!({"run": {}}));
        assert_eq!(shape.single("run", json!({})), json!({}));
    }
}
