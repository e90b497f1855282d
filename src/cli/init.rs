//! `init`: writes a commented configuration.

use std::fs::OpenOptions;
use std::io::Write;

use super::args::InitArguments;
use super::context::Context;
use crate::config::DEFAULT_FILE;
use crate::failure::{Exit, Failure};

pub(super) fn run(context: &Context, arguments: &InitArguments) -> Result<Exit, Failure> {
    let path = &arguments.path;
    let written = OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(path)
        .and_then(|mut file| file.write_all(DEFAULT_FILE.as_bytes()));
    match written {
        Ok(()) => {}
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            return Err(Failure::usage(
                format!("`{}` already exists and was not changed", path.display()),
                "name another file, or remove this one",
            ));
        }
        Err(error) => {
            let error = anyhow::Error::new(error);
            let error = error.context(format!("failed to write `{}`", path.display()));
            return Err(Failure::new(Exit::Storage, error));
        }
    }
    let shown = path.display().to_string();
    context.print(&serde_json::json!({ "written": shown }), || format!("wrote {shown}"))?;
    context.eprint_note(
        "set api.url in it and the key as ARMATURE_API_KEY, then: armature-export doctor",
    );
    Ok(Exit::Done)
}
