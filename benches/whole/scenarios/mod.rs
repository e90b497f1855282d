//! What is measured, one situation a file.

mod known;
mod limited;
mod oversized;
mod peers;
mod start;
mod store;
mod tables;
mod whole;

use std::sync::Arc;

use tokio::runtime::Runtime;

use crate::corpus::Corpus;
use crate::report::Table;
use crate::server::{Server, Treatment};
use crate::simulated::Simulated;

/// Simulated runs beyond these would not make exports more diverse, only memory scarcer. None is
/// in one commit twice.
const MOST_SIMULATED: usize = 5_000;

/// A situation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scenario {
    /// Exports of several sizes, and second ones with nothing new.
    Whole,
    /// From the start of the process to the first request.
    Start,
    /// A server that limits its rate.
    Limited,
    /// One run that is far larger than all others.
    Large,
    /// Lakes that know many runs.
    Known,
    /// A lake in an object store.
    Store,
    /// Other programs that can do the same.
    Peers,
}

impl Scenario {
    pub(crate) const ALL: [Self; 7] = [
        Self::Whole,
        Self::Start,
        Self::Limited,
        Self::Large,
        Self::Known,
        Self::Store,
        Self::Peers,
    ];

    /// Panics where there is none of that name.
    pub(crate) fn named(name: &str) -> Self {
        let found = Self::ALL.into_iter().find(|scenario| scenario.name() == name);
        let names = Self::ALL.map(Self::name).join(", ");
        assert!(found.is_some(), "--only takes one of {names}, not {name:?}");
        found.unwrap()
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Whole => "whole",
            Self::Start => "start",
            Self::Limited => "limited",
            Self::Large => "large",
            Self::Known => "known",
            Self::Store => "store",
            Self::Peers => "peers",
        }
    }

    pub(crate) fn measure(self, bench: &Bench) -> Vec<Table> {
        eprintln!("measuring: {}", self.name());
        match self {
            Self::Whole => whole::measure(bench),
            Self::Start => vec![start::measure(bench)],
            Self::Limited => limited::measure(bench),
            Self::Large => vec![oversized::measure(bench)],
            Self::Known => vec![known::measure(bench)],
            Self::Store => vec![store::measure(bench)],
            Self::Peers => vec![peers::measure(bench)],
        }
    }
}

/// How much of everything.
#[derive(Clone, Debug)]
pub(crate) struct Sizes {
    /// Runs of whole exports.
    pub(crate) exports: Vec<usize>,
    /// Seconds for which a server limits the rate.
    pub(crate) limited: usize,
    /// Runs of a server that refuses some requests whatever their rate is.
    pub(crate) stray: usize,
    /// Runs beside the large one.
    pub(crate) usual: usize,
    /// Bytes of the large one's trace.
    pub(crate) large: usize,
    /// Runs that lakes know.
    pub(crate) known: Vec<usize>,
    /// Runs that are exported into an object store.
    pub(crate) store: usize,
    /// Runs that other programs export.
    pub(crate) peers: usize,
}

impl Default for Sizes {
    fn default() -> Self {
        Self {
            exports: vec![1_000, 5_000, 20_000, 100_000],
            limited: 150,
            stray: 400,
            usual: 500,
            large: 100_000_000,
            known: vec![100_000, 10_000_000],
            store: 5_000,
            peers: 5_000,
        }
    }
}

impl Sizes {
    /// Exports of these sizes, and as little as still shows something of all else.
    pub(crate) fn small(exports: Vec<usize>) -> Self {
        let peers = exports.iter().copied().max().unwrap_or(0).min(Self::default().peers);
        let known = vec![10_000, 200_000];
        let (limited, stray, usual, large) = (15, 60, 100, 5_000_000);
        Self { exports, limited, stray, usual, large, known, store: peers, peers }
    }

    fn most(&self) -> usize {
        let others = [self.stray, self.usual + 1, self.store, self.peers];
        self.exports.iter().copied().chain(others).max().unwrap_or(0)
    }
}

/// What all scenarios share.
#[derive(Debug)]
pub(crate) struct Bench {
    pub(crate) runtime: Runtime,
    pub(crate) sizes: Sizes,
    simulated: Arc<Simulated>,
}

impl Bench {
    pub(crate) fn new(sizes: Sizes) -> Self {
        let runtime = Runtime::new().unwrap();
        let runs = sizes.most().min(MOST_SIMULATED);
        eprintln!("simulating {runs} runs");
        let simulated = Arc::new(runtime.block_on(Simulated::make(runs)));
        Self { runtime, sizes, simulated }
    }

    fn corpus(&self, runs: usize) -> Corpus {
        Corpus::new(Arc::clone(&self.simulated), runs)
    }

    fn serve(&self, corpus: &Arc<Corpus>) -> Server {
        self.serve_with(corpus, Treatment::default())
    }

    fn serve_with(&self, corpus: &Arc<Corpus>, treatment: Treatment) -> Server {
        self.runtime.block_on(Server::start(Arc::clone(corpus), treatment))
    }
}
