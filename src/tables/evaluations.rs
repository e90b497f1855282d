use super::{Column, Kind, Table, WriteDisposition};

/// One row per evaluated run.
pub static EVALUATIONS: Table = Table {
    name: "evaluations",
    description: "One row per run that the judge model evaluated, or failed to evaluate.",
    key: &["run_id"],
    write: WriteDisposition::Append,
    columns: &[
        Column::parent("run_id", "The run.", &["run_id", "runId", "run.id"]).id(1),
        Column::verdict(
            "The judge's overall verdict. The set is open. A `status` is one only where it is a \
             grade, such as `pass`.",
            &[
                "verdict",
                "verdict.name",
                "verdict.value",
                "verdict.verdict",
                "verdict.label",
                "verdict.id",
                "overall_verdict",
                "overallVerdict",
                "evaluator_verdict",
                "evaluatorVerdict",
                "overall.verdict",
                "result",
                "outcome",
                "passed",
                "status",
            ],
        )
        .id(2),
        Column::new(
            "classification",
            Kind::Text,
            "The evaluation's classification. The set is open.",
            &["classification", "classification.name", "category"],
        )
        .id(3),
        Column::new(
            "score",
            Kind::Float,
            "The overall score, as the API states it.",
            &["score", "overall_score", "overallScore", "overall.score", "verdict.score"],
        )
        .id(4),
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
                "judge_model.id",
                "judge_model.name",
                "judgeModel.id",
                "judgeModel.name",
                "judge.model",
                "judge.model.id",
                "judge.id",
                "judge",
                "model",
                "model.id",
            ],
        )
        .id(5),
        Column::new(
            "summary",
            Kind::Text,
            "The judge's summary.",
            &[
                "summary",
                "rationale",
                "explanation",
                "reasoning",
                "evaluator_output",
                "evaluatorOutput",
                "verdict.rationale",
            ],
        )
        .id(6),
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
        )
        .id(7),
        Column::new(
            "status",
            Kind::Text,
            "The state of the evaluation itself, as the API states it: not a verdict.",
            &["status", "state"],
        )
        .id(8),
        Column::new(
            "error_message",
            Kind::Text,
            "Why the judge could not evaluate the run.",
            &[
                "error_message",
                "errorMessage",
                "error",
                "error.message",
                "failure_reason",
                "failureReason",
            ],
        )
        .id(9),
        Column::VERDICT_MEANING.id(10),
    ],
};
