use super::{Column, Kind, Table, WriteDisposition};

/// The history of syncs.
pub static SYNCS: Table = Table {
    name: "_syncs",
    description: "One row per sync that ended with a commit, so that a dashboard can show how \
                  fresh its data is. In DuckDB only; the lake keeps the same in its manifests.",
    key: &["sync_id"],
    write: WriteDisposition::Manifest,
    columns: &[
        Column::derived("sync_id", Kind::Text, "The sync's id."),
        Column::derived(
            "outcome",
            Kind::Text,
            "`complete`, `incomplete`, `stopped` or `interrupted`.",
        ),
        Column::derived("started_at", Kind::Timestamp, "When it began, by the server's clock."),
        Column::derived("elapsed_ms", Kind::Integer, "How long it took, in milliseconds."),
        Column::derived("range", Kind::Text, "The `range` it asked for."),
        Column::derived("certified", Kind::Boolean, "Whether its sweep came out complete."),
        Column::derived(
            "uncertified_because",
            Kind::Text,
            "Why the sweep proves nothing; null where it is certified.",
        ),
        Column::derived(
            "proof",
            Kind::Text,
            "What proves the sweep: `one_page` (all that counts stood on one page), `counted` (as \
             many runs as the API said there are) or `seen_again` (a second look found them all).",
        ),
        Column::derived("pages", Kind::Integer, "Pages of the list asked for."),
        Column::derived("looks", Kind::Integer, "How often the list was read from its head."),
        Column::derived("repeats", Kind::Integer, "Rows that stood on an earlier page too."),
        Column::derived("head_moved", Kind::Integer, "Runs that started while it was read."),
        Column::derived("proven_until", Kind::Timestamp, "Every run that started before is known."),
        Column::derived("runs_listed", Kind::Integer, "Runs the API listed."),
        Column::derived("runs_new", Kind::Integer, "Runs exported for the first time."),
        Column::derived(
            "runs_changed",
            Kind::Integer,
            "Runs exported again, at a higher revision.",
        ),
        Column::derived("runs_open", Kind::Integer, "Runs that had not ended."),
        Column::derived("runs_failed", Kind::Integer, "Runs whose documents could not be had."),
        Column::derived(
            "runs_absent",
            Kind::Integer,
            "Runs that were listed, and answered with 404 by their id.",
        ),
        Column::derived(
            "runs_partial",
            Kind::Integer,
            "Runs exported with fewer rows than the API announces (see `_issues`).",
        ),
        Column::derived("requests", Kind::Integer, "Requests sent, retries included."),
        Column::derived("bytes_received", Kind::Integer, "Bytes of bodies, decompressed."),
    ],
};
