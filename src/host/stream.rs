//! One request: its callbacks.

use std::rc::Rc;

use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types::{Action, BufferType, MapType};

use crate::engine::{Decision, MAX_BODY, StreamId};
use crate::host::abi::HostError;
use crate::host::{Gate, abi, apply, host_failed, reject, serve};
use crate::request::RequestHead;

/// One request.
pub(super) struct Stream {
    id: u32,
    gate: Rc<Gate>,
    passage: Passage,
}

/// Whether a request may go on.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Passage {
    /// It may.
    Free,
    /// Its body is being read.
    Receiving,
    /// It may not.
    Refused,
    /// Its headers were not looked at.
    Undecided,
    /// It had to wait: [`Gate::held`] knows.
    Waited,
}

impl Stream {
    /// A request whose headers have not come yet.
    pub(super) fn new(id: u32, gate: Rc<Gate>) -> Self {
        Self { id, gate, passage: Passage::Undecided }
    }

    /// Adds what the policy wants to know beside the headers. What the proxy does not know is left
    /// out.
    fn complete(&self, head: RequestHead) -> RequestHead {
        let wanted = self.gate.engine.borrow().properties();
        let known = wanted.into_iter().filter_map(|path| {
            let value = abi::property(&path).ok()?;
            Some((path, value))
        });
        head.with_properties(known.collect())
    }

    /// Reads the body of a request that tells of a logout, once it is there, and answers it.
    fn receive(&mut self, size: usize, is_over: bool) {
        let is_too_long = size > MAX_BODY;
        if self.passage != Passage::Receiving || !(is_over || is_too_long) {
            return;
        }
        let body = abi::buffer(BufferType::HttpRequestBody, MAX_BODY.saturating_add(1));
        let body = body.ok().filter(|body| body.len() <= MAX_BODY && !is_too_long);
        let Ok(now) = abi::now() else { return };
        let id = StreamId(self.id);
        let served = self.gate.engine.borrow_mut().handle_body(id, body.as_deref(), now);
        self.passage = Passage::Refused;
        self.gate.carry_out();
        serve(&served);
    }

    fn strike_trailers(&self) -> Result<(), HostError> {
        let trailers = abi::headers(MapType::HttpRequestTrailers)?;
        let struck = self.gate.engine.borrow().struck_trailers(&trailers);
        struck.iter().try_for_each(|name| abi::remove(MapType::HttpRequestTrailers, name))
    }

    /// The answer to a callback after the headers. With `allow_on_headers_stop_iteration`, Envoy
    /// sends the body through while the headers are held, and one `Continue` would send all of it
    /// on.
    fn go_on(&self) -> Action {
        let free = match self.passage {
            Passage::Free => true,
            Passage::Receiving | Passage::Refused | Passage::Undecided => false,
            Passage::Waited => !self.gate.held.borrow().contains(&self.id),
        };
        if free { Action::Continue } else { Action::Pause }
    }
}

impl Context for Stream {
    fn on_done(&mut self) -> bool {
        if matches!(self.passage, Passage::Waited | Passage::Receiving) {
            self.gate.engine.borrow_mut().handle_gone(StreamId(self.id));
            self.gate.held.borrow_mut().remove(&self.id);
        }
        true
    }
}

impl HttpContext for Stream {
    fn on_http_request_headers(&mut self, _headers: usize, end_of_stream: bool) -> Action {
        let facts = abi::headers(MapType::HttpRequestHeaders)
            .and_then(|headers| Ok((self.complete(RequestHead::of(headers)), abi::now()?)));
        let decision = match facts {
            Ok((head, now)) => {
                self.gate.engine.borrow_mut().handle_request(StreamId(self.id), head, now)
            }
            Err(error) => Decision::Reject(host_failed(error)),
        };
        let decision = match decision {
            Decision::Spend(spending) => self.gate.spend(spending),
            decided => decided,
        };
        self.gate.carry_out();
        self.passage = match decision {
            Decision::Forward(edits) => match apply(&edits) {
                Ok(()) => Passage::Free,
                Err(error) => {
                    reject(&host_failed(error));
                    Passage::Refused
                }
            },
            Decision::Reject(rejection) => {
                reject(&rejection);
                Passage::Refused
            }
            Decision::Serve(served) => {
                serve(&served);
                Passage::Refused
            }
            Decision::Receive => Passage::Receiving,
            // It was spent, and decided about.
            Decision::Spend(_) => Passage::Refused,
            Decision::Wait => {
                self.gate.held.borrow_mut().insert(self.id);
                Passage::Waited
            }
        };
        self.receive(0, end_of_stream);
        self.go_on()
    }

    fn on_http_request_body(&mut self, size: usize, end_of_stream: bool) -> Action {
        self.receive(size, end_of_stream);
        self.go_on()
    }

    fn on_http_request_trailers(&mut self, _trailers: usize) -> Action {
        self.receive(MAX_BODY, true);
        match self.strike_trailers() {
            Ok(()) => self.go_on(),
            // It ends with the proxy's timeout: nothing can be answered any more, nor must this pass.
            Err(_) => Action::Pause,
        }
    }
}
