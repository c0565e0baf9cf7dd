//! What requirements come to, and what met ones do to a request.

use std::rc::Rc;

use crate::denial::Denial;
use crate::extract::TokenLocation;
use crate::policy::ProviderIndex;
use crate::policy::authorization::Bearer;
use crate::policy::evaluate::Wanted;
use crate::request::{RecordEntry, RequestEdit};
use crate::single_use::Use;

/// Whose token lets a request pass, and what the access log is told of it.
pub type Vouched = (ProviderIndex, Rc<[RecordEntry]>);

/// What a requirement, or one token, comes to.
pub(super) enum Outcome {
    Failed(Denial),
    Met(Grant),
    Waiting(Vec<Wanted>),
}

/// What a met requirement does to the request.
#[derive(Default)]
pub(super) struct Grant {
    pub(super) headers: Vec<RequestEdit>,
    /// Headers that are the same for every token.
    pub(super) fixed: Vec<RequestEdit>,
    /// Query parameters, encoded.
    pub(super) parameters: Vec<Vec<u8>>,
    pub(super) taken: Vec<TokenLocation>,
    /// The tokens, where conditions look at them.
    pub(super) bearers: Vec<Bearer>,
    /// Who lets it pass, of several the last: half of one and half of another would be nobody.
    pub(super) vouched: Option<Vouched>,
    /// What is used up.
    pub(super) uses: Vec<Use>,
}

impl Grant {
    /// Whether these tokens, and no others, were what met the requirement.
    pub(super) fn is_by(&self, bearers: &[Bearer]) -> bool {
        let whose = |bearer: &Bearer| (bearer.provider, bearer.known.token.clone());
        self.bearers.iter().map(whose).eq(bearers.iter().map(whose))
    }

    fn join(&mut self, other: Self) {
        self.headers.extend(other.headers);
        self.fixed.extend(other.fixed);
        self.parameters.extend(other.parameters);
        self.taken.extend(other.taken);
        self.bearers.extend(other.bearers);
        self.uses.extend(other.uses);
        self.vouched = other.vouched.or(self.vouched.take());
    }
}

/// Collects the outcomes of things that must all be good: the first failure ends it, and waiting
/// ends it only when nothing failed.
#[derive(Default)]
pub(super) struct Every {
    pub(super) grant: Grant,
    pub(super) waiting: Vec<Wanted>,
}

impl Every {
    /// Takes one outcome; returns the failure, if it is one.
    pub(super) fn take(&mut self, outcome: Outcome) -> Result<(), Denial> {
        match outcome {
            Outcome::Failed(denial) => return Err(denial),
            Outcome::Met(grant) => self.grant.join(grant),
            Outcome::Waiting(wanted) => self.waiting.extend(wanted),
        }
        Ok(())
    }

    pub(super) fn finish(self) -> Outcome {
        match self.waiting.is_empty() {
            true => Outcome::Met(self.grant),
            false => Outcome::Waiting(self.waiting),
        }
    }
}
