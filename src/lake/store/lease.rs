//! The lease of the one writer of a lake in an object store.
//!
//! It is for politeness: two syncs at once would do all the work twice. That no two writers commit
//! rests on the create of the commit file alone. A process that takes over an expired lease makes an
//! empty commit first, so that the number that the old writer is about to create is taken.
//!
//! No clock is compared with another: a lease is expired if its object did not change for
//! `store.lease_secs` while this process watched it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use object_store::{ObjectStoreExt, UpdateVersion};
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;
use uuid::Uuid;

use super::address::key;
use super::remote::{Remote, none_if_not_found, run, spawn, wait, wait_before_next_look};
use crate::lake::LakeError;

/// The path of the lease.
pub(super) const LEASE: &str = "_armature/lease.json";

/// The holder renews the lease this many times while it is valid.
const HEARTBEATS: u32 = 4;

/// A process that waits for a lease looks at it this many times while it is valid.
const LOOKS: u32 = 20;

/// The content of the lease.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct LeaseFile {
    /// The holder; `None` if the lease is free.
    holder: Option<Holder>,
    /// The number of heartbeats of the holder: every write changes the object.
    beats: u64,
    /// The newest commit that the last writer knew: commits are listed from there.
    newest_commit: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Holder {
    /// An id of this holding.
    id: Uuid,
    /// The process, for messages.
    process: u32,
    /// The name of its machine, for messages.
    machine: Option<String>,
}

/// Held while a process writes to a lake in an object store. Dropping it frees the lease.
#[derive(Debug)]
pub(in crate::lake) struct Lease {
    /// Whether the holder before ended without freeing it.
    pub(super) was_taken_over: bool,
    is_lost: Arc<AtomicBool>,
    /// The newest commit that this writer knows.
    newest_commit: Arc<AtomicU64>,
    /// Asks the heartbeat to free the lease, with a channel for its end.
    free: Option<oneshot::Sender<std::sync::mpsc::SyncSender<()>>>,
}

impl Lease {
    /// Takes the lease. Waits up to `store.lease_secs` to see whether another holder is alive.
    pub(super) async fn take(remote: &Arc<Remote>) -> Result<Self, LakeError> {
        let failed = |error| remote.failed("take the lease", LEASE)(error);
        let holder = Holder {
            id: Uuid::new_v4(),
            process: std::process::id(),
            machine: rustix::system::uname().nodename().to_str().ok().map(str::to_owned),
        };
        let mut lease = LeaseFile { holder: Some(holder), beats: 0, newest_commit: 0 };
        let mut watched: Option<(Option<String>, Instant)> = None;
        let mut taken_over = false;
        loop {
            let Some((found, version)) = read(remote).await? else {
                // Of several processes that create it, one succeeds.
                if remote.create(LEASE, lease.encode()?.into()).await.map_err(failed)? {
                    let (_, version) = read(remote).await?.ok_or_else(|| gone(remote))?;
                    return Self::held(remote, lease, version, false);
                }
                continue;
            };
            // The answer to the update that took it was lost.
            if found.is_of(&lease) {
                return Self::held(remote, lease, version, taken_over);
            }
            let is_expired = match &watched {
                Some((seen, since)) if *seen == version.e_tag => since.elapsed() >= remote.lease,
                Some(_) if found.holder.is_some() => return Err(found.locked(remote)),
                _ => {
                    watched = Some((version.e_tag.clone(), Instant::now()));
                    false
                }
            };
            if found.holder.is_none() || is_expired {
                (lease.newest_commit, taken_over) = (found.newest_commit, is_expired);
                let content = lease.encode()?.into();
                let taken = remote.update(LEASE, content, version).await.map_err(failed)?;
                if let Some(version) = taken {
                    return Self::held(remote, lease, version, taken_over);
                }
                continue;
            }
            tokio::time::sleep(remote.lease / LOOKS).await;
        }
    }

    fn held(
        remote: &Arc<Remote>,
        lease: LeaseFile,
        version: UpdateVersion,
        was_taken_over: bool,
    ) -> Result<Self, LakeError> {
        let is_lost = Arc::new(AtomicBool::new(false));
        let (free, freed) = oneshot::channel();
        let newest_commit = Arc::new(AtomicU64::new(lease.newest_commit));
        let beat = Heartbeat {
            remote: Arc::clone(remote),
            lease,
            version,
            is_lost: Arc::clone(&is_lost),
            newest_commit: Arc::clone(&newest_commit),
        };
        spawn(beat.run(freed)).map_err(remote.failed("take the lease", LEASE))?;
        Ok(Self { was_taken_over, is_lost, newest_commit, free: Some(free) })
    }

    /// Notes the newest commit, for the process that lists commits next.
    pub(super) fn note_commit(&self, commit: u64) {
        self.newest_commit.fetch_max(commit, Ordering::AcqRel);
    }

    /// Whether another process took the lease over.
    pub(super) fn is_lost(&self) -> bool {
        self.is_lost.load(Ordering::Acquire)
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let (done, is_done) = std::sync::mpsc::sync_channel(1);
        if let Some(free) = self.free.take()
            && free.send(done).is_ok()
        {
            // If it takes longer, the lease expires.
            let _late = is_done.recv_timeout(Duration::from_secs(10));
        }
    }
}

impl LeaseFile {
    fn encode(&self) -> Result<Vec<u8>, LakeError> {
        serde_json::to_vec(self)
            .map_err(|error| LakeError::Damaged { path: LEASE.into(), problem: error.to_string() })
    }

    fn locked(&self, remote: &Remote) -> LakeError {
        let holder = self.holder.as_ref().map_or(String::new(), |holder| {
            let machine = holder.machine.as_deref().map_or(String::new(), |on| format!(" on {on}"));
            format!(" (process {}{machine})", holder.process)
        });
        LakeError::Locked { path: remote.location(""), holder }
    }
}

fn gone(remote: &Remote) -> LakeError {
    let problem = "it was removed at the moment when it was taken".to_owned();
    LakeError::Damaged { path: remote.location(LEASE), problem }
}

/// The lease and its version; `None` if there is none.
async fn read(remote: &Remote) -> Result<Option<(LeaseFile, UpdateVersion)>, LakeError> {
    let (objects, key) = (Arc::clone(&remote.objects), key(LEASE));
    let got = run(async move {
        let got = objects.get(&key).await?;
        let meta = got.meta.clone();
        Ok((got.bytes().await?, UpdateVersion { e_tag: meta.e_tag, version: meta.version }))
    });
    let got = none_if_not_found(got.await).map_err(remote.failed("read the lease", LEASE))?;
    let Some((bytes, version)) = got else { return Ok(None) };
    let lease = serde_json::from_slice(&bytes).map_err(|error| LakeError::Damaged {
        path: remote.location(LEASE),
        problem: format!("{error}; if no process is writing to the lake, delete this object"),
    })?;
    Ok(Some((lease, version)))
}

/// Writes the lease anew until it is freed or lost.
struct Heartbeat {
    remote: Arc<Remote>,
    lease: LeaseFile,
    version: UpdateVersion,
    is_lost: Arc<AtomicBool>,
    newest_commit: Arc<AtomicU64>,
}

impl Heartbeat {
    async fn run(mut self, mut freed: oneshot::Receiver<std::sync::mpsc::SyncSender<()>>) {
        let mut beaten = Instant::now();
        loop {
            let done = tokio::select! {
                done = &mut freed => Some(done.ok()),
                () = tokio::time::sleep(self.remote.lease / HEARTBEATS) => None,
            };
            if self.beat(done.is_some()).await {
                beaten = Instant::now();
            }
            // The others count from the last heartbeat that they saw, which can be earlier.
            if beaten.elapsed() >= self.remote.lease {
                self.is_lost.store(true, Ordering::Release);
            }
            if let Some(done) = done {
                // The waiting thread may have stopped waiting.
                let _gone = done.map(|done| done.send(()));
                return;
            }
            if self.is_lost.load(Ordering::Acquire) {
                return;
            }
        }
    }

    /// Writes the lease, with another content each time: stores give equal contents equal versions.
    /// Returns whether it was written, or an earlier attempt was.
    async fn beat(&mut self, frees: bool) -> bool {
        self.lease.beats += 1;
        self.lease.newest_commit = self.newest_commit.load(Ordering::Acquire);
        let held = self.lease.clone();
        if frees {
            self.lease.holder = None;
        }
        let Ok(content) = self.lease.encode() else { return false };
        match self.remote.update(LEASE, content.into(), self.version.clone()).await {
            Ok(Some(next)) => {
                self.version = next;
                true
            }
            // Either taken over, or an earlier heartbeat whose answer was lost came to pass.
            Ok(None) => match read(&self.remote).await {
                Ok(Some((found, current))) if found.is_of(&held) => {
                    self.version = current;
                    true
                }
                Ok(Some((found, _))) if found == self.lease => true,
                Ok(_) => {
                    self.is_lost.store(true, Ordering::Release);
                    false
                }
                Err(_) => false,
            },
            Err(_) => false,
        }
    }
}

impl LeaseFile {
    /// Whether it is held by the holder of another.
    fn is_of(&self, other: &Self) -> bool {
        let id = |lease: &Self| lease.holder.as_ref().map(|holder| holder.id);
        id(self).is_some() && id(self) == id(other)
    }
}

/// The newest commit that the last writer knew; 0 without a lease.
pub(super) async fn newest_commit(remote: &Remote) -> Result<u64, LakeError> {
    Ok(read(remote).await?.map_or(0, |(lease, _)| lease.newest_commit))
}

/// Whether a living process holds the lease. If one holds it, this waits for its heartbeat, up to
/// `store.lease_secs`. Blocks the thread.
pub(super) fn is_held(remote: &Arc<Remote>) -> Result<bool, LakeError> {
    let began = Instant::now();
    let mut first = None;
    loop {
        let (objects, key) = (Arc::clone(&remote.objects), key(LEASE));
        let got = wait(async move {
            let got = objects.get(&key).await?;
            let version = got.meta.e_tag.clone();
            Ok((got.bytes().await?, version))
        });
        let got = none_if_not_found(got).map_err(remote.failed("read the lease", LEASE))?;
        let Some((bytes, version)) = got else { return Ok(false) };
        let is_free =
            serde_json::from_slice::<LeaseFile>(&bytes).is_ok_and(|it| it.holder.is_none());
        if is_free || began.elapsed() >= remote.lease {
            return Ok(false);
        }
        if first.get_or_insert_with(|| version.clone()) != &version {
            return Ok(true);
        }
        wait_before_next_look(remote.lease / LOOKS);
    }
}
