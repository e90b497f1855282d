//! Which path filled which column, and which members no column took: what `doctor` shows.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::json::Node;
use crate::tables::{MappedTable, Origin};

/// How the bodies seen so far met the declarations.
#[derive(Debug, Default, Serialize)]
pub struct MappingReport {
    /// Tables that are filled from bodies.
    pub tables: Vec<TableReport>,
}

/// One table of a [`MappingReport`].
#[derive(Debug, Serialize)]
pub struct TableReport {
    /// The table.
    pub table: &'static str,
    /// Rows seen.
    pub rows: usize,
    /// Columns that are filled from bodies.
    pub columns: Vec<ColumnReport>,
    /// Members that no column took, with the number of rows that have them.
    pub untaken: BTreeMap<String, usize>,
}

/// One column of a [`TableReport`].
#[derive(Debug, Serialize)]
pub struct ColumnReport {
    /// The column.
    pub column: String,
    /// The paths that filled it, with the number of rows; empty where none did.
    pub filled_from: BTreeMap<String, usize>,
    /// The paths that were tried.
    pub tried: Vec<String>,
}

/// Counts while rows are added.
#[derive(Debug)]
pub(super) struct Usage {
    rows: usize,
    ranks: Vec<BTreeMap<usize, usize>>,
    untaken: BTreeMap<String, usize>,
}

impl Usage {
    pub(super) fn new(mapped: &MappedTable) -> Self {
        let ranks = vec![BTreeMap::new(); mapped.columns.len()];
        Self { rows: 0, ranks, untaken: BTreeMap::new() }
    }

    pub(super) fn note_source(&mut self, column: usize, rank: usize) {
        if let Some(ranks) = self.ranks.get_mut(column) {
            *ranks.entry(rank).or_default() += 1;
        }
    }

    pub(super) fn note_row(&mut self, extra: Option<&str>) {
        self.rows += 1;
        let node = extra.and_then(|extra| Node::from_source(extra).ok());
        for (key, _) in node.and_then(Node::members).unwrap_or_default() {
            *self.untaken.entry(key.into_owned()).or_default() += 1;
        }
    }

    pub(super) fn report(&self, mapped: &MappedTable) -> TableReport {
        let columns = mapped.columns.iter().zip(&self.ranks);
        let columns = columns
            .filter(|(column, _)| matches!(column.origin, Origin::Body | Origin::Key))
            .map(|(column, ranks)| {
                let path = |rank: &usize| column.sources.get(*rank).cloned().unwrap_or_default();
                ColumnReport {
                    column: column.name.clone(),
                    filled_from: ranks.iter().map(|(rank, rows)| (path(rank), *rows)).collect(),
                    tried: column.sources.clone(),
                }
            });
        TableReport {
            table: mapped.table.name,
            rows: self.rows,
            columns: columns.collect(),
            untaken: self.untaken.clone(),
        }
    }
}
