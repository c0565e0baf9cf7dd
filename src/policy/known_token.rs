//! What is known of a token that was verified.

use std::rc::Rc;

use crate::authorize::Facts;
use crate::claims::RegisteredClaims;
use crate::jose::jws::VerifiedPayload;
use crate::policy::identity::Outputs;
use crate::policy::possession::Binding;
use crate::request::{RecordEntry, RequestEdit};

/// What an entry costs beside its texts, roughly.
const OVERHEAD: usize = 256;

/// What is known of a token that was verified.
#[derive(Debug)]
pub struct KnownToken {
    pub(super) token: Vec<u8>,
    pub(super) generation: u64,
    /// What is checked again for each request.
    pub claims: RegisteredClaims,
    /// What it does to a request.
    pub edits: Vec<RequestEdit>,
    /// The query parameters that it brings, encoded.
    pub parameters: Vec<Vec<u8>>,
    /// What conditions look at.
    pub facts: Facts,
    /// What it is bound to.
    pub binding: Binding,
    /// What the access log is told of it.
    pub record: Rc<[RecordEntry]>,
}

impl KnownToken {
    /// What `payload` brings, for the provider with these outputs, where conditions look at the
    /// claims of these names.
    pub fn new(
        token: &[u8],
        generation: u64,
        claims: RegisteredClaims,
        outputs: &Outputs,
        payload: &VerifiedPayload<'_>,
        claims_read: &[String],
    ) -> Self {
        let facts = match claims_read.is_empty() {
            true => Facts::default(),
            false => Facts::of(payload.claims(), claims_read),
        };
        let (edits, parameters) = (outputs.edits(payload), outputs.parameters(payload));
        let (token, binding) = (token.to_vec(), Binding::default());
        let record = Rc::default();
        Self { token, generation, claims, edits, parameters, facts, binding, record }
    }

    /// The same token, bound to this.
    pub fn bound(self, binding: Binding) -> Self {
        Self { binding, ..self }
    }

    /// The same token, with this for the access log.
    pub fn recorded(self, record: Rc<[RecordEntry]>) -> Self {
        Self { record, ..self }
    }

    pub(super) fn octets(&self) -> usize {
        let edits = self.edits.iter().map(|edit| match edit {
            RequestEdit::Add(name, value)
            | RequestEdit::Replace(name, value)
            | RequestEdit::State(name, value)
            | RequestEdit::Record(name, value) => name.len().saturating_add(value.len()),
            RequestEdit::Remove(name) => name.len(),
            RequestEdit::ClearRouteCache => 0,
        });
        let RegisteredClaims { iss, sub, aud, .. } = &self.claims;
        let claims = iss.iter().chain(sub).chain(aud).map(String::len);
        let parameters = self.parameters.iter().map(Vec::len);
        let record = self.record.iter().map(|(_, text)| text.len());
        let rest = edits
            .chain(claims)
            .chain(parameters)
            .chain(record)
            .chain([self.facts.octets(), self.binding.octets()]);
        rest.fold(self.token.len().saturating_add(OVERHEAD), usize::saturating_add)
    }
}
