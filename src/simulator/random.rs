//! Seeded random numbers: the same seed gives the same world on every machine and in every version.
//!
//! The generator is splitmix64 (Steele, Lea and Flood, 2014): one addition and one bit mixer per
//! number, and no state besides a counter, so that any run's numbers can be computed without the
//! previous ones.

use uuid::{Builder, Uuid};

const GOLDEN_GAMMA: u64 = 0x9E37_79B9_7F4A_7C15;
const HALF_BITS: u32 = 24;
const HALF_MASK: u64 = (1 << HALF_BITS) - 1;
const FEISTEL_ROUNDS: u64 = 4;

/// Mixes the bits of `value`; a bijection.
pub(super) const fn mix(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    value ^ (value >> 31)
}

/// Combines two seeds into one.
pub(super) const fn combine(first: u64, second: u64) -> u64 {
    mix(first.wrapping_add(GOLDEN_GAMMA) ^ mix(second.wrapping_mul(GOLDEN_GAMMA)))
}

/// A stream of seeded random numbers.
#[derive(Debug, Clone)]
pub(super) struct Seeded {
    state: u64,
}

impl Seeded {
    pub(super) const fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// The next number of the whole 64-bit range.
    pub(super) const fn draw(&mut self) -> u64 {
        self.state = self.state.wrapping_add(GOLDEN_GAMMA);
        mix(self.state)
    }

    /// A number below `bound`; 0 for a bound of 0.
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        let wide = u128::from(self.draw()) * u128::from(bound);
        u64::try_from(wide >> 64).unwrap_or(0)
    }

    /// A number from `least` to `most`, both inclusive.
    pub(super) fn between(&mut self, least: u64, most: u64) -> u64 {
        least.saturating_add(self.below(most.saturating_sub(least).saturating_add(1)))
    }

    /// True in `share` percent of cases.
    pub(super) fn percent(&mut self, share: u64) -> bool {
        self.below(100) < share
    }

    /// A position in `weights`, with a probability in proportion to its weight; 0 for no weights.
    pub(super) fn weighted(&mut self, weights: &[u64]) -> usize {
        let mut left = self.below(weights.iter().sum());
        for (position, weight) in weights.iter().enumerate() {
            match left.checked_sub(*weight) {
                Some(rest) => left = rest,
                None => return position,
            }
        }
        0
    }

    /// One of `choices`; an empty text if there are none.
    pub(super) fn pick(&mut self, choices: &[&'static str]) -> &'static str {
        let bound = u64::try_from(choices.len()).unwrap_or(0);
        let position = usize::try_from(self.below(bound)).unwrap_or(0);
        choices.get(position).copied().unwrap_or_default()
    }

    /// Sixteen hexadecimal digits, the form of an `OpenTelemetry` span id.
    pub(super) fn hexadecimal(&mut self) -> String {
        format!("{:016x}", self.draw())
    }

    /// A version 4 UUID.
    pub(super) fn uuid(&mut self) -> Uuid {
        let bits = (u128::from(self.draw()) << 64) | u128::from(self.draw());
        Builder::from_random_bytes(bits.to_be_bytes()).into_uuid()
    }
}

/// The version 4 UUID of the run with this number (below 2⁴⁸).
///
/// The number is encrypted in the first 48 bits, so that a run can be found by its id without a
/// table of ids, while the ids look random.
pub(super) fn run_id(seed: u64, number: u64) -> Uuid {
    let enciphered = encipher(seed, number);
    let mut random = Seeded::new(combine(seed, enciphered));
    let rest = (u128::from(random.draw()) << 64) | u128::from(random.draw());
    let bits = (u128::from(enciphered) << 80) | (rest >> 48);
    Builder::from_random_bytes(bits.to_be_bytes()).into_uuid()
}

/// The number of the run with this id; `None` if it is not an id of this seed.
pub(super) fn run_number(seed: u64, id: &str) -> Option<u64> {
    let uuid = Uuid::try_parse(id).ok()?;
    let enciphered = u64::try_from(uuid.as_u128() >> 80).ok()?;
    let number = decipher(seed, enciphered);
    (run_id(seed, number).to_string() == id).then_some(number)
}

const fn scramble(seed: u64, half: u64, round: u64) -> u64 {
    combine(seed ^ round, half) & HALF_MASK
}

fn encipher(seed: u64, number: u64) -> u64 {
    let (mut left, mut right) = (number >> HALF_BITS & HALF_MASK, number & HALF_MASK);
    for round in 0..FEISTEL_ROUNDS {
        (left, right) = (right, left ^ scramble(seed, right, round));
    }
    left << HALF_BITS | right
}

fn decipher(seed: u64, enciphered: u64) -> u64 {
    let (mut left, mut right) = (enciphered >> HALF_BITS & HALF_MASK, enciphered & HALF_MASK);
    for round in (0..FEISTEL_ROUNDS).rev() {
        (left, right) = (right ^ scramble(seed, left, round), left);
    }
    left << HALF_BITS | right
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn ids_lead_back_to_numbers() {
        let mut seen = HashSet::new();
        for number in (0..2000).chain([HALF_MASK, HALF_MASK + 1, (1 << 48) - 1]) {
            let id = run_id(7, number).to_string();
            assert_eq!(run_number(7, &id), Some(number));
            assert_eq!(run_number(8, &id), None);
            assert_eq!(run_number(7, &id.to_uppercase()), None);
            assert!(seen.insert(id));
        }
        assert_eq!(run_number(7, "no id"), None);
    }

    #[test]
    fn numbers_stay_the_same_in_every_version() {
        // The reference values of splitmix64 for the seed 1234567.
        let mut random = Seeded::new(1_234_567);
        assert_eq!(random.draw(), 6_457_827_717_110_365_317);
        assert_eq!(random.draw(), 3_203_168_211_198_807_973);
    }

    #[test]
    fn draws_keep_their_bounds() {
        let mut random = Seeded::new(1);
        for _ in 0..1000 {
            assert!((3..=5).contains(&random.between(3, 5)));
            assert_ne!(random.weighted(&[1, 0, 1]), 1);
        }
        assert_eq!(random.below(0), 0);
    }
}
