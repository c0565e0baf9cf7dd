//! What the access log is told of each decision, as written. All of it is ours.

use crate::config::fields::Fields;
use crate::config::reader::Node;

/// `decision_record`: what is left in the filter state for each request.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct DecisionRecord {
    /// What is told. Default: `outcome`, `reason`, `provider`, `kid`.
    pub fields: Vec<RecordField>,
}

/// A part of the record.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum RecordField {
    /// `issuer`: the `iss` of the verified token.
    Issuer,
    /// `kid`: the `kid` of the verified token.
    Kid,
    /// `outcome`: `allow`, `deny`, or `report` where a refusal is only reported.
    Outcome,
    /// `provider`: whose token it was, or who refused it.
    Provider,
    /// `reason`: the code of the refusal.
    Reason,
    /// `subject`: the `sub` of the verified token.
    Subject,
    /// `waited_ms`: how long the request waited for keys, in milliseconds.
    WaitedMs,
}

reference! {
    /// What access logs and traces are told of each decision, in the filter state.
    DECISION_RECORD = "DecisionRecord" ("observability.md#decision-record") {
        /// What is left, each under a key of its own; the page says when. `subject` is personal data in most
        /// places.
        "fields": List(&Choice(&NAMES), 0), ours,
            default("[\"outcome\", \"reason\", \"provider\", \"kid\"]");
    }
}

#[cfg(feature = "reference")]
const NAMES: [&str; RecordField::ALL.len()] =
    ["issuer", "kid", "outcome", "provider", "reason", "subject", "waited_ms"];

impl RecordField {
    const ALL: [Self; 7] = [
        Self::Issuer,
        Self::Kid,
        Self::Outcome,
        Self::Provider,
        Self::Reason,
        Self::Subject,
        Self::WaitedMs,
    ];
    /// Who a user is, is told only where it is asked for.
    const USUAL: [Self; 4] = [Self::Outcome, Self::Reason, Self::Provider, Self::Kid];

    /// Its key in the filter state, behind `wasm.jwt_gate.`.
    pub fn key(self) -> &'static str {
        match self {
            Self::Issuer => "decision.issuer",
            Self::Kid => "decision.kid",
            Self::Outcome => "decision.outcome",
            Self::Provider => "decision.provider",
            Self::Reason => "decision.reason",
            Self::Subject => "decision.subject",
            Self::WaitedMs => "decision.waited_ms",
        }
    }

    fn name(self) -> &'static str {
        self.key().trim_start_matches("decision.")
    }
}

impl DecisionRecord {
    pub(super) fn read(fields: &mut Fields<'_>) -> Self {
        let named = fields.list("fields", field);
        Self { fields: if named.is_empty() { RecordField::USUAL.to_vec() } else { named } }
    }
}

fn field(node: Node<'_>) -> Option<RecordField> {
    let name = node.text()?;
    let known = RecordField::ALL.into_iter().find(|field| field.name() == name);
    if known.is_none() {
        let names = RecordField::ALL.map(|field| format!("`{}`", field.name()));
        node.error(format!("expected one of {}", names.join(", ")));
    }
    known
}
