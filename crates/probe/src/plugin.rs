//! The probe as a plugin: the body of a request is a job, and the answer to it is the response.

use std::time::UNIX_EPOCH;

use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, ContextType};

proxy_wasm::main! {{
    proxy_wasm::set_root_context(|_| Box::new(Root));
}}

struct Root;

impl Context for Root {}

impl RootContext for Root {
    fn create_http_context(&self, _: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Call))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}

struct Call;

impl Context for Call {}

impl HttpContext for Call {
    fn on_http_request_headers(&mut self, _: usize, _: bool) -> Action {
        Action::Pause
    }

    fn on_http_request_body(&mut self, size: usize, is_whole: bool) -> Action {
        if is_whole {
            let job = self.get_http_request_body(0, size).unwrap_or_default();
            let clock = || {
                let since = self.get_current_time().duration_since(UNIX_EPOCH).unwrap_or_default();
                u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
            };
            let answer = crate::answer(&job, &clock).to_string();
            self.send_http_response(200, Vec::new(), Some(answer.as_bytes()));
        }
        Action::Pause
    }
}
