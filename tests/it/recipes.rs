//! The recipes in config/ are used as they are: what they run is what the program takes, and their
//! configurations are ones that it reads.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::{KEY, TestExport};
use armature_export::config;
use armature_export::failure::Exit;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn recipe(name: &str) -> String {
    fs::read_to_string(root().join("config/recipes").join(name)).unwrap()
}

/// Asserts that the program takes these arguments.
fn assert_taken(arguments: &[&str], place: &str) {
    // With --help at the end nothing runs; what stands before it is checked all the same.
    let mut command = Command::new(env!("CARGO_BIN_EXE_armature-export"));
    let output = command.args(arguments).arg("--help").output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{place}: {arguments:?}: {told}");
}

#[test]
fn every_configuration_is_read() {
    for name in ["armature-export.toml", "compose.toml", "compose-simulator.toml", "demo.toml"] {
        config::load(&root().join("config").join(name)).unwrap();
    }
}

#[test]
fn the_services_of_systemd_run_what_there_is() {
    for name in ["armature-export.service", "armature-sync.service"] {
        let text = recipe(name);
        let starts = text.lines().filter_map(|line| line.strip_prefix("ExecStart="));
        let starts: Vec<&str> = starts.collect();
        assert_eq!(starts.len(), 1, "{name}");
        let arguments: Vec<&str> = starts[0].split_whitespace().skip(1).collect();
        assert_taken(&without_configuration(&arguments), name);
    }
    assert!(recipe("armature-sync.timer").contains("Persistent=true"));
}

/// The file of the recipe is not on this machine.
fn without_configuration<'a>(arguments: &[&'a str]) -> Vec<&'a str> {
    let place = arguments.iter().position(|argument| *argument == "--config");
    let mut arguments = arguments.to_vec();
    if let Some(place) = place {
        arguments.drain(place..place + 2);
    }
    arguments
}

#[test]
fn containers_run_what_there_is() {
    let compose = fs::read_to_string(root().join("docker-compose.yml")).unwrap();
    let kubernetes = recipe("kubernetes.yaml");
    let lists = compose.lines().chain(kubernetes.lines()).filter_map(|line| {
        let (name, list) = line.trim().split_once(": [")?;
        let words = list.strip_suffix(']')?.split(", ").map(|word| word.trim_matches('"'));
        matches!(name, "command" | "args").then(|| words.collect::<Vec<_>>())
    });
    let lists: Vec<Vec<&str>> = lists.collect();
    assert_eq!(lists.len(), 5, "{lists:?}");
    for arguments in lists {
        assert_taken(&arguments, "containers");
    }
}

#[test]
fn the_crontab_lines_run_under_sh() {
    let export = TestExport::of_ended_runs(20);
    let bin = export.path("bin");
    fs::create_dir(&bin).unwrap();
    #[cfg(unix)]
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_armature-export"), bin.join("armature-export"))
        .unwrap();
    let url = export.simulator.base_url();
    let env = format!("ARMATURE_API_URL={url}\nARMATURE_API_KEY={KEY}\n");
    fs::write(export.path("env"), env).unwrap();
    let crontab = recipe("crontab");
    let lines: Vec<&str> = crontab.lines().filter(|line| !line.starts_with('#')).collect();
    let (path, lines) = lines.split_first().unwrap();
    let path = path.strip_prefix("PATH=").unwrap();
    // Where the other recipes install it.
    assert!(path.split(':').any(|folder| folder == "/usr/local/bin"));
    let path = path.replace("/usr/local/bin", bin.to_str().unwrap());
    assert_eq!(lines.len(), 2);
    for line in lines {
        let mut fields = line.split_whitespace();
        let expression: Vec<&str> = fields.by_ref().take(5).collect();
        let zone = chrono_tz::Tz::UTC;
        armature_export::schedule::Expression::parse(&expression.join(" "), zone).unwrap();
        let command: Vec<&str> = fields.collect();
        let command = command.join(" ").replace("/srv/armature", export.folder().to_str().unwrap());
        // cron's own environment is as poor.
        let mut sh = Command::new("/bin/sh");
        sh.env_clear().env("PATH", &path);
        let output = sh.args(["-c", &command]).output().unwrap();
        assert!(output.status.success(), "{command}: {output:?}");
    }
    assert_eq!(export.lake_ids(), export.expected_ids());
    let log = fs::read_to_string(export.path("reconcile.log")).unwrap();
    assert!(log.contains("20 as listed"), "{log}");
}

#[test]
fn the_python_recipes_know_every_exit_code() {
    let text = recipe("armature_sync.py");
    let table = text.split_once("EXIT_CODES = {").unwrap().1.split_once("}\n").unwrap().0;
    let numbers = table.lines().filter_map(|line| line.trim().split_once(": (")?.0.parse().ok());
    let known: BTreeSet<u8> = numbers.collect();
    let all = [
        Exit::Done,
        Exit::Bug,
        Exit::Usage,
        Exit::Incomplete,
        Exit::Refused,
        Exit::Unreachable,
        Exit::Storage,
        Exit::Interrupted,
    ];
    assert_eq!(known, all.map(Exit::code).into());
}

#[test]
fn the_python_recipe_branches_on_them() {
    let python = ["python3", "python"].into_iter().find(|name| {
        Command::new(name).arg("--version").output().is_ok_and(|output| output.status.success())
    });
    let Some(python) = python else {
        crate::support::skip::may_skip("there is no Python here to try its recipes");
        return;
    };
    for name in ["armature_sync.py", "airflow_dag.py", "dagster_job.py"] {
        let compiles = "import ast, sys; ast.parse(sys.stdin.read())";
        let mut command = Command::new(python);
        let mut child =
            command.args(["-c", compiles]).stdin(std::process::Stdio::piped()).spawn().unwrap();
        std::io::Write::write_all(&mut child.stdin.take().unwrap(), recipe(name).as_bytes())
            .unwrap();
        assert!(child.wait().unwrap().success(), "{name}");
    }
    let export = TestExport::of_ended_runs(20);
    let script: PathBuf = root().join("config/recipes");
    let run = |url: &str| {
        let code = format!(
            "import sys; sys.path.insert(0, {:?}); sys.dont_write_bytecode = True\n\
             import armature_sync\n\
             try:\n    print('complete', armature_sync.sync({:?}).complete)\n\
             except armature_sync.SyncUnavailable as error: print('again', error)\n\
             except armature_sync.SyncFailed as error: print('never', error)",
            script,
            env!("CARGO_BIN_EXE_armature-export"),
        );
        let mut command = Command::new(python);
        export.add_environment(command.args(["-c", &code]));
        command.env("ARMATURE_API_URL", url);
        export.finish(&mut command).stdout.trim().to_owned()
    };
    assert_eq!(run(&export.simulator.base_url()), "complete True");
    let unreachable = run("http://127.0.0.1:1/");
    assert_eq!(unreachable, "again armature-export sync: the API is unreachable (exit code 5)");
    let wrong = run("ftp://127.0.0.1/");
    assert_eq!(wrong, "never armature-export sync: wrong usage or configuration (exit code 2)");
}
