//! The scripts: what they have in common in all engines.

use std::fmt::Write as _;

use super::changes::{Changes, Load, TableChanges};
use super::engine::{Engine, LOADS, StagedTable};
use super::{WarehouseError, engine_of};
use crate::metrics::{Dialect, VIEWS};
use crate::tables::{Kind, MappedTable, Mapping, RUNS, SCHEMA_VERSION, WriteDisposition, find};

/// The staging table that has a row if a load may change the warehouse.
const ACCEPTED: &str = "_stage_accepted";

/// The columns of [`LOADS`]: name, type, description.
const LOADS_COLUMNS: [(&str, Kind, &str); 7] = [
    ("lake_id", Kind::Text, "The id of the lake; empty in the row of commit 0."),
    ("since_commit", Kind::Integer, "The load has the changes after this commit."),
    (
        "commit_number",
        Kind::Integer,
        "The last commit of the load: the next one has the changes since then. 0 in the row that \
         stands for the empty warehouse, which each load locks by setting `loaded_at`.",
    ),
    (
        "commit_name",
        Kind::Text,
        "The name of that commit, which no other commit has; null in loads of versions that did \
         not record it.",
    ),
    ("file_count", Kind::Integer, "Number of data files that were read."),
    ("row_count", Kind::Integer, "Number of rows of these files."),
    ("loaded_at", Kind::Timestamp, "When the load was made, by the clock of the warehouse."),
];

/// Statements that create the tables of a warehouse, or add the columns that they lack; then views
/// of the latest revisions, and those of the metrics. `lake` is the place of the lake.
pub fn definitions(dialect: Dialect, mapping: &Mapping, lake: &str) -> String {
    let engine = engine_of(dialect);
    let mut out = header(engine, "Tables and views");
    if engine.drops_views() {
        out.push_str("BEGIN;\n");
        out.push_str(&drop_views(engine, mapping));
    }
    out.push_str(&engine.before_tables(lake));
    for table in tables(mapping) {
        out.push_str(&create_table(engine, table));
    }
    out.push_str(&create_loads(engine));
    for table in tables(mapping).filter(|it| it.table.write == WriteDisposition::Append) {
        out.push_str(&latest_view(engine, table));
    }
    out.push_str(&metric_views(engine));
    if engine.drops_views() {
        out.push_str("COMMIT;\n");
    }
    out
}

/// Statements that load changes into the tables of [`definitions`].
///
/// # Errors
/// [`WarehouseError::Changes`] if the changes name a table that does not exist, are those of one
/// table alone, or are those of a lake that the engine cannot read.
pub fn load(
    dialect: Dialect,
    mapping: &Mapping,
    changes: &Changes,
) -> Result<String, WarehouseError> {
    let engine = engine_of(dialect);
    let unusable = |problem: String| WarehouseError::Changes { problem };
    if let Some(table) = &changes.only {
        let problem = format!("they are those of `{table}` alone: list them without --table");
        return Err(unusable(problem));
    }
    if !engine.reads(&changes.lake) {
        let problem = format!("{} cannot read files in `{}`", engine.title(), changes.lake);
        return Err(unusable(problem));
    }
    let mut out = header(engine, &format!("Changes after commit {}", changes.since));
    out.push_str(&engine.before_load());
    // Runs come last: where a load is not one transaction, the rows of a new revision are there
    // before `runs` has that revision.
    let mut loaded: Vec<&TableChanges> = changes.tables.iter().collect();
    loaded.sort_by_key(|table| table.table == RUNS.name);
    let (mut stages, mut replaced, mut dropped) = (String::new(), String::new(), String::new());
    let (mut is_staged, mut is_replaced) = (Vec::new(), Vec::new());
    let accepted = format!("(SELECT count(*) FROM {}) = 1", engine.identifier(ACCEPTED));
    for table_changes in loaded {
        let Some(table) = find(&table_changes.table) else {
            return Err(unusable(format!("there is no table `{}`", table_changes.table)));
        };
        let table = mapping.table(table);
        let columns: Vec<String> =
            table.columns.iter().map(|column| engine.identifier(&column.name)).collect();
        let staged = StagedTable {
            table,
            name: engine.target(table.table.name),
            stage: engine.identifier(&format!("_stage_{}", table.table.name)),
            columns: columns.join(", "),
            files: table_changes.files.iter().map(|file| file.path.as_str()).collect(),
            changes,
        };
        let condition = match table_changes.load {
            Load::Range { first_commit, last_commit } => {
                let commit = engine.identifier("_commit");
                format!("{commit} BETWEEN {first_commit} AND {last_commit}")
            }
            Load::Whole => "1 = 1".to_owned(),
        };
        let StagedTable { name, stage, columns, .. } = &staged;
        // Writing to a String cannot fail.
        let _infallible =
            writeln!(replaced, "DELETE FROM {name} WHERE {condition} AND {accepted};");
        let new_rows = if staged.files.is_empty() {
            "0".to_owned()
        } else {
            stages.push_str(&engine.stage(&staged));
            dropped.push_str(&engine.drop_stage(stage));
            let rows: u64 = table_changes.files.iter().map(|file| file.rows).sum();
            is_staged.push(format!("(SELECT count(*) FROM {stage}) = {rows}"));
            let _infallible = writeln!(
                replaced,
                "INSERT INTO {name} ({columns})\n  SELECT {columns} FROM {stage} WHERE {condition} \
                 AND {accepted};"
            );
            format!("(SELECT count(*) FROM {stage} WHERE {condition})")
        };
        is_replaced.push(format!("(SELECT count(*) FROM {name} WHERE {condition}) = {new_rows}"));
    }
    let stage = engine.identifier(ACCEPTED);
    let commit_number = engine.identifier("commit_number");
    let column = format!("{commit_number} {}", engine.column(Kind::Integer, false));
    stages.push_str(&engine.create_stage(&stage, &column));
    dropped.push_str(&engine.drop_stage(&stage));
    let (begin, commit) = engine.transaction().unwrap_or_default();
    out.extend([&stages, begin, &engine.lock(&engine.target(LOADS))]);
    out.push_str(&accept(engine, changes, &accepted, is_staged));
    out.push_str(&replaced);
    out.push_str(&record(engine, changes, &accepted, &is_replaced));
    out.extend([commit, &dropped]);
    Ok(out)
}

/// The number of loads in the warehouse that end at a commit. A load of a version that did not
/// record names has any name.
fn loads_of(engine: &dyn Engine, commit: u64, name: Option<&str>) -> String {
    let loads = engine.target(LOADS);
    let (number, recorded) = (engine.identifier("commit_number"), engine.identifier("commit_name"));
    let is_same = name.map(|name| engine.literal(name));
    let is_same = is_same.map(|name| format!(" AND coalesce({recorded}, {name}) = {name}"));
    let is_same = is_same.unwrap_or_default();
    format!("(SELECT count(*) FROM {loads} WHERE {number} = {commit}{is_same})")
}

/// The statement that decides whether a load may change the warehouse. The statements after it
/// depend on what it inserts, so a client that goes on after an error changes nothing either.
///
/// A complete load is the only one that counts from then on: the lake may have been restored from a
/// copy that ends before earlier loads. These are forgotten first, so that after a load that was
/// killed, where the engine has no transactions, only a complete one is accepted.
fn accept(
    engine: &dyn Engine,
    changes: &Changes,
    accepted: &str,
    mut conditions: Vec<String>,
) -> String {
    let loads = engine.target(LOADS);
    let (stage, number) = (engine.identifier(ACCEPTED), engine.identifier("commit_number"));
    let mut out =
        "-- Nothing changes unless each staging table has all rows of its files".to_owned();
    if changes.is_complete() {
        out.push_str(".\n");
    } else {
        let since = changes.since;
        // Writing to a String cannot fail.
        let _infallible = writeln!(out, ", and the\n-- warehouse ends at commit {since}.");
        conditions.push(format!("(SELECT count(*) FROM {loads} WHERE {number} > {since}) = 0"));
        let ends_there = loads_of(engine, since, changes.since_name.as_deref());
        conditions.push(format!("{ends_there} > 0"));
    }
    if conditions.is_empty() {
        conditions.push("1 = 1".to_owned());
    }
    // Writing to a String cannot fail.
    let _infallible = writeln!(
        out,
        "INSERT INTO {stage} ({number})\n  SELECT n FROM (SELECT {} AS n) AS one\n  WHERE {};",
        changes.commit,
        conditions.join("\n    AND ")
    );
    if changes.is_complete() {
        // Writing to a String cannot fail.
        let _infallible = writeln!(out, "DELETE FROM {loads} WHERE {number} > 0 AND {accepted};");
    }
    out
}

/// The tables with data files, in their order.
fn tables(mapping: &Mapping) -> impl Iterator<Item = &MappedTable> {
    mapping.tables().iter().filter(|it| it.table.write != WriteDisposition::CommitLog)
}

fn header(engine: &dyn Engine, what: &str) -> String {
    let mut out = format!(
        "-- {what}, for {}. Made by `armature-export`; schema version {SCHEMA_VERSION}.\n-- {}\n",
        engine.title(),
        engine.tested()
    );
    for line in engine.notes() {
        // Writing to a String cannot fail.
        let _infallible = writeln!(out, "-- {line}");
    }
    out.push('\n');
    out
}

fn create_table(engine: &dyn Engine, mapped: &MappedTable) -> String {
    let table = mapped.table;
    let columns: Vec<Declared<'_>> = mapped
        .columns
        .iter()
        .map(|column| Declared {
            name: &column.name,
            kind: column.kind,
            is_required: table.is_required(&column.name),
            description: &column.description,
        })
        .collect();
    let order: &[&str] = match table.write {
        WriteDisposition::Append => &["run_id", "_revision"],
        WriteDisposition::Replace | WriteDisposition::CommitLog => table.key,
    };
    let mut out = create(engine, table.name, table.description, &columns, order);
    add_columns(engine, table.name, &columns, &mut out);
    out.push_str(&comments(engine, table.name, table.description, &columns));
    out.push('\n');
    out
}

/// Statements for tables of an earlier version or of another configuration.
fn add_columns(engine: &dyn Engine, table: &str, columns: &[Declared<'_>], out: &mut String) {
    for column in columns.iter().filter(|column| !column.is_required) {
        // Writing to a String cannot fail.
        let _infallible = writeln!(
            out,
            "{}ALTER TABLE {} ADD COLUMN {}{} {};",
            if engine.adds_missing_columns() { "" } else { "-- " },
            engine.identifier(table),
            if engine.adds_missing_columns() { "IF NOT EXISTS " } else { "" },
            engine.identifier(column.name),
            engine.column(column.kind, false),
        );
    }
}

fn create_loads(engine: &dyn Engine) -> String {
    let columns: Vec<Declared<'_>> = LOADS_COLUMNS
        .iter()
        .map(|&(name, kind, description)| {
            let is_required = name != "commit_name";
            Declared { name, kind, is_required, description }
        })
        .collect();
    let description = "One row per load into this warehouse, and one that stands for the empty \
                       warehouse.";
    let mut out = create(engine, LOADS, description, &columns, &["loaded_at"]);
    add_columns(engine, LOADS, &columns, &mut out);
    out.push_str(&comments(engine, LOADS, description, &columns));
    let loads = engine.identifier(LOADS);
    // Writing to a String cannot fail.
    let _infallible = writeln!(
        out,
        "INSERT INTO {loads} ({})\n  SELECT '', 0, 0, '', 0, 0, {}\n  FROM (SELECT count(*) AS n \
         FROM {loads} WHERE {} = 0) AS empty\n  WHERE n = 0;",
        loads_columns(engine),
        engine.now(),
        engine.identifier("commit_number"),
    );
    out.push('\n');
    out
}

/// A column of a table that is created.
struct Declared<'d> {
    name: &'d str,
    kind: Kind,
    is_required: bool,
    description: &'d str,
}

fn create(
    engine: &dyn Engine,
    name: &str,
    description: &str,
    columns: &[Declared<'_>],
    order: &[&str],
) -> String {
    let table = engine.identifier(name);
    let lines: Vec<String> = columns
        .iter()
        .map(|column| {
            let comment = engine.column_comment(column.description).unwrap_or_default();
            let kind = engine.column(column.kind, column.is_required);
            format!("  {} {kind}{comment}", engine.identifier(column.name))
        })
        .collect();
    let options = engine.table_options(description, order);
    format!("CREATE TABLE IF NOT EXISTS {table} (\n{}\n){options};\n", lines.join(",\n"))
}

/// Statements that describe a table and its columns, in engines that have such statements.
fn comments(
    engine: &dyn Engine,
    name: &str,
    description: &str,
    columns: &[Declared<'_>],
) -> String {
    if engine.column_comment("").is_some() {
        return String::new();
    }
    let (table, text) = (engine.identifier(name), engine.literal(description));
    let mut out = format!("COMMENT ON TABLE {table} IS {text};\n");
    for column in columns {
        let name = engine.identifier(column.name);
        let text = engine.literal(column.description);
        // Writing to a String cannot fail.
        let _infallible = writeln!(out, "COMMENT ON COLUMN {table}.{name} IS {text};");
    }
    out
}

/// The name of the view of a table's latest revisions.
fn latest(table: &str) -> String {
    format!("{table}_latest")
}

fn latest_view(engine: &dyn Engine, mapped: &MappedTable) -> String {
    let id = |name: &str| engine.identifier(name);
    let columns = mapped.columns.iter().map(|column| id(&column.name));
    let columns: Vec<String> = columns.map(|name| format!("t.{name} AS {name}")).collect();
    let (run_id, revision) = (id("run_id"), id("_revision"));
    format!(
        "-- The rows of `{}` of the latest revision of each run.\n\
         CREATE OR REPLACE VIEW {} AS\nSELECT {}\nFROM {} t\nINNER JOIN (SELECT {run_id}, \
         max({revision}) AS {revision} FROM {} GROUP BY {run_id}) l\n  \
         ON t.{run_id} = l.{run_id} AND t.{revision} = l.{revision};\n\n",
        mapped.table.name,
        id(&latest(mapped.table.name)),
        columns.join(", "),
        id(mapped.table.name),
        id(RUNS.name),
    )
}

fn metric_views(engine: &dyn Engine) -> String {
    let relation = |name: &str| {
        let is_appended = find(name).is_some_and(|table| table.write == WriteDisposition::Append);
        engine.identifier(&if is_appended { latest(name) } else { name.to_owned() })
    };
    let mut out = String::new();
    for view in VIEWS {
        // Writing to a String cannot fail.
        let _infallible = if has_data_files(view.reads()) {
            writeln!(
                out,
                "-- {}\nCREATE OR REPLACE VIEW {} AS\n{};\n",
                view.description,
                engine.identifier(view.name),
                view.sql(engine.dialect(), &relation)
            )
        } else {
            writeln!(
                out,
                "-- `{}` reads the commit log, which is in the DuckDB file only.\n",
                view.name
            )
        };
    }
    out
}

/// Whether no table is read that lives in the commit log.
fn has_data_files(reads: Vec<&str>) -> bool {
    reads
        .into_iter()
        .all(|name| find(name).is_none_or(|table| table.write != WriteDisposition::CommitLog))
}

/// Drops all views, those first that read others.
fn drop_views(engine: &dyn Engine, mapping: &Mapping) -> String {
    let metrics = VIEWS.iter().rev().map(|view| view.name.to_owned());
    let appended = tables(mapping).filter(|it| it.table.write == WriteDisposition::Append);
    let names = metrics.chain(appended.map(|mapped| latest(mapped.table.name)));
    let mut out = String::new();
    for name in names {
        // Writing to a String cannot fail.
        let _infallible = writeln!(out, "DROP VIEW IF EXISTS {};", engine.identifier(&name));
    }
    out
}

/// The columns of [`LOADS`], quoted.
fn loads_columns(engine: &dyn Engine) -> String {
    LOADS_COLUMNS.map(|(name, _, _)| engine.identifier(name)).join(", ")
}

/// The statements that record a load, if it was accepted and its rows are in their tables; and the
/// one that fails if it is not recorded.
fn record(
    engine: &dyn Engine,
    changes: &Changes,
    accepted: &str,
    is_replaced: &[String],
) -> String {
    let loads = engine.target(LOADS);
    let rows: u64 = changes.files().map(|file| file.rows).sum();
    let name = changes.commit_name.as_deref();
    let mut failed = vec![format!("{} = 0", loads_of(engine, changes.commit, name))];
    let mut problem = "the load is not recorded: rows of its files are missing".to_owned();
    if changes.is_complete() {
        // The record of an earlier load up to this commit says nothing of this one.
        failed.push(format!("NOT ({accepted})"));
    } else {
        // Writing to a String cannot fail.
        let _infallible = write!(
            problem,
            ", or the warehouse does not end at commit {} {}",
            changes.since,
            changes.since_name.as_deref().unwrap_or_default()
        );
    }
    let insert = format!(
        "INSERT INTO {loads} ({})\n  SELECT {}, {}, {}, {}, {}, {rows}, {}\n  FROM (SELECT 1 AS n) \
         AS one\n  WHERE {};\n",
        loads_columns(engine),
        engine.literal(&changes.lake_id),
        changes.since,
        changes.commit,
        name.map_or_else(|| "NULL".to_owned(), |name| engine.literal(name)),
        changes.files().count(),
        engine.now(),
        [&[accepted.to_owned()], is_replaced].concat().join("\n    AND "),
    );
    let problem = format!("{problem}: list the changes again, after the last commit in {LOADS}");
    insert + &engine.fail_if(&failed.join(" OR "), &problem)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tables::ISSUES;
    use crate::warehouse::{ChangedFile, engine_of};

    /// Changes of two small tables: rows of a range, and a whole table.
    fn changes(lake: &str) -> Changes {
        let file = |name: &str| ChangedFile {
            path: format!("{lake}/{name}.parquet"),
            rows: 3,
            bytes: 4096,
            sha256: "00".repeat(32),
            least_commit: 2,
            greatest_commit: 5,
        };
        let issues = TableChanges {
            table: "_issues".to_owned(),
            load: Load::Range { first_commit: 4, last_commit: 5 },
            files: vec![file("_issues/date=2026-11-23/a"), file("_issues/date=2026-11-24/b")],
        };
        let workflows = TableChanges {
            table: "workflows".to_owned(),
            load: Load::Whole,
            files: vec![file("workflows/c")],
        };
        Changes {
            lake_id: "6f1c".to_owned(),
            lake: lake.to_owned(),
            since: 3,
            since_name: Some("00000003-a".to_owned()),
            commit: 5,
            commit_name: Some("00000005-b".to_owned()),
            schema_version: SCHEMA_VERSION.to_owned(),
            only: None,
            tables: vec![issues, workflows],
        }
    }

    fn mapping() -> Mapping {
        Mapping::new(&[], &[]).unwrap()
    }

    #[test]
    fn a_table_its_view_and_its_load_in_each_engine() {
        let mapping = mapping();
        for dialect in Dialect::ENGINES {
            let engine = engine_of(dialect);
            let lake = match dialect {
                Dialect::DuckDb | Dialect::Postgres | Dialect::ClickHouse => "/data/it's/lake",
                Dialect::BigQuery => "gs://bucket/lake",
                _ => "s3://bucket/lake",
            };
            let script = [
                create_table(engine, mapping.table(&ISSUES)),
                latest_view(engine, mapping.table(&ISSUES)),
                load(dialect, &mapping, &changes(lake)).unwrap(),
            ];
            insta::assert_snapshot!(format!("script_{}", dialect.name()), script.join("\n"));
        }
    }

    #[test]
    fn a_semicolon_ends_a_line_only_at_the_end_of_a_statement() {
        // Loaders without a parser of SQL split there.
        for dialect in Dialect::ENGINES {
            let script = definitions(dialect, &mapping(), "s3://bucket/lake");
            let code: Vec<&str> = script.lines().filter(|line| !line.starts_with("--")).collect();
            for statement in code.join("\n").split(";\n") {
                let quotes = statement.matches('\'').count() - statement.matches("\\'").count();
                assert_eq!(quotes % 2, 0, "{}: {statement}", dialect.name());
            }
        }
    }

    #[test]
    fn all_tables_and_metrics_are_in_each_engine() {
        for dialect in Dialect::ENGINES {
            let engine = engine_of(dialect);
            let script = definitions(dialect, &mapping(), "s3://bucket/lake");
            for table in tables(&mapping()) {
                let name = engine.identifier(table.table.name);
                assert!(script.contains(&format!("CREATE TABLE IF NOT EXISTS {name} (")), "{name}");
            }
            for view in VIEWS.iter().filter(|view| has_data_files(view.reads())) {
                let name = engine.identifier(view.name);
                assert!(script.contains(&format!("CREATE OR REPLACE VIEW {name} AS")), "{name}");
            }
        }
    }

    #[test]
    fn a_lake_that_the_engine_cannot_read_is_refused() {
        for (dialect, lake) in [
            (Dialect::BigQuery, "s3://bucket/lake"),
            (Dialect::Redshift, "/lake"),
            (Dialect::ClickHouse, "az://container/lake"),
        ] {
            let refused = load(dialect, &mapping(), &changes(lake));
            assert!(matches!(refused, Err(WarehouseError::Changes { .. })), "{}", dialect.name());
        }
    }
}
