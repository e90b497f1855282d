//! Bounds of columns in the single-value encoding of the Iceberg specification.

use crate::lake::Bound;
use crate::tables::Kind;

/// A bound of a column as bytes; `None` if it is not a value of that type.
pub(super) fn encode(bound: &Bound, kind: Kind) -> Option<Vec<u8>> {
    match (kind, bound) {
        (Kind::Boolean, Bound::Boolean(truth)) => Some(vec![u8::from(*truth)]),
        (Kind::Integer | Kind::Timestamp, Bound::Integer(number)) => {
            Some(number.to_le_bytes().to_vec())
        }
        (Kind::Date, Bound::Integer(days)) => {
            i32::try_from(*days).ok().map(|days| days.to_le_bytes().to_vec())
        }
        (Kind::Float, Bound::Text(text)) => {
            text.parse::<f64>().ok().map(|number| number.to_le_bytes().to_vec())
        }
        (Kind::Decimal, Bound::Text(text)) => text.parse().ok().map(unscaled),
        (Kind::Text, Bound::Text(text)) => Some(text.clone().into_bytes()),
        _ => None,
    }
}

/// The unscaled value of a decimal in two's complement, the most significant byte first, in as few
/// bytes as possible.
fn unscaled(number: i128) -> Vec<u8> {
    let bytes = number.to_be_bytes();
    let fill = if number < 0 { 0xff } else { 0 };
    // A byte can be left out if it only repeats the sign bit of the next one.
    let superfluous = bytes
        .iter()
        .zip(bytes.iter().skip(1))
        .take_while(|(byte, next)| **byte == fill && (**next & 0x80 != 0) == (number < 0))
        .count();
    bytes.into_iter().skip(superfluous).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn values_are_encoded_as_the_specification_states() {
        let text = |text: &str| Bound::Text(text.to_owned());
        for (bound, kind, expected) in [
            (Bound::Boolean(true), Kind::Boolean, Some(vec![1])),
            (
                Bound::Integer(-2),
                Kind::Integer,
                Some(vec![0xfe, 255, 255, 255, 255, 255, 255, 255]),
            ),
            (Bound::Integer(258), Kind::Timestamp, Some(vec![2, 1, 0, 0, 0, 0, 0, 0])),
            (Bound::Integer(20_000), Kind::Date, Some(vec![0x20, 0x4e, 0, 0])),
            (Bound::Integer(i64::MAX), Kind::Date, None),
            (text("1.5"), Kind::Float, Some(vec![0, 0, 0, 0, 0, 0, 0xf8, 0x3f])),
            (text("0"), Kind::Decimal, Some(vec![0])),
            (text("127"), Kind::Decimal, Some(vec![0x7f])),
            (text("128"), Kind::Decimal, Some(vec![0, 0x80])),
            (text("-128"), Kind::Decimal, Some(vec![0x80])),
            (text("-129"), Kind::Decimal, Some(vec![0xff, 0x7f])),
            (text("é"), Kind::Text, Some(vec![0xc3, 0xa9])),
            (text("{}"), Kind::Json, None),
            (Bound::Integer(1), Kind::Text, None),
        ] {
            assert_eq!(encode(&bound, kind), expected, "{bound:?} as {kind:?}");
        }
    }

    proptest! {
        #[test]
        fn decimals_take_as_few_bytes_as_possible(number in any::<i128>(), shift in 0_u32..128) {
            let number = number >> shift;
            let bytes = unscaled(number);
            let fill = if number < 0 { 0xff } else { 0 };
            let mut whole = vec![fill; 16 - bytes.len()];
            whole.extend(&bytes);
            prop_assert_eq!(i128::from_be_bytes(whole.try_into().unwrap()), number);
            // One byte less would be another number.
            let bits = 8 * (bytes.len() - 1);
            let fits = bits > 0 && (number >> (bits - 1) == 0 || number >> (bits - 1) == -1);
            prop_assert!(!fits, "{} in {:?}", number, bytes);
        }
    }
}
