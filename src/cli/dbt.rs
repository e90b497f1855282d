//! `schema --format dbt`: the dbt package.

use super::args::SchemaArguments;
use super::context::Context;
use crate::dbt::package;
use crate::failure::{Exit, Failure};
use crate::tables::Mapping;

/// Writes the files of the package into the folder of `--out`.
pub(super) fn run(
    context: &Context,
    arguments: &SchemaArguments,
    mapping: &Mapping,
) -> Result<Exit, Failure> {
    if arguments.metrics || arguments.table.is_some() {
        return Err(Failure::usage(
            "`--format dbt` writes all tables and all metrics",
            "leave out `--metrics` and the name of a table",
        ));
    }
    let Some(folder) = &arguments.out else {
        return Err(Failure::usage(
            "`--format dbt` writes several files",
            "name the folder for them: `--out FOLDER`",
        ));
    };
    let files = package(mapping);
    for file in &files {
        let path = folder.join(&file.path);
        let parent = path.parent().unwrap_or(folder);
        let written =
            std::fs::create_dir_all(parent).and_then(|()| std::fs::write(&path, &file.text));
        written.map_err(|error| {
            let context = format!("cannot write `{}`", path.display());
            Failure::new(Exit::Storage, anyhow::Error::new(error).context(context))
        })?;
    }
    context.eprint_note(&format!("{} files in {}", files.len(), folder.display()));
    Ok(Exit::Done)
}
