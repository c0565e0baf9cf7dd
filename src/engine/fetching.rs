//! How the engine keeps keys: it carries events to the key stores and their wishes to the host, and
//! says in metrics and log lines how they do.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::engine::Engine;
use crate::engine::effect::{
    Counter, Effect, FetchId, FetchRequest, Gauge, KeyEvent, LogLevel, Quantity,
};
use crate::engine::logouts::LOGOUTS;
use crate::engine::waiting::Waiting;
use crate::jwks::Keys;
use crate::jwks::answer::{Answer, Cause, FetchFailure};
use crate::jwks::content::Content;
use crate::jwks::key_store::{Changed, KeyStore, NotShared, Seen, Step};
use crate::policy::evaluate::Wanted;
use crate::policy::{KeySource, Provider, ProviderIndex, RemoteKeys};
use crate::time::UnixTime;

/// How often the age of keys is shown.
const SHOW_EVERY: Duration = Duration::from_secs(1);

/// What the gauges show of a provider's keys.
#[derive(Default)]
pub(super) struct Shown {
    at: UnixTime,
    generation: u64,
    skipped: BTreeMap<&'static str, u64>,
}

impl Engine {
    /// An answer came, or none will.
    pub fn handle_fetched(
        &mut self,
        id: FetchId,
        answer: Result<&Answer, FetchFailure>,
        now: UnixTime,
    ) {
        self.advance(now);
        let Some(store) = self.store_mut(id.provider) else {
            return;
        };
        let failures = store.failures();
        let answer = answer.and_then(|answer| answer.read(now));
        let changed = store.answer(id.number, id.leg, answer, now);
        match &changed {
            _ if self.note_status(id.provider, &changed) => {}
            Changed::Nothing | Changed::Outlook => {}
            Changed::Failed(failure) => self.note_failure(id.provider, &failure.cause),
            Changed::Misled(failure) => {
                self.count(Counter::Of(id.provider, KeyEvent::FailedFor(failure.cause.code())));
                let name = self.provider_name(id.provider);
                let line = format!(
                    "provider `{name}`: {}; the keys are fetched from where they were",
                    failure.cause
                );
                self.log(LogLevel::Warn, line);
            }
            Changed::Renewed | Changed::Replaced => {
                if !self.is_list(id.provider) {
                    self.count(Counter::FetchSucceeded);
                }
                self.count(Counter::Of(id.provider, KeyEvent::Succeeded));
                if changed == Changed::Replaced {
                    self.count(Counter::Of(id.provider, KeyEvent::Changed));
                }
                if changed == Changed::Replaced || failures > 0 {
                    self.log_keys(id.provider, failures);
                }
            }
        }
        self.after(id.provider, &changed);
    }

    /// What stands on a notice, and the state it was in.
    pub fn handle_notice(
        &mut self,
        provider: ProviderIndex,
        notice: Result<(Option<&[u8]>, Seen), NotShared>,
        now: UnixTime,
    ) {
        self.advance(now);
        if provider == LOGOUTS {
            self.logouts_noticed(notice);
            return self.drive();
        }
        let Some(store) = self.store_mut(provider) else { return };
        let changed = store.noticed(notice, now);
        self.after(provider, &changed);
    }

    /// Whether a notice was written.
    pub fn handle_posted(&mut self, provider: ProviderIndex, written: bool) {
        if provider == LOGOUTS {
            self.logouts_posted(written);
        }
        let Some(store) = self.store_mut(provider) else { return };
        store.posted(written);
        self.after(provider, &Changed::Nothing);
    }

    /// The key set that another worker fetched.
    pub fn handle_taken(&mut self, provider: ProviderIndex, keys: Option<&[u8]>, now: UnixTime) {
        self.advance(now);
        let Some(store) = self.store_mut(provider) else { return };
        let changed = store.taken(keys, now);
        let is_status = self.statuses.get(provider).is_some();
        if matches!(changed, Changed::Renewed | Changed::Replaced) && !is_status {
            self.count(Counter::Of(provider, KeyEvent::Taken));
        }
        self.after(provider, &changed);
    }

    /// Decides again about those who waited for this, and goes on.
    fn after(&mut self, provider: ProviderIndex, changed: &Changed) {
        if !matches!(changed, Changed::Nothing | Changed::Misled(_)) {
            self.settle_unattended(provider);
            self.reconsider_for(provider);
            self.show_keys(provider);
        }
        self.drive();
    }

    /// Has these keys, and lists, be looked for.
    pub(super) fn want(&mut self, wanted: &[Wanted]) {
        wanted.iter().for_each(|wanted| self.want_one(wanted));
    }

    /// A fetch that began after the request arrived settles whether its `kid` exists.
    pub(super) fn remember_absent(&mut self, waiting: &Waiting) {
        for Wanted { provider, kid, .. } in &waiting.wanted {
            let store = self.keys.get_mut(*provider).and_then(Keys::remote_mut);
            if let (Some(store), Some(kid)) = (store, kid) {
                store.remember_if_absent(kid, waiting.arrived, self.now);
            }
        }
    }

    /// How long a request may wait for them.
    pub(super) fn longest_wait(&self, wanted: &[Wanted]) -> Duration {
        let wait = |wanted: &Wanted| self.policy.as_ref()?.wait_for(wanted.provider);
        wanted.iter().filter_map(wait).max().unwrap_or_default()
    }

    /// Hands the host what the key stores want.
    pub(super) fn drive(&mut self) {
        for provider in self.places() {
            while let Some(step) = self.next_step(provider) {
                let Some(remote) = self.remote(provider) else { break };
                let entry = |kind: &str| {
                    format!("{}/{kind}", remote.shared_as.as_deref().unwrap_or_default())
                };
                let effect = match step {
                    Step::Fetch(ask) => {
                        let id = FetchId { provider, number: ask.number, leg: ask.leg };
                        let for_kid = ask.for_kid;
                        let request = FetchRequest::new(ask, remote);
                        if for_kid && provider < self.verified.len() {
                            self.count(Counter::Of(provider, KeyEvent::LookedForKid));
                        }
                        Effect::Fetch { id, request }
                    }
                    Step::Look => Effect::Look { provider, entry: entry("notice") },
                    Step::Post(notice, seen) => Effect::Post {
                        provider,
                        entry: entry("notice"),
                        text: notice.encode(),
                        seen,
                    },
                    Step::Publish(keys) => {
                        Effect::Publish { entry: entry("keys"), text: keys.encode() }
                    }
                    Step::Take => Effect::Take { provider, entry: entry("keys") },
                };
                self.effects.push_back(effect);
            }
        }
        self.drive_logouts();
        self.settle();
    }

    /// Takes note of when the stores, or the gauges, want something next.
    pub(super) fn settle(&mut self) {
        let stores = self.stores().map(KeyStore::next_wake_up);
        self.due =
            stores.chain(self.next_show()).chain(self.logouts_due()).min().unwrap_or(UnixTime::MAX);
    }

    fn next_step(&mut self, provider: ProviderIndex) -> Option<Step> {
        let now = self.now;
        self.store_mut(provider)?.next_step(now)
    }

    fn remote(&self, provider: ProviderIndex) -> Option<&RemoteKeys> {
        if let Some(kept) = self.statuses.get(provider) {
            return Some(&kept.remote);
        }
        if let Some((list, _)) = self.policy.as_ref()?.list_at(provider) {
            return Some(&list.remote);
        }
        match &self.provider(provider)?.keys {
            KeySource::Local(_) => None,
            KeySource::Remote { remote, .. } => Some(remote),
        }
    }

    pub(super) fn note_failure(&mut self, provider: ProviderIndex, cause: &Cause) {
        if self.statuses.get(provider).is_some() {
            return self.note_status_failure(provider, cause);
        }
        if self.is_list(provider) {
            return self.note_list_failure(provider, cause);
        }
        self.count(Counter::FetchFailed);
        self.count(Counter::Of(provider, KeyEvent::Failed));
        self.count(Counter::Of(provider, KeyEvent::FailedFor(cause.code())));
        let store = self.store(provider);
        let failures = store.map_or(0, KeyStore::failures);
        // One line when it begins and one each time the number doubles: an outage of a day is
        // some fifteen lines.
        if !failures.is_power_of_two() {
            return;
        }
        let (level, rest) = match store.and_then(|store| store.age(self.now)) {
            Some((_, left)) if !left.is_zero() => {
                (LogLevel::Warn, format!("the keys held are used for {} s more", left.as_secs()))
            }
            Some(_) => (LogLevel::Error, "the keys held are too old to be used".to_owned()),
            None if self.has_fallback(provider) => {
                (LogLevel::Warn, "the keys of `local_jwks` are used".to_owned())
            }
            None => (LogLevel::Error, "there are no keys".to_owned()),
        };
        let name = self.provider_name(provider);
        let line = format!(
            "provider `{name}`: the key set could not be fetched ({failures} in a row): {cause}; \
             {rest}"
        );
        self.log(level, line);
    }

    fn has_fallback(&self, provider: ProviderIndex) -> bool {
        matches!(self.keys.get(provider), Some(Keys::Remote { fallback: Some(_), .. }))
    }

    fn log_keys(&mut self, provider: ProviderIndex, failures: u32) {
        let Some(set) = self.store(provider).and_then(KeyStore::held) else {
            return self.log_list(provider, failures);
        };
        let name = self.provider_name(provider);
        let after = match failures {
            0 => String::new(),
            failures => format!(", after {failures} failures"),
        };
        let first = format!("provider `{name}`: {} keys{after}", set.len());
        let mut lines = vec![(LogLevel::Info, first)];
        for skipped in set.skipped() {
            let (index, reason) = (skipped.index, skipped.reason);
            let line = format!("provider `{name}`: keys[{index}] is not used: {reason}");
            lines.push((LogLevel::Warn, line));
        }
        for (level, line) in lines {
            self.log(level, line);
        }
    }

    /// Sets the gauges that change with time.
    pub(super) fn show(&mut self) {
        for provider in 0..self.keys.len() {
            let shown = self.shown.get(provider).map(|shown| shown.at);
            // Also after the clock was set back.
            if shown.is_some_and(|at| self.now >= at.after(SHOW_EVERY) || self.now < at) {
                self.show_keys(provider);
            }
        }
    }

    /// When gauges are to be set again.
    fn next_show(&self) -> Option<UnixTime> {
        let held = self
            .keys
            .iter()
            .zip(&self.shown)
            .filter(|(keys, _)| keys.remote().is_some_and(|store| store.content().is_some()));
        held.map(|(_, shown)| shown.at.after(SHOW_EVERY)).min()
    }

    fn show_keys(&mut self, provider: ProviderIndex) {
        let now = self.now;
        let store = self.keys.get(provider).and_then(Keys::remote);
        let Some((store, shown)) = store.zip(self.shown.get_mut(provider)) else { return };
        let Some(((age, _), content)) = store.age(now).zip(store.content()) else { return };
        shown.at = now;
        let mut quantities = vec![(Quantity::Age, age.as_secs())];
        if shown.generation != store.generation() {
            shown.generation = store.generation();
            quantities.push((Quantity::Generation, shown.generation));
            let (quantity, size) = match content {
                Content::Keys(set) => (Quantity::Keys, set.len()),
                Content::DenyList(list) => (Quantity::Entries, list.len()),
                // They are too many to be shown each by itself.
                Content::StatusList(_) => return,
            };
            quantities.push((quantity, u64::try_from(size).unwrap_or(u64::MAX)));
            // Reasons that are no longer true are shown as zero.
            shown.skipped.values_mut().for_each(|count| *count = 0);
            for skipped in content.keys().iter().flat_map(|set| set.skipped()) {
                let count = shown.skipped.entry(skipped.reason.code()).or_default();
                *count = count.saturating_add(1);
            }
            let skipped = shown.skipped.iter();
            quantities.extend(skipped.map(|(reason, count)| (Quantity::Skipped(reason), *count)));
        }
        for (quantity, value) in quantities {
            self.effects.push_back(Effect::Measure(Gauge { provider, quantity }, value));
        }
    }

    pub(super) fn count_waiting(&mut self, wanted: &[Wanted]) {
        self.vary_waiting(wanted, 1);
        for wanted in wanted {
            self.count(Counter::Of(wanted.provider, KeyEvent::Waited));
        }
    }

    pub(super) fn vary_waiting(&mut self, wanted: &[Wanted], by: i64) {
        for wanted in wanted {
            let gauge = Gauge { provider: wanted.provider, quantity: Quantity::Waiting };
            self.effects.push_back(Effect::Vary(gauge, by));
        }
    }

    /// A part of all names, with a dot behind it if there is one.
    pub(super) fn stat_prefix(&self) -> &str {
        self.policy.as_ref().map_or("", |policy| &policy.stat_prefix)
    }

    pub(super) fn metric_name(&self, provider: Option<ProviderIndex>, name: &str) -> String {
        let own = self.stat_prefix();
        match provider {
            Some(place) if self.is_list(place) => {
                format!("jwt_gate.{own}{}", self.list_metric_name(place, name))
            }
            None => format!("jwt_gate.{own}{name}"),
            Some(provider) => {
                let live = self.policy.as_ref().map_or(0, |policy| policy.providers.len());
                let is_shadows = provider >= live;
                let provider = plain(self.provider_name(provider));
                let shadow = if is_shadows { "shadow_" } else { "" };
                format!("jwt_gate.{own}{shadow}provider.{provider}.{name}")
            }
        }
    }

    /// Of a decision by a provider. Its issuers, should it have several with keys of their own, are one
    /// here: of a token that is refused, nobody may know whose it is.
    pub(super) fn decision_metric_name(&self, provider: ProviderIndex, name: &str) -> String {
        let own = self.stat_prefix();
        let provider = plain(self.provider(provider).map_or("?", |found| &found.configured));
        format!("jwt_gate.{own}provider.{provider}.{name}")
    }

    pub(super) fn provider_name(&self, provider: ProviderIndex) -> &str {
        self.provider(provider).map_or("?", |found| &found.name)
    }

    pub(super) fn provider(&self, provider: ProviderIndex) -> Option<&Provider> {
        self.policy.as_ref()?.all_providers().nth(provider)
    }
}

/// A name as a part of a metric's: a dot would end it.
pub(super) fn plain(name: &str) -> String {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || letter == '-';
    name.chars().map(|letter| if plain(letter) { letter } else { '_' }).collect()
}
