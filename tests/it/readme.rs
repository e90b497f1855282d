//! Runs the examples for reading Parquet files in docs/READING.md and README.md word for word, on
//! lakes whose files have different columns.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::support::{TestExport, hand_made_run};
use serde_json::json;

/// Some runs without a column of the user's and one with it, or the other way round.
fn lake(column_comes_first: bool) -> TestExport {
    let export = TestExport::of_ended_runs(0);
    let column = "[[columns]]\ntable = \"runs\"\nname = \"team\"\nkind = \"text\"\n\
                  sources = [\"metadata.team\"]\n";
    let configurations = if column_comes_first { [column, ""] } else { ["", column] };
    for (number, configuration) in configurations.into_iter().enumerate() {
        export.configure(configuration);
        for run in 0..3 {
            let detail = json!({"metadata": {"team": "core"}});
            export.simulator.override_run(hand_made_run(&format!("run-{number}-{run}"), &detail));
        }
        let ran = export.run(&["sync"]);
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    }
    export
}

/// A document and the heading of its section with examples.
pub(crate) type Section = (&'static str, &'static str);

const README: Section = ("README.md", "\n## Reading the data\n");
pub(crate) const LAKEHOUSE: Section = ("docs/READING.md", "\n## A lakehouse to try\n");
const READING: Section = ("docs/READING.md", "\n## Parquet files\n");

/// The code blocks of a section in a language, in order.
pub(crate) fn blocks((document, heading): Section, language: &str) -> Vec<String> {
    let document = Path::new(env!("CARGO_MANIFEST_DIR")).join(document);
    let text = fs::read_to_string(document).unwrap();
    let (_, reading) = text.split_once(heading).unwrap();
    let (reading, _) = reading.split_once("\n## ").unwrap();
    let start = format!("```{language}\n");
    let blocks = reading.split(&start).skip(1).map(|rest| rest.split("```").next().unwrap());
    blocks.map(str::to_owned).collect()
}

#[test]
fn duckdb_reads_files_with_different_columns() {
    let in_readme = blocks(README, "sql");
    let blocks = blocks(READING, "sql");
    let [query] = blocks.as_slice() else { panic!("{blocks:?}") };
    assert_eq!(in_readme, blocks, "the README shows the same query");
    for column_comes_first in [false, true] {
        let export = lake(column_comes_first);
        let connection = duckdb::Connection::open_in_memory().unwrap();
        let all = |sql: &str| -> i64 {
            let sql = format!("SELECT sum(n) FROM ({sql}) AS t(name, n)");
            connection.query_row(&sql, [], |row| row.get(0)).unwrap()
        };
        let query = query.replace("'lake/", &format!("'{}/", export.lake.display()));
        let query = query.split(';').next().unwrap();
        assert_eq!(all(query), 6);
        let by_team = query.replace("workflow_name", "team");
        let named = format!("SELECT * FROM ({by_team}) AS t(name, n) WHERE name = 'core'");
        assert_eq!(all(&named), 3);
        // The views that the program prints, too.
        let views = export.run(&["schema", "--format", "sql"]).stdout;
        connection.execute_batch(&views).unwrap();
        assert_eq!(all("SELECT team, count(*) FROM runs WHERE team = 'core' GROUP BY ALL"), 3);
        assert_eq!(all("SELECT NULL, count(*) FROM tool_calls"), 6);
    }
}

/// Needs the packages that `make test` fetches; Spark is not among them.
#[test]
fn polars_and_pyarrow_read_files_with_different_columns() {
    let python = Path::new(env!("CARGO_MANIFEST_DIR")).join(".readers/bin/python");
    if !python.exists() {
        crate::support::skip::may_skip("`.readers` is missing, which `make test` fetches");
        return;
    }
    let blocks = blocks(READING, "python");
    let counts = [
        ("# Polars\n", "found = runs.collect()\nprint(found.height, found['team'].null_count())"),
        ("# pyarrow\n", "found = runs.to_table()\nprint(found.num_rows, found['team'].null_count)"),
    ];
    for column_comes_first in [false, true] {
        let export = lake(column_comes_first);
        for (name, count) in counts {
            let block = blocks.iter().find(|block| block.starts_with(name)).unwrap();
            let mut command = Command::new(&python);
            command.current_dir(export.folder()).arg("-c").arg(format!("{block}\n{count}"));
            let ran = export.finish(&mut command);
            assert_eq!((ran.stdout.trim(), ran.code), ("6 3", Some(0)), "{name}{}", ran.stderr);
        }
    }
}
