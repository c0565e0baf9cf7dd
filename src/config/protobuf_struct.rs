//! `google.protobuf.Struct` in its binary form into JSON: what the proxy hands to a plugin whose
//! configuration is written as such a message
//! (<https://protobuf.dev/programming-guides/encoding/>).
//!
//! Read by hand, because `prost` cannot be as strict as the JSON reader is: it keeps the last of
//! two members of one name and says nothing, passes over fields that it does not know, and its
//! limit of depth is 100 messages, which is 33 objects. It would also take three times the size.

use serde_json::{Map, Number, Value};

use crate::json::MAX_DEPTH;

/// Decodes a `Struct`, always into an object. `None` if the octets are no such message, or one
/// that has no meaning in JSON: a member twice, a value of no kind or of two, a number that is
/// none, text that is not UTF-8, more depth than [`MAX_DEPTH`].
pub fn decode(octets: &[u8]) -> Option<Value> {
    object(octets, 0)
}

/// `Struct { map<string, Value> fields = 1; }`
fn object(octets: &[u8], depth: u8) -> Option<Value> {
    let mut members = Map::new();
    for field in Fields(octets) {
        let (1, Payload::Octets(entry)) = field? else { return None };
        let (name, value) = member(entry, deeper(depth)?)?;
        if members.insert(name, value).is_some() {
            return None;
        }
    }
    Some(Value::Object(members))
}

/// An entry of the map: the name, which may be left out if it is empty, and the value.
fn member(octets: &[u8], depth: u8) -> Option<(String, Value)> {
    let mut name = None;
    let mut member = None;
    for field in Fields(octets) {
        let replaced = match field? {
            (1, Payload::Octets(octets)) => name.replace(text(octets)?).is_some(),
            (2, Payload::Octets(octets)) => member.replace(value(octets, depth)?).is_some(),
            _ => return None,
        };
        if replaced {
            return None;
        }
    }
    Some((name.unwrap_or_default(), member?))
}

/// `ListValue { repeated Value values = 1; }`
fn list(octets: &[u8], depth: u8) -> Option<Value> {
    let mut values = Vec::new();
    for field in Fields(octets) {
        let (1, Payload::Octets(octets)) = field? else { return None };
        values.push(value(octets, deeper(depth)?)?);
    }
    Some(Value::Array(values))
}

/// `Value { oneof kind { null, number, string, bool, struct, list = 1 to 6 } }`
fn value(octets: &[u8], depth: u8) -> Option<Value> {
    let mut fields = Fields(octets);
    let kind = match fields.next()?? {
        (1, Payload::Varint(0)) => Value::Null,
        (2, Payload::Fixed64(octets)) => Value::Number(number(f64::from_le_bytes(octets))?),
        (3, Payload::Octets(octets)) => Value::String(text(octets)?),
        (4, Payload::Varint(flag)) => Value::Bool(flag != 0),
        (5, Payload::Octets(octets)) => object(octets, depth)?,
        (6, Payload::Octets(octets)) => list(octets, depth)?,
        _ => return None,
    };
    fields.next().is_none().then_some(kind)
}

fn deeper(depth: u8) -> Option<u8> {
    depth.checked_add(1).filter(|depth| *depth <= MAX_DEPTH)
}

fn text(octets: &[u8]) -> Option<String> {
    str::from_utf8(octets).ok().map(str::to_owned)
}

/// The message has doubles only: the whole ones become the integers that were written.
fn number(double: f64) -> Option<Number> {
    #[expect(clippy::cast_possible_truncation, reason = "the value is whole and in range")]
    let whole = || double as i64;
    // Beyond 2^53 a double may be another number than the one that was written.
    match double.fract() == 0.0 && double.abs() <= MAX_WHOLE {
        true => Some(whole().into()),
        false => Number::from_f64(double),
    }
}

/// 2^53: up to here every integer is a double of its own.
const MAX_WHOLE: f64 = 9_007_199_254_740_992.0;

/// The fields of a message: number and payload of each, `None` where the octets are not
/// well-formed, after which there is nothing more to ask for.
struct Fields<'a>(&'a [u8]);

/// What a field holds, by its wire type. Groups and 32-bit numbers occur in no `Struct`.
enum Payload<'a> {
    Varint(u64),
    Fixed64([u8; 8]),
    Octets(&'a [u8]),
}

impl<'a> Iterator for Fields<'a> {
    type Item = Option<(u64, Payload<'a>)>;

    fn next(&mut self) -> Option<Self::Item> {
        (!self.0.is_empty()).then(|| self.field())
    }
}

impl<'a> Fields<'a> {
    fn field(&mut self) -> Option<(u64, Payload<'a>)> {
        let tag = self.varint()?;
        let payload = match tag & 7 {
            0 => Payload::Varint(self.varint()?),
            1 => {
                let (octets, rest) = self.0.split_first_chunk()?;
                self.0 = rest;
                Payload::Fixed64(*octets)
            }
            2 => {
                let length = usize::try_from(self.varint()?).ok()?;
                let (octets, rest) = self.0.split_at_checked(length)?;
                self.0 = rest;
                Payload::Octets(octets)
            }
            _ => return None,
        };
        Some((tag >> 3, payload))
    }

    /// Seven bits an octet, the lowest first; at most ten octets, which hold 64 bits.
    fn varint(&mut self) -> Option<u64> {
        let mut number = 0;
        for shift in (0..u64::BITS).step_by(7) {
            let (octet, rest) = self.0.split_first()?;
            self.0 = rest;
            let bits = u64::from(octet & 0x7f);
            // The tenth octet has room for one bit.
            if bits.leading_zeros() < shift {
                return None;
            }
            number |= bits.checked_shl(shift)?;
            if *octet < 0x80 {
                return Some(number);
            }
        }
        None
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::config::Config;
    use crate::json;
    use proptest::prelude::*;
    use prost::Message;
    use prost_types::value::Kind;
    use serde_json::json;

    /// Another's encoder.
    fn encode(json: &Value) -> Vec<u8> {
        match message(json).kind {
            Some(Kind::StructValue(object)) => object.encode_to_vec(),
            _ => panic!("no object"),
        }
    }

    fn message(json: &Value) -> prost_types::Value {
        let kind = match json {
            Value::Null => Kind::NullValue(0),
            Value::Bool(flag) => Kind::BoolValue(*flag),
            Value::Number(number) => Kind::NumberValue(number.as_f64().unwrap()),
            Value::String(text) => Kind::StringValue(text.clone()),
            Value::Array(items) => Kind::ListValue(prost_types::ListValue {
                values: items.iter().map(message).collect(),
            }),
            Value::Object(members) => Kind::StructValue(prost_types::Struct {
                fields: members.iter().map(|(name, item)| (name.clone(), message(item))).collect(),
            }),
        };
        prost_types::Value { kind: Some(kind) }
    }

    /// One field of wire type 2, shorter than 128 octets.
    fn field(number: u8, octets: &[u8]) -> Vec<u8> {
        [&[number << 3 | 2, u8::try_from(octets.len()).unwrap()], octets].concat()
    }

    /// An object with the member `a` of these octets.
    fn object_of(value: &[u8]) -> Vec<u8> {
        field(1, &[field(1, b"a"), field(2, value)].concat())
    }

    #[test]
    fn an_empty_message_is_an_empty_object() {
        assert_eq!(decode(b""), Some(json!({})));
        assert_eq!(encode(&json!({})), b"");
    }

    #[test]
    fn whole_numbers_are_integers() {
        let read = |double: f64| {
            let value = decode(&object_of(&[&[2 << 3 | 1][..], &double.to_le_bytes()].concat()));
            value.map(|object| object["a"].to_string())
        };
        for (double, expected) in [
            (0.0, "0"),
            (-0.0, "0"),
            (5.0, "5"),
            (-5.0, "-5"),
            (0.5, "0.5"),
            (9_007_199_254_740_992.0, "9007199254740992"),
            (1e300, "1e+300"),
        ] {
            assert_eq!(read(double).as_deref(), Some(expected));
        }
        for double in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert_eq!(read(double), None, "{double}");
        }
    }

    #[test]
    fn what_is_no_struct() {
        let flag = [4 << 3, 1];
        let good = object_of(&flag);
        assert_eq!(decode(&good), Some(json!({"a": true})));
        assert_eq!(decode(&field(1, &field(2, &flag))), Some(json!({"": true})));
        let member = |fields: &[Vec<u8>]| field(1, &fields.concat());
        for (what, octets) in [
            ("a member twice", good.repeat(2)),
            ("a name twice", member(&[field(1, b"a"), field(1, b"b"), field(2, &flag)])),
            ("a value twice", member(&[field(1, b"a"), field(2, &flag), field(2, &flag)])),
            ("no value", member(&[field(1, b"a")])),
            ("no kind", object_of(b"")),
            ("two kinds", object_of(&flag.repeat(2))),
            ("an unknown kind", object_of(&[7 << 3, 0])),
            ("a null that is none", object_of(&[1 << 3, 1])),
            ("a kind of another type", object_of(&[3 << 3, 1])),
            ("a name that is not UTF-8", member(&[field(1, b"\xff"), field(2, &flag)])),
            ("text that is not UTF-8", object_of(&field(3, b"\xff"))),
            ("an unknown field", [good.clone(), field(2, b"")].concat()),
            ("field zero", [good.clone(), field(0, b"")].concat()),
            ("field 1 of 2^32", [&good[..], b"\x8a\x80\x80\x80\x80\x01\x00"].concat()),
            ("a group", [&good[..], &[1 << 3 | 3, 1 << 3 | 4]].concat()),
            ("a length beyond the end", vec![1 << 3 | 2, 1]),
            ("a length beyond memory", b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01".to_vec()),
            ("a length beyond 64 bits", b"\x0a\x80\x80\x80\x80\x80\x80\x80\x80\x80\x02".to_vec()),
            ("a length without end", [&[1 << 3 | 2][..], &[0x80; 20]].concat()),
        ] {
            assert_eq!(decode(&octets), None, "{what}");
        }
        // Longer than need be is allowed.
        assert_eq!(decode(&object_of(&[4 << 3, 0x81, 0x80, 0])), Some(json!({"a": true})));
        for length in 1..good.len() {
            assert_eq!(decode(&good[..length]), None, "{length}");
        }
    }

    #[test]
    fn depth_is_that_of_json() {
        for list in [true, false] {
            let mut nested = json!({});
            for depth in 1..=u32::from(MAX_DEPTH) + 3 {
                nested = match list {
                    true if depth > 1 => json!({"a": [nested["a"]]}),
                    _ => json!({"a": nested}),
                };
                let expected = json::parse(nested.to_string().as_bytes()).ok();
                assert_eq!(expected.is_some(), depth <= u32::from(MAX_DEPTH), "{depth}");
                assert_eq!(decode(&encode(&nested)), expected, "{depth}");
            }
        }
    }

    /// The tag of the first member is a line feed, and its length can be that of a brace.
    #[test]
    fn a_message_that_begins_like_a_text() {
        let octets = encode(&json!({"x": "y".repeat(116)}));
        assert!(octets.starts_with(b"\n{\n"));
        let (_, errors) = Config::parse(&octets);
        let lines: Vec<_> = errors.iter().map(ToString::to_string).collect();
        assert_eq!(lines[0], "`providers` is required");
        assert!(lines[1].starts_with("x: unknown field"), "{lines:?}");
    }

    /// Any JSON whose numbers a double holds.
    pub(crate) fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            (-(1_i64 << 53)..=1 << 53).prop_map(Value::from),
            any::<f64>().prop_filter("not whole", |n| n.fract() != 0.0).prop_map(Value::from),
            any::<String>().prop_map(Value::from),
        ];
        leaf.prop_recursive(6, 64, 8, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..8).prop_map(Value::from),
                proptest::collection::btree_map(any::<String>(), inner, 0..8)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(512))]

        #[test]
        fn what_another_encodes_is_read_back(
            members in proptest::collection::btree_map(any::<String>(), any_json(), 1..8)
        ) {
            let object = Value::Object(members.into_iter().collect());
            let octets = encode(&object);
            prop_assert_eq!(decode(&octets), Some(object));
            prop_assert!(json::parse(&octets).is_err());
        }

        #[test]
        fn arbitrary_octets_never_panic(octets in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = decode(&octets);
        }

        #[test]
        fn mangled_messages_never_panic(
            object in any_json(),
            changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        ) {
            let mut octets = encode(&json!({ "a": object }));
            for (index, octet) in changes {
                let index = index.index(octets.len());
                octets[index] = octet;
            }
            let _ = decode(&octets);
        }
    }
}
