//! kill -9 at any time: not where something is known to happen, but wherever it falls.

use std::time::{Duration, Instant};

use armature_export::lake::Lake;
use armature_export::simulator::WorldSettings;

use crate::small_commits::commit_every;
use crate::support::TestExport;
use crate::support::seeded::Seeded;

/// What the kills met.
#[derive(Debug, Default)]
struct Figures {
    kills: usize,
    in_a_commit: usize,
    between_commits: usize,
    in_a_delivery: usize,
    complete_syncs: usize,
    commits: usize,
    runs: usize,
    rows_compared: usize,
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_that_is_killed_again_and_again_ends_like_an_undisturbed_one() {
    let mut figures = Figures::default();
    kill_again_and_again(1, 60, 10, &mut figures).await;
    println!("{figures:?}");
}

/// `make crash-test`.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "the long form of the test above: some minutes"]
async fn many_exports_that_are_killed_again_and_again() {
    let mut figures = Figures::default();
    for seed in 1..=5 {
        kill_again_and_again(seed, 200, 44, &mut figures).await;
    }
    assert!(figures.kills >= 200, "{figures:?}");
    assert!(figures.in_a_commit > 20, "the kills missed the commits: {figures:?}");
    assert!(figures.in_a_delivery > 5, "the kills missed the deliveries: {figures:?}");
    println!("{figures:?}");
}

/// One export of a living world, killed so many times.
async fn kill_again_and_again(seed: u64, runs: u32, kills: usize, figures: &mut Figures) {
    let world = WorldSettings {
        seed,
        runs,
        days: 3.0,
        seconds_between_runs: 60.0,
        late_evaluation_percent: 30,
        late_evaluation_seconds: 900.0,
        ..WorldSettings::default()
    };
    let export = TestExport::of_world(world);
    commit_every(&export, 8_000);
    let mut seeded = Seeded::new(seed);
    // How long a sync takes here, start included; kills fall anywhere into it.
    let mut longest = Duration::from_millis(1_500);
    let mut killed = 0;
    while killed < kills {
        let commits = export.commit_files().await.len();
        let started = Instant::now();
        // More of them early, where the commits are, than late, where DuckDB is.
        let most = u64::try_from(longest.as_micros()).unwrap() / (1 + seeded.below(4));
        let pause = Duration::from_micros(seeded.below(most));
        if let Some(code) = export.kill(&["sync"], pause).await {
            // It was faster than the kill.
            assert_eq!(code, 0, "a sync failed");
            longest = started.elapsed().max(Duration::from_millis(100));
            figures.complete_syncs += 1;
        } else {
            killed += 1;
            // Until kills reach the end of a sync, where DuckDB is, they have not been everywhere.
            longest += longest / 8;
            look_at_what_was_left(&export, commits, figures).await;
        }
        let when = format!("seed {seed}, kill {killed}");
        export.assert_nothing_half_or_double(&when).await;
        if seeded.below(2) == 0 && export.lake.join("_armature").exists() {
            // What the next sync does first. Otherwise that one may be killed in the middle of it.
            drop(Lake::open(&export.lake).await.unwrap());
            export.assert_nothing_half_or_double(&when).await;
        }
        let minutes = i64::try_from(seeded.below(60)).unwrap();
        export.simulator.advance(chrono::Duration::minutes(minutes));
    }
    export.sync_brings_everything();
    export.assert_nothing_half_or_double("at the end").await;
    figures.kills += killed;
    figures.commits += export.commit_files().await.len();
    figures.runs += export.expected().runs.len();
    figures.rows_compared += export.compared();
    figures.complete_syncs += 1;
}

async fn look_at_what_was_left(export: &TestExport, commits: usize, figures: &mut Figures) {
    let staging = std::fs::read_dir(export.lake.join("_armature/staging"));
    if staging.is_ok_and(|folders| folders.count() > 0) {
        figures.in_a_commit += 1;
        return;
    }
    let commit_files = export.commit_files().await;
    let is_last = commit_files.last().is_some_and(|head| head.sync.is_some());
    if commit_files.len() > commits && is_last && !export.is_delivered().await {
        figures.in_a_delivery += 1;
    } else if commit_files.len() > commits {
        figures.between_commits += 1;
    }
}
