//! Options of a delivery to a DuckDB file.

use std::path::PathBuf;
use std::time::Duration;

use tokio::sync::watch;

use crate::config::{DuckdbDocuments, DuckdbSettings};
use crate::event::{Event, Events};
use crate::lake::LakeStore;
use crate::query::{link_target, more_memory};
use crate::targets::DeliverError;

/// Options of a delivery.
#[derive(Clone, Debug)]
pub struct DeliveryOptions {
    /// Path of the DuckDB file; can be a symbolic link.
    pub path: PathBuf,
    /// Path of the published copy; `None` for no copy.
    pub publish: Option<PathBuf>,
    /// What `documents` is in the file; `None` for what suits the lake: a view if it is in a folder,
    /// a table if it is in an object store.
    pub documents: Option<DuckdbDocuments>,
    /// How long to wait while another process holds the file.
    pub lock_wait: Duration,
    /// Memory limit of DuckDB, in megabytes; raised when DuckDB needs more.
    pub memory_limit_mb: u64,
    /// Receives waits and notices.
    pub events: Events,
    /// Becomes true when a stop is requested: the delivery then no longer waits for the process
    /// that holds the file, and applies at most one group of commits.
    pub stop: Option<watch::Receiver<bool>>,
}

impl DeliveryOptions {
    /// Options as configured, without a stop signal.
    pub fn new(settings: &DuckdbSettings, events: Events) -> Self {
        Self {
            path: settings.path.clone(),
            publish: settings.publish.clone(),
            documents: settings.documents,
            lock_wait: Duration::from_secs(settings.lock_wait_secs),
            memory_limit_mb: settings.memory_limit_mb,
            events,
            stop: None,
        }
    }

    /// Sets the stop signal: see [`DeliveryOptions::stop`].
    pub fn until(self, stop: watch::Receiver<bool>) -> Self {
        Self { stop: Some(stop), ..self }
    }

    /// What `documents` is in the file of a lake.
    ///
    /// # Errors
    /// [`DeliverError::ViewOfStore`] for a view of a lake in an object store: every reader of the
    /// file would need credentials of the store.
    pub(super) fn documents_in(&self, lake: &LakeStore) -> Result<DuckdbDocuments, DeliverError> {
        match (self.documents, lake.local_folder()) {
            (Some(DuckdbDocuments::View), None) => {
                Err(DeliverError::ViewOfStore { path: self.path.clone() })
            }
            (Some(documents), _) => Ok(documents),
            (None, Some(_)) => Ok(DuckdbDocuments::View),
            (None, None) => Ok(DuckdbDocuments::Table),
        }
    }

    /// The file that the path names after all symbolic links: DuckDB's journal and temporary files
    /// belong beside it, and a rebuild replaces it.
    pub(super) fn file(&self) -> PathBuf {
        link_target(&self.path)
    }

    /// Raises a memory limit of DuckDB in megabytes, and emits a notice; `None` if the limit is at
    /// its maximum.
    pub(super) fn raise_memory(&self, megabytes: u64, action: &str) -> Option<u64> {
        let more = more_memory(megabytes)?;
        let notice =
            format!("DuckDB needs more than {megabytes} MB to {action}: it may take {more} MB");
        self.events.emit(Event::Notice(notice));
        Some(more)
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.stop.as_ref().is_some_and(|stop| *stop.borrow())
    }

    /// Completes when a stop is requested.
    pub(super) async fn stopped(&self) {
        if let Some(mut stop) = self.stop.clone()
            && stop.wait_for(|stop| *stop).await.is_ok()
        {
            return;
        }
        std::future::pending::<()>().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Settings;

    #[test]
    fn documents_are_a_view_only_of_a_lake_in_a_folder() {
        let documents_in = |lake: &str, documents: Option<DuckdbDocuments>| {
            let mut settings = Settings::default();
            settings.lake.path = PathBuf::from(lake);
            settings.duckdb.documents = documents;
            let lake = LakeStore::configured(&settings).unwrap();
            DeliveryOptions::new(&settings.duckdb, Events::none()).documents_in(&lake)
        };
        let (folder, store) = ("/lake", "s3://bucket/lake");
        assert_eq!(documents_in(folder, None).unwrap(), DuckdbDocuments::View);
        assert_eq!(documents_in(store, None).unwrap(), DuckdbDocuments::Table);
        for set in [DuckdbDocuments::Table, DuckdbDocuments::View, DuckdbDocuments::None] {
            assert_eq!(documents_in(folder, Some(set)).unwrap(), set);
            match documents_in(store, Some(set)) {
                Ok(documents) => assert_eq!(documents, set),
                Err(DeliverError::ViewOfStore { .. }) => assert_eq!(set, DuckdbDocuments::View),
                Err(other) => panic!("{other}"),
            }
        }
        assert!(documents_in(store, Some(DuckdbDocuments::View)).is_err());
    }
}
