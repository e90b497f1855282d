//! A delivery's hold on the DuckDB file, which survives DuckDB's want of memory.
//!
//! A statement that ran out of memory can be repeated on the same connection, but a COMMIT or a
//! CHECKPOINT that did so invalidates the database: only opening it anew helps. So that is done in
//! every case, with a higher limit; the file then says whether the step was applied.

use std::collections::BTreeMap;

use super::apply::{Step, apply};
use super::database::{Applied, Database};
use super::fault::Fault;
use super::sql::TablePlan;
use super::{DeliverError, DeliveryOptions};
use crate::lake::LakeView;
use crate::tables::Mapping;

/// The open file, and what it holds.
#[derive(Debug)]
pub(super) struct Session<'d> {
    lake: &'d LakeView,
    plan: TablePlan,
    options: DeliveryOptions,
    /// `None` only while a step has it, or after one that failed.
    database: Option<Database>,
    applied: Applied,
}

/// A merge of many days can move parts more than once while they are looked for.
const MISSING_TRIES: u32 = 5;

impl<'d> Session<'d> {
    /// Opens the file and makes what it lacks.
    ///
    /// # Errors
    /// [`DeliverError`] where it is held, or not this lake's.
    pub(super) async fn open(
        lake: &'d LakeView,
        mapping: &Mapping,
        options: &DeliveryOptions,
    ) -> Result<Self, DeliverError> {
        let (plan, options) = (TablePlan::new(mapping), options.clone());
        let applied = Applied { commit: 0, name: String::new() };
        let mut session = Self { lake, plan, options, database: None, applied };
        session.applied = session.acquire().await?;
        Ok(session)
    }

    /// The last commit that the file holds.
    pub(super) fn applied(&self) -> &Applied {
        &self.applied
    }

    /// Lets go of the file, and opens it again.
    pub(super) async fn reopen(&mut self) -> Result<(), DeliverError> {
        self.release().await?;
        self.acquire().await.map(drop)
    }

    /// Lets go of the file, with everything in it and no journal beside it.
    pub(super) async fn close(mut self) -> Result<(), DeliverError> {
        self.release().await
    }

    /// Applies a step and makes it durable. Returns the step and the rows that it brought, by table.
    pub(super) async fn apply(
        &mut self,
        mut step: Step,
    ) -> Result<(Step, BTreeMap<String, u64>), DeliverError> {
        let mut tries = 0;
        loop {
            tries += 1;
            let database = self.open_database().await?;
            let (lake, plan, expected) =
                (self.lake.clone(), self.plan.clone(), self.applied.clone());
            let task = tokio::task::spawn_blocking(move || {
                let done = apply(&database, &lake, &plan, &step, &expected);
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
                // Parts that were merged meanwhile are found where they are kept.
                Err(error) if error.is(&Fault::FileMissing) && tries < MISSING_TRIES => {
                    self.database = Some(database);
                }
                Err(error) => {
                    drop(database);
                    raise_memory(&mut self.options, error)?;
                    let applied = self.acquire().await?;
                    // Its transaction was committed, and the checkpoint came when the file was closed.
                    if step.ends_at().is_some_and(|end| end == applied) {
                        self.applied = applied;
                        let rows = step.rows(&self.plan);
                        return Ok((step, rows));
                    }
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

    /// Opens the file and makes what it lacks: also after a failure, as tables that no checkpoint made
    /// durable are gone. Returns the last commit that the file holds.
    async fn acquire(&mut self) -> Result<Applied, DeliverError> {
        loop {
            let database = Database::open(&self.options).await?;
            self.options.memory_limit_mb = database.memory_limit_mb();
            match database.prepare(self.lake, &self.plan) {
                Ok(applied) => {
                    self.database = Some(database);
                    return Ok(applied);
                }
                Err(error) => raise_memory(&mut self.options, error)?,
            }
        }
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

/// Raises DuckDB's memory limit where an error means that it needs more.
///
/// # Errors
/// The error itself where it means something else, or where the limit is high already.
fn raise_memory(options: &mut DeliveryOptions, error: DeliverError) -> Result<(), DeliverError> {
    let more = match &error {
        DeliverError::Duckdb { fault: Fault::OutOfMemory, action, .. } => {
            options.raise_memory(options.memory_limit_mb, action)
        }
        _ => None,
    };
    options.memory_limit_mb = more.ok_or(error)?;
    Ok(())
}
