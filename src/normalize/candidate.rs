//! Values of a body that could fill a column, and the problems found on the way.

use crate::json::{Address, Node};
use crate::tables::MappedColumn;

/// A value in the body that could fill a column.
pub(super) struct Candidate<'a> {
    pub(super) column: usize,
    pub(super) record: usize,
    pub(super) rank: usize,
    pub(super) address: Address,
    pub(super) node: Node<'a>,
}

/// A value of a row that did not fit, or not completely.
pub(super) struct Problem<'m> {
    pub(super) column: &'m MappedColumn,
    pub(super) source: String,
    pub(super) found: &'static str,
    pub(super) what: &'static str,
}
