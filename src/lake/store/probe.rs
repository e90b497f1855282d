//! Whether an object store keeps the conditions of writes. Some accept them and ignore them: then two
//! writers could each believe that their commit of a number is the one.

use std::sync::Arc;

use object_store::{Error, ObjectStore, ObjectStoreExt, PutMode, PutOptions, UpdateVersion};
use uuid::Uuid;

use super::address::key;
use super::remote::{Remote, none_if_not_found, run};
use crate::lake::LakeError;

/// Creates one object twice, and replaces it twice from the same version: the second time must be
/// refused. Removes the object again.
pub(super) async fn check_conditions(remote: &Arc<Remote>) -> Result<(), LakeError> {
    let path = format!("_armature/probe-{}", Uuid::new_v4().simple());
    let (objects, at) = (Arc::clone(&remote.objects), key(&path));
    let probed = run(async move {
        let probed = probe(&*objects, &at).await;
        none_if_not_found(objects.delete(&at).await)?;
        probed
    });
    match probed.await.map_err(remote.failed("write a test object", &path))? {
        None => Ok(()),
        Some(missing) => Err(LakeError::Conditions { path: remote.location(""), missing }),
    }
}

/// The condition that the store does not keep; `None` if it keeps all.
async fn probe(
    objects: &dyn ObjectStore,
    at: &object_store::path::Path,
) -> Result<Option<&'static str>, Error> {
    const CREATE: &str = "\"create only if absent\"";
    const UPDATE: &str = "\"replace only this version\"";
    let put = async |content: &'static str, mode: PutMode| {
        let options = PutOptions { mode, ..PutOptions::default() };
        objects.put_opts(at, content.into(), options).await
    };
    let first = match put("first", PutMode::Create).await {
        Err(Error::NotImplemented { .. } | Error::NotSupported { .. }) => return Ok(Some(CREATE)),
        first => first?,
    };
    match put("second", PutMode::Create).await {
        Err(Error::AlreadyExists { .. }) => {}
        Ok(_) => return Ok(Some(CREATE)),
        Err(error) => return Err(error),
    }
    if objects.get(at).await?.bytes().await? != "first" {
        return Ok(Some(CREATE));
    }
    let version = UpdateVersion::from(first);
    if version.e_tag.is_none() && version.version.is_none() {
        return Ok(Some(UPDATE));
    }
    match put("third", PutMode::Update(version.clone())).await {
        Err(Error::NotImplemented { .. } | Error::NotSupported { .. }) => return Ok(Some(UPDATE)),
        third => third?,
    };
    match put("fourth", PutMode::Update(version)).await {
        Err(Error::Precondition { .. }) => Ok(None),
        Ok(_) => Ok(Some(UPDATE)),
        Err(error) => Err(error),
    }
}
