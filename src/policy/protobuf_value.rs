//! JSON into a binary `google.protobuf.Value` (<https://protobuf.dev/programming-guides/encoding/>),
//! the form in which native filters take structured metadata.
//!
//! Written from the end, because a length stands before what it is the length of.

use serde_json::Value;

/// Encodes `value`. Numbers become doubles: the message has no others.
pub(super) fn encode(value: &Value) -> Vec<u8> {
    let mut writer = Writer(Vec::new());
    writer.value(value);
    writer.0.reverse();
    writer.0
}

/// How deep the messages within the message nest, at most.
pub(super) fn depth(value: &Value) -> usize {
    let deepest = |values: &mut dyn Iterator<Item = &Value>| values.map(depth).max();
    match value {
        // `Struct`, its entry, and the `Value` in that.
        Value::Object(members) => {
            3_usize.saturating_add(deepest(&mut members.values()).unwrap_or(0))
        }
        // `ListValue`, and the `Value` in it.
        Value::Array(items) => 2_usize.saturating_add(deepest(&mut items.iter()).unwrap_or(0)),
        _ => 0,
    }
}

/// A message, its last octet first.
struct Writer(Vec<u8>);

impl Writer {
    /// `Value { oneof kind { null, number, string, bool, struct, list = 1 to 6 } }`
    fn value(&mut self, value: &Value) {
        match value {
            Value::Null => self.varint(1, 0),
            Value::Bool(flag) => self.varint(4, u64::from(*flag)),
            Value::Number(number) => {
                let double = number.as_f64().unwrap_or_default();
                self.0.extend(double.to_le_bytes().iter().rev());
                self.0.push(2 << 3 | 1);
            }
            Value::String(text) => self.text(3, text),
            Value::Object(members) => self.field(5, |writer| {
                // `Struct { map<string, Value> fields = 1; }`
                for (name, member) in members.iter().rev() {
                    writer.field(1, |writer| {
                        writer.field(2, |writer| writer.value(member));
                        writer.text(1, name);
                    });
                }
            }),
            Value::Array(items) => self.field(6, |writer| {
                // `ListValue { repeated Value values = 1; }`
                for item in items.iter().rev() {
                    writer.field(1, |writer| writer.value(item));
                }
            }),
        }
    }

    fn text(&mut self, number: u8, text: &str) {
        self.field(number, |writer| writer.0.extend(text.as_bytes().iter().rev()));
    }

    /// A field of wire type 2: what `write` writes, its length, its tag.
    fn field(&mut self, number: u8, write: impl FnOnce(&mut Self)) {
        let before = self.0.len();
        write(self);
        let length = self.0.len().saturating_sub(before);
        self.digits(u64::try_from(length).unwrap_or_default());
        self.0.push(number << 3 | 2);
    }

    fn varint(&mut self, number: u8, value: u64) {
        self.digits(value);
        self.0.push(number << 3);
    }

    /// Seven bits an octet, the lowest first; all but the last have the eighth bit.
    fn digits(&mut self, mut value: u64) {
        let start = self.0.len();
        loop {
            let [bits, ..] = value.to_le_bytes();
            value >>= 7;
            if value == 0 {
                self.0.push(bits & 0x7f);
                break;
            }
            self.0.push(bits | 0x80);
        }
        if let Some(digits) = self.0.get_mut(start..) {
            digits.reverse();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::protobuf_struct;
    use crate::config::protobuf_struct::tests::any_json;
    use proptest::prelude::*;
    use prost::Message;
    use serde_json::json;

    /// Read by the crate's own decoder, which knows objects only.
    fn decoded(value: &Value) -> Option<Value> {
        let octets = encode(&json!({ "v": value }));
        // `Value { struct = 5 }`: tag and length of the message within.
        let (tag, rest) = octets.split_first()?;
        assert_eq!(*tag, 5 << 3 | 2);
        let message =
            rest.iter().position(|octet| *octet < 0x80).and_then(|last| rest.get(last..))?;
        Some(protobuf_struct::decode(&message[1..])?["v"].clone())
    }

    #[test]
    fn octets() {
        assert_eq!(encode(&json!(null)), [8, 0]);
        assert_eq!(encode(&json!(true)), [32, 1]);
        assert_eq!(encode(&json!("a")), [26, 1, b'a']);
        assert_eq!(encode(&json!(1)), [17, 0, 0, 0, 0, 0, 0, 0xf0, 0x3f]);
        assert_eq!(encode(&json!({})), [42, 0]);
        assert_eq!(encode(&json!(["a", false])), [50, 9, 10, 3, 26, 1, b'a', 10, 2, 32, 0]);
        assert_eq!(encode(&json!({"a": "b"})), [42, 10, 10, 8, 10, 1, b'a', 18, 3, 26, 1, b'b']);
        let long = encode(&json!("x".repeat(300)));
        assert_eq!(long[..4], [26, 0xac, 2, b'x']);
        assert_eq!(long.len(), 303);
    }

    #[test]
    fn deep_values() {
        let mut value = json!("bottom");
        for _ in 0..90 {
            value = json!([value]);
        }
        assert_eq!(depth(&value), 180);
        assert_eq!(depth(&json!({"a": [1], "b": {"c": [{}], "d": {}}})), 3 + 3 + 2 + 3);
        assert_eq!(decoded(&value), Some(value));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(512))]

        #[test]
        fn what_is_encoded_is_read_back(value in any_json()) {
            // Another's decoder takes it for a whole message, too.
            prop_assert!(prost_types::Value::decode(encode(&value).as_slice()).is_ok());
            prop_assert_eq!(decoded(&value), Some(value));
        }
    }
}
