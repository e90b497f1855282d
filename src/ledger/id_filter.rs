//! A Bloom filter of run ids: tells cheaply that a shard of the ledger does not hold a run.

use crate::digest::fingerprint;

/// A set of run ids that can err in one direction: an id of the set is always found, and of other
/// ids about one in a hundred thousand is found, too. Such an error costs a read of the shard.
///
/// It is a split block Bloom filter, as in Parquet: an id sets one bit in each of the eight words of
/// one block, so that a lookup reads 32 bytes in one place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdFilter {
    blocks: Vec<[u32; WORDS]>,
}

const WORDS: usize = 8;

/// Ids for each block of 256 bits: 32 bits an id.
const IDS_A_BLOCK: usize = 8;

/// Odd multipliers that choose the bit of each word, from the specification of Parquet.
const SALT: [u32; WORDS] = [
    0x47b6_137b,
    0x4497_4d91,
    0x8824_ad5b,
    0xa2b7_289d,
    0x7054_95c7,
    0x2df1_424b,
    0x9efc_4947,
    0x5c6b_fb31,
];

/// What is looked up in a filter instead of an id. It does not depend on the filter.
#[derive(Clone, Copy, Debug)]
pub(super) struct IdDigest(u64);

impl IdDigest {
    pub(super) fn of(run_id: &str) -> Self {
        Self(fingerprint([run_id.as_bytes()]))
    }

    /// The bit of each word, from the lower half.
    fn bits(self) -> [u32; WORDS] {
        let low = u32::try_from(self.0 & u64::from(u32::MAX)).unwrap_or_default();
        SALT.map(|salt| 1 << (low.wrapping_mul(salt) >> 27))
    }

    /// The block, from the upper half.
    fn block(self, blocks: usize) -> usize {
        let blocks = u64::try_from(blocks).unwrap_or(u64::MAX);
        usize::try_from(((self.0 >> 32) * blocks) >> 32).unwrap_or_default()
    }
}

impl IdFilter {
    /// The filter of some ids, of which there are `count`.
    pub fn of<'i>(run_ids: impl Iterator<Item = &'i str>, count: usize) -> Self {
        let mut blocks = vec![[0; WORDS]; count.div_ceil(IDS_A_BLOCK).max(1)];
        for run_id in run_ids {
            let digest = IdDigest::of(run_id);
            let block = digest.block(blocks.len());
            if let Some(words) = blocks.get_mut(block) {
                for (word, bit) in words.iter_mut().zip(digest.bits()) {
                    *word |= bit;
                }
            }
        }
        Self { blocks }
    }

    /// False only if the id is not in the set.
    pub(super) fn may_hold(&self, digest: IdDigest) -> bool {
        // A filter without blocks, which no file decodes to, would exclude nothing.
        self.blocks
            .get(digest.block(self.blocks.len()))
            .is_none_or(|words| words.iter().zip(digest.bits()).all(|(word, bit)| word & bit != 0))
    }

    /// The filter as bytes: its words in little-endian order.
    pub fn encode(&self) -> Vec<u8> {
        self.blocks.iter().flatten().flat_map(|word| word.to_le_bytes()).collect()
    }

    /// Decodes what [`IdFilter::encode`] encoded; `None` if the bytes are not a filter.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let (blocks, []) = bytes.as_chunks::<{ WORDS * 4 }>() else { return None };
        if blocks.is_empty() {
            return None;
        }
        let word = |bytes: &[u8; 4]| u32::from_le_bytes(*bytes);
        let block = |bytes: &[u8; WORDS * 4]| {
            let (words, _) = bytes.as_chunks::<4>();
            let mut block = [0; WORDS];
            block.iter_mut().zip(words).for_each(|(to, from)| *to = word(from));
            block
        };
        Some(Self { blocks: blocks.iter().map(block).collect() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_id_is_found_and_hardly_any_other() {
        let id = |number: u32| format!("run-{number}");
        let ids: Vec<String> = (0..32_768).map(id).collect();
        let filter = IdFilter::of(ids.iter().map(String::as_str), ids.len());
        let bytes = filter.encode();
        assert_eq!(bytes.len(), 4 * 32_768);
        let filter = IdFilter::decode(&bytes).unwrap();
        assert!(ids.iter().all(|id| filter.may_hold(IdDigest::of(id))));
        let others = (100_000..600_000).filter(|other| filter.may_hold(IdDigest::of(&id(*other))));
        // Expected are about five.
        assert!(others.count() < 50);
    }

    #[test]
    fn the_filter_of_no_ids_holds_none_and_other_bytes_are_no_filter() {
        let filter = IdFilter::of(std::iter::empty(), 0);
        assert!(!filter.may_hold(IdDigest::of("a")));
        assert_eq!(IdFilter::decode(&filter.encode()).as_ref(), Some(&filter));
        assert_eq!(IdFilter::decode(&[]), None);
        assert_eq!(IdFilter::decode(&[0; 31]), None);
    }
}
