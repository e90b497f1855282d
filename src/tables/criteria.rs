use super::{Column, Kind, Table, Write};

/// One row per judged criterion of a run.
pub static CRITERIA: Table = Table {
    name: "criteria",
    description: "One row per criterion that the judge graded for a run.",
    key: &["run_id", "criterion_id"],
    write: Write::Append,
    columns: &[
        Column::parent("run_id", "The run.", &["run_id", "runId"]),
        Column::key(
            "criterion_id",
            "The criterion's id; `#<position>` where the API gives none.",
            &["id", "criterion_id", "criterionId"],
        ),
        Column::position("Place among the run's criteria, from 0."),
        Column::new(
            "criterion_text",
            Kind::Text,
            "What was asked of the run.",
            &["criterion_text", "criterionText", "text", "criterion", "name", "description"],
        ),
        Column::new(
            "is_required",
            Kind::Boolean,
            "Whether the run passes only if this does.",
            &["is_required", "isRequired", "required"],
        ),
        Column::new(
            "verdict",
            Kind::Text,
            "The grade: `pass`, `partial`, `fail` or another word of the API.",
            &["verdict", "status", "result", "outcome", "grade"],
        ),
        Column::new("score", Kind::Float, "The score, as the API states it.", &["score"]),
        Column::new(
            "rationale",
            Kind::Text,
            "Why the judge graded so.",
            &["rationale", "reasoning", "explanation", "reason", "summary"],
        ),
    ],
};
