//! An engine as in the proxy, whose fetches are answered from files.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use jwt_gate::engine::{Counter, Decision, Effect, Engine, FetchId, LogLevel, StreamId};
use jwt_gate::jose::jwk::KeyStrength;
use jwt_gate::jwks::answer::{Answer, Cause};
use jwt_gate::jwks::key_set::KeySet;
use jwt_gate::jwks::key_store::NotShared;
use jwt_gate::jwks::source::Source;
use jwt_gate::policy::trace::Note;
use jwt_gate::policy::{KeySource, Policy, ProviderIndex};
use jwt_gate::single_use::SharedData;
use jwt_gate::time::UnixTime;
use serde_json::json;

use crate::explain::names;
use crate::explain::request::Request;
use crate::files;
use crate::output::Trouble;

/// What became of a request.
pub enum Outcome {
    Decided(Decision),
    /// Nobody knows without the keys of these providers.
    NoKeys(Vec<String>),
}

/// The data of workers of which none has seen anything yet.
#[derive(Default)]
struct Empty(BTreeMap<String, Vec<u8>>);

impl SharedData for Empty {
    type Seen = ();

    fn read(&mut self, entry: &str) -> Option<(Option<Vec<u8>>, ())> {
        Some((self.0.get(entry).cloned(), ()))
    }

    fn swap(&mut self, entry: &str, text: &[u8], (): ()) -> bool {
        self.0.insert(entry.to_owned(), text.to_vec());
        true
    }
}

/// A request that was decided.
pub struct Run {
    engine: Engine,
    pub outcome: Outcome,
    /// What the engine wrote about keys.
    pub log: Vec<String>,
    /// What it counted that the answer does not show.
    pub beside: Vec<String>,
}

/// What is known of a provider whose keys are fetched.
struct Remote {
    name: String,
    issuer: String,
    has_fallback: bool,
    keys: Option<Vec<u8>>,
}

/// Key sets, by provider, or for all.
pub type Given = BTreeMap<Option<String>, Vec<u8>>;

/// Reads what `--jwks` says: `FILE`, or `PROVIDER=FILE`.
pub fn keys(arguments: &[String], policy: &Policy) -> Result<Given, Trouble> {
    let providers: Vec<_> = policy.all_providers().collect();
    let names = names(&providers);
    let mut given = Given::new();
    for argument in arguments {
        let split =
            argument.split_once('=').filter(|(name, _)| names.iter().any(|own| own == name));
        let (provider, file) = match split {
            Some((name, file)) => (Some(name.to_owned()), file),
            None => (None, argument.as_str()),
        };
        let text = files::read(Path::new(file))?;
        if let Err(error) = KeySet::parse(&text, KeyStrength::WeakAllowed) {
            return Err(Trouble::new(format!("{file}: the key set {error}")));
        }
        given.insert(provider, text);
    }
    if !given.is_empty()
        && !providers.iter().any(|own| matches!(own.keys, KeySource::Remote { .. }))
    {
        return Err(Trouble::new(
            "--jwks: all keys are in the configuration, and none are fetched",
        ));
    }
    Ok(given)
}

impl Run {
    /// Decides about `request`.
    pub fn new(policy: Policy, request: &Request, given: Given, at: u64) -> Self {
        let remotes: Vec<_> = policy
            .all_providers()
            .map(|own| {
                let KeySource::Remote { remote, fallback } = &own.keys else { return None };
                let issuer = match &remote.source {
                    Source::At(_) => String::new(),
                    Source::Discovered(discovery) => discovery.issuer.clone(),
                };
                let keys = given.get(&Some(own.configured.clone())).or_else(|| given.get(&None));
                let (name, has_fallback) = (own.configured.clone(), fallback.is_some());
                Some(Remote { name, issuer, has_fallback, keys: keys.cloned() })
            })
            .collect();
        let mut run = Self {
            engine: Engine::new(policy),
            outcome: Outcome::NoKeys(Vec::new()),
            log: Vec::new(),
            beside: Vec::new(),
        };
        run.decide(request, &remotes, at);
        run
    }

    /// What the decision looked at.
    pub fn notes(&self) -> Vec<Note> {
        self.engine.notes()
    }

    fn decide(&mut self, request: &Request, remotes: &[Option<Remote>], at: u64) {
        /// Longer than any request waits.
        const PATIENCE: Duration = Duration::from_secs(120);
        let start = UnixTime::from_secs(at);
        // Keys come first, as in a worker that has been up for a while.
        self.engine.handle_tick(start);
        self.carry_out(remotes, start);
        let properties = self.engine.properties().into_iter().filter_map(|path| {
            let own = path.join(".");
            let given = request.properties.iter().find(|(name, _)| *name == own)?;
            Some((path, given.1.clone().into_bytes()))
        });
        let head = request.head.clone().with_properties(properties.collect());
        let decision = self.engine.handle_request(StreamId(1), head, start);
        let decision = self.spend(decision, start);
        let waits = decision == Decision::Wait;
        let mut outcome = Some(decision).filter(|_| !waits);
        outcome = self.carry_out(remotes, start).or(outcome);
        while outcome.is_none() {
            let missing = self.missing(remotes);
            if !missing.is_empty() {
                self.outcome = Outcome::NoKeys(missing);
                return;
            }
            let next = self.engine.next_wake_up().filter(|next| *next < start.after(PATIENCE));
            let Some(next) = next else { break };
            self.engine.handle_tick(next);
            outcome = self.carry_out(remotes, next);
        }
        self.outcome = Outcome::Decided(outcome.unwrap_or(Decision::Wait));
    }

    /// The providers whose keys nobody gave.
    fn missing(&self, remotes: &[Option<Remote>]) -> Vec<String> {
        let missing = remotes.iter().zip(self.engine.keys()).filter_map(|(remote, keys)| {
            let remote = remote.as_ref().filter(|own| own.keys.is_none() && !own.has_fallback)?;
            keys.remote().filter(|store| store.held().is_none())?;
            Some(remote.name.clone())
        });
        let mut missing: Vec<_> = missing.collect();
        missing.sort();
        missing.dedup();
        missing
    }

    /// Does what the engine wants; returns what became of the request, if it waited.
    fn carry_out(&mut self, remotes: &[Option<Remote>], now: UnixTime) -> Option<Decision> {
        let mut decided = None;
        while let Some(effect) = self.engine.next_effect() {
            match effect {
                Effect::Fetch { id, .. } => self.fetch(id, remotes, now),
                Effect::Look { provider, .. } => {
                    self.engine.handle_notice(provider, Err(NotShared), now);
                }
                Effect::Log(LogLevel::Warn | LogLevel::Error, line) => self.log.push(line),
                Effect::Count(counter) => self.note_counter(counter),
                Effect::Resume(_, edits) => decided = Some(Decision::Forward(edits)),
                Effect::Spend(_, spending) => {
                    decided = Some(self.spend(Decision::Spend(spending), now));
                }
                Effect::Reject(_, rejection) => decided = Some(Decision::Reject(rejection)),
                _ => {}
            }
        }
        decided
    }

    fn fetch(&mut self, id: FetchId, remotes: &[Option<Remote>], now: UnixTime) {
        let index: ProviderIndex = id.provider();
        let Some(Some(remote)) = remotes.get(index) else {
            // Lists of revoked tokens and of their states.
            let line = "a list of revoked tokens is asked for, and as if it could not be had";
            if !self.log.iter().any(|own| own == line) {
                self.log.push(line.to_owned());
            }
            return self.engine.handle_fetched(id, Err(Cause::Dispatch.into()), now);
        };
        let body = match (&remote.keys, id.is_for_metadata()) {
            (None, _) if remote.has_fallback => {
                return self.engine.handle_fetched(id, Err(Cause::Dispatch.into()), now);
            }
            (None, _) => return,
            (Some(keys), false) => keys.clone(),
            (Some(_), true) => {
                let issuer = remote.issuer.as_str();
                let keys = format!("{}/keys", issuer.trim_end_matches('/'));
                json!({ "issuer": issuer, "jwks_uri": keys }).to_string().into_bytes()
            }
        };
        let headers = vec![(b":status".to_vec(), b"200".to_vec())];
        self.engine.handle_fetched(id, Ok(&Answer { headers, body }), now);
    }

    /// Uses up what may be used once, in a memory that is empty.
    fn spend(&mut self, mut decision: Decision, now: UnixTime) -> Decision {
        let mut memory = Empty::default();
        while let Decision::Spend(mut spending) = decision {
            spending.carry_out(now, &mut memory);
            let line =
                "what may be used once is used up by this request: the same again is refused";
            if !self.beside.iter().any(|own| own == line) {
                self.beside.push(line.to_owned());
            }
            decision = self.engine.handle_spent(spending);
        }
        decision
    }

    fn note_counter(&mut self, counter: Counter) {
        let name = self.engine.counter_name(counter);
        let name = name.trim_start_matches("jwt_gate.").to_owned();
        let line = match counter {
            Counter::ReportOnlyFor(reason) => {
                format!("report_only: it would be refused for {}", reason.code())
            }
            Counter::ShadowSame => "the candidate in `shadow` would do the same".to_owned(),
            Counter::ShadowAllowsFor(_)
            | Counter::ShadowDeniesFor(_)
            | Counter::ShadowOtherReasonFor(_)
            | Counter::ShadowOtherChanges
            | Counter::ShadowUndecided => format!("the candidate in `shadow` differs: {name}"),
            _ => return,
        };
        self.beside.push(line);
    }
}
