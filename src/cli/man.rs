//! `man` and `completions`: what a package installs beside the program.

use clap::{Command, CommandFactory};
use clap_complete::Shell;

use super::args::Arguments;
use super::context::write_stdout;
use crate::failure::{Exit, Failure};

const NAME: &str = "armature-export";

/// Prints the manual page of the program, or of one of its commands.
pub(super) fn man(name: Option<&str>) -> Result<Exit, Failure> {
    let mut page = Vec::new();
    let rendered = clap_mangen::Man::new(command(name)?).render(&mut page);
    rendered.map_err(|error| Failure::new(Exit::Bug, error.into()))?;
    print(page)
}

/// Prints the completions of a shell.
///
/// They are written to memory first: with stdout as the destination, clap panics if the reader is
/// gone.
pub(super) fn completions(shell: Shell) -> Result<Exit, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), NAME, &mut script);
    print(script)
}

/// The description of the program, or of one of its commands; building it names a command
/// `armature-export-…`.
fn command(name: Option<&str>) -> Result<Command, Failure> {
    let mut program = Arguments::command().disable_help_subcommand(true);
    program.build();
    let Some(name) = name else {
        return Ok(program);
    };
    let found = program.get_subcommands().find(|command| command.get_name() == name);
    if let Some(found) = found {
        return Ok(found.clone());
    }
    let known: Vec<&str> = program.get_subcommands().map(Command::get_name).collect();
    Err(Failure::usage(
        format!("there is no command `{name}`"),
        format!("the commands are {}", known.join(", ")),
    ))
}

fn print(text: Vec<u8>) -> Result<Exit, Failure> {
    let text = String::from_utf8(text).map_err(|error| Failure::new(Exit::Bug, error.into()))?;
    write_stdout(text.trim_end())?;
    Ok(Exit::Done)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The pages are those of `scripts/stage-install.sh`, which asks for each command by name.
    #[test]
    fn every_command_has_a_page_with_its_purpose_and_options() {
        for subcommand in Arguments::command().get_subcommands() {
            let name = subcommand.get_name();
            let mut page = Vec::new();
            clap_mangen::Man::new(command(Some(name)).unwrap()).render(&mut page).unwrap();
            let page = String::from_utf8(page).unwrap();
            let about = subcommand.get_about().unwrap().to_string().replace('-', "\\-");
            assert!(page.contains(&format!(".TH armature-export-{name} 1")), "{page}");
            assert!(page.contains(&about), "{page}");
            assert!(page.contains(".SH OPTIONS"), "{page}");
        }
    }

    #[test]
    fn a_command_that_is_not_there_is_refused_with_those_that_are() {
        let error = command(Some("snyc")).unwrap_err();
        let error = format!("{error:?}");
        assert!(error.contains("there is no command `snyc`"), "{error}");
    }
}
