//! Full addresses of the lake's files, as table metadata states them.

use std::sync::Arc;

use crate::lake::{LakeStore, Location};
use crate::targets::DeliverError;

/// The addresses of one lake's files.
#[derive(Clone, Debug)]
pub(super) struct Addresses {
    /// The address of the lake's root, without a slash at its end.
    root: Arc<str>,
}

impl Addresses {
    /// The addresses in a lake. A local folder is resolved: readers can have another working folder,
    /// and some do not follow `..`.
    ///
    /// # Errors
    /// [`DeliverError`] if the folder cannot be resolved, or has a character that readers
    /// misinterpret, or if the lake is in Azure.
    pub(super) fn new(store: &LakeStore) -> Result<Self, DeliverError> {
        let root = match store.local_folder() {
            Some(folder) => {
                let resolved = std::fs::canonicalize(folder).map_err(|source| {
                    let (action, path) = ("resolve the folder", folder.to_owned());
                    DeliverError::Io { action, path, source }
                })?;
                format!("file://{}", Location::from(resolved))
            }
            None => store.root().to_string(),
        };
        // Addresses are stated without escapes, because readers do not agree about them.
        if root.contains(['#', '%', '?']) {
            let problem = "contains `#`, `%` or `?`, which Iceberg readers misinterpret";
            return Err(DeliverError::IcebergPath { path: root, problem });
        }
        if root.starts_with("az://") {
            let problem = "is in Azure, where Iceberg readers use another form of address";
            return Err(DeliverError::IcebergPath { path: root, problem });
        }
        Ok(Self { root: root.trim_end_matches('/').into() })
    }

    /// The address of the lake's root, without a slash at its end.
    pub(super) fn root(&self) -> &str {
        &self.root
    }

    /// The address of a path relative to the lake's root.
    pub(super) fn of(&self, path: &str) -> String {
        format!("{}/{path}", self.root)
    }

    /// The path of an address, relative to the lake's root; `None` if it is outside of the lake.
    /// Other programs write `file:/…` or only the path.
    pub(super) fn path_of<'a>(&self, address: &'a str) -> Option<&'a str> {
        let within = |root: &str| address.strip_prefix(root)?.strip_prefix('/');
        let local = || self.root.strip_prefix("file://");
        within(&self.root)
            .or_else(|| within(local()?))
            .or_else(|| within(&format!("file:{}", local()?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_other_programs_are_understood() {
        let folder = tempfile::tempdir().unwrap();
        let addresses = Addresses::new(&LakeStore::local(folder.path())).unwrap();
        let root = folder.path().canonicalize().unwrap();
        let root = root.display();
        assert_eq!(addresses.of("runs/a"), format!("file://{root}/runs/a"));
        for scheme in ["file://", "file:", ""] {
            assert_eq!(addresses.path_of(&format!("{scheme}{root}/runs/a")), Some("runs/a"));
            assert_eq!(addresses.path_of(&format!("{scheme}{root}2/runs/a")), None);
        }
        assert_eq!(addresses.path_of("s3://bucket/runs/a"), None);
    }

    #[test]
    fn folders_with_characters_that_readers_misinterpret_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["a#b", "a%20b", "a?b"] {
            let path = folder.path().join(name);
            std::fs::create_dir(&path).unwrap();
            let error = Addresses::new(&LakeStore::local(&path)).unwrap_err();
            assert!(matches!(error, DeliverError::IcebergPath { .. }), "{error}");
        }
    }
}
