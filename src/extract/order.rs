//! Detects whether a list goes from new to old.

use super::ListedRun;
use crate::time::Timestamp;

/// Whether the runs of a list, as far as they were seen, go from new to old.
#[derive(Debug)]
pub(super) struct Order {
    began: Timestamp,
    last: Option<Timestamp>,
    broken: bool,
}

impl Order {
    /// `began` is when the scan began, by the server's clock. Runs that
    /// start later do not count: they push others down, wherever they appear.
    pub(super) fn new(began: Timestamp) -> Self {
        Self { began, last: None, broken: false }
    }

    /// Adds the runs of a page that were not listed before, in their order.
    pub(super) fn note(&mut self, runs: &[ListedRun]) {
        for run in runs {
            match (run.started_at, self.last) {
                // Without a start, the order cannot be verified.
                (None, _) => self.broken = true,
                (Some(start), _) if start > self.began => {}
                (Some(start), Some(last)) if start > last => self.broken = true,
                (Some(start), _) => self.last = Some(start),
            }
        }
    }

    /// True while no run was out of order or without a start.
    pub(super) fn is_unbroken(&self) -> bool {
        !self.broken
    }

    /// Whether the list goes from new to old, once its end was reached; `None` if it had no run by
    /// which to tell.
    pub(super) fn is_newest_first(&self) -> Option<bool> {
        if self.broken { Some(false) } else { self.last.map(|_| true) }
    }

    /// Whether all runs further down the list started before `moment`.
    pub(super) fn is_past(&self, moment: Option<Timestamp>) -> bool {
        !self.broken && matches!((self.last, moment), (Some(last), Some(moment)) if last < moment)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(starts: &[Option<i64>]) -> Order {
        let run = |started_at: &Option<i64>| ListedRun {
            run_id: String::new(),
            status: None,
            started_at: started_at.map(Timestamp::from_micros),
            ended_at: None,
            body: bytes::Bytes::new(),
            fingerprint: 0,
        };
        let mut order = Order::new(Timestamp::from_micros(10));
        order.note(&starts.iter().map(run).collect::<Vec<_>>());
        order
    }

    #[test]
    fn new_to_old_is_believed_until_something_speaks_against_it() {
        assert_eq!(order(&[]).is_newest_first(), None);
        assert_eq!(order(&[Some(3), Some(3), Some(1)]).is_newest_first(), Some(true));
        assert_eq!(order(&[Some(3), Some(4)]).is_newest_first(), Some(false));
        assert_eq!(order(&[Some(3), Some(11), Some(1)]).is_newest_first(), Some(true));
        assert_eq!(order(&[Some(3), None]).is_newest_first(), Some(false));
        let (three, four) = (Timestamp::from_micros(3), Timestamp::from_micros(4));
        assert!(order(&[Some(3)]).is_past(Some(four)));
        assert!(!order(&[Some(3), None]).is_past(Some(four)));
        assert!(!order(&[Some(3)]).is_past(Some(three)));
    }
}
