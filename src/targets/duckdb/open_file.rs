//! The open DuckDB file of one delivery, which recovers when DuckDB runs out of memory.
//!
//! A statement that ran out of memory can be repeated on the same connection. A COMMIT or a
//! CHECKPOINT that did so invalidates the database, and only reopening it helps. The file is
//! therefore reopened in every case, with a higher limit; the commit number in the file then shows
//! whether the step was applied.

use std::collections::BTreeMap;

use super::apply::{DeliveryStep, apply};
use super::database::{Applied, Database};
use super::documents::Documents;
use super::options::DeliveryOptions;
use crate::event::Event;
use crate::lake::{LakeView, LiveFile};
use crate::query::{Fault, QueryError, TablePlan};
use crate::tables::{DOCUMENTS, Mapping};
use crate::targets::DeliverError;

/// The open file, and the last commit that it holds.
#[derive(Debug)]
pub(super) struct OpenFile<'d> {
    lake: &'d LakeView,
    /// The tables; `documents` only if it is to be one.
    plan: TablePlan,
    documents: Documents,
    options: DeliveryOptions,
    /// `None` only while a step uses it, or after a failed step.
    database: Option<Database>,
    applied: Applied,
}

/// Maximum number of tries for a step whose data files are not found: a merge of many days can move
/// data files more than once meanwhile.
const MISSING_TRIES: u32 = 5;

impl<'d> OpenFile<'d> {
    /// Opens the file and creates missing tables and columns.
    ///
    /// # Errors
    /// [`DeliverError`] if the file is held, or belongs to another lake.
    pub(super) async fn open(
        lake: &'d LakeView,
        mapping: &Mapping,
        options: &DeliveryOptions,
    ) -> Result<Self, DeliverError> {
        let (mut plan, mut options) = (TablePlan::new(mapping), options.clone());
        let documents = Documents::new(&options, lake.store(), &plan)?;
        if !documents.is_table() {
            plan = plan.without(&DOCUMENTS);
        }
        let (database, applied) = open_prepared(lake, &plan, &documents, &mut options).await?;
        Ok(Self { lake, plan, documents, options, database: Some(database), applied })
    }

    /// The last commit that the file holds.
    pub(super) fn applied(&self) -> &Applied {
        &self.applied
    }

    /// Closes the file, and opens it again.
    pub(super) async fn reopen(&mut self) -> Result<(), DeliverError> {
        self.release().await?;
        self.acquire().await.map(drop)
    }

    /// Makes `documents` what it is to be. Returns the rows that were added, by table; `None` if
    /// there was nothing to do.
    ///
    /// # Errors
    /// [`DeliverError`]; `documents` is then what it was.
    pub(super) async fn change_documents(
        &mut self,
    ) -> Result<Option<BTreeMap<String, u64>>, DeliverError> {
        let found = self.with_more_memory(Database::documents).await?;
        if self.documents.is(found.as_ref()) {
            return Ok(None);
        }
        let mut parts = Vec::new();
        if self.documents.is_table() {
            let (snapshot, applied) = (self.lake.snapshot().await?, self.applied.commit);
            let is_wanted = |live: &&LiveFile| {
                live.part.table == DOCUMENTS.name && live.commits().least <= applied
            };
            parts.extend(snapshot.iter().filter(is_wanted).map(|live| live.part.clone()));
        }
        let (_, rows) = self.apply(DeliveryStep::Documents(parts)).await?;
        if self.applied.commit > 0 {
            let (file, words) = (self.options.path.display(), self.documents.words());
            let notice = format!("`documents` in `{file}` is now {words} (duckdb.documents)");
            self.options.events.emit(Event::Notice(notice));
        }
        Ok(Some(rows))
    }

    /// Creates the views of the metrics if the file lacks them, or has those of another version.
    ///
    /// This comes after the rows, and in a file that was opened anew: DuckDB keeps 8 MB for the new
    /// views until the file is closed, and reads the definitions of all views at each opening.
    pub(super) async fn create_views(&mut self) -> Result<(), DeliverError> {
        if self.with_more_memory(Database::has_views).await? {
            return Ok(());
        }
        self.reopen().await?;
        self.with_more_memory(Database::create_views).await
    }

    /// Closes the file after a checkpoint, so that no journal remains beside it.
    pub(super) async fn close(mut self) -> Result<(), DeliverError> {
        self.release().await
    }

    /// Applies a step and makes it durable. Returns the step and the rows that it added, by table.
    pub(super) async fn apply(
        &mut self,
        mut step: DeliveryStep,
    ) -> Result<(DeliveryStep, BTreeMap<String, u64>), DeliverError> {
        let mut tries = 0;
        loop {
            tries += 1;
            let database = self.open_database().await?;
            let (lake, plan, expected) =
                (self.lake.clone(), self.plan.clone(), self.applied.clone());
            let documents = self.documents.clone();
            let task = tokio::task::spawn_blocking(move || {
                let done = apply(&database, &lake, &plan, &documents, &step, &expected);
                (database, step, done)
            });
            let (database, back, done) =
                task.await.map_err(|error| DeliverError::Stopped(error.to_string()))?;
            step = back;
            match done {
                Ok(rows) => {
                    self.database = Some(database);
                    if let Some(applied) = step.ends_at() {
                        self.applied = applied;
                    }
                    return Ok((step, rows));
                }
                // Data files that were merged meanwhile: the next try finds them among the
                // tombstones.
                Err(error) if error.is(&Fault::FileMissing) && tries < MISSING_TRIES => {
                    self.database = Some(database);
                }
                Err(error) => {
                    drop(database);
                    raise_memory(&mut self.options, error)?;
                    let applied = self.acquire().await?;
                    // The transaction was committed although the step failed: closing the file
                    // wrote the checkpoint. Applying the step again would duplicate its rows.
                    if step.ends_at().is_some_and(|end| end == applied) {
                        self.applied = applied;
                        let rows = step.rows(&self.plan);
                        return Ok((step, rows));
                    }
                }
            }
        }
    }

    /// Runs a job on the open file; again, with a higher limit, if DuckDB ran out of memory.
    async fn with_more_memory<T>(
        &mut self,
        job: impl Fn(&Database) -> Result<T, DeliverError>,
    ) -> Result<T, DeliverError> {
        loop {
            let database = self.open_database().await?;
            match job(&database) {
                Ok(done) => {
                    self.database = Some(database);
                    return Ok(done);
                }
                Err(error) => {
                    drop(database);
                    raise_memory(&mut self.options, error)?;
                }
            }
        }
    }

    async fn open_database(&mut self) -> Result<Database, DeliverError> {
        if self.database.is_none() {
            self.acquire().await?;
        }
        self.database.take().ok_or_else(|| DeliverError::Stopped("the file is not open".to_owned()))
    }

    /// Opens the file again. Returns the last commit that it holds.
    async fn acquire(&mut self) -> Result<Applied, DeliverError> {
        let (database, applied) =
            open_prepared(self.lake, &self.plan, &self.documents, &mut self.options).await?;
        self.database = Some(database);
        Ok(applied)
    }

    async fn release(&mut self) -> Result<(), DeliverError> {
        while let Some(database) = self.database.take() {
            if let Err(error) = database.close() {
                raise_memory(&mut self.options, error)?;
                self.acquire().await?;
            }
        }
        Ok(())
    }
}

/// Opens the file and creates missing tables and columns. This is needed after a failure too, because
/// tables without a checkpoint are gone. Returns the file and the last commit that it holds.
async fn open_prepared(
    lake: &LakeView,
    plan: &TablePlan,
    documents: &Documents,
    options: &mut DeliveryOptions,
) -> Result<(Database, Applied), DeliverError> {
    loop {
        let database = Database::open(options, documents).await?;
        options.memory_limit_mb = database.memory_limit_mb();
        match database.prepare(lake, plan) {
            Ok(applied) => return Ok((database, applied)),
            Err(error) => raise_memory(options, error)?,
        }
    }
}

/// Raises DuckDB's memory limit if an error means that it needs more.
///
/// # Errors
/// The error itself if it means something else, or if the limit is at its maximum.
fn raise_memory(options: &mut DeliveryOptions, error: DeliverError) -> Result<(), DeliverError> {
    let more = match &error {
        DeliverError::Query(QueryError::Duckdb { fault: Fault::OutOfMemory, action, .. }) => {
            options.raise_memory(options.memory_limit_mb, action)
        }
        _ => None,
    };
    options.memory_limit_mb = more.ok_or(error)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{DuckdbDocuments, DuckdbSettings, Filters};
    use crate::event::Events;
    use crate::lake::Identity;
    use crate::targets::duckdb::deliver;

    #[tokio::test]
    async fn no_step_is_applied_after_another_delivery_changed_documents() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("lake");
        std::fs::create_dir_all(root.join("_armature")).unwrap();
        let identity = serde_json::to_vec(&Identity::new(None, Filters::default())).unwrap();
        std::fs::write(root.join("_armature/format.json"), identity).unwrap();
        let (lake, mapping) =
            (LakeView::open(&root).await.unwrap(), Mapping::new(&[], &[]).unwrap());
        let path = folder.path().join("a.duckdb");
        let options = |documents| {
            let documents = Some(documents);
            let settings = DuckdbSettings { path: path.clone(), documents, ..Default::default() };
            DeliveryOptions::new(&settings, Events::none())
        };
        for (mine, other) in [
            (DuckdbDocuments::View, DuckdbDocuments::Table),
            (DuckdbDocuments::Table, DuckdbDocuments::None),
        ] {
            let mut file = OpenFile::open(&lake, &mapping, &options(mine)).await.unwrap();
            file.change_documents().await.unwrap();
            file.release().await.unwrap();
            deliver(&lake, &mapping, &options(other)).await.unwrap();
            let refused = file.apply(DeliveryStep::Merged(Vec::new())).await.unwrap_err();
            assert!(matches!(refused, DeliverError::DocumentsChanged { .. }), "{refused}");
        }
    }
}
