//! `changes`: the data files of the commits after one, for loaders of warehouses.

use super::args::{ChangesArguments, ChangesFormat};
use super::context::{Context, write_stdout};
use crate::failure::{Exit, Failure};
use crate::lake::{LakeStore, LakeView};
use crate::tables::{ALL, WriteDisposition, find};
use crate::warehouse::Changes;

pub(super) async fn run(context: &Context, arguments: &ChangesArguments) -> Result<Exit, Failure> {
    let settings = context.targets(&arguments.targets);
    let table = arguments.table.as_deref();
    let has_files =
        |name: &str| find(name).is_some_and(|table| table.write != WriteDisposition::CommitLog);
    if let Some(name) = table.filter(|name| !has_files(name)) {
        let known: Vec<&str> =
            ALL.iter().map(|table| table.name).filter(|name| has_files(name)).collect();
        return Err(Failure::usage(
            format!("there is no table `{name}` with data files"),
            format!("the tables are {}", known.join(", ")),
        ));
    }
    if arguments.format == ChangesFormat::Redshift && table.is_none() {
        return Err(Failure::usage(
            "a manifest for Redshift lists the files of one table",
            "name the table with --table",
        ));
    }
    let lake = LakeView::open(LakeStore::configured(&settings)?).await?;
    let changes = Changes::read(&lake, &arguments.since, arguments.until, table).await?;
    match arguments.format {
        ChangesFormat::Json => write_stdout(&json(&changes)?)?,
        ChangesFormat::Redshift => write_stdout(&json(&changes.redshift_manifest()?)?)?,
        ChangesFormat::Files => {
            let paths: Vec<&str> = changes.files().map(|file| file.path.as_str()).collect();
            if !paths.is_empty() {
                write_stdout(&paths.join("\n"))?;
            }
        }
    }
    if arguments.format != ChangesFormat::Json {
        let name = changes.commit_name.map(|name| format!(":{name}")).unwrap_or_default();
        context.eprint_note(&format!("up to commit {}{name}", changes.commit));
    }
    Ok(Exit::Done)
}

fn json(value: &impl serde::Serialize) -> Result<String, Failure> {
    serde_json::to_string_pretty(value).map_err(|error| Failure::new(Exit::Bug, error.into()))
}
