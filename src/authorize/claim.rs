//! What a claim must be: types are compared first, then values.

use serde_json::{Number, Value};

use crate::authorize::Truth;
use crate::authorize::facts::{Facts, Found};
use crate::authorize::request_part::RequestPart;
use crate::authorize::scopes::words;
use crate::config::condition::{ClaimMatch, ListMatch, NumberRange, Quantity, TextAs, ValueMatch};
use crate::config::path_template::PathTemplate;
use crate::request::RequestHead;
use crate::text::TextMatcher;

/// A claim and what it must be.
#[derive(Clone, Debug)]
pub struct ClaimTest {
    claim: Vec<String>,
    test: Test,
}

#[derive(Clone, Debug)]
enum Test {
    List { quantity: Quantity, item: ValueTest, text_as: TextAs },
    Present(bool),
    Value(ValueTest),
}

#[derive(Clone, Debug)]
enum ValueTest {
    Boolean(bool),
    Number(Vec<NumberRange>),
    Request(RequestPart),
    Text(Vec<TextMatcher>),
}

impl ClaimTest {
    pub(super) fn compile(
        claim: &[String],
        wire: &ClaimMatch,
        template: Option<&PathTemplate>,
        report: &dyn Fn(&str),
    ) -> Self {
        let value = |wire: &ValueMatch| ValueTest::compile(wire, template, report);
        let test = match wire {
            ClaimMatch::List(ListMatch { quantity, item, text_as }) => {
                Test::List { quantity: *quantity, item: value(item), text_as: *text_as }
            }
            ClaimMatch::Present(present) => Test::Present(*present),
            ClaimMatch::Value(wire) => Test::Value(value(wire)),
        };
        Self { claim: claim.to_vec(), test }
    }

    /// The name of the claim, or of that in which it is.
    pub(super) fn name(&self) -> Option<&str> {
        self.claim.first().map(String::as_str)
    }

    /// An absent claim meets nothing but `present_match: false`.
    pub(super) fn judge(&self, token: Option<&Facts>, head: &RequestHead) -> Truth {
        let value = match token.map_or(Found::Absent, |token| token.find(&self.claim)) {
            Found::Absent => return matches!(self.test, Test::Present(false)).into(),
            Found::NoWay => return Truth::Unclear,
            Found::Value(value) => value,
        };
        match (&self.test, value) {
            // Some issuers write `null` for "not set", and others mean a value by it.
            (_, Value::Null) => Truth::Unclear,
            (Test::Present(present), _) => (*present).into(),
            (Test::Value(test), value) => test.judge(value, head),
            (Test::List { quantity, item, .. }, Value::Array(items)) => {
                of(*quantity, items.iter().map(|value| item.judge(value, head)))
            }
            (Test::List { quantity, item, text_as: TextAs::Item }, Value::String(text)) => {
                of(*quantity, [item.judge_text(text, head)].into_iter())
            }
            (Test::List { quantity, item, text_as: TextAs::Words }, Value::String(text)) => {
                of(*quantity, words(text).map(|word| item.judge_text(word, head)))
            }
            (Test::List { .. }, _) => Truth::Unclear,
        }
    }
}

fn of(quantity: Quantity, items: impl Iterator<Item = Truth>) -> Truth {
    match quantity {
        Quantity::Any => Truth::any(items),
        Quantity::None => !Truth::any(items),
        Quantity::All => {
            let mut items = items.peekable();
            // What holds for each of none says nothing about anybody.
            if items.peek().is_some() { Truth::all(items) } else { Truth::No }
        }
    }
}

impl ValueTest {
    fn compile(wire: &ValueMatch, template: Option<&PathTemplate>, report: &dyn Fn(&str)) -> Self {
        match wire {
            ValueMatch::Boolean(expected) => Self::Boolean(*expected),
            ValueMatch::Number(ranges) => Self::Number(ranges.clone()),
            ValueMatch::Request(part) => {
                Self::Request(RequestPart::compile(part, template, report))
            }
            ValueMatch::Text(texts) => Self::Text(texts.iter().map(TextMatcher::new).collect()),
        }
    }

    fn judge(&self, value: &Value, head: &RequestHead) -> Truth {
        match (self, value) {
            (_, Value::String(text)) => self.judge_text(text, head),
            (Self::Boolean(expected), Value::Bool(value)) => (value == expected).into(),
            (Self::Number(ranges), Value::Number(number)) => {
                whole(number).map_or(Truth::Unclear, |number| {
                    let within =
                        |range: &NumberRange| range.least <= number && number <= range.most;
                    ranges.iter().any(within).into()
                })
            }
            // By its digits, without leading zeros: the request has texts only.
            (Self::Request(part), Value::Number(number)) if whole(number).is_some() => {
                part.is(number.to_string().as_bytes(), head)
            }
            _ => Truth::Unclear,
        }
    }

    fn judge_text(&self, text: &str, head: &RequestHead) -> Truth {
        match self {
            Self::Text(texts) => texts.iter().any(|own| own.matches(text.as_bytes())).into(),
            Self::Request(part) => part.is(text.as_bytes(), head),
            Self::Boolean(_) | Self::Number(_) => Truth::Unclear,
        }
    }
}

/// A whole number of 64 bits, exactly; anything else has passed through a double.
fn whole(number: &Number) -> Option<i128> {
    number.as_i64().map(i128::from).or_else(|| number.as_u64().map(i128::from))
}
