//! Seeded worlds that live oddly, behind an API that fails: whatever a series of syncs went
//! through, once all is calm the lake and the DuckDB file hold what the world says.
//!
//! `make chaos` plays many seeds, `CHAOS_SEED=17 make chaos` one.

mod series;

use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

use armature_export::simulator::Scenario;
use series::{Figures, play};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// The seeds of the short form.
const FEW: Range<u64> = 0..20;
/// The seeds of the long form.
const MANY: Range<u64> = 0..300;
/// Seeds that are played at the same time. Most of their time is waiting.
const AT_ONCE: usize = 6;

#[test]
fn a_few_bad_days() {
    let figures = play_all(FEW);
    assert_eq!(figures.seeds, FEW.end - FEW.start);
}

#[test]
#[ignore = "takes some minutes: `make chaos`"]
fn many_bad_days() {
    let begun = Instant::now();
    let seeds = match chosen_seed() {
        Some(seed) => seed..seed + 1,
        None => MANY,
    };
    let figures = play_all(seeds);
    println!("{figures} in {:.0} s", begun.elapsed().as_secs_f64());
}

#[expect(clippy::disallowed_methods, reason = "how a person chooses a seed")]
fn chosen_seed() -> Option<u64> {
    let seed = std::env::var("CHAOS_SEED").ok()?;
    Some(seed.parse().unwrap_or_else(|_| panic!("CHAOS_SEED is no number: {seed}")))
}

/// Plays all seeds, and fails with what each failed seed came to.
fn play_all(seeds: Range<u64>) -> Figures {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let (figures, failures) = runtime.block_on(async {
        let places = Arc::new(Semaphore::new(AT_ONCE));
        let mut playing = JoinSet::new();
        for seed in seeds {
            let places = Arc::clone(&places);
            playing.spawn(async move {
                let _place = places.acquire_owned().await.unwrap();
                let played = tokio::spawn(play(seed)).await;
                (seed, played)
            });
        }
        let (mut figures, mut failures) = (Figures::default(), Vec::new());
        while let Some(done) = playing.join_next().await {
            match done.unwrap() {
                (_, Ok(played)) => figures.add(&played),
                (seed, Err(error)) => failures.push((seed, told(error))),
            }
        }
        failures.sort();
        (figures, failures)
    });
    let texts: Vec<String> = failures
        .iter()
        .map(|(seed, told)| {
            let scenario = toml::to_string(&Scenario::random(*seed)).unwrap();
            format!(
                "seed {seed}: {told}\nreproduce it with: CHAOS_SEED={seed} make chaos\n\
                 the scenario, as `simulate --faults` takes it:\n{scenario}"
            )
        })
        .collect();
    let seeds: Vec<u64> = failures.iter().map(|(seed, _)| *seed).collect();
    assert!(
        failures.is_empty(),
        "seeds that failed: {seeds:?}\npassed: {figures}\n\n{}",
        texts.join("\n\n")
    );
    figures
}

fn told(error: tokio::task::JoinError) -> String {
    let panic = error.into_panic();
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()))
        .unwrap_or_else(|| "a panic without words".to_owned())
}
