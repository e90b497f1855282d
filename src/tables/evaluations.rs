use super::{Column, Kind, Table, Write};

/// One row per evaluated run.
pub static EVALUATIONS: Table = Table {
    name: "evaluations",
    description: "One row per run that the judge model evaluated.",
    key: &["run_id"],
    write: Write::Append,
    columns: &[
        Column::parent("run_id", "The run.", &["run_id", "runId", "run.id"]),
        Column::new(
            "verdict",
            Kind::Text,
            "The judge's overall verdict. The set is open.",
            &["verdict", "overall_verdict", "overallVerdict", "result", "outcome", "status"],
        ),
        Column::new(
            "classification",
            Kind::Text,
            "The evaluation's classification. The set is open.",
            &["classification", "category"],
        ),
        Column::new(
            "score",
            Kind::Float,
            "The overall score, as the API states it.",
            &["score", "overall_score", "overallScore"],
        ),
        Column::new(
            "judge_model",
            Kind::Text,
            "The model that judged.",
            &[
                "judge_model",
                "judgeModel",
                "judge_model_id",
                "judgeModelId",
                "evaluator_model",
                "evaluatorModel",
                "judge.model",
                "model",
            ],
        ),
        Column::new(
            "summary",
            Kind::Text,
            "The judge's summary.",
            &["summary", "rationale", "explanation", "reasoning"],
        ),
        Column::new(
            "evaluated_at",
            Kind::Timestamp,
            "When the run was evaluated.",
            &[
                "evaluated_at",
                "evaluatedAt",
                "completed_at",
                "completedAt",
                "created_at",
                "createdAt",
            ],
        ),
    ],
};
