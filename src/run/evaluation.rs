//! Decides whether a body of `GET /runs/{id}/evaluation` is an evaluation already.
//!
//! What the API returns for a run that is not evaluated yet is not documented: 404, `null`, an
//! empty list, or a placeholder with a status are all seen on similar APIs. So the content decides.

use super::Meaning;
use crate::json::{JsonKind, Node};

/// What a body of `GET /runs/{id}/evaluation` is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EvaluationState {
    /// Nothing, or only ids: there is no evaluation (yet).
    Absent,
    /// A placeholder: the evaluation is in progress, and nothing is graded.
    Pending,
    /// The judge could not evaluate the run; the body says why.
    Failed,
    /// Something is graded, or the body holds something that this program does not know.
    Present,
}

/// Members that hold a grade, of the run or of one criterion.
const GRADES: &[&str] = &[
    "verdict",
    "overall_verdict",
    "overallVerdict",
    "evaluator_verdict",
    "evaluatorVerdict",
    "grade",
    "outcome",
    "passed",
    "score",
    "overall_score",
    "overallScore",
    "classification",
    "rationale",
    "reasoning",
    "explanation",
    "summary",
];

/// Members that hold the grades of criteria by name, if they are an object.
const KEYED_GRADES: &[&str] = &["criteria", "scores", "grades"];

const STATUS: &[&str] = &["status", "state"];

const ERROR: &[&str] =
    &["error", "errors", "error_message", "errorMessage", "failure_reason", "failureReason"];

/// Members that state nothing about a grade, whatever they hold.
const BESIDE: &[&str] = &[
    "run",
    "message",
    "progress",
    "total",
    "count",
    "page",
    "pageSize",
    "page_size",
    "hasMore",
    "has_more",
    "judge_model",
    "judgeModel",
    "model",
];

/// Maximum nesting at which grades are searched.
const DEEPEST: usize = 4;

/// What a body of `GET /runs/{id}/evaluation` is; also one that is wrapped, as in
/// `{"evaluation": {…}}`.
pub fn evaluation_state_of(body: Node<'_>) -> EvaluationState {
    let mut found = Found::default();
    found.look(body, 0);
    match found {
        Found { graded: true, .. } => EvaluationState::Present,
        Found { status: Some(Meaning::Open), .. } => EvaluationState::Pending,
        Found { status: Some(Meaning::Error), .. } => EvaluationState::Failed,
        Found { status: Some(Meaning::Failed) | None, has_error: true, .. } => {
            EvaluationState::Failed
        }
        // A status is a verdict only if its word is a grade, such as `pass`; `completed` with
        // nothing graded is not one.
        Found { status: Some(status), .. } if status.is_grade() => EvaluationState::Present,
        Found { status: Some(Meaning::Cancelled), .. } | Found { has_other: true, .. } => {
            EvaluationState::Present
        }
        Found { is_ungraded_criterion: true, .. } => EvaluationState::Pending,
        _ => EvaluationState::Absent,
    }
}

/// What was found in a body.
#[derive(Debug, Default)]
struct Found {
    /// Whether there is a grade: a value that is not empty, and not a word that says that none is
    /// there yet.
    graded: bool,
    /// The first status; outer ones come first.
    status: Option<Meaning>,
    has_error: bool,
    /// An element of a list has a member for a grade, and no grade in it.
    is_ungraded_criterion: bool,
    /// A member that is not known, and not empty.
    has_other: bool,
}

impl Found {
    fn look(&mut self, node: Node<'_>, depth: usize) {
        match node.kind() {
            JsonKind::Null => {}
            JsonKind::Object => self.look_into(node, depth),
            JsonKind::Array => {
                for element in node.elements().unwrap_or_default() {
                    self.look_at_element(element, depth);
                }
            }
            JsonKind::Text => match node.text().map(|text| Meaning::of(&text)) {
                Some(meaning) if !meaning.is_grade() && meaning != Meaning::Unknown => {
                    self.status = self.status.or(Some(meaning));
                }
                _ => self.has_other |= !is_empty(node),
            },
            JsonKind::Number | JsonKind::Boolean => self.has_other = true,
        }
    }

    fn look_into(&mut self, object: Node<'_>, depth: usize) {
        for (name, value) in object.members().unwrap_or_default() {
            let name = name.as_ref();
            if is_empty(value) || is_beside(name) && value.kind() != JsonKind::Object {
                continue;
            }
            if name == "run" {
                // The status and the error of an enclosing run are not the evaluation's.
                if let Some(evaluation) = value.get("evaluation") {
                    self.look_deeper(evaluation, depth);
                }
            } else if STATUS.contains(&name) && value.kind() == JsonKind::Text {
                let word = value.text().unwrap_or_default();
                self.status = self.status.or(Some(Meaning::of(&word)));
            } else if ERROR.contains(&name) {
                self.has_error |= value.source() != "false";
            } else if GRADES.contains(&name) {
                self.look_at_grade(value);
            } else if KEYED_GRADES.contains(&name) && value.kind() == JsonKind::Object {
                self.graded |= has_scalar(value);
                self.look_deeper(value, depth);
            } else if matches!(value.kind(), JsonKind::Object | JsonKind::Array) {
                self.look_deeper(value, depth);
            } else {
                self.has_other = true;
            }
        }
    }

    fn look_at_grade(&mut self, value: Node<'_>) {
        if is_grade(value) {
            self.graded = true;
        } else {
            self.status = self.status.or(Some(Meaning::Open));
        }
    }

    fn look_deeper(&mut self, value: Node<'_>, depth: usize) {
        if depth < DEEPEST {
            self.look(value, depth + 1);
        } else {
            self.has_other = true;
        }
    }

    /// An element of a list: a criterion, or something else.
    fn look_at_element(&mut self, element: Node<'_>, depth: usize) {
        let members = element.members().unwrap_or_default();
        let grades: Vec<Node<'_>> = members
            .iter()
            .filter(|(name, _)| GRADES.contains(&name.as_ref()) || STATUS.contains(&name.as_ref()))
            .map(|(_, value)| *value)
            .collect();
        if grades.is_empty() {
            // An element of unknown shape is content.
            self.has_other |= !is_empty(element);
            self.graded |= depth == 0 && !is_empty(element);
        } else if grades.into_iter().any(is_grade) {
            self.graded = true;
        } else {
            self.is_ungraded_criterion = true;
        }
    }
}

/// Whether a value is blank, or holds only blank values.
fn is_empty(node: Node<'_>) -> bool {
    node.is_blank(DEEPEST)
}

/// Whether the value of a member for grades is a grade: not empty, and not a word that says that
/// none is there yet.
fn is_grade(value: Node<'_>) -> bool {
    let is_open = |text: &str| Meaning::of(text) == Meaning::Open;
    !is_empty(value) && !value.text().is_some_and(|text| is_open(&text))
}

fn has_scalar(object: Node<'_>) -> bool {
    let is_scalar = |(_, value): (_, Node<'_>)| {
        !matches!(value.kind(), JsonKind::Object | JsonKind::Array) && is_grade(value)
    };
    object.members().unwrap_or_default().into_iter().any(is_scalar)
}

/// Whether a member holds an id, a time, or something else that states nothing about a grade.
fn is_beside(name: &str) -> bool {
    let ends = ["_id", "Id", "_at", "At", "_url", "Url"];
    name == "id" || BESIDE.contains(&name) || ends.iter().any(|end| name.ends_with(end))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(json: &str) -> EvaluationState {
        evaluation_state_of(Node::parse(json.as_bytes()).unwrap())
    }

    #[test]
    fn nothing_and_ids_are_no_evaluation() {
        for json in [
            "null",
            "{}",
            "[]",
            r#"{"run_id":"r"}"#,
            r#"{"run":{"id":"r"},"evaluation":null}"#,
            r#"{"verdict":null,"criteria":[]}"#,
            r#"{"run":{"id":"r","status":"error","error":"no server","evaluation":null}}"#,
            r#"{"evaluation":{"id":"e","created_at":"2026-11-25T00:00:00Z"}}"#,
            r#"{"rows":[],"total":0}"#,
            r#"{"status":"completed","verdict":null}"#,
        ] {
            assert_eq!(state(json), EvaluationState::Absent, "{json}");
        }
    }

    #[test]
    fn placeholders_are_pending() {
        for json in [
            r#"{"status":"pending","verdict":null,"criteria":[]}"#,
            r#"{"status":"in_progress","eta_seconds":20}"#,
            r#"{"evaluation":{"state":"judging","judge_model":"j"}}"#,
            r#"{"data":{"status":"queued"}}"#,
            r#"{"verdict":"pending"}"#,
            r#"{"status":"running","criteria":[{"id":"c","criterion_text":"x","verdict":null}]}"#,
            r#"[{"id":"c","verdict":null},{"id":"d","verdict":"pending"}]"#,
            r#""pending""#,
        ] {
            assert_eq!(state(json), EvaluationState::Pending, "{json}");
        }
    }

    #[test]
    fn a_judge_that_failed_is_told_from_a_run_that_failed() {
        for json in [
            r#"{"status":"error","error":"judge model unavailable","code":"judge_failed"}"#,
            r#"{"status":"error"}"#,
            r#"{"status":"failed","error":{"message":"no"},"criteria":[]}"#,
            r#"{"evaluation":{"status":"timed_out","verdict":null}}"#,
            r#"{"error":{"code":"judge_failed"}}"#,
        ] {
            assert_eq!(state(json), EvaluationState::Failed, "{json}");
        }
        assert_eq!(state(r#"{"status":"fail"}"#), EvaluationState::Present);
        assert_eq!(state(r#"{"verdict":"fail","error":"x"}"#), EvaluationState::Present);
    }

    #[test]
    fn whatever_is_graded_is_there() {
        for json in [
            r#"[{"criterion_id":"k","verdict":"pass"}]"#,
            r#"[{"criterion":"k","met":true}]"#,
            r#"{"run":{"id":"r","evaluation":{"verdict":"pass"}}}"#,
            r#"{"status":"completed","verdict":"fail"}"#,
            r#"{"status":"pending","verdict":"pass"}"#,
            r#"{"criteria":{"polite":"pass"}}"#,
            r#"{"status":"running","scores":{"polite":0.5}}"#,
            r#"{"score":0}"#,
            r#"{"passed":false}"#,
            r#"{"data":[{"id":"c","passed":true}]}"#,
            r#"{"verdict":{"name":"pass"}}"#,
            r#"{"evaluator_output":"all is well"}"#,
            r#"{"status":"skipped"}"#,
            r#""pass""#,
        ] {
            assert_eq!(state(json), EvaluationState::Present, "{json}");
        }
    }
}
