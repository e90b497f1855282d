//! Which path filled which column, and which members no column consumed: what `doctor` shows.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::json::{Body, Node, TimeUnit, object_lists};
use crate::tables::{ListDocument, MappedTable, Origin};

/// How the bodies seen so far match the declarations.
#[derive(Debug, Default, Serialize)]
pub struct MappingReport {
    /// Tables that are filled from bodies.
    pub tables: Vec<TableReport>,
    /// Arrays of objects that no list uses.
    pub unused_lists: Vec<UnusedList>,
    /// Evaluations in which no list of criteria was found.
    pub evaluations_without_criteria: usize,
}

/// An array of objects in a document whose elements are rows of no table.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct UnusedList {
    /// The document, by its name in `[[lists]]`.
    pub document: &'static str,
    /// Where in it, in the form of `[[lists]]`.
    pub path: String,
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
    /// Members that no column consumed, with the number of rows that have them.
    pub untaken: BTreeMap<String, usize>,
}

/// One column of a [`TableReport`].
#[derive(Debug, Serialize)]
pub struct ColumnReport {
    /// The column.
    pub column: String,
    /// The paths that filled it, with the number of rows; empty if none did.
    pub filled_from: BTreeMap<String, usize>,
    /// The paths that were tried.
    pub tried: Vec<String>,
    /// Those of the user's own paths at which no row has a value.
    pub unmatched: Vec<String>,
    /// The units in which durations were stated, or that start and end showed, with the number of
    /// rows.
    pub units: BTreeMap<&'static str, usize>,
}

/// What was seen in documents while rows were added.
#[derive(Debug, Default)]
pub(super) struct DocumentUsage {
    unused_lists: BTreeSet<UnusedList>,
    evaluations_without_criteria: usize,
}

impl DocumentUsage {
    /// Records the arrays of objects in a body besides those at `taken`.
    pub(super) fn note_lists(
        &mut self,
        document: ListDocument,
        body: &Body<'_>,
        taken: &[Option<&String>],
    ) {
        let taken: Vec<&str> = taken.iter().flatten().map(|path| path.as_str()).collect();
        let unused = object_lists(body, &taken).into_iter();
        let document = document.name();
        self.unused_lists.extend(unused.map(|path| UnusedList { document, path }));
    }

    pub(super) fn note_evaluation_without_criteria(&mut self) {
        self.evaluations_without_criteria += 1;
    }

    pub(super) fn report(&self, tables: Vec<TableReport>) -> MappingReport {
        MappingReport {
            tables,
            unused_lists: self.unused_lists.iter().cloned().collect(),
            evaluations_without_criteria: self.evaluations_without_criteria,
        }
    }
}

/// Counts while rows are added.
#[derive(Debug)]
pub(super) struct Usage {
    rows: usize,
    ranks: Vec<BTreeMap<usize, usize>>,
    /// Columns, and ranks of their sources, at which a value was found.
    matched: BTreeSet<(usize, usize)>,
    units: BTreeMap<(usize, &'static str), usize>,
    untaken: BTreeMap<String, usize>,
}

impl Usage {
    pub(super) fn new(mapped: &MappedTable) -> Self {
        let ranks = vec![BTreeMap::new(); mapped.columns.len()];
        let (matched, units) = (BTreeSet::new(), BTreeMap::new());
        Self { rows: 0, ranks, matched, units, untaken: BTreeMap::new() }
    }

    pub(super) fn note_source(&mut self, column: usize, rank: usize) {
        if let Some(ranks) = self.ranks.get_mut(column) {
            *ranks.entry(rank).or_default() += 1;
        }
    }

    pub(super) fn note_candidate(&mut self, column: usize, rank: usize) {
        self.matched.insert((column, rank));
    }

    pub(super) fn note_unit(&mut self, column: usize, unit: TimeUnit) {
        *self.units.entry((column, unit.name())).or_default() += 1;
    }

    pub(super) fn note_row(&mut self, extra: Option<&str>) {
        self.rows += 1;
        let node = extra.and_then(|extra| Node::from_source(extra).ok());
        for (key, _) in node.and_then(Node::members).unwrap_or_default() {
            *self.untaken.entry(key.into_owned()).or_default() += 1;
        }
    }

    pub(super) fn report(&self, mapped: &MappedTable) -> TableReport {
        let columns = mapped.columns.iter().zip(&self.ranks).enumerate();
        let columns = columns
            .filter(|(_, (column, _))| matches!(column.origin, Origin::Body | Origin::Key))
            .map(|(index, (column, ranks))| {
                let is_unmatched =
                    |rank: &usize| column.configured && !self.matched.contains(&(index, *rank));
                let own_units = self.units.iter().filter(|((column, _), _)| *column == index);
                let path = |rank: &usize| column.sources.get(*rank).cloned().unwrap_or_default();
                ColumnReport {
                    column: column.name.clone(),
                    filled_from: ranks.iter().map(|(rank, rows)| (path(rank), *rows)).collect(),
                    tried: column.sources.clone(),
                    unmatched: (0..column.sources.len())
                        .filter(is_unmatched)
                        .map(|rank| path(&rank))
                        .collect(),
                    units: own_units.map(|((_, unit), rows)| (*unit, *rows)).collect(),
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
