//! Any octets as a configuration, as JSON or as a binary `google.protobuf.Struct`: it is compiled or
//! refused with errors that say where, and what was compiled decides without a panic.

use jwt_gate::engine::{Decision, Engine, StreamId};
use jwt_gate::policy::Policy;
use jwt_gate::request::RequestHead;
use jwt_gate::time::UnixTime;
use serde_json::Value;

use crate::strict::is_strict;

/// The octets are a configuration.
pub fn run(octets: &[u8]) {
    check_binary(octets);
    let policy = match Policy::parse(octets) {
        Ok(policy) => policy,
        Err(errors) => {
            assert!(!errors.is_empty(), "refused without a reason");
            let told: Vec<_> = errors.iter().map(ToString::to_string).collect();
            assert!(told.iter().all(|line| !line.is_empty()));
            let again = Policy::parse(octets).map_err(|errors| errors.len()).err();
            assert_eq!(again, Some(errors.len()));
            return;
        }
    };
    let mut engine = Engine::new(policy);
    let token = "eyJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJhIn0.AA";
    for (number, (method, path)) in
        [("GET", "/"), ("GET", "/a/b?access_token=x.y.z"), ("OPTIONS", "*"), ("CONNECT", "")]
            .into_iter()
            .enumerate()
    {
        let bearer = format!("Bearer {token}");
        let headers = [
            (":method", method),
            (":authority", "host"),
            (":path", path),
            ("authorization", bearer.as_str()),
        ];
        let octets = |text: &str| text.as_bytes().to_vec();
        let head = headers.iter().map(|(name, value)| (octets(name), octets(value)));
        let now = UnixTime::from_secs(1_800_000_000);
        let stream = StreamId(u32::try_from(number).expect("a few"));
        let decision = engine.handle_request(stream, RequestHead::new(head.collect()), now);
        // Nobody signed the token: nothing of it is used up.
        assert!(!matches!(decision, Decision::Spend(_)));
        engine.handle_tick(UnixTime::from_secs(1_800_000_100));
        while engine.next_effect().is_some() {}
    }
    // The wait for keys is bounded, whatever was configured.
    engine.handle_tick(UnixTime::from_secs(1_800_010_000));
    while engine.next_effect().is_some() {}
    assert_eq!(engine.waiting(), 0);
}

/// The same configuration as a message is as good, or has the same mistakes.
fn check_binary(octets: &[u8]) {
    let Ok(text) = str::from_utf8(octets) else { return };
    let Ok(Value::Object(members)) = serde_json::from_str(text) else { return };
    // As a message it would be the empty text, which is a mistake of its own.
    if members.is_empty() || !is_strict(text, 100) || !text.trim_start().starts_with('{') {
        return;
    }
    let Some(message) = fields(&members) else { return };
    let told = |octets: &[u8]| match Policy::parse(octets) {
        Ok(_) => Vec::new(),
        Err(errors) => errors.iter().map(ToString::to_string).collect(),
    };
    assert_eq!(told(&message), told(octets));
}

/// A `google.protobuf.Struct`; none if a number in it has another text as a double.
fn fields(members: &serde_json::Map<String, Value>) -> Option<Vec<u8>> {
    let mut message = Vec::new();
    for (name, value) in members {
        let entry = [field(1, name.as_bytes()), field(2, &message_of(value)?)].concat();
        message.extend(field(1, &entry));
    }
    Some(message)
}

/// A `google.protobuf.Value`.
fn message_of(value: &Value) -> Option<Vec<u8>> {
    Some(match value {
        Value::Null => vec![1 << 3, 0],
        Value::Number(number) => {
            let whole = number.as_i64().filter(|whole| whole.unsigned_abs() < 1 << 53)?;
            let double = number.as_f64().filter(|double| *double as i64 == whole)?;
            [&[2 << 3 | 1][..], &double.to_le_bytes()].concat()
        }
        Value::String(text) => field(3, text.as_bytes()),
        Value::Bool(value) => vec![4 << 3, u8::from(*value)],
        Value::Object(members) => field(5, &fields(members)?),
        Value::Array(list) => {
            let values = list.iter().map(|value| Some(field(1, &message_of(value)?)));
            field(6, &values.collect::<Option<Vec<_>>>()?.concat())
        }
    })
}

/// A field of octets with its length.
fn field(number: u8, octets: &[u8]) -> Vec<u8> {
    let mut field = vec![number << 3 | 2];
    let mut length = octets.len();
    while length > 127 {
        field.push((length & 127) as u8 | 128);
        length >>= 7;
    }
    field.push(length as u8);
    field.extend(octets);
    field
}
