//! A linear scale: from values to places in a chart.

/// A linear scale. Values outside its domain are drawn at its ends.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scale {
    /// The least value, and the greatest.
    domain: (f64, f64),
    /// The places where they are drawn.
    places: (f64, f64),
}

impl Scale {
    /// A scale of values between two ends, which differ, to places between two others.
    pub(super) fn new(domain: (f64, f64), places: (f64, f64)) -> Self {
        Self { domain, places }
    }

    /// A scale that begins at zero and ends at a round number from the greatest value on. Its
    /// values are not negative.
    pub(super) fn from_zero(greatest: f64, places: (f64, f64)) -> Self {
        let step = round_step(greatest, 4);
        Self::new((0.0, ((greatest / step).ceil() * step).max(step)), places)
    }

    /// The place of a value.
    pub(super) fn place(&self, value: f64) -> f64 {
        let ((low, high), (from, until)) = (self.domain, self.places);
        let share = ((value - low) / (high - low)).clamp(0.0, 1.0);
        from + share * (until - from)
    }

    /// Round values inside the domain, at most `most` plus one, in ascending order.
    pub(super) fn ticks(&self, most: u32) -> Vec<f64> {
        let (low, high) = self.domain;
        let step = round_step(high - low, most);
        let first = (low / step).ceil();
        let ticks = (0..=most).map(|number| (first + f64::from(number)) * step);
        // A tick at the end must not be lost to rounding.
        ticks.filter(|tick| *tick <= high + step * 1e-9).collect()
    }
}

/// The least of 1, 2 or 5 times a power of ten that divides a length into at most so many steps.
/// For a length that is not positive, 1.
fn round_step(length: f64, most: u32) -> f64 {
    if !(length.is_finite() && length > 0.0) {
        return 1.0;
    }
    let least = length / f64::from(most.max(1));
    let power = 10_f64.powf(least.log10().floor());
    let steps = [1.0, 2.0, 5.0, 10.0].map(|digit| digit * power);
    // The least step itself can be missed by rounding.
    steps.into_iter().find(|step| *step >= least * (1.0 - 1e-9)).unwrap_or(10.0 * power)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ticks_are_round() {
        assert_eq!(Scale::new((0.0, 1.0), (0.0, 1.0)).ticks(4), [0.0, 0.5, 1.0]);
        assert_eq!(Scale::new((-50.0, 50.0), (0.0, 1.0)).ticks(4), [-50.0, 0.0, 50.0]);
        assert_eq!(Scale::from_zero(37.0, (0.0, 1.0)).ticks(4), [0.0, 10.0, 20.0, 30.0, 40.0]);
        assert_eq!(Scale::from_zero(0.0, (0.0, 1.0)).ticks(4), [0.0, 0.5, 1.0]);
    }

    proptest! {
        #[test]
        fn places_stay_inside_and_keep_the_order(
            low in -1e6..1e6_f64,
            length in 1e-3..1e6_f64,
            one in -2e6..2e6_f64,
            two in -2e6..2e6_f64,
        ) {
            let scale = Scale::new((low, low + length), (10.0, 330.0));
            let (first, second) = (scale.place(one.min(two)), scale.place(one.max(two)));
            prop_assert!((10.0..=330.0).contains(&first) && (10.0..=330.0).contains(&second));
            prop_assert!(first <= second);
        }

        #[test]
        fn ticks_ascend_inside_the_domain(greatest in 1e-6..1e9_f64, most in 2..8_u32) {
            let scale = Scale::from_zero(greatest, (0.0, 100.0));
            let ticks = scale.ticks(most);
            prop_assert!(ticks.len() >= 2 && ticks.len() <= 9, "{ticks:?}");
            prop_assert!(ticks.windows(2).all(|pair| pair[0] < pair[1]));
            prop_assert!(ticks[0] == 0.0);
            prop_assert!(scale.place(greatest) <= 100.0 && scale.place(greatest) >= 25.0);
        }
    }
}
