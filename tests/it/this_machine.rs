//! What a machine can lack or a configuration can name that no export can use: told in words that say
//! what to do, by `doctor` as by `sync`, and nothing is made in its place.

use std::fs;

use crate::support::TestExport;

fn names(export: &TestExport) -> Vec<String> {
    let names = fs::read_dir(export.folder()).unwrap().map(|entry| entry.unwrap().file_name());
    let mut names: Vec<String> = names.map(|name| name.into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_path_that_is_an_address_or_for_a_shell() {
    let export = TestExport::of_ended_runs(2);
    let paths =
        ["s3://bucket/x", "az://b/x", "file:///tmp/x", "~/x", "$HOME/x", "%HOME%/x", "md:x"];
    for path in paths {
        // A lake can be in an object store.
        let is_address = path.starts_with("s3:") || path.starts_with("az:");
        let options = if is_address { &["duckdb"][..] } else { &["lake", "duckdb"][..] };
        for (section, option) in options.iter().map(|name| (name, name)) {
            export.configure(&format!("[{section}]\npath = '{path}'\n"));
            for command in ["sync", "doctor", "status"] {
                let ran = export.run(&[command]);
                assert_eq!(ran.code, Some(2), "{command} {path}: {}", ran.stderr);
                assert!(ran.stderr.contains(&format!("`{section}.path`")), "{}", ran.stderr);
            }
            export.configure("");
            let ran = export.run(&["sync", &format!("--{option}"), path]);
            assert_eq!(ran.code, Some(2), "--{option} {path}: {}", ran.stderr);
        }
        let mut command = export.command(&["sync"]);
        let command = command.env_remove("ARMATURE_API_KEY").env("ARMATURE_API_KEY_FILE", path);
        let ran = export.finish(command);
        assert_eq!(ran.code, Some(2), "{}", ran.stderr);
        assert!(ran.stderr.contains("ARMATURE_API_KEY_FILE"), "{}", ran.stderr);
    }
    assert_eq!(names(&export), ["armature-export.toml"]);
}

#[cfg(target_os = "linux")]
#[test]
fn a_machine_without_certificates() {
    let export = TestExport::of_ended_runs(2);
    fs::create_dir(export.path("empty")).unwrap();
    for (file, folder) in [("/nonexistent", None), ("/dev/null", Some(export.path("empty")))] {
        for command in ["sync", "doctor", "plan"] {
            let mut command = export.command(&[command]);
            command.env("ARMATURE_API_URL", "https://localhost:1/api").env("SSL_CERT_FILE", file);
            match &folder {
                Some(folder) => command.env("SSL_CERT_DIR", folder),
                None => command.env_remove("SSL_CERT_DIR"),
            };
            let ran = export.finish(&mut command);
            assert_eq!(ran.code, Some(2), "{}", ran.stderr);
            let told = ran.stderr + &ran.stdout;
            let words = ["no CA certificates were found", file, "ca-certificates", "SSL_CERT_DIR"];
            assert!(words.iter().all(|word| told.contains(word)), "{told}");
        }
    }
    // Without HTTPS none are needed.
    let mut command = export.command(&["sync"]);
    command.env_remove("SSL_CERT_DIR").env("SSL_CERT_FILE", "/nonexistent");
    let ran = export.finish(&mut command);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    // A webhook can need them all the same.
    export.configure("[notify]\nwebhook_url = \"https://localhost:1/x\"\n");
    let mut command = export.command(&["schedule"]);
    command.env_remove("SSL_CERT_DIR").env("SSL_CERT_FILE", "/nonexistent");
    let ran = export.finish(&mut command);
    assert_eq!(ran.code, Some(2), "{}", ran.stderr);
    assert!(ran.stderr.contains("which messages by HTTPS need"), "{}", ran.stderr);
}

/// Needs `cc`, as building this program does.
#[cfg(target_os = "linux")]
#[test]
fn a_file_system_without_locks() {
    use rustix::io::Errno;

    let export = TestExport::of_ended_runs(2);
    // Not in the export's folder: from a file system in memory it may not be allowed to load code.
    let compiled_into = tempfile::tempdir().unwrap();
    let library = compiled_into.path().join("no_locks.so");
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/no_locks.c");
    let mut compile = std::process::Command::new("cc");
    let compiled = compile.args(["-shared", "-fPIC", "-o"]).arg(&library).arg(source).status();
    assert!(compiled.unwrap().success());
    for error in [Errno::OPNOTSUPP, Errno::NOLCK, Errno::NOSYS] {
        for only_fcntl in [false, true] {
            let run = |name: &str| {
                let mut command = export.command(&[name]);
                command.env("LD_PRELOAD", &library);
                command.env("LOCK_ERRNO", error.raw_os_error().to_string());
                if only_fcntl {
                    command.env("LOCK_BY_FCNTL_ONLY", "1");
                }
                export.finish(&mut command)
            };
            let before = names(&export);
            let ran = run("doctor");
            assert_eq!(ran.code, Some(6), "{error:?}: {}", ran.stdout);
            assert!(ran.stdout.contains("cannot lock files"), "{}", ran.stdout);
            assert_eq!(names(&export), before, "something stayed");
            let ran = run("sync");
            assert_eq!(ran.code, Some(6), "{error:?}: {}", ran.stderr);
            let hint = ran.stderr.split("hint:").last().unwrap();
            assert!(hint.contains("cannot lock files"), "{}", ran.stderr);
        }
    }
}
