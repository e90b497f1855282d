//! A process that is killed at any moment leaves nothing that the next sync does not mend.

use std::process::{Command, Stdio};
use std::time::Duration;

use armature_export::simulator::{SimulatorSettings, WorldSettings};

use super::kit::Kit;
use super::rows;

/// How often an export is killed. Each kill waits for one more commit than the one before.
const KILLS: usize = 6;

#[tokio::test(flavor = "multi_thread")]
async fn an_export_that_is_killed_again_and_again_ends_like_an_undisturbed_one() {
    let mut kit = Kit::with(SimulatorSettings {
        world: WorldSettings { runs: 400, ..WorldSettings::default() },
        latency: Duration::from_millis(2),
        ..SimulatorSettings::default()
    })
    .await;
    kit.settings.sync.commit_bytes = 60_000;
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("config.toml");
    std::fs::write(&config, "[sync]\ncommit_bytes = 60000\n").unwrap();
    let mut commits = 0;
    for _ in 0..KILLS {
        let mut child = Command::new(env!("CARGO_BIN_EXE_armature-export"))
            .arg("--config")
            .arg(&config)
            .args(["-q", "sync", "--api-url", &kit.simulator.base_url(), "--lake"])
            .arg(&kit.lake)
            .arg("--duckdb")
            .arg(&kit.duckdb)
            .env("ARMATURE_API_KEY", "amt_test_key")
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let manifests = kit.lake.join("_armature/manifests");
        let count = || std::fs::read_dir(&manifests).map_or(0, Iterator::count);
        while count() <= commits && child.try_wait().unwrap().is_none() {
            tokio::time::sleep(Duration::from_micros(300)).await;
        }
        child.kill().unwrap();
        child.wait().unwrap();
        commits = count();
        let glob = format!("{}/runs/**/*.parquet", kit.lake.display());
        if kit.parts().iter().any(|part| part.starts_with(kit.lake.join("runs"))) {
            let twice = format!(
                "SELECT count(*) FROM (SELECT run_id FROM read_parquet('{glob}') GROUP BY ALL \
                 HAVING count(*) > 1)"
            );
            assert_eq!(rows::count_in_memory(&twice), 0, "a run stands twice after a kill");
        }
    }
    assert!(commits > 1, "the kills came before anything was committed");
    kit.sync().await;
    kit.assert_equals_the_world();
}
