//! The reference page of the configuration, in Markdown.

use std::fmt::Write as _;
use std::time::Duration;

use jwt_gate::config::reference::{Field, Kind, Rule, Span};

use crate::schema::{Shape, path_of, shapes, shapes_in, text, values};

const HEAD: &str = "\
# Configuration reference

Every field of the configuration, from the tables that stand beside the code that reads them.
`cargo xtask docs` makes this page and the JSON Schema ([schema.json](schema.json)); a test fails when either is
stale. [configuration.md](configuration.md) explains what it all means; [cli.md](cli.md#in-an-editor) says how an
editor learns of the schema.

- Fields marked **ours** are not Envoy's. All others have the meaning of Envoy's field of the same name, in the
  message that is named above the table, but for what
  [configuration.md](configuration.md#different-from-native-on-purpose) lists.
- Names may be written in snake_case, as here, or in lowerCamelCase, but not in both.
- `null` is the same as leaving a field out, except where it is marked *not null*: there it is an error.
- Numbers and booleans may be written as text, and one value in place of a list of one.
- A *duration* is text: seconds with up to nine decimals and an `s`, such as `\"5s\"` or `\"0.25s\"`.
- Lists may be empty where no least number is given.
- In paths, `NAME` stands for a name of your choice, and `[]` for the items of a list.

The schema refuses nothing that the gate takes. It takes some of what the gate refuses, since it cannot know:
the limits of durations, and of numbers that are written as text; that whole numbers are written without decimals and exponent;
which of two fields is greater; a list that must not be empty because nothing else is said; `local_jwks_is_fallback`
and what it needs; patterns of issuers, templates of paths and regular expressions; headers that are the gate's own, hosts, the
last letter of base64, the octet zero; how deep requirements and conditions nest; and whatever is about more than
one object, such as names of providers that do not exist. `jwt-gate check` knows all of that.

";

/// The page.
pub fn page() -> String {
    let all = shapes();
    let mut page = HEAD.to_owned();
    page.push_str("| object | where it stands |\n|---|---|\n");
    for shape in &all {
        let path = path_of(shape, &all);
        let path = if path.is_empty() { "the whole".to_owned() } else { format!("`{path}`") };
        let _ = writeln!(page, "| {} | {path} |", link(shape));
    }
    for shape in &all {
        section(shape, &all, &mut page);
    }
    page
}

fn link(shape: &Shape) -> String {
    format!("[{}](#{})", shape.name(), shape.name().to_ascii_lowercase())
}

fn page_link(page: &str) -> String {
    format!("[{}]({page})", page.split('#').next().unwrap_or(page))
}

fn section(shape: &Shape, all: &[Shape], page: &mut String) {
    let object = shape.object;
    let _ = write!(page, "\n## {}\n\n", shape.name());
    if shape.is_part() {
        let _ = writeln!(
            page,
            "The fields of {} that are to be different, one at least; none is required. What is not said holds as \
             in the whole. These hold for both, and cannot be different: {}.",
            link(&Shape::whole(object)),
            list(
                object
                    .fields
                    .iter()
                    .map(|field| field.name)
                    .filter(|name| { !shape.fields().any(|field| field.name == *name) })
            )
        );
        return;
    }
    let _ = write!(page, "{}", text(object.about));
    match object.message {
        Some(message) => {
            let _ = write!(page, " Envoy's `{message}`.");
        }
        None => page.push_str(" **Ours.**"),
    }
    let _ = writeln!(page, " Explained in {}.", page_link(object.page));
    let places = places(shape, all);
    if !places.is_empty() {
        let _ = writeln!(page, "It stands in {}.", places.join(", "));
    }
    if object.fields.iter().all(|field| field.refused.is_some()) {
        return;
    }
    page.push_str("\n| field | type | default | meaning |\n|---|---|---|---|\n");
    let is_ours = object.message.is_none();
    for field in shape.fields().filter(|field| field.refused.is_none()) {
        let kind = kind_in_words(&field.kind, field.name);
        let not_null = if field.not_null && !field.required { ", not null" } else { "" };
        let unit = field.unit.map(|unit| format!(" {unit}")).unwrap_or_default();
        let limits = limits(&field.kind).map(|limits| format!("; {limits}{unit}"));
        let limits = limits
            .unwrap_or_else(|| field.unit.map(|unit| format!("; {unit}")).unwrap_or_default());
        let default = match field.required {
            true => "required".to_owned(),
            false => default_in_words(field).unwrap_or_default(),
        };
        let mut meaning = Vec::new();
        if field.ours && !is_ours {
            meaning.push("**ours**:".to_owned());
        }
        meaning.push(text(field.meaning));
        meaning.extend(field.example.map(|example| format!("Such as `{example}`.")));
        meaning.extend(field.rfc.map(|section| format!("{section}.")));
        meaning.extend(field.page.map(|page| format!("See {}.", page_link(page))));
        let meaning = meaning.join(" ").replace('|', "\\|");
        let _ = writeln!(
            page,
            "| `{}` | {kind}{limits}{not_null} | {default} | {meaning} |",
            field.name
        );
    }
    for rule in object.rules {
        let _ = write!(page, "\n{}\n", rule_in_words(rule));
    }
    let refused: Vec<_> = shape
        .fields()
        .filter_map(|field| field.refused.map(|instead| format!("`{}` ({instead})", field.name)))
        .collect();
    if !refused.is_empty() {
        let _ =
            write!(page, "\nRefused, since a plugin cannot honour them: {}.\n", refused.join(", "));
    }
}

/// Where an object stands: the fields that hold it.
fn places(shape: &Shape, all: &[Shape]) -> Vec<String> {
    let mut places = Vec::new();
    for holder in all.iter().filter(|holder| !holder.is_part()) {
        for field in holder.fields() {
            if shapes_in(&field.kind, field.name).iter().any(|inner| inner.name() == shape.name()) {
                places.push(format!("`{}` of {}", field.name, link(holder)));
            }
        }
    }
    places
}

fn list<'a>(names: impl Iterator<Item = &'a str>) -> String {
    names.map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

fn rule_in_words(rule: &Rule) -> String {
    let all = |names: &[&str]| list(names.iter().copied());
    match rule {
        Rule::AnyOf(names) => format!("At least one of {} is required.", all(names)),
        Rule::AtMostOne(names) => format!("At most one of {} may be set.", all(names)),
        Rule::OneOf(names) => format!("Just one of {} is required.", all(names)),
        Rule::OneOfBeside(names, beside) => {
            format!("With `{beside}`, just one of {} is required.", all(names))
        }
        Rule::Needs(name, others) => match others {
            [other] => format!("`{name}` needs `{other}`."),
            others => format!("`{name}` needs one of {}.", all(others)),
        },
        Rule::Beside(names, beside) => format!("{} stand beside `{beside}` only.", all(names)),
    }
}

/// What a value may be, in a word or two.
pub fn kind_in_words(kind: &'static Kind, field: &'static str) -> String {
    match kind {
        Kind::Anything => "anything".to_owned(),
        Kind::AnyObject(_) => "object".to_owned(),
        Kind::Array(item, _) => format!("list (always): {}", kind_in_words(item, field)),
        Kind::Choice(choices) => list(choices.iter().copied()),
        Kind::Either(kinds) => {
            let mut kinds: Vec<_> = kinds.iter().map(|kind| kind_in_words(kind, field)).collect();
            kinds.dedup();
            kinds.join(" or ")
        }
        Kind::Fields(_) | Kind::Part(..) => {
            shapes_in(kind, field).first().map(link).unwrap_or_default()
        }
        Kind::Flag => "boolean".to_owned(),
        Kind::List(item, _) => format!("list of {}", kind_in_words(item, field)),
        Kind::Map(item, _) => format!("by name: {}", kind_in_words(item, field)),
        Kind::Numbers(numbers) => {
            numbers.iter().map(u32::to_string).collect::<Vec<_>>().join(" or ")
        }
        Kind::Octets => "base64".to_owned(),
        Kind::Text(_) => "text".to_owned(),
        Kind::Time(_) => "duration".to_owned(),
        Kind::Unsigned(..) | Kind::Whole(_) => "whole number".to_owned(),
    }
}

/// The same for a terminal, with its limits.
pub fn plain_kind(kind: &'static Kind, field: &'static str) -> String {
    let told = match kind {
        Kind::Choice(choices) => choices.join(" or "),
        Kind::Either(kinds) => {
            let mut kinds: Vec<_> = kinds.iter().map(|kind| plain_kind(kind, field)).collect();
            kinds.dedup();
            kinds.join(" or ")
        }
        Kind::Fields(_) | Kind::Part(..) => {
            let name = shapes_in(kind, field).first().map(Shape::name).unwrap_or_default();
            format!("an object ({name})")
        }
        Kind::Flag => "true or false".to_owned(),
        Kind::Array(item, _) | Kind::List(item, _) => {
            format!("a list of {}", plain_kind(item, field))
        }
        Kind::Map(item, _) => {
            format!("an object of names of your choice, each with {}", plain_kind(item, field))
        }
        Kind::Time(_) => "a duration such as \"5s\"".to_owned(),
        kind => kind_in_words(kind, field),
    };
    match limits(kind).filter(|_| !matches!(kind, Kind::List(_, 0))) {
        Some(limits) => format!("{told}, {limits}"),
        None => told,
    }
}

/// How much of it may be.
pub fn limits(kind: &Kind) -> Option<String> {
    match kind {
        Kind::Array(_, least) | Kind::List(_, least) | Kind::Map(_, least) if *least > 0 => {
            Some(format!("at least {least}"))
        }
        Kind::List(item, _) => limits(item),
        Kind::Unsigned(0, u32::MAX) => None,
        Kind::Unsigned(0, most) => Some(format!("at most {most}")),
        Kind::Unsigned(least, most) => Some(format!("{least} to {most}")),
        Kind::Text(letters) => match (letters.least, letters.most) {
            (least, None) if least > 1 => Some(format!("at least {least} octets")),
            (_, Some(most)) if most > 0 => Some(format!("at most {most} octets")),
            (1, _) => Some("not empty".to_owned()),
            _ => None,
        },
        Kind::Time(span) => times(span),
        _ => None,
    }
}

fn times(span: &Span) -> Option<String> {
    let told = |time: Duration| {
        let text = format!("{}.{:09}", time.as_secs(), time.subsec_nanos());
        format!("{}s", text.trim_end_matches('0').trim_end_matches('.'))
    };
    let range = match span.most {
        Some(most) if span.least.is_zero() && span.positive => {
            Some(format!("longer than 0s, at most {}", told(most)))
        }
        Some(most) => Some(format!("{} to {}", told(span.least), told(most))),
        None => span.positive.then(|| "longer than 0s".to_owned()),
    };
    let whole = span.whole.then(|| "whole seconds".to_owned());
    let all: Vec<_> = range.into_iter().chain(whole).collect();
    (!all.is_empty()).then(|| all.join(", "))
}

/// The default for people: values as they are written, words as they are.
pub fn default_in_words(field: &Field) -> Option<String> {
    let default = field.default?;
    Some(match values::default(field) {
        Some(_) => format!("`{default}`"),
        None => default.to_owned(),
    })
}
