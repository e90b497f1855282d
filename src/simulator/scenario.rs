//! A scenario: a world, its shape and its faults, for a test or a rehearsal.

use serde::{Deserialize, Serialize};

use super::dialect::DocumentDialect;
use super::dispatch::Dispatching;
use super::fault_plan::{ClockFaults, Failures, FaultPlan, KeyFaults, ListFaults};
use super::lives::Lives;
use super::paging::{Paging, PagingStyle, PastEnd};
use super::random::{Seeded, combine};
use super::shape::{Casing, ListEnvelope, Shape};
use super::world::WorldSettings;

const SCENARIO_STREAM: u64 = 31;
const PAGING_STREAM: u64 = 32;
const DIALECT_STREAM: u64 = 33;
/// One in this many scenarios has runs that stay open for longer than the API lists them.
const LONG_EVERY: u64 = 8;

/// A scenario. The default is a world without faults.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Scenario {
    /// The organization and its runs.
    pub world: WorldSettings,
    /// How bodies look.
    pub shape: Shape,
    /// What goes wrong.
    pub faults: FaultPlan,
    /// How runs are dispatched.
    pub dispatch: Dispatching,
}

impl Scenario {
    /// A scenario for tests: a small world on small pages, with anomalies, whose API fails in some
    /// of all possible ways. Nothing in it takes longer than a second.
    ///
    /// Starts begin at most 10 days before birth and end with
    /// [`days_after_birth`](WorldSettings::days_after_birth), at most 18. Every eighth seed has
    /// runs that stay open for up to 36 days; in all others each run has ended two days later.
    #[must_use]
    pub fn random(seed: u64) -> Self {
        let mut random = Seeded::new(combine(seed, SCENARIO_STREAM));
        let is_long = seed % LONG_EVERY == LONG_EVERY - 1;
        Self {
            world: world(seed, is_long, &mut random),
            shape: with_provable_end(Shape {
                paging: paging(&mut Seeded::new(combine(seed, PAGING_STREAM))),
                documents: dialect(&mut Seeded::new(combine(seed, DIALECT_STREAM))),
                ..shape(&mut random)
            }),
            faults: FaultPlan {
                seed,
                end_after_requests: some(&mut random, 15, (200, 2_000)),
                list: list(&mut random),
                failures: failures(&mut random),
                key: KeyFaults {
                    revoked_after_requests: some(&mut random, 20, (20, 900)),
                    revoked_for_requests: random.between(1, 40),
                },
                clock: ClockFaults {
                    skew_seconds: random.pick_number(30, (0, 1_800))
                        - random.pick_number(15, (0, 1_800)),
                    unreadable_date_percent: share(&mut random, 15, 60),
                },
                rules: Vec::new(),
            },
            dispatch: Dispatching::default(),
        }
    }
}

fn world(seed: u64, is_long: bool, random: &mut Seeded) -> WorldSettings {
    let days_after_birth = whole(random.between(2, 18));
    let runs_after_birth = whole(random.between(10, 60));
    let long_open_days = if is_long { 36.0 } else { 2.0 };
    WorldSettings {
        seed,
        runs: u32::try_from(random.between(20, 90)).unwrap_or(20),
        days: whole(random.between(2, 10)),
        seconds_between_runs: (days_after_birth * 86_400.0 / runs_after_birth).floor(),
        days_after_birth,
        late_evaluation_percent: percent(random, 30),
        late_evaluation_seconds: whole(random.between(30, 2_400)),
        lives: Lives {
            long_open_percent: if is_long { 15 } else { percent(random, 10) },
            long_open_days,
            never_evaluated_percent: percent(random, 15),
            unknown_status_percent: percent(random, 15),
            changed_percent: percent(random, 30),
            changed_seconds: whole(random.between(300, 20_000)),
            retried_percent: percent(random, 100),
            redacted_percent: percent(random, 30),
        },
        ..WorldSettings::default()
    }
}

fn shape(random: &mut Seeded) -> Shape {
    const ENVELOPES: [ListEnvelope; 6] = [
        ListEnvelope::Rows,
        ListEnvelope::Runs,
        ListEnvelope::Data,
        ListEnvelope::Items,
        ListEnvelope::Results,
        ListEnvelope::Bare,
    ];
    let mut page_size = || u32::try_from(random.between(5, 20)).unwrap_or(20);
    let (default_page_size, maximum_page_size) = (page_size(), page_size());
    Shape {
        list: ENVELOPES.get(random.weighted(&[1; 6])).copied().unwrap_or_default(),
        casing: if random.percent(50) { Casing::Camel } else { Casing::Snake },
        wrapped: random.percent(50),
        page_base: u32::from(random.percent(60)),
        default_page_size,
        maximum_page_size,
        ignores_page_size: random.percent(20),
        has_page_echo: random.percent(60),
        has_total: random.percent(75),
        ignores_page: false,
        numbers_as_text: random.percent(20),
        has_unknown_keys: random.percent(50),
        paging: Paging::default(),
        documents: DocumentDialect::Plain,
    }
}

fn dialect(random: &mut Seeded) -> DocumentDialect {
    const DIALECTS: [DocumentDialect; 3] =
        [DocumentDialect::Plain, DocumentDialect::Nested, DocumentDialect::Epoch];
    DIALECTS.get(random.weighted(&[2, 1, 1])).copied().unwrap_or_default()
}

/// Changes a shape whose lists can never be certified, because they end with an error and state
/// nowhere that they are complete: a series of syncs would have no end.
fn with_provable_end(shape: Shape) -> Shape {
    let says_so = shape.has_total || shape.paging.has_more;
    let says_nothing = shape.list == ListEnvelope::Bare || !says_so;
    let ends_with_error = matches!(shape.paging.past_end, PastEnd::BadRequest | PastEnd::NotFound);
    let is_unprovable = says_nothing && ends_with_error;
    let past_end = if is_unprovable { PastEnd::Empty } else { shape.paging.past_end };
    // A bare list has no place for a token or an address, and without one no client reaches its
    // second page.
    let has_no_place = shape.list == ListEnvelope::Bare
        && matches!(
            shape.paging.style,
            PagingStyle::Cursor | PagingStyle::LastId | PagingStyle::Link
        );
    let style = if has_no_place { PagingStyle::LinkHeader } else { shape.paging.style };
    Shape { paging: Paging { style, past_end, ..shape.paging }, ..shape }
}

/// Draws the paging. It has no limits that keep runs out of reach permanently, because no list
/// would then be complete.
fn paging(random: &mut Seeded) -> Paging {
    const ENDS: [PastEnd; 4] =
        [PastEnd::Empty, PastEnd::First, PastEnd::BadRequest, PastEnd::NotFound];
    let style =
        PagingStyle::ALL.get(random.weighted(&[6, 1, 1, 1, 1, 1])).copied().unwrap_or_default();
    let past_end = ENDS.get(random.weighted(&[6, 1, 1, 1])).copied().unwrap_or_default();
    let document_rows = some(random, 25, (2, 6)).and_then(|rows| u32::try_from(rows).ok());
    Paging {
        style,
        has_more: random.percent(40),
        past_end,
        needs_number: style == PagingStyle::Number && random.percent(10),
        document_rows,
        ..Paging::default()
    }
}

fn list(random: &mut Seeded) -> ListFaults {
    ListFaults {
        clock_step_seconds: u32::try_from(random.pick_number(40, (1, 300))).unwrap_or(0),
        vanish_percent: share(random, 40, 40),
        vanish_requests: u32::try_from(random.between(1, 6)).unwrap_or(1),
        repeated_page_percent: share(random, 25, 20),
        empty_page_percent: share(random, 25, 15),
        shuffled_percent: share(random, 15, 60),
        oldest_first: random.percent(10),
        low_total_percent: share(random, 15, 60),
        high_total_percent: share(random, 15, 40),
        no_total_percent: share(random, 15, 80),
    }
}

fn failures(random: &mut Seeded) -> Failures {
    let mut rare = |most| share(random, 30, most) / 10.0;
    Failures {
        rate_limit_header_percent: rare(20),
        rate_limit_details_percent: rare(20),
        rate_limit_body_percent: rare(20),
        retry_after_seconds: 0.05,
        rate_limit_long_percent: rare(5),
        long_retry_after_seconds: 86_400,
        server_error_percent: rare(30),
        reset_percent: rare(20),
        stall_percent: rare(20),
        stall_seconds: 0.2,
        drip_percent: rare(20),
        drip_bytes_per_second: 100_000,
        short_length_percent: rare(20),
        long_length_percent: rare(20),
        cut_gzip_percent: rare(20),
        html_refusal_percent: rare(10),
        html_percent: rare(10),
    }
}

impl Seeded {
    /// A number within bounds in `percent` percent of cases, otherwise 0.
    fn pick_number(&mut self, percent: u64, (least, most): (u64, u64)) -> i64 {
        let (is_there, number) = (self.percent(percent), self.between(least, most));
        if is_there { i64::try_from(number).unwrap_or(0) } else { 0 }
    }
}

fn some(random: &mut Seeded, percent: u64, bounds: (u64, u64)) -> Option<u64> {
    let number = random.pick_number(percent, bounds);
    u64::try_from(number).ok().filter(|number| *number > 0)
}

/// A percentage from 1 to `most` in `likelihood` percent of scenarios, otherwise 0.
fn share(random: &mut Seeded, likelihood: u64, most: u64) -> f64 {
    some(random, likelihood, (1, most)).map_or(0.0, whole)
}

/// A percentage up to `most` in half of all scenarios, otherwise 0.
fn percent(random: &mut Seeded, most: u64) -> u8 {
    some(random, 50, (1, most)).and_then(|share| u8::try_from(share).ok()).unwrap_or(0)
}

fn whole(number: u64) -> f64 {
    u32::try_from(number).map_or(0.0, f64::from)
}
