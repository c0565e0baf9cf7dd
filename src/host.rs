//! The host adapter, for wasm32 only: reads facts from the proxy, hands them to the engine, and
//! carries out its effects. The only place that names `proxy_wasm`.
//!
//! What it must mind:
//! - the engine is never borrowed while the host is called, since callbacks can nest;
//! - fetches are dispatched and shared keys are read from the root context only, since an answer goes
//!   to the context that asked, and new keys may resume the very stream whose callback this is (what a
//!   request uses up is written in its own callback: that resumes nobody);
//! - other requests are answered in the root context's turn only: to Envoy, an answer that is sent
//!   from the callback of one request stops that request, whoever's it is;
//! - the engine belongs to its root context, never to a static: a VM can hold several roots.

mod abi;
mod answers;
mod metrics;
mod spending;
mod stream;

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::rc::Rc;
use std::time::Duration;

use proxy_wasm::hostcalls::dispatch_http_call;
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{BufferType, ContextType, LogLevel, MapType};

use crate::denial::{Denial, Manner, Reason, Rejection};
use crate::engine::{self, Effect, Engine, FetchId, FetchRequest};
use crate::host::abi::HostError;
use crate::host::metrics::Metrics;
use crate::host::stream::Stream;
use crate::jwks::answer::{Answer, Cause, FetchFailure};
use crate::jwks::content::MAX_BODY_OCTETS;
use crate::jwks::key_store::NotShared;
use crate::policy::{Policy, Served};
use crate::request::{RequestEdit, RequestHead};
use crate::time::UnixTime;

proxy_wasm::main! {{
    // Also installs the hook that writes a panic, should one ever happen, to the proxy's log.
    proxy_wasm::set_log_level(LogLevel::Info);
    proxy_wasm::set_root_context(|id| Box::new(Root { id, gate: Rc::new(Gate::closed()) }));
}}

/// For answers that no gRPC client gets.
const NO_GRPC_STATUS: i32 = -1;

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The shortest tick: the host counts in milliseconds, and zero would stop it.
const MIN_TICK: Duration = Duration::from_millis(1);
/// The longest tick, so that a clock that was set back is noticed within a minute.
const MAX_TICK: Duration = Duration::from_secs(60);

/// Most steps of the root context's turn, so that no turn goes on forever; the rest comes with the
/// next tick.
const MAX_STEPS_PER_TURN: usize = 1024;

/// The engine of one plugin in one worker, and what the host needs to remember for it.
struct Gate {
    engine: RefCell<Engine>,
    /// What waits for the root context's next turn.
    for_root: RefCell<VecDeque<Effect>>,
    /// Answers to requests that waited: for the root context's turn, too.
    answers: RefCell<VecDeque<Effect>>,
    /// Fetches under way, by the host's token.
    dispatched: RefCell<BTreeMap<u32, FetchId>>,
    /// Requests that waited, and may not go on: they wait still, or were refused.
    held: RefCell<BTreeSet<u32>>,
    metrics: Metrics,
    /// When the next tick was asked for.
    tick: Cell<Option<UnixTime>>,
}

impl Gate {
    fn new(engine: Engine) -> Self {
        Self {
            engine: RefCell::new(engine),
            for_root: RefCell::default(),
            dispatched: RefCell::default(),
            held: RefCell::default(),
            metrics: Metrics::default(),
            answers: RefCell::default(),
            tick: Cell::default(),
        }
    }

    fn closed() -> Self {
        Self::new(Engine::closed())
    }

    /// Carries out what the engine wants, as far as any context may; the rest waits for the root's
    /// turn.
    fn carry_out(&self) {
        loop {
            let effect = self.engine.borrow_mut().next_effect();
            let Some(effect) = effect else { break };
            match effect {
                Effect::Count(counter) => self.metrics.count(counter, &self.engine),
                Effect::Vary(gauge, by) => self.metrics.vary(gauge, by, &self.engine),
                Effect::Measure(gauge, value) => self.metrics.record(gauge, value, &self.engine),
                Effect::Log(level, line) => log(level, &line),
                Effect::Reject(..) | Effect::Resume(..) | Effect::Spend(..) => {
                    self.answers.borrow_mut().push_back(effect);
                }
                Effect::Fetch { .. }
                | Effect::Look { .. }
                | Effect::Post { .. }
                | Effect::Publish { .. }
                | Effect::Take { .. } => self.for_root.borrow_mut().push_back(effect),
            }
        }
        self.set_tick();
    }

    /// Does what may be done in the root context's turn only: sends fetches, reads and writes shared
    /// data. What the engine wants in return comes in the same turn. The clock is read after the data: what
    /// another worker wrote in between would seem to be from the future, and count as nonsense.
    fn serve_root(&self, root: u32) {
        for _ in 0..MAX_STEPS_PER_TURN {
            let next = self.for_root.borrow_mut().pop_front();
            let Some(effect) = next else { break };
            let Ok(now) = abi::now() else {
                // The next turn may have a clock; nothing may be lost until then.
                self.for_root.borrow_mut().push_front(effect);
                break;
            };
            match effect {
                Effect::Fetch { id, request } => self.fetch(id, &request),
                Effect::Look { provider, entry } => {
                    let notice = abi::shared(&entry);
                    let notice = match &notice {
                        Ok((text, seen)) => Ok((text.as_deref(), *seen)),
                        Err(_) => Err(NotShared),
                    };
                    let now = abi::now().unwrap_or(now);
                    self.engine.borrow_mut().handle_notice(provider, notice, now);
                }
                Effect::Post { provider, entry, text, seen } => {
                    let written = abi::swap_shared(&entry, &text, seen);
                    self.engine.borrow_mut().handle_posted(provider, written);
                }
                Effect::Publish { entry, text } => abi::set_shared(&entry, &text),
                Effect::Take { provider, entry } => {
                    let keys = abi::shared(&entry).ok().and_then(|(keys, _)| keys);
                    let now = abi::now().unwrap_or(now);
                    self.engine.borrow_mut().handle_taken(provider, keys.as_deref(), now);
                }
                // Carried out at once, and never put aside.
                _ => {}
            }
            self.carry_out();
        }
        self.answer(root);
        // What was spent for them is counted.
        self.carry_out();
    }

    fn fetch(&self, id: FetchId, request: &FetchRequest) {
        let headers =
            request.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let token =
            dispatch_http_call(&request.cluster, headers, None, Vec::new(), request.timeout);
        match (token, abi::now()) {
            (Ok(token), _) => {
                self.dispatched.borrow_mut().insert(token, id);
            }
            (Err(_), Ok(now)) => {
                let failed = Err(Cause::Dispatch.into());
                self.engine.borrow_mut().handle_fetched(id, failed, now);
            }
            // Without a clock, the next tick gives the fetch up.
            (Err(_), Err(_)) => {}
        }
    }

    /// No tick will come for it any more.
    fn retire(&self) {
        self.metrics.tell_at_once(&self.engine);
    }

    fn is_busy(&self) -> bool {
        !self.for_root.borrow().is_empty() || !self.answers.borrow().is_empty()
    }

    /// Asks for the next tick when the engine wants it, at once if something is left to do. The host
    /// counts anew when it is asked, so it is asked only when the time has changed.
    fn set_tick(&self) {
        let engine = self.engine.borrow();
        let (now, wanted) = (engine.now(), engine.next_wake_up());
        drop(engine);
        let wanted = wanted.into_iter().chain(self.metrics.due()).min();
        // The epoch: overdue, and the same each time.
        let wanted = if self.is_busy() { Some(UnixTime::default()) } else { wanted };
        if self.tick.replace(wanted) != wanted {
            let period = wanted.map(|due| due.since(now).clamp(MIN_TICK, MAX_TICK));
            abi::set_tick_period(period.unwrap_or(Duration::ZERO));
        }
    }
}

/// The plugin in one worker.
struct Root {
    id: u32,
    gate: Rc<Gate>,
}

impl Context for Root {
    fn on_done(&mut self) -> bool {
        self.gate.retire();
        true
    }

    fn on_http_call_response(&mut self, token: u32, headers: usize, _body: usize, _: usize) {
        let id = self.gate.dispatched.borrow_mut().remove(&token);
        let (Some(id), Ok(now)) = (id, abi::now()) else { return };
        let answer = read_answer(headers);
        let answer = answer.as_ref().map_err(Clone::clone);
        self.gate.engine.borrow_mut().handle_fetched(id, answer, now);
        self.gate.carry_out();
        self.gate.serve_root(self.id);
    }
}

impl RootContext for Root {
    fn on_configure(&mut self, _size: usize) -> bool {
        // Its streams may still be under way.
        self.gate.retire();
        let policy = match abi::buffer(BufferType::PluginConfiguration, usize::MAX) {
            Ok(text) => Policy::parse(&text),
            Err(_) => Policy::parse(b""),
        };
        match policy {
            Ok(policy) => {
                for line in policy.report() {
                    abi::log(LogLevel::Info, &format!("jwt-gate {VERSION}: {line}"));
                }
                self.gate = Rc::new(Gate::new(Engine::new(policy)));
                // Fetches begin with the first tick: the canary VM that Envoy configures and
                // drops at once never gets one.
                self.gate.set_tick();
                true
            }
            Err(errors) => {
                for error in errors {
                    abi::log(LogLevel::Error, &format!("jwt-gate configuration: {error}"));
                }
                // The host is told, and should it go on all the same, nobody gets in.
                self.gate = Rc::new(Gate::closed());
                false
            }
        }
    }

    fn on_tick(&mut self) {
        let Ok(now) = abi::now() else { return };
        // The host would go on at the same pace.
        self.gate.tick.set(Some(UnixTime::MAX));
        self.gate.metrics.tell(&self.gate.engine);
        self.gate.engine.borrow_mut().handle_tick(now);
        self.gate.carry_out();
        self.gate.serve_root(self.id);
    }

    fn create_http_context(&self, id: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Stream::new(id, Rc::clone(&self.gate))))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}

/// Answers the request of the effective context; if even that fails, it stays paused and Envoy's
/// time-outs end it.
fn reject(rejection: &Rejection) {
    for (key, text) in &rejection.states {
        record(key, text.as_bytes());
    }
    let headers: Vec<_> =
        rejection.headers.iter().map(|(name, value)| (&**name, &**value)).collect();
    let sent = abi::send_response(
        rejection.status,
        &rejection.details,
        &headers,
        &rejection.body,
        rejection.grpc_status,
    );
    note_unsent(sent);
}

/// Answers the request of the effective context with what the gate serves.
fn serve(served: &Served) {
    note_unsent(abi::send_response(
        served.status,
        "jwt_gate_served",
        &served.headers,
        &served.body,
        // Never a gRPC request: what is served is read by other clients.
        NO_GRPC_STATUS,
    ));
}

fn note_unsent(sent: Result<(), HostError>) {
    if let Err(error) = sent {
        abi::log(LogLevel::Error, &format!("jwt-gate: the answer could not be sent: {error:?}"));
    }
}

fn host_failed(error: HostError) -> Rejection {
    abi::log(LogLevel::Error, &format!("jwt-gate: a host call failed: {error:?}"));
    Denial::from(Reason::HostFailed).into_rejection(&RequestHead::default(), Manner::default())
}

fn apply(edits: &[RequestEdit]) -> Result<(), HostError> {
    edits.iter().try_for_each(|edit| match edit {
        RequestEdit::Add(name, value) => abi::add_header(name, value),
        RequestEdit::Remove(name) => abi::remove(MapType::HttpRequestHeaders, name),
        RequestEdit::Replace(name, value) => abi::replace_header(name, value),
        RequestEdit::ClearRouteCache => abi::clear_route_cache(),
        RequestEdit::State(key, text) => set_state(key, text),
        RequestEdit::Record(key, text) => {
            record(key, text);
            Ok(())
        }
    })
}

/// Leaves a text in the filter state, as `wasm.jwt_gate.KEY`.
fn set_state(key: &str, text: &[u8]) -> Result<(), HostError> {
    abi::set_property(&format!("jwt_gate.{key}"), text)
}

/// The same, where only the access log goes without.
fn record(key: &str, text: &[u8]) {
    if let Err(error) = set_state(key, text) {
        abi::log(LogLevel::Error, &format!("jwt-gate: the state could not be set: {error:?}"));
    }
}

fn read_answer(headers: usize) -> Result<Answer, FetchFailure> {
    if headers == 0 {
        return Err(Cause::NoAnswer.into());
    }
    // One octet more than is allowed: enough to see that it is too much.
    let limit = MAX_BODY_OCTETS.saturating_add(1);
    Ok(Answer {
        headers: abi::headers(MapType::HttpCallResponseHeaders)
            .unwrap_or_default()
            .iter()
            .map(|(name, value)| (name.to_vec(), value.to_vec()))
            .collect(),
        body: abi::buffer(BufferType::HttpCallResponseBody, limit).unwrap_or_default(),
    })
}

fn log(level: engine::LogLevel, line: &str) {
    let level = match level {
        engine::LogLevel::Error => LogLevel::Error,
        engine::LogLevel::Info => LogLevel::Info,
        engine::LogLevel::Warn => LogLevel::Warn,
    };
    abi::log(level, line);
}
