//! What the access log is told of a decision.

use crate::denial::{Denial, Reason};
use crate::engine::Engine;
use crate::policy::check::Budget;
use crate::policy::record::{Entry, RecordField};
use crate::request::RequestEdit;
use crate::time::UnixTime;

impl Engine {
    /// Of a request that passes with these tokens; `reported`: why it would be refused.
    pub(super) fn record_passed(
        &self,
        tokens: Vec<Entry>,
        reported: Option<Reason>,
        arrived: UnixTime,
    ) -> Vec<RequestEdit> {
        let outcome = if reported.is_some() { "report" } else { "allow" };
        let mut entries = self.record(outcome, reported, arrived);
        entries.extend(tokens);
        let states = entries.into_iter();
        states.map(|(key, text)| RequestEdit::State(key.to_owned(), text.into_bytes())).collect()
    }

    /// Of a request that is refused; `budget`: what was spent on it.
    pub(super) fn record_refused(
        &self,
        denial: &Denial,
        arrived: UnixTime,
        budget: &Budget,
    ) -> Vec<Entry> {
        let mut entries = self.record("deny", Some(denial.reason), arrived);
        let provider = denial.provider.and_then(|index| self.policy.as_ref()?.providers.get(index));
        entries.extend(provider.and_then(|own| self.entry(RecordField::Provider, &own.name)));
        // Who was refused, where that is certain.
        entries.extend(budget.verified(denial.provider));
        entries
    }

    fn record(&self, outcome: &str, reason: Option<Reason>, arrived: UnixTime) -> Vec<Entry> {
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

    fn entry(&self, field: RecordField, text: &str) -> Option<Entry> {
        self.policy.as_ref()?.record.entry(field, text)
    }
}
