//! What requests use up, written into the proxy's shared data.

use crate::engine::{Decision, Spending};
use crate::host::{Gate, abi};
use crate::jwks::key_store::Seen;
use crate::single_use::SharedData;

/// The proxy's shared data. Any context may read and write it, at once.
struct Shared;

impl SharedData for Shared {
    type Seen = Seen;

    fn read(&mut self, entry: &str) -> Option<(Option<Vec<u8>>, Seen)> {
        abi::shared(entry).ok()
    }

    fn swap(&mut self, entry: &str, text: &[u8], seen: Seen) -> bool {
        abi::swap_shared(entry, text, seen)
    }
}

impl Gate {
    /// Writes down what a request uses up, until it is decided about.
    pub(super) fn spend(&self, mut spending: Box<Spending>) -> Decision {
        loop {
            // Without a clock nothing is written, and the engine refuses.
            if let Ok(now) = abi::now() {
                spending.carry_out(now, &mut Shared);
            }
            let decision = self.engine.borrow_mut().handle_spent(spending);
            match decision {
                Decision::Spend(left) => spending = left,
                decided => return decided,
            }
        }
    }
}
