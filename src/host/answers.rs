//! Answers to requests that waited.

use proxy_wasm::types::LogLevel;

use crate::engine::{Decision, Effect, StreamId};
use crate::host::abi::HostError;
use crate::host::{Gate, abi, apply, host_failed, reject};
use crate::request::RequestEdit;

/// Most waiting requests that are answered in one turn. Envoy runs the answers when the turn is
/// over, each inside the one before it; some three hundred would exhaust the VM's stack and end it.
const MAX_ANSWERS_PER_TURN: usize = 32;

impl Gate {
    /// Answers requests that waited.
    pub(super) fn answer(&self, root: u32) {
        for _ in 0..MAX_ANSWERS_PER_TURN {
            let next = self.answers.borrow_mut().pop_front();
            let Some(answer) = next else { break };
            let (Effect::Reject(StreamId(stream), _)
            | Effect::Resume(StreamId(stream), _)
            | Effect::Spend(StreamId(stream), _)) = answer
            else {
                // Nothing else is an answer.
                continue;
            };
            if abi::set_effective_context(stream).is_err() {
                // The stream is gone, and needs no answer.
                continue;
            }
            let decision = match answer {
                Effect::Reject(_, rejection) => Decision::Reject(rejection),
                Effect::Resume(_, edits) => Decision::Forward(edits),
                Effect::Spend(_, spending) => self.spend(spending),
                _ => continue,
            };
            match decision {
                Decision::Reject(rejection) => reject(&rejection),
                Decision::Forward(edits) => {
                    if let Err(error) = self.resume(stream, &edits) {
                        reject(&host_failed(error));
                    }
                }
                _ => {}
            }
        }
        if abi::set_effective_context(root).is_err() {
            abi::log(LogLevel::Error, "jwt-gate: the host lost its own context");
        }
    }

    fn resume(&self, stream: u32, edits: &[RequestEdit]) -> Result<(), HostError> {
        apply(edits)?;
        self.held.borrow_mut().remove(&stream);
        abi::continue_request()
    }
}
