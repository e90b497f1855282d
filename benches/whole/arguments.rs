//! What to measure, and how much of it.

use crate::scenarios::{Scenario, Sizes};

/// What was typed behind `--`.
#[derive(Debug, Default)]
pub(crate) struct Arguments {
    sizes: Vec<usize>,
    only: Vec<Scenario>,
}

impl Arguments {
    pub(crate) fn read(mut words: impl Iterator<Item = String>) -> Self {
        let mut arguments = Self::default();
        while let Some(word) = words.next() {
            match word.as_str() {
                // Cargo says so to every bench.
                "--bench" => {}
                "--only" => arguments.only.push(Scenario::named(&words.next().unwrap_or_default())),
                size => arguments.sizes.push(size.parse().unwrap()),
            }
        }
        arguments
    }

    pub(crate) fn takes(&self, scenario: Scenario) -> bool {
        self.only.is_empty() || self.only.contains(&scenario)
    }

    /// Whether nothing was chosen, so that the figures belong into the documentation.
    pub(crate) fn is_everything(&self) -> bool {
        self.only.is_empty() && self.sizes.is_empty()
    }

    /// The goals' sizes, or small ones where some were named.
    pub(crate) fn sizes(&self) -> Sizes {
        if self.sizes.is_empty() { Sizes::default() } else { Sizes::small(self.sizes.clone()) }
    }
}
