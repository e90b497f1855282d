//! The public interface of the simulator.

use std::io;
use std::net::Ipv4Addr;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::clock::SimulatedClock;
use super::dispatch::Dispatching;
use super::fault_plan::FaultPlan;
use super::faults::Rule;
use super::faulty::Faulty;
use super::overlay::RunOverride;
use super::routes::{BASE_PATH, router};
use super::shape::Shape;
use super::state::{RequestRecord, Shared, Traffic};
use super::transmission::Stopping;
use super::world::{World, WorldSettings};

/// Maximum time that a stop waits for responses in progress.
const STOP_TIME: Duration = Duration::from_secs(2);

/// How a [`Simulator`] starts.
#[derive(Debug, Clone)]
pub struct SimulatorSettings {
    /// The organization and its runs.
    pub world: WorldSettings,
    /// How bodies look.
    pub shape: Shape,
    /// The faults from the start; `None` for none.
    pub faults: Option<FaultPlan>,
    /// How runs are dispatched.
    pub dispatch: Dispatching,
    /// The port on 127.0.0.1; 0 for any free port.
    pub port: u16,
    /// The time at which the clock is frozen; `None` for a clock that shows real time.
    pub start: Option<DateTime<Utc>>,
    /// When the world's new runs begin: runs before this instant are its past. `None`: when the
    /// simulator starts. Pass the value of an earlier simulator to continue
    /// its world.
    pub birth: Option<DateTime<Utc>>,
    /// The key's role in `/org` (documented: viewer, editor, admin or owner). A viewer's key cannot
    /// dispatch runs.
    pub role: String,
    /// The accepted keys; `None` for all that start with `amt_`.
    pub keys: Option<Vec<String>>,
    /// A delay before every response.
    pub latency: Duration,
    /// Whether requests are recorded for [`Simulator::requests`]. The record grows without bound.
    pub record_requests: bool,
}

impl Default for SimulatorSettings {
    fn default() -> Self {
        Self {
            world: WorldSettings::default(),
            shape: Shape::default(),
            faults: None,
            dispatch: Dispatching::default(),
            port: 0,
            start: None,
            birth: None,
            role: "viewer".to_owned(),
            keys: None,
            latency: Duration::ZERO,
            record_requests: true,
        }
    }
}

/// A running simulator. Stops when dropped.
#[derive(Debug)]
pub struct Simulator {
    port: u16,
    shared: Arc<Shared>,
    stop: watch::Sender<bool>,
    server: Option<JoinHandle<io::Result<()>>>,
}

impl Simulator {
    /// Starts to listen on 127.0.0.1.
    ///
    /// # Errors
    /// If the port cannot be bound.
    pub async fn start(settings: SimulatorSettings) -> Result<Self, io::Error> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, settings.port)).await?;
        let port = listener.local_addr()?.port();
        let (stop, stopping) = watch::channel(false);
        let stopping = Stopping(stopping);
        let clock = SimulatedClock::new(settings.start);
        let shared = Arc::new(Shared {
            world: World::new(settings.world, settings.birth.unwrap_or_else(|| clock.now())),
            clock,
            shape: RwLock::new(settings.shape),
            rules: Mutex::default(),
            faulty: Mutex::new(settings.faults.map(Faulty::new)),
            overlay: RwLock::default(),
            dispatching: RwLock::new(settings.dispatch),
            dispatched: RwLock::default(),
            role: settings.role,
            keys: settings.keys,
            latency: settings.latency,
            records: settings.record_requests.then(Mutex::default),
            traffic: Traffic::default(),
            stopping: stopping.clone(),
        });
        let server = axum::serve(listener, router(Arc::clone(&shared)))
            .with_graceful_shutdown(stopping.wait());
        let server = Some(tokio::spawn(server.into_future()));
        Ok(Self { port, shared, stop, server })
    }

    /// `http://127.0.0.1:<port>/api/armature/v1`
    #[must_use]
    pub fn base_url(&self) -> String {
        format!("http://127.0.0.1:{}{BASE_PATH}", self.port)
    }

    /// The port that the simulator listens on.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// The organization and its runs.
    #[must_use]
    pub fn world(&self) -> &World {
        &self.shared.world
    }

    /// The current simulated time.
    #[must_use]
    pub fn now(&self) -> DateTime<Utc> {
        self.shared.clock.now()
    }

    /// Advances the simulated clock, and leaves it running or frozen.
    pub fn advance(&self, step: chrono::Duration) {
        self.shared.clock.advance(step);
    }

    /// Freezes the simulated clock.
    pub fn set_now(&self, instant: DateTime<Utc>) {
        self.shared.clock.set_now(instant);
    }

    /// The recorded requests, in the order of their responses; empty unless requests are recorded.
    #[must_use]
    pub fn requests(&self) -> Vec<RequestRecord> {
        let records = self.shared.records.as_ref();
        records
            .map(|records| records.lock().unwrap_or_else(PoisonError::into_inner).clone())
            .unwrap_or_default()
    }

    /// Clears the recorded requests. The count continues.
    pub fn clear_requests(&self) {
        if let Some(records) = &self.shared.records {
            records.lock().unwrap_or_else(PoisonError::into_inner).clear();
        }
    }

    /// The number of requests received since the start, answered or not.
    #[must_use]
    pub fn request_count(&self) -> u64 {
        self.shared.traffic.total.load(Ordering::Relaxed)
    }

    /// The maximum number of requests that were in progress at the same time.
    #[must_use]
    pub fn peak_requests_in_flight(&self) -> u64 {
        self.shared.traffic.peak.load(Ordering::Relaxed)
    }

    /// Adds a fault after those added before.
    pub fn add_rule(&self, rule: Rule) {
        self.shared.rules.lock().unwrap_or_else(PoisonError::into_inner).add(rule);
    }

    /// Sets a fault plan, in place of an earlier one. Its counts start at zero.
    pub fn set_faults(&self, plan: FaultPlan) {
        let mut faulty = self.shared.faulty.lock().unwrap_or_else(PoisonError::into_inner);
        *faulty = Some(Faulty::new(plan));
    }

    /// Removes the fault plan, its rules and what it hid. Rules that were added with
    /// [`Simulator::add_rule`] stay.
    pub fn clear_faults(&self) {
        *self.shared.faulty.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Removes all rules that were added with [`Simulator::add_rule`].
    pub fn clear_rules(&self) {
        self.shared.rules.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Changes the shape of bodies from the next request on.
    pub fn set_shape(&self, shape: Shape) {
        *self.shared.shape.write().unwrap_or_else(PoisonError::into_inner) = shape;
    }

    /// Changes how runs are dispatched, from the next request on.
    pub fn set_dispatching(&self, dispatching: Dispatching) {
        *self.shared.dispatching.write().unwrap_or_else(PoisonError::into_inner) = dispatching;
    }

    /// The ids of the runs that were dispatched so far, in order.
    #[must_use]
    pub fn dispatched_runs(&self) -> Vec<String> {
        let dispatched = self.shared.dispatched.read().unwrap_or_else(PoisonError::into_inner);
        dispatched.started(i64::MAX).map(|(run, _)| run.id.to_string()).collect()
    }

    /// Adds a manually written run, or replaces the run with its id.
    pub fn override_run(&self, run: RunOverride) {
        self.shared.overlay.write().unwrap_or_else(PoisonError::into_inner).add(run);
    }

    /// Removes a run, from the list and its documents.
    pub fn remove_run(&self, id: &str) {
        self.shared.overlay.write().unwrap_or_else(PoisonError::into_inner).remove(id);
    }

    /// Stops listening, ends all delays, and waits briefly for responses in progress.
    pub async fn stop(mut self) {
        self.stop.send_replace(true);
        if let Some(server) = self.server.take() {
            let abort = server.abort_handle();
            if tokio::time::timeout(STOP_TIME, server).await.is_err() {
                abort.abort();
            }
        }
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        self.stop.send_replace(true);
    }
}
