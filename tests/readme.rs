//! What README says of reading the files is run as it stands there, on lakes whose files have
//! different columns.

#![cfg(test)]

#[path = "support/skip.rs"]
mod skip;
mod support;

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::json;
use support::{Lab, hand_made_run};

/// Some runs without a column of the user's and one with it, or the other way round.
fn lake(column_comes_first: bool) -> Lab {
    let lab = Lab::new(0);
    let column = "[[columns]]\ntable = \"runs\"\nname = \"team\"\nkind = \"text\"\n\
                  sources = [\"metadata.team\"]\n";
    let configurations = if column_comes_first { [column, ""] } else { ["", column] };
    for (number, configuration) in configurations.into_iter().enumerate() {
        lab.configure(configuration);
        for run in 0..3 {
            let detail = json!({"metadata": {"team": "core"}});
            lab.simulator.override_run(hand_made_run(&format!("run-{number}-{run}"), &detail));
        }
        let ran = lab.run(&["sync"]);
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    }
    lab
}

/// The blocks of README in a language, in order.
fn blocks(language: &str) -> Vec<String> {
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let text = fs::read_to_string(readme).unwrap();
    let (_, reading) = text.split_once("## Reading the data").unwrap();
    let (reading, _) = reading.split_once("\n## ").unwrap();
    let start = format!("```{language}\n");
    let blocks = reading.split(&start).skip(1).map(|rest| rest.split("```").next().unwrap());
    blocks.map(str::to_owned).collect()
}

#[test]
fn duckdb_reads_files_with_different_columns() {
    let blocks = blocks("sql");
    let [query] = blocks.as_slice() else { panic!("{blocks:?}") };
    for column_comes_first in [false, true] {
        let lab = lake(column_comes_first);
        let connection = duckdb::Connection::open_in_memory().unwrap();
        let all = |sql: &str| -> i64 {
            let sql = format!("SELECT sum(n) FROM ({sql}) AS t(name, n)");
            connection.query_row(&sql, [], |row| row.get(0)).unwrap()
        };
        let query = query.replace("'lake/", &format!("'{}/", lab.lake().display()));
        let query = query.split(';').next().unwrap();
        assert_eq!(all(query), 6);
        let by_team = query.replace("workflow_name", "team");
        let named = format!("SELECT * FROM ({by_team}) AS t(name, n) WHERE name = 'core'");
        assert_eq!(all(&named), 3);
        // The views that the program prints, too.
        let views = lab.run(&["schema", "--format", "sql"]).stdout;
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
        skip::may_skip("`.readers` is missing, which `make test` fetches");
        return;
    }
    let blocks = blocks("python");
    let counts = [
        ("# Polars\n", "found = runs.collect()\nprint(found.height, found['team'].null_count())"),
        ("# pyarrow\n", "found = runs.to_table()\nprint(found.num_rows, found['team'].null_count)"),
    ];
    for column_comes_first in [false, true] {
        let lab = lake(column_comes_first);
        for (name, count) in counts {
            let block = blocks.iter().find(|block| block.starts_with(name)).unwrap();
            let mut command = Command::new(&python);
            command.current_dir(lab.folder()).arg("-c").arg(format!("{block}\n{count}"));
            let ran = lab.finish(&mut command);
            assert_eq!((ran.stdout.trim(), ran.code), ("6 3", Some(0)), "{name}{}", ran.stderr);
        }
    }
}
