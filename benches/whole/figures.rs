//! Several measurements of the same as one figure.

use crate::process::Taken;

/// For people, who need no more digits than it keeps.
#[expect(clippy::as_conversions, clippy::cast_precision_loss, reason = "for people")]
pub(crate) fn number(count: usize) -> f64 {
    count as f64
}

pub(crate) fn megabytes(bytes: usize) -> f64 {
    number(bytes) / 1e6
}

pub(crate) fn median(figures: impl IntoIterator<Item = f64>) -> f64 {
    let mut figures: Vec<f64> = figures.into_iter().collect();
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or_default()
}

pub(crate) fn least(figures: impl IntoIterator<Item = f64>) -> f64 {
    figures.into_iter().fold(f64::INFINITY, f64::min)
}

pub(crate) fn most(figures: impl IntoIterator<Item = f64>) -> f64 {
    figures.into_iter().fold(0.0, f64::max)
}

/// Runs of the same program in the same situation.
#[derive(Clone, Debug, Default)]
pub(crate) struct Series(pub(crate) Vec<Taken>);

impl Series {
    pub(crate) fn seconds(&self) -> f64 {
        median(self.all_seconds())
    }

    pub(crate) fn megabytes(&self) -> f64 {
        median(self.all_megabytes())
    }

    /// The least and the most.
    pub(crate) fn spread(&self) -> String {
        spread(self.all_seconds())
    }

    /// The median and the most.
    pub(crate) fn memory(&self) -> String {
        let highest = most(self.all_megabytes());
        format!("{:.0}, {highest:.0}", self.megabytes())
    }

    fn all_seconds(&self) -> impl Iterator<Item = f64> + Clone {
        self.0.iter().map(|taken| taken.seconds)
    }

    fn all_megabytes(&self) -> impl Iterator<Item = f64> {
        self.0.iter().map(|taken| taken.megabytes)
    }
}

/// The least and the most.
pub(crate) fn spread(figures: impl IntoIterator<Item = f64> + Clone) -> String {
    format!("{:.2}–{:.2}", least(figures.clone()), most(figures))
}

/// A count with its thousands apart.
pub(crate) fn count(count: usize) -> String {
    let digits = count.to_string();
    let mut text = String::new();
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
