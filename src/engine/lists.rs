//! How lists of revoked tokens do, in metrics and log lines. They are fetched like keys.

use crate::engine::Engine;
use crate::engine::effect::{Counter, KeyEvent, LogLevel};
use crate::engine::fetching::plain;
use crate::jwks::answer::Cause;
use crate::jwks::content::Content;
use crate::jwks::key_store::KeyStore;
use crate::policy::RemoteList;

impl Engine {
    /// Whether the keys at this place are none, but a list.
    pub(super) fn is_list(&self, place: usize) -> bool {
        self.list(place).is_some()
    }

    fn list(&self, place: usize) -> Option<&RemoteList> {
        self.policy.as_ref()?.list_at(place).map(|(list, _)| list)
    }

    /// Whose list it is, for the log.
    fn list_name(&self, place: usize) -> String {
        match self.list(place).and_then(RemoteList::owner) {
            Some(owner) => format!("provider `{owner}`: revocation"),
            None => "revocation".to_owned(),
        }
    }

    /// The end of a metric's name: what is said of keys, said of a list.
    pub(super) fn list_metric_name(&self, place: usize, name: &str) -> String {
        let found = self.policy.as_ref().and_then(|policy| policy.list_at(place));
        let is_shadows = found.is_some_and(|(_, is_shadows)| is_shadows);
        let owner = found.and_then(|(list, _)| list.owner()).map(plain);
        let shadow = if is_shadows { "shadow_" } else { "" };
        let owner = owner.map(|owner| format!("provider.{owner}.")).unwrap_or_default();
        format!("{shadow}{owner}revocation_{}", name.strip_prefix("jwks_").unwrap_or(name))
    }

    pub(super) fn note_list_failure(&mut self, place: usize, cause: &Cause) {
        self.count(Counter::Of(place, KeyEvent::Failed));
        self.count(Counter::Of(place, KeyEvent::FailedFor(cause.code())));
        let store = self.store(place);
        let failures = store.map_or(0, KeyStore::failures);
        // As often as for keys.
        if !failures.is_power_of_two() {
            return;
        }
        let (level, rest) = match store.and_then(|store| store.age(self.now)) {
            Some((_, left)) if !left.is_zero() => {
                (LogLevel::Warn, format!("the one held is used for {} s more", left.as_secs()))
            }
            held => {
                let what = if held.is_some() { "the one held is too old" } else { "there is none" };
                let then = match self.list(place).is_some_and(RemoteList::fails_open) {
                    true => "tokens pass that may be revoked",
                    false => "tokens are refused",
                };
                (LogLevel::Error, format!("{what}: {then}"))
            }
        };
        let name = self.list_name(place);
        let line =
            format!("{name}: the list could not be fetched ({failures} in a row): {cause}; {rest}");
        self.log(level, line);
    }

    pub(super) fn log_list(&mut self, place: usize, failures: u32) {
        let content = self.store(place).and_then(KeyStore::content);
        let Some(list) = content.and_then(Content::deny_list) else { return };
        let (name, entries) = (self.list_name(place), list.len());
        let after = match failures {
            0 => String::new(),
            failures => format!(", after {failures} failures"),
        };
        self.log(LogLevel::Info, format!("{name}: {entries} entries{after}"));
    }
}
