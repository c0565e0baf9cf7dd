//! What the last decision looked at, for tools.

use crate::engine::Engine;
use crate::policy::trace::Note;

impl Engine {
    /// What the last decision looked at, step by step.
    pub fn notes(&self) -> Vec<Note> {
        self.policy.as_ref().map(|policy| policy.notes.borrow().clone()).unwrap_or_default()
    }
}
