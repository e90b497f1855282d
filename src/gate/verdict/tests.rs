use super::*;
use crate::gate::attempt::{Cause, FailedCriterion};
use proptest::prelude::*;

fn attempt(repetition: u32, outcome: Outcome) -> Attempt {
    Attempt {
        run_id: Some(format!("run-{repetition}")),
        model: Some("m".to_owned()),
        outcome,
        note: None,
        ..Attempt::without_run(repetition, "")
    }
}

const ERROR: Outcome = Outcome::Inconclusive(Cause::Error);

/// Attempts from letters: `p` passed, `f` failed, `e` error, `n` no evaluation.
fn attempts(outcomes: &str) -> Vec<Attempt> {
    let of = |letter| match letter {
        'p' => Outcome::Passed,
        'f' => Outcome::Failed,
        'e' => ERROR,
        _ => Outcome::Inconclusive(Cause::NoEvaluation),
    };
    (1..).zip(outcomes.chars()).map(|(number, letter)| attempt(number, of(letter))).collect()
}

fn group(attempts: Vec<Attempt>) -> Group {
    let workflow = WorkflowName { id: "w".to_owned(), name: None };
    Group { workflow, model: Some("m".to_owned()), harness: None, attempts }
}

fn rules(required: Required) -> Rules {
    Rules { required, max_cost_per_pass: None, max_p95: None, baseline_blocks: false }
}

fn verdict(outcomes: &str, required: Required) -> Verdict {
    judge(group(attempts(outcomes)), &rules(required), None).verdict
}

#[test]
fn k_of_n() {
    use Verdict::{Fail, Inconclusive, Pass};
    for (outcomes, expected) in [
        ("ppp", Pass),
        ("ppf", Pass),
        ("pff", Fail),
        ("fff", Fail),
        ("ppe", Pass),
        ("pne", Inconclusive),
        ("pfe", Inconclusive),
        ("ffe", Fail),
        ("eee", Inconclusive),
        ("nnn", Inconclusive),
        ("p", Pass),
        ("f", Fail),
        ("pf", Fail),
        ("ppppf", Pass),
        ("pppff", Fail),
        ("pppfe", Inconclusive),
    ] {
        assert_eq!(verdict(outcomes, Required::DEFAULT), expected, "{outcomes}");
    }
    assert_eq!(verdict("pff", Required::Number(1)), Pass);
    assert_eq!(verdict("ppf", Required::Number(3)), Fail);
    assert_eq!(verdict("pff", Required::Share { passes: 1, of: 3 }), Pass);
}

#[test]
fn a_share_is_rounded_up_and_never_nothing() {
    let needed = |attempts| Required::DEFAULT.of(attempts);
    assert_eq!([0, 1, 2, 3, 4, 5, 6].map(needed), [1, 1, 2, 2, 3, 4, 4]);
    assert_eq!(Required::Share { passes: 3, of: 3 }.of(6), 6);
    assert_eq!(Required::Number(0).of(3), 1);
}

#[test]
fn a_replaced_attempt_does_not_count() {
    let mut all = attempts("epf");
    all[0].is_replaced = true;
    all.push(attempt(1, Outcome::Passed));
    let judged = judge(group(all), &rules(Required::DEFAULT), None);
    assert_eq!((judged.verdict, judged.counted, judged.passed), (Verdict::Pass, 3, 2));
    assert_eq!(judged.attempts.len(), 4);
}

fn costs(outcomes: &str, costs: &[Option<&str>], limit: &str) -> (Verdict, Option<String>) {
    let mut all = attempts(outcomes);
    for (attempt, cost) in all.iter_mut().zip(costs) {
        attempt.cost = cost.map(|cost| Cost::parse(cost).unwrap());
    }
    let max_cost_per_pass = Some(Cost::parse(limit).unwrap());
    let rules = Rules { max_cost_per_pass, ..rules(Required::DEFAULT) };
    let judged = judge(group(all), &rules, None);
    (judged.verdict, judged.cost_per_pass.map(Cost::text))
}

#[test]
fn the_cost_of_a_pass_is_that_of_all_judged_runs() {
    use Verdict::{Fail, Inconclusive, Pass};
    let told = |text: &str| Some(text.to_owned());
    let three = [Some("0.1"); 3];
    assert_eq!(costs("ppp", &three, "0.1"), (Pass, told("0.1")));
    assert_eq!(costs("ppp", &three, "0.0999"), (Fail, told("0.1")));
    // Two passes pay for three runs.
    assert_eq!(costs("ppf", &three, "0.15"), (Pass, told("0.15")));
    assert_eq!(costs("ppf", &three, "0.14"), (Fail, told("0.15")));
    // The error may have passed: then a pass would cost 0.0667.
    assert_eq!(costs("ppe", &three, "0.09"), (Inconclusive, told("0.1")));
    assert_eq!(costs("ppe", &three, "0.06"), (Fail, told("0.1")));
    // Errors cost nothing here, however much they cost.
    assert_eq!(costs("ppe", &[Some("0.1"), Some("0.1"), Some("9")], "0.1").0, Pass);
    assert_eq!(costs("eee", &[Some("9"); 3], "0.1"), (Inconclusive, None));
    // What is not stated cannot be checked, unless what is stated is too much.
    assert_eq!(costs("ppp", &[Some("0.1"), Some("0.1"), None], "0.1").0, Inconclusive);
    assert_eq!(costs("ppp", &[Some("0.1"), Some("0.3"), None], "0.1").0, Fail);
    assert_eq!(costs("ppe", &[Some("0.1"), Some("0.1"), None], "0.1").0, Pass);
}

#[test]
fn the_p95_is_a_nearest_rank() {
    use Verdict::{Fail, Inconclusive, Pass};
    let of = |durations: &[Option<u64>], limit: u64| {
        let mut all = attempts(&"p".repeat(durations.len()));
        for (attempt, duration) in all.iter_mut().zip(durations) {
            attempt.duration_ms = *duration;
        }
        let max_p95 = Some(Duration::from_millis(limit));
        let judged = judge(group(all), &Rules { max_p95, ..rules(Required::DEFAULT) }, None);
        (judged.verdict, judged.p95_ms)
    };
    assert_eq!(of(&[Some(1), Some(2), Some(3)], 3), (Pass, Some(3)));
    assert_eq!(of(&[Some(1), Some(2), Some(3)], 2), (Fail, Some(3)));
    assert_eq!(of(&[Some(1), None, Some(3)], 3), (Inconclusive, Some(3)));
    assert_eq!(of(&[None, None], 3), (Inconclusive, None));
    let twenty: Vec<Option<u64>> = (1..=20).map(Some).collect();
    assert_eq!(of(&twenty, 19), (Pass, Some(19)));
}

#[test]
fn the_baseline_is_told_and_blocks_only_if_asked() {
    let baseline = Some(Sample { passed: 95, decided: 100 });
    for (blocks, expected) in [(false, Verdict::Pass), (true, Verdict::Fail)] {
        let rules = Rules { baseline_blocks: blocks, ..rules(Required::Number(1)) };
        let judged = judge(group(attempts("pff")), &rules, baseline);
        assert_eq!(judged.verdict, expected);
        assert!(judged.baseline.unwrap().is_lower);
        assert_eq!(judged.reasons[0].kind, "baseline");
        // Errors are no evidence.
        let judged = judge(group(attempts("pee")), &rules, baseline);
        assert!(!judged.baseline.unwrap().is_lower);
        let judged = judge(group(attempts("eee")), &rules, baseline);
        assert_eq!(judged.baseline, None);
    }
}

#[test]
fn criteria_are_counted_required_ones_first() {
    let criterion = |text: &str, is_required| FailedCriterion {
        text: text.to_owned(),
        is_required,
        verdict: None,
        rationale: None,
    };
    let mut all = attempts("fff");
    all[0].failed_criteria = vec![criterion("often", Some(false)), criterion("once", Some(true))];
    all[1].failed_criteria = vec![criterion("often", Some(false)), criterion("twice", None)];
    all[2].failed_criteria = vec![criterion("twice", None), criterion("often", Some(false))];
    let judged = judge(group(all), &rules(Required::DEFAULT), None);
    let counts: Vec<(&str, u32)> =
        judged.criteria.iter().map(|one| (one.text.as_str(), one.attempts)).collect();
    assert_eq!(counts, [("twice", 2), ("once", 1), ("often", 3)]);
}

#[test]
fn attempts_are_grouped_and_no_group_has_too_few() {
    let workflow = WorkflowName { id: "w".to_owned(), name: None };
    let of = |repetition, model: Option<&str>| Attempt {
        model: model.map(str::to_owned),
        ..attempt(repetition, Outcome::Passed)
    };
    let shown = |all: Vec<Attempt>, repetitions| {
        let groups = groups(&workflow, repetitions, all).into_iter().map(|group| {
            let attempts = group.attempts.iter();
            let attempts = attempts.map(|one| format!("{}{}", one.repetition, one.outcome.name()));
            let model = group.model.unwrap_or_else(|| "?".to_owned());
            format!("{model}: {}", attempts.collect::<Vec<_>>().join(" "))
        });
        groups.collect::<Vec<_>>()
    };
    let both = vec![of(1, Some("a")), of(2, Some("a")), of(1, Some("b")), of(2, Some("b"))];
    assert_eq!(shown(both.clone(), Some(2)), ["a: 1passed 2passed", "b: 1passed 2passed"]);
    // One model is missing in one repetition.
    assert_eq!(shown(both[..3].to_vec(), Some(2)), ["a: 1passed 2passed", "b: 1passed 2no_run"]);
    // A run without a model takes the empty place; a repetition without a run does, too.
    let mut third = both[..3].to_vec();
    third.push(of(2, None));
    assert_eq!(shown(third, Some(2)), ["a: 1passed 2passed", "b: 1passed 2passed"]);
    let mut lost = both[..1].to_vec();
    lost.push(Attempt::without_run(2, "lost"));
    assert_eq!(shown(lost, Some(2)), ["a: 1passed 2no_run"]);
    // Nothing but lost dispatches, and runs without a model.
    let lost = vec![Attempt::without_run(1, "lost"), Attempt::without_run(2, "lost")];
    assert_eq!(shown(lost, Some(2)), ["?: 1no_run 2no_run"]);
    assert_eq!(shown(vec![of(1, None), of(2, None)], Some(2)), ["?: 1passed 2passed"]);
    // A run that states no harness is of the only one of its model.
    let with_harness = |repetition, harness: &str| Attempt {
        harness: Some(harness.to_owned()),
        ..of(repetition, Some("a"))
    };
    let half = vec![with_harness(1, "h"), of(2, Some("a"))];
    assert_eq!(shown(half, Some(2)), ["a: 1passed 2passed"]);
    let two = vec![with_harness(1, "h"), with_harness(1, "i"), of(1, Some("a"))];
    assert_eq!(shown(two, Some(1)), ["a: 1passed"; 3]);
    // A replaced attempt does not fill its place.
    let mut replaced = vec![of(1, Some("a"))];
    replaced[0].is_replaced = true;
    assert_eq!(shown(replaced, Some(1)), ["a: 1passed 1no_run"]);
    // Runs that were given are as many as they are.
    assert_eq!(shown(both[..3].to_vec(), None), ["a: 1passed 2passed", "b: 1passed"]);
}

#[test]
fn a_gate_is_as_good_as_its_worst_group() {
    let of = |outcomes: &str| judge(group(attempts(outcomes)), &rules(Required::DEFAULT), None);
    assert_eq!(overall(&[of("ppp"), of("ppp")]), Verdict::Pass);
    assert_eq!(overall(&[of("ppp"), of("eee")]), Verdict::Inconclusive);
    assert_eq!(overall(&[of("fff"), of("eee"), of("ppp")]), Verdict::Fail);
    assert_eq!(overall(&[]), Verdict::Inconclusive);
}

/// Outcomes of a gate whose runs pass with a probability, and end in an error with another.
fn drawn(seed: u64, runs: u32, passes: f64, errors: f64) -> Vec<Attempt> {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut draw = |number| {
        let outcome = if random.f64() < errors {
            ERROR
        } else if random.f64() < passes {
            Outcome::Passed
        } else {
            Outcome::Failed
        };
        attempt(number, outcome)
    };
    (1..=runs).map(&mut draw).collect()
}

/// The probability that fewer than `needed` of `runs` pass, if each passes with this probability.
fn false_failure_rate(runs: u32, needed: u32, passes: f64) -> f64 {
    let choose = |part: u32| {
        let factor = |place: u32| f64::from(runs - part + place) / f64::from(place);
        (1..=part).map(factor).product::<f64>()
    };
    let probability = |number: u32| {
        let (number_of, rest) = (i32::try_from(number).unwrap(), i32::try_from(runs - number));
        choose(number) * passes.powi(number_of) * (1.0 - passes).powi(rest.unwrap())
    };
    (0..needed).map(probability).sum()
}

const DOCUMENT: &str = include_str!("../../../docs/GATE.md");

/// The rows of the table of false failures in docs/GATE.md: `needed of runs`, and a percentage for
/// each pass rate of the table's head.
fn documented_rates() -> Vec<(u32, u32, f64, f64)> {
    let (_, table) = DOCUMENT.split_once("| passes needed |").unwrap();
    let mut lines = table.lines();
    let rates = lines
        .next()
        .unwrap()
        .trim_matches('|')
        .split('|')
        .map(|cell| cell.trim().trim_end_matches(" %").parse::<f64>().unwrap() / 100.0);
    let rates: Vec<f64> = rates.collect();
    let mut found = Vec::new();
    for line in lines.skip(1).take_while(|line| line.starts_with('|')) {
        let mut cells = line.trim_matches('|').split('|').map(str::trim);
        let (needed, runs) = cells.next().unwrap().split_once(" of ").unwrap();
        let (needed, runs) = (needed.parse().unwrap(), runs.split(' ').next().unwrap());
        for (rate, cell) in rates.iter().zip(cells) {
            let stated = cell.trim_end_matches(" %").parse::<f64>().unwrap() / 100.0;
            found.push((needed, runs.parse().unwrap(), *rate, stated));
        }
    }
    found
}

#[test]
fn the_documented_rates_of_false_failures_are_right() {
    let documented = documented_rates();
    assert!(documented.len() >= 12, "{documented:?}");
    for (needed, runs, passes, stated) in documented {
        let exact = false_failure_rate(runs, needed, passes);
        assert!((exact - stated).abs() < 0.000_051, "{needed} of {runs}: {exact}, not {stated}");
    }
}

/// A/A: gates on workflows that are as good as ever. No more of them fail than the documentation
/// states, within what chance makes of 500 gates (four standard deviations).
#[test]
fn gates_on_unchanged_workflows_fail_as_rarely_as_documented() {
    const GATES: u32 = 500;
    for (needed, runs, passes, stated) in documented_rates() {
        let rules = rules(Required::Share { passes: needed, of: runs });
        let mut failed = 0_u32;
        for seed in 0..u64::from(GATES) {
            let seed = seed * 1_000 + u64::from(runs) * 10 + u64::from(needed);
            let judged = judge(group(drawn(seed, runs, passes, 0.0)), &rules, None);
            failed += u32::from(judged.verdict == Verdict::Fail);
        }
        let expected = f64::from(GATES) * stated;
        let most = expected + 4.0 * (expected * (1.0 - stated)).sqrt() + 1.0;
        assert!(f64::from(failed) <= most, "{needed} of {runs} at {passes}: {failed} failed");
    }
}

/// The comparison with earlier runs of the same quality is significant in at most 5 % of gates,
/// whatever their size and whatever errors there are.
#[test]
fn comparisons_of_unchanged_workflows_are_rarely_significant() {
    const GATES: u32 = 500;
    for (runs, passes) in [(3, 0.9), (5, 0.8), (10, 0.7), (20, 0.9)] {
        let mut significant = 0_u32;
        for seed in 0..u64::from(GATES) {
            let earlier = drawn(seed + 1_000_000, 150, passes, 0.05);
            let decided: Vec<&Attempt> = earlier.iter().filter(|one| one.is_decided()).collect();
            let passed = decided.iter().filter(|one| one.outcome == Outcome::Passed);
            let sample = Sample { passed: count(passed), decided: count(decided.iter()) };
            let rules = Rules { baseline_blocks: true, ..rules(Required::Number(1)) };
            let judged = judge(group(drawn(seed, runs, passes, 0.05)), &rules, Some(sample));
            significant += u32::from(judged.reasons.iter().any(|one| one.kind == "baseline"));
        }
        // 5 % of 500 are 25; four standard deviations more are 45.
        assert!(significant <= 45, "{runs} runs at {passes}: {significant}");
    }
}

/// A workflow that got much worse is found.
#[test]
fn a_regression_fails_nearly_every_gate() {
    let verdicts = (0..500).map(|seed| {
        judge(group(drawn(seed, 3, 0.1, 0.0)), &rules(Required::DEFAULT), None).verdict
    });
    let failed = verdicts.filter(|verdict| *verdict == Verdict::Fail).count();
    assert!(failed > 470, "{failed}");
}

proptest! {
    /// The verdict is what it would be for every outcome of the attempts that say nothing, and
    /// inconclusive only if these would differ.
    #[test]
    fn what_cannot_be_judged_counts_neither_for_nor_against(
        outcomes in "[pfen]{1,9}",
        passes in 1_u32..4,
    ) {
        let required = Required::Share { passes, of: 3 };
        let all_passed = outcomes.replace(['e', 'n'], "p");
        let all_failed = outcomes.replace(['e', 'n'], "f");
        let (best, worst) = (verdict(&all_passed, required), verdict(&all_failed, required));
        let expected = if best == worst { best } else { Verdict::Inconclusive };
        prop_assert_eq!(verdict(&outcomes, required), expected);
    }

    /// One more pass in place of a failure never makes a verdict worse.
    #[test]
    fn a_pass_is_never_worse_than_a_failure(outcomes in "[pfen]{0,8}", passes in 1_u32..4) {
        let required = Required::Share { passes, of: 3 };
        let with_pass = verdict(&format!("p{outcomes}"), required);
        let with_failure = verdict(&format!("f{outcomes}"), required);
        prop_assert!(with_pass <= with_failure);
    }

    /// Errors alone never fail a gate, whatever they cost and however long they took.
    #[test]
    fn errors_alone_never_fail(number in 1_usize..6, cost in 0_i128..1_000, duration: u64) {
        let mut all = attempts(&"e".repeat(number));
        for attempt in &mut all {
            attempt.cost = Some(Cost::from_scaled(cost));
            attempt.duration_ms = Some(duration);
        }
        let rules = Rules {
            max_cost_per_pass: Some(Cost::default()),
            max_p95: Some(Duration::ZERO),
            baseline_blocks: true,
            ..rules(Required::DEFAULT)
        };
        let baseline = Some(Sample { passed: 100, decided: 100 });
        prop_assert_eq!(judge(group(all), &rules, baseline).verdict, Verdict::Inconclusive);
    }
}
