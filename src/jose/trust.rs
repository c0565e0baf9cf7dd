//! Whether arithmetic of our own is believed, for one key: the library has the last word until both
//! have accepted a signature.
//!
//! Refusals prove nothing. Anybody can send nonsense, and arithmetic that is wrong refuses everything.

use std::cell::Cell;

/// What is thought of the arithmetic.
#[derive(Clone, Debug, Default)]
pub(super) struct Trust(Cell<State>);

#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
enum State {
    /// It agreed with the library about a good signature.
    Earned,
    /// It disagreed: never again for this key.
    Lost,
    /// Neither has happened.
    #[default]
    Untried,
}

impl Trust {
    /// Whether it was earned.
    pub(super) fn is_earned(&self) -> bool {
        self.0.get() == State::Earned
    }

    /// Whether it was lost.
    pub(super) fn is_lost(&self) -> bool {
        self.0.get() == State::Lost
    }

    /// There is something new to be tried, a table of another size.
    pub(super) fn doubt(&self) {
        if !self.is_lost() {
            self.0.set(State::Untried);
        }
    }

    /// The answer of the fast arithmetic where it is believed, and the library's otherwise.
    pub(super) fn judge(
        &self,
        fast: impl FnOnce() -> bool,
        library: impl FnOnce() -> bool,
    ) -> bool {
        match self.0.get() {
            State::Earned => fast(),
            State::Lost => library(),
            State::Untried => {
                let (answer, reference) = (fast(), library());
                match (answer, reference) {
                    (true, true) => self.0.set(State::Earned),
                    (false, false) => {}
                    _ => self.0.set(State::Lost),
                }
                reference
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trust_is_earned_by_good_signatures_only() {
        let trust = Trust::default();
        assert!(!trust.judge(|| false, || false));
        assert_eq!(trust.0.get(), State::Untried, "refusals prove nothing");
        assert!(trust.judge(|| true, || true));
        assert!(!trust.judge(|| false, || true), "the library is not asked any more");
        trust.doubt();
        assert!(trust.judge(|| false, || true), "the library is asked again");
        trust.doubt();
        assert!(trust.is_lost(), "what is lost stays lost");
    }

    #[test]
    fn arithmetic_that_is_wrong_is_never_used_again() {
        // What the library refuses, it accepts; and what the library accepts, it refuses.
        for good in [true, false] {
            let trust = Trust::default();
            assert_eq!(trust.judge(|| !good, || good), good, "the library has the last word");
            assert!(trust.is_lost() && trust.clone().is_lost(), "copies know it");
            assert_eq!(trust.judge(|| !good, || good), good);
        }
    }
}
