//! Dialects: other names, places and units for the same content, as seen in similar APIs. The rows
//! of a correct export do not depend on the dialect.

use chrono::DateTime;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// The dialect of a run's documents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DocumentDialect {
    /// As inferred from the vendor's documentation and public code.
    #[default]
    Plain,
    /// Rows have ids of their own besides those of what they name, words are objects, the
    /// evaluation is inside its run, excerpts are beside the criteria, spans are steps, and tool
    /// calls are events of the vendor's SDK.
    Nested,
    /// Times are epoch seconds, and durations are seconds without a unit in their name.
    Epoch,
}

/// Members that hold times.
const TIMES: [&str; 3] = ["started_at", "finished_at", "evaluated_at"];

impl DocumentDialect {
    /// A row of the list of runs, or a run's detail.
    pub(super) fn run(self, run: Value) -> Value {
        match self {
            Self::Plain => run,
            Self::Epoch => with_epoch_times(run),
            Self::Nested => changed(run, |run| {
                let cost = run.remove("cost_usd").filter(|cost| !cost.is_null());
                if let Some(cost) = cost {
                    run.insert("cost".to_owned(), json!({"amount": cost}));
                }
                let model = run.remove("model_id").unwrap_or_default();
                run.insert("tester".to_owned(), json!({"model_id": model}));
            }),
        }
    }

    pub(super) fn trace(self, trace: Value) -> Value {
        match self {
            Self::Plain => trace,
            Self::Epoch => each(trace, "spans", with_epoch_times),
            Self::Nested => changed(each_numbered(trace, "spans", nested_span), |trace| {
                let steps = trace.remove("spans").unwrap_or_default();
                trace.insert("steps".to_owned(), steps);
                let call = json!([{"id": "not a span", "tool_name": "none"}]);
                trace.insert("tool_calls".to_owned(), call);
            }),
        }
    }

    pub(super) fn tool_calls(self, calls: Vec<Value>) -> Vec<Value> {
        match self {
            Self::Plain => calls,
            Self::Epoch => calls.into_iter().map(with_epoch_times).collect(),
            Self::Nested => calls.into_iter().enumerate().map(nested_call).collect(),
        }
    }

    pub(super) fn evaluation(self, evaluation: Value) -> Value {
        match self {
            Self::Plain => evaluation,
            Self::Epoch => with_epoch_times(evaluation),
            Self::Nested => nested_evaluation(evaluation),
        }
    }
}

fn changed(mut value: Value, change: impl FnOnce(&mut Map<String, Value>)) -> Value {
    if let Some(members) = value.as_object_mut() {
        change(members);
    }
    value
}

fn each(value: Value, list: &str, change: impl Fn(Value) -> Value) -> Value {
    each_numbered(value, list, |(_, element)| change(element))
}

fn each_numbered(value: Value, list: &str, change: impl Fn((usize, Value)) -> Value) -> Value {
    changed(value, |members| {
        if let Some(Value::Array(elements)) = members.remove(list) {
            let elements = elements.into_iter().enumerate().map(change).collect();
            members.insert(list.to_owned(), Value::Array(elements));
        }
    })
}

fn rename(members: &mut Map<String, Value>, from: &str, to: &str) {
    if let Some(value) = members.remove(from) {
        members.insert(to.to_owned(), value);
    }
}

fn nested_span((number, span): (usize, Value)) -> Value {
    changed(span, |span| {
        rename(span, "id", "span_id");
        rename(span, "parent_id", "parent_span_id");
        span.insert("id".to_owned(), number.into());
    })
}

fn nested_call((number, call): (usize, Value)) -> Value {
    changed(call, |call| {
        rename(call, "id", "event_id");
        call.insert("id".to_owned(), number.into());
        rename(call, "arguments", "input_preview");
        rename(call, "result", "result_preview");
        let failed = call.remove("is_error").and_then(|failed| failed.as_bool());
        call.insert("ok".to_owned(), failed.map(|failed| !failed).into());
        let tool = call.remove("tool_name").unwrap_or_default();
        call.insert("metadata".to_owned(), json!({"tool_name": tool}));
    })
}

fn nested_evaluation(evaluation: Value) -> Value {
    let mut excerpts = Vec::new();
    let evaluation = changed(evaluation, |members| {
        if let Some(Value::Array(criteria)) = members.remove("criteria") {
            let criteria = criteria.into_iter().enumerate();
            let criteria = criteria.map(|one| nested_criterion(one, &mut excerpts)).collect();
            members.insert("criterion_results".to_owned(), Value::Array(criteria));
        }
        members.insert("excerpts".to_owned(), Value::Array(excerpts));
        for name in ["verdict", "judge_model"] {
            let word = members.remove(name).unwrap_or_default();
            members.insert(name.to_owned(), json!({"name": word}));
        }
    });
    json!({"run": {"status": "not a verdict", "model": "not a judge", "evaluation": evaluation}})
}

fn nested_criterion((number, criterion): (usize, Value), excerpts: &mut Vec<Value>) -> Value {
    changed(criterion, |criterion| {
        let id = criterion.remove("id").unwrap_or_default();
        let own = criterion.remove("excerpts");
        for excerpt in own.as_ref().and_then(Value::as_array).into_iter().flatten() {
            let excerpt = excerpt.clone();
            excerpts.push(changed(excerpt, |one| {
                one.insert("criterion_id".to_owned(), id.clone());
            }));
        }
        let text = criterion.remove("criterion_text").unwrap_or_default();
        criterion.insert("criterion".to_owned(), json!({"id": id, "text": text}));
        criterion.insert("id".to_owned(), number.into());
        let grade = criterion.remove("verdict").unwrap_or_default();
        criterion.insert("verdict".to_owned(), json!({"value": grade}));
    })
}

/// Converts times to epoch seconds, and durations to seconds; both to the millisecond.
fn with_epoch_times(value: Value) -> Value {
    changed(value, |members| {
        for name in TIMES {
            let time = members.get(name).and_then(Value::as_str);
            let time = time.and_then(|text| DateTime::parse_from_rfc3339(text).ok());
            if let Some(time) = time {
                members.insert(name.to_owned(), seconds(time.timestamp_millis()));
            }
        }
        if let Some(duration) = members.remove("duration_ms") {
            let duration = duration.as_i64().map(seconds).unwrap_or_default();
            members.insert("duration".to_owned(), duration);
        }
    })
}

/// Converts milliseconds to seconds, with three digits after the point.
fn seconds(milliseconds: i64) -> Value {
    let text = format!("{}.{:03}", milliseconds / 1000, milliseconds % 1000);
    text.parse::<f64>().map_or(Value::Null, Value::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_are_exact_to_the_millisecond() {
        assert_eq!(seconds(1_795_435_200_123).to_string(), "1795435200.123");
        assert_eq!(seconds(60_000).to_string(), "60.0");
    }

    #[test]
    fn documents_say_the_same_in_another_way() {
        let span = json!({"spans": [{"id": "s", "parent_id": null, "duration_ms": 1500,
                                     "started_at": "2026-11-23T12:00:00.500Z"}]});
        assert_eq!(
            DocumentDialect::Epoch.trace(span.clone()),
            json!({"spans": [{"id": "s", "parent_id": null, "duration": 1.5,
                              "started_at": 1_795_435_200.5}]})
        );
        assert_eq!(DocumentDialect::Nested.trace(span.clone())["steps"][0]["span_id"], "s");
        assert_eq!(DocumentDialect::Plain.trace(span.clone()), span);
    }
}
