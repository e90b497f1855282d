use super::{Column, Kind, Table, WriteDisposition};

/// The history of syncs.
pub static SYNCS: Table = Table {
    name: "_syncs",
    description: "One row per sync that ended with a commit, so that a dashboard can show how \
                  fresh its data is. In DuckDB only; the lake keeps the same in its commit log.",
    key: &["sync_id"],
    write: WriteDisposition::CommitLog,
    columns: &[
        Column::derived("sync_id", Kind::Text, "The sync's id.").id(1),
        Column::derived(
            "outcome",
            Kind::Text,
            "`complete`, `incomplete`, `stopped` or `interrupted`.",
        )
        .id(2),
        Column::derived("started_at", Kind::Timestamp, "When it began, by the server's clock.")
            .id(3),
        Column::derived("elapsed_ms", Kind::Integer, "How long it took, in milliseconds.").id(4),
        Column::derived("range", Kind::Text, "The `range` it asked for.").id(5),
        Column::derived("certified", Kind::Boolean, "Whether its sweep came out complete.").id(6),
        Column::derived(
            "uncertified_because",
            Kind::Text,
            "Why the sweep proves nothing; null where it is certified.",
        )
        .id(7),
        Column::derived(
            "proof",
            Kind::Text,
            "What proves the sweep: `one_page` (all that counts stood on one page), `counted` (as \
             many runs as the API said there are) or `seen_again` (a second look found them all).",
        )
        .id(8),
        Column::derived("pages", Kind::Integer, "Pages of the list asked for.").id(9),
        Column::derived("looks", Kind::Integer, "How often the list was read from its head.")
            .id(10),
        Column::derived("repeats", Kind::Integer, "Rows that stood on an earlier page too.").id(11),
        Column::derived("head_moved", Kind::Integer, "Runs that started while it was read.").id(12),
        Column::derived("proven_until", Kind::Timestamp, "Every run that started before is known.")
            .id(13),
        Column::derived("runs_listed", Kind::Integer, "Runs the API listed.").id(14),
        Column::derived("runs_new", Kind::Integer, "Runs exported for the first time.").id(15),
        Column::derived(
            "runs_changed",
            Kind::Integer,
            "Runs exported again, at a higher revision.",
        )
        .id(16),
        Column::derived("runs_open", Kind::Integer, "Runs that had not ended.").id(17),
        Column::derived("runs_failed", Kind::Integer, "Runs whose documents could not be had.")
            .id(18),
        Column::derived(
            "runs_absent",
            Kind::Integer,
            "Runs that were listed, and answered with 404 by their id.",
        )
        .id(19),
        Column::derived(
            "runs_partial",
            Kind::Integer,
            "Runs exported with fewer rows than the API announces (see `_issues`).",
        )
        .id(20),
        Column::derived("requests", Kind::Integer, "Requests sent, retries included.").id(21),
        Column::derived("bytes_received", Kind::Integer, "Bytes of bodies, decompressed.").id(22),
    ],
};
