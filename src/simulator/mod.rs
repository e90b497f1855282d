//! A fake Armature API on loopback, for demonstrations, tests and users' own continuous
//! integration.
//!
//! It is an independent oracle: it uses no module of the exporter, so that it cannot repeat the
//! exporter's errors. A seeded [`World`] determines the runs, [`World::expected`] the rows of a
//! correct export, a [`Shape`] the form of bodies, a [`FaultPlan`] or single [`Rule`]s the
//! faults, and [`Dispatching`] what a request to run a workflow does.
//!
//! Most of the API's bodies are not documented. The default shape is the most likely guess; tests
//! use the other shapes too.

mod catalog;
mod catalog_tools;
mod catalog_workflows;
mod clock;
mod content;
mod dialect;
mod dispatch;
mod documents;
mod expected;
mod fault_plan;
mod faults;
mod faulty;
mod fill;
mod judgement;
mod listing;
mod lives;
mod overlay;
mod paging;
mod plan;
mod random;
mod routes;
mod scenario;
mod server;
mod shape;
mod state;
#[cfg(test)]
mod tests;
mod timeline;
mod transmission;
mod world;

pub use clock::SimulatedClock;
pub use dialect::DocumentDialect;
pub use dispatch::{DispatchResponse, Dispatching};
pub use expected::{Expected, Row};
pub use fault_plan::{ClockFaults, Failures, FaultPlan, KeyFaults, ListFaults};
pub use faults::{Answer, Endpoint, Rule};
pub use lives::Lives;
pub use overlay::RunOverride;
pub use paging::{Paging, PagingStyle, PastEnd};
pub use scenario::Scenario;
pub use server::{Simulator, SimulatorSettings};
pub use shape::{Casing, ListEnvelope, Shape};
pub use state::RequestRecord;
pub use world::{World, WorldSettings};
