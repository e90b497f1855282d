use super::{Column, Kind, Table, WriteDisposition};

/// One row per judged criterion of a run.
pub static CRITERIA: Table = Table {
    name: "criteria",
    description: "One row per criterion that the judge graded for a run.",
    key: &["run_id", "criterion_id"],
    write: WriteDisposition::Append,
    columns: &[
        Column::parent("run_id", "The run.", &["run_id", "runId"]).id(1),
        Column::key(
            "criterion_id",
            "The criterion's id; `#<position>` where the API gives none.",
            &["criterion_id", "criterionId", "criterion.id", "criteria_id", "id"],
        )
        .id(2),
        Column::position("Place among the run's criteria, from 0.").id(3),
        Column::new(
            "criterion_text",
            Kind::Text,
            "What was asked of the run.",
            &[
                "criterion_text",
                "criterionText",
                "text",
                "criterion",
                "criterion.text",
                "criterion.criterion_text",
                "criterion.criterionText",
                "criterion.name",
                "criterion.description",
                "name",
                "description",
            ],
        )
        .id(4),
        Column::new(
            "is_required",
            Kind::Boolean,
            "Whether the run passes only if this does.",
            &[
                "is_required",
                "isRequired",
                "required",
                "criterion.is_required",
                "criterion.isRequired",
            ],
        )
        .id(5),
        Column::verdict(
            "The grade: `pass`, `partial`, `fail` or another word of the API.",
            &[
                "verdict",
                "verdict.name",
                "verdict.value",
                "verdict.verdict",
                "verdict.label",
                "verdict.id",
                "grade",
                "grade.name",
                "grade.value",
                "result",
                "outcome",
                "passed",
                "status",
            ],
        )
        .id(6),
        Column::new(
            "score",
            Kind::Float,
            "The score, as the API states it.",
            &["score", "verdict.score", "grade.score", "value"],
        )
        .id(7),
        Column::new(
            "rationale",
            Kind::Text,
            "Why the judge graded so.",
            &[
                "rationale",
                "reasoning",
                "explanation",
                "reason",
                "summary",
                "details",
                "comment",
                "verdict.rationale",
            ],
        )
        .id(8),
        Column::VERDICT_MEANING.id(9),
    ],
};
