//! What people can get wrong in flags, configuration, key, address and paths: each a clear message
//! with the right exit code, and nothing lost once it is put right.

use std::fs;

use crate::support::{KEY, TestExport, block_on, ended_runs, files, start_simulator};
use armature_export::simulator::SimulatorSettings;
use insta::assert_snapshot;

#[test]
fn an_unknown_flag() {
    let export = TestExport::of_ended_runs(3);
    assert_snapshot!(export.run(&["sync", "--lakee", "x"]).told(), @"
    exit 2
    error: unexpected argument '--lakee' found

      tip: a similar argument exists: '--lake'

    Usage: armature-export sync --lake <DIR>

    For more information, try '--help'.
    ");
    export.sync_brings_everything();
}

#[test]
fn a_value_that_a_flag_does_not_take() {
    let export = TestExport::of_ended_runs(3);
    assert_snapshot!(export.run(&["sync", "--range", "90d"]).told(), @"
    exit 2
    error: invalid value '90d' for '--range <RANGE>'
      [possible values: auto, 24h, 7d, 30d]

      tip: a similar value exists: '30d'

    For more information, try '--help'.
    ");
    export.sync_brings_everything();
}

#[test]
fn an_unknown_configuration_key() {
    let export = TestExport::of_ended_runs(3);
    export.configure("concurency = 3\n");
    assert_snapshot!(export.run(&["sync"]).told(), @"
    exit 2
    error: failed to understand the configuration `armature-export.toml`
    caused by: TOML parse error at line 3, column 1
        |
      3 | concurency = 3
        | ^^^^^^^^^^
      unknown field `concurency`, expected one of `url`, `key_file`, `dashboard_url`, `concurrency`, `connect_timeout_secs`, `first_byte_timeout_secs`, `body_timeout_secs`, `max_body_bytes`, `bodies_in_flight_bytes`, `max_attempts`, `max_retry_secs`, `max_rate_limit_wait_secs`, `redirect_hosts`, `paging`
    hint: `armature-export init` writes a file with every option explained
    ");
    export.configure("");
    export.sync_brings_everything();
}

#[test]
fn a_configuration_value_that_cannot_be() {
    let export = TestExport::of_ended_runs(3);
    export.configure("[filters]\npage_size = 0\n");
    assert_snapshot!(export.run(&["sync"]).told(), @"
    exit 2
    error: configuration: `filters.page_size` is 0; allowed are 1 to 10000
    hint: `armature-export init` writes a file with every option explained
    ");
    export.configure("");
    export.sync_brings_everything();
}

#[test]
fn a_configuration_that_is_not_there() {
    let export = TestExport::of_ended_runs(3);
    assert_snapshot!(export.run(&["sync", "--config", "none.toml"]).told(), @"
    exit 2
    error: failed to read the configuration `none.toml`
    caused by: No such file or directory (os error 2)
    hint: `armature-export init` writes a file with every option explained
    ");
    export.sync_brings_everything();
}

#[test]
fn no_key() {
    let export = TestExport::of_ended_runs(3);
    let ran = export.finish(export.command(&["sync"]).env_remove("ARMATURE_API_KEY"));
    assert_snapshot!(ran.told(), @r"
    exit 2
    error: no API key was given
    hint: set ARMATURE_API_KEY, or name a file that holds the key as ARMATURE_API_KEY_FILE or api.key_file (a viewer key is enough, except for `gate`)
    ");
    export.sync_brings_everything();
}

#[test]
fn a_key_with_a_line_break_in_it() {
    let export = TestExport::of_ended_runs(3);
    let ran = export.finish(export.command(&["sync"]).env("ARMATURE_API_KEY", "amt_a\nb"));
    assert_snapshot!(ran.told(), @"
    exit 2
    error: the API key in `ARMATURE_API_KEY` has characters that no key has (white space, control characters)
    hint: a key looks like amt_<key-id>_<secret>; make one under Settings, API keys
    ");
    export.sync_brings_everything();
}

#[test]
fn a_key_file_that_is_not_there() {
    let export = TestExport::of_ended_runs(3);
    export.configure("key_file = \"none\"\n");
    let ran = export.finish(export.command(&["sync"]).env_remove("ARMATURE_API_KEY"));
    assert_snapshot!(ran.told(), @"
    exit 2
    error: failed to read the API key from `none`
    caused by: No such file or directory (os error 2)
    hint: a key looks like amt_<key-id>_<secret>; make one under Settings, API keys
    ");
    export.sync_brings_everything();
}

#[test]
fn a_wrong_key() {
    let keys = Some(vec![KEY.to_owned()]);
    let export = TestExport::new(SimulatorSettings { keys, ..ended_runs(3) });
    let ran = export.finish(export.command(&["sync"]).env("ARMATURE_API_KEY", "amt_wrong_k3y"));
    assert_snapshot!(ran.told(), @"
    exit 4
    error: the API refused `GET /api/armature/v1/org` with 401 (unauthenticated: The API key is missing, malformed or revoked.)
    hint: check ARMATURE_API_KEY: it may be revoked, cut off, or of another region (US and EU keys differ)
    ");
    export.sync_brings_everything();
}

#[test]
fn a_wrong_url() {
    let export = TestExport::of_ended_runs(3);
    let url = export.simulator.base_url();
    let wrong = [
        url.replace("/v1", "/v9"),
        "http://example.com/api".to_owned(),
        "your-org".to_owned(),
        String::new(),
    ];
    let told = wrong.map(|url| export.run(&["sync", "--api-url", &url]).told());
    assert_snapshot!(told.join("\n"), @"
    exit 2
    error: `GET /api/armature/v9/org` was answered with 404
    hint: check the API URL: its path usually ends in /api/armature/v1
    exit 2
    error: the API URL `http://example.com/api` cannot be used: plain HTTP would show the key to the network; use https
    hint: give the API's base URL, such as https://your-org.armature.app/api/armature/v1
    exit 2
    error: the API URL `your-org` cannot be used: relative URL without a base
    hint: give the API's base URL, such as https://your-org.armature.app/api/armature/v1
    exit 2
    error: no API URL was given
    hint: set ARMATURE_API_URL, or api.url in the configuration; `armature-export demo` needs none
    ");
    export.sync_brings_everything();
}

#[test]
fn a_host_where_nobody_listens() {
    let export = TestExport::of_ended_runs(3);
    let gone = start_simulator(ended_runs(0));
    let url = gone.base_url();
    block_on(gone.stop());
    let ran = export.run(&["sync", "--api-url", &url]);
    let first = ran.told().lines().take(2).collect::<Vec<_>>().join("\n");
    assert!(first.starts_with("exit 5\nerror: failed to get `/api/armature/v1/org` after 2 "));
    export.sync_brings_everything();
}

#[test]
fn a_lake_below_a_file() {
    let export = TestExport::of_ended_runs(3);
    fs::write(export.path("file"), "mine").unwrap();
    assert_snapshot!(export.run(&["sync", "--lake", "file/lake"]).told(), @"
    exit 6
    error: failed to list the folder `[dir]/file/lake`
    caused by: Not a directory (os error 20)
    hint: check that the folder is writable and the disk is not full
    ");
    assert_snapshot!(export.run(&["sync", "--lake", "file"]).told(), @"
    exit 6
    error: failed to list the folder `[dir]/file`
    caused by: Not a directory (os error 20)
    hint: check that the folder is writable and the disk is not full
    ");
    assert_eq!(fs::read(export.path("file")).unwrap(), b"mine");
    export.sync_brings_everything();
}

#[test]
#[cfg(target_os = "linux")]
fn a_lake_where_no_folder_can_be_made() {
    let export = TestExport::of_ended_runs(3);
    assert_snapshot!(export.run(&["sync", "--lake", "/proc/lake"]).told(), @"
    exit 6
    error: failed to create the folder `/proc/lake/_armature/manifests`
    caused by: No such file or directory (os error 2)
    hint: check that the folder is writable and the disk is not full
    ");
    export.sync_brings_everything();
}

#[test]
fn a_folder_that_holds_something_else() {
    let export = TestExport::of_ended_runs(3);
    fs::create_dir(export.path("photos")).unwrap();
    fs::write(export.path("photos/cat.jpeg"), "mine").unwrap();
    let before = files(&export.path("photos"));
    assert_snapshot!(export.run(&["sync", "--lake", "photos"]).told(), @"
    exit 2
    error: the folder `[dir]/photos` is not empty and is not a lake
    hint: name an empty or a new folder with --lake
    ");
    assert_eq!(files(&export.path("photos")), before);
    export.sync_brings_everything();
}

#[test]
fn a_lake_that_is_not_there() {
    let export = TestExport::of_ended_runs(3);
    assert_snapshot!(export.run(&["status"]).told(), @"
    exit 2
    error: there is no lake at `[dir]/lake`
    hint: run `armature-export sync` first, or name the lake with --lake
    ");
    assert_snapshot!(export.run(&["deliver"]).told(), @"
    exit 2
    error: there is no lake at `[dir]/lake`
    hint: run `armature-export sync` first, or name the lake with --lake
    ");
    export.sync_brings_everything();
}

#[test]
fn a_lake_whose_path_duckdb_takes_for_a_pattern() {
    let export = TestExport::of_ended_runs(3);
    let ran = export.run(&["sync", "--lake", "lake[1]"]);
    assert_snapshot!(ran.told(), @"
    exit 2
    error: the lake's path `[dir]/lake[1]` contains one of `*?[`, which DuckDB reads as a pattern
    hint: move the lake to a path without these characters
    ");
    export.sync_brings_everything();
}

#[test]
fn a_duckdb_file_below_a_file() {
    let export = TestExport::of_ended_runs(3);
    fs::write(export.path("file"), "mine").unwrap();
    let ran = export.run(&["sync", "--duckdb", "file/armature.duckdb"]);
    assert_snapshot!(ran.told(), @"
    exit 6
    error: failed to create the folder `[dir]/file`
    caused by: File exists (os error 17)
    hint: check that the folder is writable and the disk is not full
    ");
    assert_eq!(export.lake_ids(), export.expected_ids());
    export.sync_brings_everything();
}

#[test]
fn a_duckdb_file_that_is_a_folder() {
    let export = TestExport::of_ended_runs(3);
    fs::create_dir(export.path("folder")).unwrap();
    let ran = export.run(&["sync", "--duckdb", "folder"]);
    assert_snapshot!(ran.told(), @r#"
    exit 6
    error: failed to open the database in the DuckDB file `[dir]/folder`: IO Error: Could not read from file "[dir]/folder": Is a directory
    hint: the lake is intact; `armature-export deliver --rebuild` rebuilds the file from it
    "#);
    assert_eq!(export.lake_ids(), export.expected_ids());
    export.sync_brings_everything();
}

#[test]
fn a_cron_expression_that_cannot_be() {
    let export = TestExport::of_ended_runs(3);
    assert_snapshot!(export.run(&["schedule", "--cron", "61 * * * *"]).told(), @"
    exit 2
    error: failed to understand the cron expression `61 * * * *`: minute `61` is out of range: use 0-59
    hint: five fields: minute hour day-of-month month day-of-week, such as `*/15 * * * *`
    ");
    export.configure("[schedule]\ntime_zone = \"Europe/Atlantis\"\n");
    assert_snapshot!(export.run(&["schedule"]).told(), @"
    exit 2
    error: `Europe/Atlantis` is not a time zone
    hint: name one such as UTC or Europe/Berlin as schedule.time_zone
    ");
    export.configure("");
    export.sync_brings_everything();
}

#[test]
fn a_service_that_cannot_start() {
    let export = TestExport::of_ended_runs(3);
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    let told = |configuration: &str| {
        export.configure(configuration);
        export.run(&["schedule"]).told().replace(&taken, "[address]")
    };
    assert_snapshot!(told("[schedule]\nreconcile_cron = \"30 3 * *\"\n"), @r"
    exit 2
    error: failed to understand the cron expression `30 3 * *`: an expression has 5 fields (minute hour day month weekday), found 4; 6 fields start with the second, and 7 also end with the year
    hint: five fields: minute hour day-of-month month day-of-week, such as `*/15 * * * *`
    ");
    assert_snapshot!(told("[schedule]\nlisten = \"example.com:9464\"\n"), @"
    exit 2
    error: `example.com:9464` is not an address: give a port, or an IP address and a port such as 127.0.0.1:9464
    hint: name another one with --listen or schedule.listen
    ");
    assert_snapshot!(told(&format!("[schedule]\nlisten = \"{taken}\"\n")), @r"
    exit 2
    error: failed to listen on [address]: Address already in use (os error 98)
    hint: name another one with --listen or schedule.listen
    ");
    assert_snapshot!(told("[schedule]\nstop_secs = 0\n"), @r"
    exit 2
    error: configuration: `schedule.stop_secs` is 0; allowed are 1 to 3600
    hint: `armature-export init` writes a file with every option explained
    ");
    assert_snapshot!(told("[notify]\nwebhook_url = \"hooks.example.com/s3cret\"\n"), @"
    exit 2
    error: configuration: `notify.webhook_url` is not a URL: relative URL without a base
    hint: `armature-export init` writes a file with every option explained
    ");
    assert_snapshot!(told("[notify]\nwebhook_url_file = \"none\"\n"), @r"
    exit 2
    error: failed to read `notify.webhook_url` from `none`
    caused by: No such file or directory (os error 2)
    hint: `armature-export init` writes a file with every option explained
    ");
    assert_snapshot!(told("[notify]\nwebhook_format = \"teams\"\n"), @r#"
    exit 2
    error: failed to understand the configuration `armature-export.toml`
    caused by: TOML parse error at line 4, column 18
        |
      4 | webhook_format = "teams"
        |                  ^^^^^^^
      unknown variant `teams`, expected `json` or `slack`
    hint: `armature-export init` writes a file with every option explained
    "#);
    export.configure("");
    export.sync_brings_everything();
}

#[test]
fn a_health_check_of_nobody() {
    let export = TestExport::of_ended_runs(3);
    assert_snapshot!(export.run(&["ready", "--listen", "127.0.0.1:1"]).told(), @r"
    exit 5
    error: no response from http://127.0.0.1:1/readyz
    caused by: error sending request
    caused by: client error (Connect)
    caused by: tcp connect error
    caused by: Connection refused (os error 111)
    hint: start `armature-export schedule` with --listen or schedule.listen
    ");
    assert_snapshot!(export.run(&["ready", "--listen", "nowhere"]).told(), @"
    exit 2
    error: `nowhere` is not an address: give a port, or an IP address and a port such as 127.0.0.1:9464
    hint: name the address that `schedule` listens on
    ");
}

#[test]
fn a_configuration_to_write_where_there_is_something() {
    let export = TestExport::of_ended_runs(3);
    fs::write(export.path("file"), "mine").unwrap();
    assert_snapshot!(export.run(&["init", "file"]).told(), @"
    exit 2
    error: `file` already exists and was not changed
    hint: name another file, or remove this one
    ");
    assert_snapshot!(export.run(&["init", "file/new.toml"]).told(), @"
    exit 6
    error: failed to write `file/new.toml`
    caused by: Not a directory (os error 20)
    ");
    assert_eq!(fs::read(export.path("file")).unwrap(), b"mine");
    export.sync_brings_everything();
}

#[test]
#[cfg(target_os = "linux")]
fn a_stdout_that_takes_nothing() {
    let export = TestExport::of_ended_runs(3);
    let full = fs::File::options().write(true).open("/dev/full").unwrap();
    let output = export.command(&["sync"]).stdout(full).output().unwrap();
    assert_eq!(output.status.code(), Some(6));
    let stderr = String::from_utf8(output.stderr).unwrap();
    let told: Vec<&str> = stderr.lines().filter(|line| !line.contains(" INFO ")).collect();
    assert_snapshot!(told.join("\n"), @"
    error: failed to print the result
    caused by: No space left on device (os error 28)
    ");
    assert_eq!(export.database_ids(), export.expected_ids());
    export.sync_brings_everything();
}
