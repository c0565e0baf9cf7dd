//! What the access log is told of a decision, and how it is counted.

use crate::denial::{Denial, Reason};
use crate::engine::Engine;
use crate::engine::effect::Counter;
use crate::policy::grant::Vouched;
use crate::policy::record::RecordField;
use crate::request::{RecordEntry, RequestEdit, RequestEdits};
use crate::time::UnixTime;

impl Engine {
    /// Of a request that passes, and by whom.
    pub(super) fn record_passed(
        &mut self,
        vouched: Option<Vouched>,
        arrived: UnixTime,
    ) -> RequestEdits {
        self.count(Counter::Allowed);
        let mut entries = self.record("allow", None, arrived);
        if let Some((provider, token)) = vouched {
            self.count(Counter::AllowedBy(provider));
            entries.extend(token.iter().cloned());
        }
        self.as_edits(entries)
    }

    /// Of a request that passes, although it would be refused.
    pub(super) fn record_reported(&mut self, denial: &Denial, arrived: UnixTime) -> RequestEdits {
        self.count(Counter::Allowed);
        self.as_edits(self.record_denial("report", denial, arrived))
    }

    /// Of a request that is refused.
    pub(super) fn record_refused(
        &self,
        denial: &Denial,
        arrived: UnixTime,
    ) -> Vec<(String, String)> {
        let entries = self.record_denial("deny", denial, arrived).into_iter();
        entries.map(|(key, text)| (self.record_key(key), text)).collect()
    }

    fn record_denial(&self, outcome: &str, denial: &Denial, arrived: UnixTime) -> Vec<RecordEntry> {
        let mut entries = self.record(outcome, Some(denial.reason), arrived);
        let provider = denial.provider.and_then(|index| self.policy.as_ref()?.providers.get(index));
        let provider = provider.and_then(|own| self.entry(RecordField::Provider, &own.configured));
        match &denial.about {
            Some(token) => entries.extend(token.iter().cloned()),
            None => entries.extend(provider),
        }
        entries
    }

    fn record(&self, outcome: &str, reason: Option<Reason>, arrived: UnixTime) -> Vec<RecordEntry> {
        if !self.policy.as_ref().is_some_and(|policy| policy.record.is_kept()) {
            return Vec::new();
        }
        let waited = self.now.since(arrived).as_millis();
        let waited = (waited > 0).then(|| waited.to_string());
        let told = [
            (RecordField::Outcome, Some(outcome)),
            (RecordField::Reason, reason.map(Reason::code)),
            (RecordField::WaitedMs, waited.as_deref()),
        ];
        told.into_iter().filter_map(|(field, text)| self.entry(field, text?)).collect()
    }

    fn entry(&self, field: RecordField, text: &str) -> Option<RecordEntry> {
        self.policy.as_ref()?.record.entry(field, text)
    }

    fn as_edits(&self, entries: Vec<RecordEntry>) -> RequestEdits {
        let edit =
            |(key, text): RecordEntry| RequestEdit::Record(self.record_key(key), text.into_bytes());
        entries.into_iter().map(edit).collect()
    }

    /// Several gates in one chain would write over one another's.
    fn record_key(&self, key: &str) -> String {
        format!("{}{key}", self.stat_prefix())
    }
}
