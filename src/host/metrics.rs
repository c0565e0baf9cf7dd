//! Metrics: the proxy's numbers for them, and counts that it has not been told yet.
//!
//! A call to the proxy costs more than the decision about a known token, and each request counts two
//! or three things. So counts are told together, a fifth of a second late at most.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::time::Duration;

use proxy_wasm::types::MetricType;

use crate::engine::{Counter, Engine, Gauge};
use crate::host::abi;
use crate::time::UnixTime;

/// How long counts are kept back.
const LATENESS: Duration = Duration::from_millis(200);

/// The metrics of one gate.
#[derive(Default)]
pub(super) struct Metrics {
    counters: RefCell<BTreeMap<Counter, Count>>,
    gauges: RefCell<BTreeMap<Gauge, u32>>,
    /// When the proxy must be told; none: there is nothing to tell.
    due: Cell<Option<UnixTime>>,
    /// Whether nobody will come to tell later.
    at_once: Cell<bool>,
}

#[derive(Clone, Copy, Default)]
struct Count {
    /// The proxy's number, once it is known.
    id: Option<u32>,
    untold: i64,
}

impl Metrics {
    /// Counts one.
    pub(super) fn count(&self, counter: Counter, engine: &RefCell<Engine>) {
        let mut counters = self.counters.borrow_mut();
        let count = counters.entry(counter).or_default();
        count.untold = count.untold.saturating_add(1);
        drop(counters);
        if self.at_once.get() {
            self.tell(engine);
        } else if self.due.get().is_none() {
            self.due.set(Some(engine.borrow().now().after(LATENESS)));
        }
    }

    /// When [`Metrics::tell`] should be called.
    pub(super) fn due(&self) -> Option<UnixTime> {
        self.due.get()
    }

    /// Tells the proxy all counts.
    pub(super) fn tell(&self, engine: &RefCell<Engine>) {
        if self.due.take().is_none() && !self.at_once.get() {
            return;
        }
        let untold = |(counter, count): (&Counter, &mut Count)| {
            let by = std::mem::take(&mut count.untold);
            (by != 0).then_some((*counter, count.id, by))
        };
        let told: Vec<_> = self.counters.borrow_mut().iter_mut().filter_map(untold).collect();
        for (counter, id, by) in told {
            let name = || engine.borrow().counter_name(counter);
            let id = id.or_else(|| abi::define_metric(MetricType::Counter, &name()).ok());
            let Some(id) = id else { continue };
            abi::increment(id, by);
            self.counters.borrow_mut().entry(counter).or_default().id = Some(id);
        }
    }

    /// Tells all counts, and from now on each at once: the gate's ticks are over.
    pub(super) fn tell_at_once(&self, engine: &RefCell<Engine>) {
        self.at_once.set(true);
        self.tell(engine);
    }

    /// Sets a gauge.
    pub(super) fn record(&self, gauge: Gauge, value: u64, engine: &RefCell<Engine>) {
        if let Some(id) = self.gauge(gauge, engine) {
            abi::record(id, value);
        }
    }

    /// Adds to a gauge, or takes away: at once, since others add to it as well.
    pub(super) fn vary(&self, gauge: Gauge, by: i64, engine: &RefCell<Engine>) {
        if let Some(id) = self.gauge(gauge, engine) {
            abi::increment(id, by);
        }
    }

    fn gauge(&self, gauge: Gauge, engine: &RefCell<Engine>) -> Option<u32> {
        let known = self.gauges.borrow().get(&gauge).copied();
        known.or_else(|| {
            let name = engine.borrow().gauge_name(gauge);
            let id = abi::define_metric(MetricType::Gauge, &name).ok()?;
            self.gauges.borrow_mut().insert(gauge, id);
            Some(id)
        })
    }
}
