//! Checks that every listed run came out of the extraction, in one way or another.
//!
//! A run that is lost between the list and the ledger would never be noticed, because its time
//! would count as covered. So the numbers are compared, and a scan whose runs are not all accounted
//! for is uncertified.

use crate::extract::{FetchTask, TaskOutcome};

/// The listed runs of one sync, counted as they come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Accounts {
    /// Runs that came out: unchanged, open, fetched, failed or absent.
    accounted: u64,
    /// Listed runs that were requested by their id.
    asked: u64,
    /// Requested runs whose id returned 404.
    unknown: u64,
}

/// At least this many 404s, for at least half of the requested runs, are not an accident.
const MANY: u64 = 3;

impl Accounts {
    /// Adds listed runs that need no request.
    pub(super) fn add_unasked(&mut self, runs: u64) {
        self.accounted += runs;
    }

    /// Adds a run that was requested. Carried-over runs do not count.
    pub(super) fn add(&mut self, task: &FetchTask, outcome: &TaskOutcome) {
        if task.listed.is_some() {
            self.accounted += 1;
            self.asked += 1;
            self.unknown += u64::from(matches!(outcome, TaskOutcome::Absent));
        }
    }

    /// The uncertainties that the numbers add to a scan of `listed` runs. `is_first` is set if no
    /// run was ever exported.
    pub(super) fn uncertainties(&self, listed: u64, is_first: bool) -> Vec<String> {
        let Self { accounted, asked, unknown } = *self;
        let lost = (listed != accounted).then(|| {
            format!(
                "{listed} runs were listed, and {accounted} were accounted for: a bug, please \
                 report it"
            )
        });
        // A run can be deleted between the list and the request for it, but not half of them.
        let are_many = unknown >= MANY && unknown * 2 >= asked;
        let are_all = unknown > 0 && unknown == asked && is_first;
        let wrong_id = (are_many || are_all).then(|| {
            format!(
                "{unknown} of {asked} listed runs are answered with 404 by their id, so the id is \
                 likely read from the wrong member: `armature-export doctor` shows the members, and \
                 [[columns]] with table = \"runs\" and name = \"run_id\" names the right one"
            )
        });
        lost.into_iter().chain(wrong_id).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_run_that_is_lost_on_its_way_is_missed() {
        let all = Accounts { accounted: 7, asked: 3, unknown: 0 };
        assert_eq!(all.uncertainties(7, false), Vec::<String>::new());
        assert!(
            all.uncertainties(8, false)[0].contains("8 runs were listed, and 7 were accounted for")
        );
    }

    #[test]
    fn a_few_deleted_runs_are_an_accident_and_half_of_them_are_not() {
        let uncertainties = |asked, unknown, is_first| {
            let accounts = Accounts { accounted: asked, asked, unknown };
            accounts.uncertainties(asked, is_first).len()
        };
        assert_eq!(uncertainties(100, 2, true), 0);
        assert_eq!(uncertainties(100, 49, true), 0);
        assert_eq!(uncertainties(100, 50, true), 1);
        assert_eq!(uncertainties(2, 2, false), 0);
        assert_eq!(uncertainties(2, 2, true), 1);
        assert_eq!(uncertainties(3, 3, false), 1);
    }

    proptest! {
        #[test]
        fn nothing_is_doubted_exactly_where_all_add_up(
            unasked in 0_u64..50, asked in 0_u64..50, listed in 0_u64..100,
        ) {
            let accounts = Accounts { accounted: unasked + asked, asked, unknown: 0 };
            prop_assert_eq!(accounts.uncertainties(listed, true).is_empty(), listed == unasked + asked);
        }
    }
}
