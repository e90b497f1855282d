//! The meaning of the words of statuses and verdicts: the only table, on which run phases, tables
//! and views rely.
//!
//! `pass`, `partial`, `fail` and `running` are documented for runs, `error` and `pending` on other
//! pages, `timed_out` is seen in Armature's public code; criteria are documented to be graded
//! `pass`, `partial` or `fail`. The others are the words of similar platforms. The sets are open:
//! a word that is not here is [`Meaning::Unknown`], and is kept as the API sends it.

/// The meaning of a status or a verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// All that was required was met.
    Passed,
    /// Some of it was met.
    Partial,
    /// It was not met.
    Failed,
    /// Infrastructure failed or time ran out: states nothing about what was tested, and pass rates
    /// leave it out.
    Error,
    /// It was graded without a decision.
    Undecided,
    /// It was stopped, or not done at all.
    Cancelled,
    /// It ended; the word does not say how.
    Ended,
    /// It has not ended.
    Open,
    /// The word is not known.
    Unknown,
}

/// Every word that is known, in lower case and without `_`, `-` and spaces.
const WORDS: &[(Meaning, &[&str])] = &[
    (
        Meaning::Passed,
        &[
            "pass",
            "passed",
            "passing",
            "success",
            "succeeded",
            "successful",
            "ok",
            "met",
            "satisfied",
            "true",
            "yes",
        ],
    ),
    (
        Meaning::Partial,
        &[
            "partial",
            "partially",
            "partialpass",
            "partiallypassed",
            "partiallymet",
            "partialsuccess",
            "mixed",
        ],
    ),
    (
        Meaning::Failed,
        &[
            "fail",
            "failed",
            "failing",
            "failure",
            "unsuccessful",
            "notmet",
            "unmet",
            "unsatisfied",
            "false",
            "no",
        ],
    ),
    (
        Meaning::Error,
        &[
            "error",
            "errored",
            "timedout",
            "timeout",
            "expired",
            "crashed",
            "systemerror",
            "internalerror",
            "infrastructureerror",
            "infraerror",
            "evaluatornotstarted",
        ],
    ),
    (
        Meaning::Undecided,
        &[
            "undecided",
            "inconclusive",
            "indeterminate",
            "unclear",
            "neutral",
            "na",
            "n/a",
            "notapplicable",
            "notevaluated",
            "needsreview",
        ],
    ),
    (
        Meaning::Cancelled,
        &["cancelled", "canceled", "aborted", "skipped", "terminated", "killed", "stopped"],
    ),
    (Meaning::Ended, &["completed", "complete", "done", "finished", "ended", "closed", "final"]),
    (
        Meaning::Open,
        &[
            "pending",
            "running",
            "queued",
            "scheduled",
            "created",
            "starting",
            "started",
            "inprogress",
            "processing",
            "initializing",
            "dispatched",
            "waiting",
            "active",
            "evaluating",
            "judging",
            "grading",
            "retrying",
            "notready",
            "notstarted",
        ],
    ),
];

impl Meaning {
    /// The meaning of a word, in any spelling: `timed_out`, `Timed-Out` and `timedOut` are the
    /// same.
    pub fn of(word: &str) -> Self {
        let word = word.trim();
        // OpenTelemetry writes its three statuses in full.
        let word = word.strip_prefix("STATUS_CODE_").unwrap_or(word);
        let known = WORDS.iter().find(|(_, words)| words.iter().any(|known| is_same(known, word)));
        known.map_or(Self::Unknown, |(meaning, _)| *meaning)
    }

    /// Every word that is known, by its meaning; in lower case, without `_`, `-` and spaces.
    pub fn words() -> impl Iterator<Item = (Self, &'static [&'static str])> {
        WORDS.iter().copied()
    }

    /// The name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Partial => "partial",
            Self::Failed => "failed",
            Self::Error => "error",
            Self::Undecided => "undecided",
            Self::Cancelled => "cancelled",
            Self::Ended => "ended",
            Self::Open => "open",
            Self::Unknown => "unknown",
        }
    }

    /// Whether a run with this status has ended.
    pub fn is_final(self) -> bool {
        !matches!(self, Self::Open | Self::Unknown)
    }

    /// Whether the word is a grade: a verdict, not the state of a process.
    pub fn is_grade(self) -> bool {
        matches!(self, Self::Passed | Self::Partial | Self::Failed | Self::Undecided)
    }
}

/// Compares without case and separators; `known` has neither.
fn is_same(known: &str, word: &str) -> bool {
    let letters = word.bytes().filter(|byte| !matches!(byte, b'_' | b'-' | b' '));
    letters.map(|byte| byte.to_ascii_lowercase()).eq(known.bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_has_one_meaning() {
        let mut words: Vec<&str> = WORDS.iter().flat_map(|(_, words)| *words).copied().collect();
        let all = words.len();
        words.sort_unstable();
        words.dedup();
        assert_eq!(words.len(), all);
        for (meaning, words) in WORDS {
            for word in *words {
                assert_eq!(Meaning::of(word), *meaning, "{word}");
            }
        }
    }

    #[test]
    fn a_word_means_the_same_however_it_is_spelt() {
        for word in ["timed_out", "Timed-Out", "timedOut", "TIMED OUT", " timedout "] {
            assert_eq!(Meaning::of(word), Meaning::Error, "{word}");
        }
        assert_eq!(Meaning::of("STATUS_CODE_OK"), Meaning::Passed);
        assert_eq!(Meaning::of("STATUS_CODE_UNSET"), Meaning::Unknown);
        assert_eq!(Meaning::of("N/A"), Meaning::Undecided);
        for word in ["", "galvanized", "passes", "error: no"] {
            assert_eq!(Meaning::of(word), Meaning::Unknown, "{word}");
        }
    }
}
