//! Fisher's exact test, one-sided: whether a gate passes less often than the baseline.

/// Passed runs among decided ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Sample {
    /// Passed runs.
    pub passed: u32,
    /// Decided runs: passed, partial or failed. At least `passed`.
    pub decided: u32,
}

/// The probability of at most `gate.passed` passes among the gate's runs, if the passes of both
/// samples together were spread over all of their runs by chance (a hypergeometric distribution).
/// 1 if one of the samples is empty.
pub fn p_value_of_fewer_passes(gate: Sample, baseline: Sample) -> f64 {
    let passed = gate.passed.saturating_add(baseline.passed);
    let decided = gate.decided.saturating_add(baseline.decided);
    let failed = decided.saturating_sub(passed);
    let drawn = gate.decided;
    if drawn == 0 || baseline.decided == 0 {
        return 1.0;
    }
    let all = ln_choose(decided, drawn);
    // Fewer passes than this are impossible: there are not enough failed runs.
    let least = drawn.saturating_sub(failed);
    let terms = (least..=gate.passed.min(passed))
        .map(|passes| (ln_choose(passed, passes) + ln_choose(failed, drawn - passes) - all).exp());
    terms.sum::<f64>().min(1.0)
}

/// The natural logarithm of the binomial coefficient. The number of terms is that of the smaller
/// part, which is at most the number of a gate's runs here, so that the rounding errors stay small
/// for a baseline of any size.
fn ln_choose(all: u32, part: u32) -> f64 {
    let part = part.min(all.saturating_sub(part));
    let factor = |place: u32| (f64::from(all - part + place) / f64::from(place)).ln();
    (1..=part).map(factor).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn p(gate: (u32, u32), baseline: (u32, u32)) -> f64 {
        let sample = |(passed, decided)| Sample { passed, decided };
        p_value_of_fewer_passes(sample(gate), sample(baseline))
    }

    fn assert_close(found: f64, expected: f64) {
        let error = (found - expected).abs() / expected;
        assert!(error < 1e-6, "{found} instead of {expected}");
    }

    #[test]
    fn published_values() {
        // Fisher's tea tasting (Agresti, Categorical Data Analysis, 2.6.2): 17/70.
        assert_close(p((1, 4), (3, 4)), 17.0 / 70.0);
        // Convictions of like-sex twins, in R's documentation of `fisher.test`: p = 0.0004652.
        let twins = p((2, 17), (10, 13));
        assert!((twins - 0.000_465_2).abs() < 5e-8, "{twins}");
        // Studying men and women, in Wikipedia's article on the test: 0.001346076 + 0.000033652.
        let studying = p((1, 12), (9, 12));
        assert!((studying - 0.001_379_728).abs() < 5e-10, "{studying}");
    }

    #[test]
    fn nothing_to_compare_is_no_evidence() {
        for (gate, baseline) in [((0, 0), (5, 10)), ((0, 3), (0, 0)), ((0, 3), (0, 9))] {
            assert!((p(gate, baseline) - 1.0).abs() < 1e-12);
        }
        assert!((p((3, 3), (95, 100)) - 1.0).abs() < 1e-12);
    }

    #[test]
    fn a_large_baseline_is_like_a_known_rate() {
        // With half a million runs at 90 %, three failures in three are (1/10)³.
        let all_failed = p((0, 3), (450_000, 500_000));
        assert!((all_failed - 0.001).abs() < 1e-5, "{all_failed}");
    }

    #[test]
    fn the_probabilities_of_all_outcomes_add_up() {
        for passed in 0..=20_u32 {
            for drawn in 1..=6_u32 {
                // The gate has at most as many passes as there are, and the rest is the baseline's.
                let most = passed.min(drawn);
                let rest = Sample { passed: passed - most, decided: 26 - drawn };
                if rest.passed > rest.decided {
                    continue;
                }
                let gate = Sample { passed: most, decided: drawn };
                assert!((p_value_of_fewer_passes(gate, rest) - 1.0).abs() < 1e-9);
            }
        }
    }
}
