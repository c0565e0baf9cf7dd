//! What the reference says is so: defaults, pages, and what the other pages say of the same fields.
#![expect(clippy::panic, clippy::unwrap_used, reason = "tests")]

mod instances;

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use instances::{Place, places, sample, with_field};
use jwt_gate::config::reference::{ALGORITHMS, Field, Kind, PUBLIC_ALGORITHMS};
use jwt_gate::jose::algorithm;
use jwt_gate::policy::Policy;
use serde_json::{Value, json};

fn docs(name: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs").join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The default as a value, where it is one.
fn default(field: &Field) -> Option<Value> {
    let default = field.default?;
    match field.kind {
        Kind::Choice(choices) => choices.contains(&default).then(|| default.into()),
        Kind::Time(_) => default.ends_with('s').then(|| default.into()),
        _ => serde_json::from_str(default).ok(),
    }
}

/// What a configuration compiles to; none where it is refused.
fn compiled(place: &Place, members: instances::Members) -> Option<String> {
    let config = place.fill(members);
    Policy::parse(config.to_string().as_bytes()).ok().map(|policy| format!("{policy:?}"))
}

/// Defaults that a compiled policy does not show.
const NOT_SEEN: [&str; 16] = [
    // It keeps none of the schedule of fetches where it can be seen.
    "BackoffStrategy.max_interval",
    "JwksAsyncFetch.failed_refetch_duration",
    "JwksAsyncFetch.fast_listener",
    "RemoteJwks.cache_duration",
    "RemoteJwks.stale_if_error",
    // Kept as written, with or without the default.
    "ErrorResponses.formats",
    "StatusLists.cache_duration",
    "StatusLists.max_lists",
    "StatusLists.max_octets",
    "StatusLists.stale_if_error",
    // Changes nothing in the policy that holds it here.
    "JwtProvider.allow_weak_keys",
    "KeySharing.disabled",
    "RouteMatch.case_sensitive",
    // Not without what must be there then, or must not.
    "Int64Range.end",
    "JwtProvider.local_jwks_is_fallback",
    "Shadow.mode",
];

/// A field that says its default is the same as none, and one that says something else is not.
#[test]
fn defaults_are_what_the_gate_does() {
    let (mut seen, mut not_seen) = (0, BTreeSet::new());
    for place in places() {
        for field in place.shape.fields() {
            let Some(default) = default(field) else { continue };
            let told = format!("{}.{}", place.shape.name(), field.name);
            let same = with_field(&place.shape, field, default.clone());
            let other = with_field(&place.shape, field, sample_unlike(field, &default));
            let mut without = same.clone();
            without.remove(field.name);
            match [same, without, other].map(|members| compiled(&place, members)) {
                [Some(same), Some(without), Some(other)]
                    if same != other && !NOT_SEEN.contains(&told.as_str()) =>
                {
                    assert!(same == without, "{told}: {default}\n{same}\n{without}");
                    seen += 1;
                }
                _ => {
                    not_seen.insert(told);
                }
            }
        }
    }
    assert!(seen > 35, "{seen}");
    assert_eq!(not_seen, NOT_SEEN.map(str::to_owned).into());
}

fn sample_unlike(field: &Field, default: &Value) -> Value {
    match &field.kind {
        Kind::Flag => json!(default != &json!(true)),
        Kind::Choice(choices) => {
            json!(choices.iter().find(|choice| **choice != default.as_str().unwrap()).unwrap())
        }
        Kind::Numbers(numbers) => {
            json!(numbers.iter().find(|number| json!(number) != *default).unwrap())
        }
        _ => sample(field),
    }
}

#[test]
fn algorithms_are_those_of_the_table() {
    let of_table: BTreeSet<_> = algorithm::ALGORITHMS.iter().map(|own| own.name).collect();
    assert_eq!(of_table, ALGORITHMS.iter().copied().collect());
    let public = ALGORITHMS.iter().copied().filter(|name| !name.starts_with("HS"));
    assert_eq!(public.collect::<Vec<_>>(), PUBLIC_ALGORITHMS);
}

/// Headings of a page as links name them.
fn anchors(page: &str) -> BTreeSet<String> {
    let headings = page.lines().filter(|line| line.starts_with('#'));
    let slug = |line: &str| -> String {
        let line = line.trim_start_matches('#').trim().to_lowercase();
        let letters =
            line.chars().filter(|letter| letter.is_alphanumeric() || " -_".contains(*letter));
        letters.map(|letter| if letter == ' ' { '-' } else { letter }).collect()
    };
    headings.map(slug).collect()
}

#[test]
fn pages_and_their_sections_exist() {
    let check = |link: &str, from: &str| {
        let (page, anchor) = link.split_once('#').unwrap_or((link, ""));
        let there = anchor.is_empty() || anchors(&docs(page)).contains(anchor);
        assert!(there, "{from} leads to {link}");
    };
    for place in places() {
        check(place.shape.object.page, &place.shape.name());
        for page in place.shape.fields().iter().filter_map(|field| field.page) {
            check(page, &place.shape.name());
        }
    }
    for from in ["reference.md", "configuration.md", "cli.md"] {
        for rest in docs(from).split("](").skip(1) {
            let link = rest.split(')').next().unwrap();
            match link.strip_prefix('#') {
                _ if link.contains("://") || link.starts_with("../") => {}
                Some(_) => check(&format!("{from}{link}"), from),
                None => check(link, from),
            }
        }
    }
}

/// Other pages have tables of fields, too, with defaults: the same ones.
#[test]
fn other_pages_say_the_same_defaults() {
    let pages = [
        "answers.md",
        "bound-tokens.md",
        "logout.md",
        "observability.md",
        "revocation.md",
        "single-use.md",
        "status-list.md",
    ];
    let mut rows = 0;
    for page in pages {
        let text = docs(page);
        let mut is_table = false;
        for line in text.lines() {
            let cells: Vec<_> = line.split(" | ").collect();
            if !line.starts_with("| ") || cells.len() != 3 {
                is_table &= line.starts_with('|');
                continue;
            }
            if line.ends_with("| default |") {
                is_table = true;
                continue;
            }
            if !is_table {
                continue;
            }
            let name = cells.first().and_then(|cell| cell.split('`').nth(1)).unwrap();
            let said = cells.last().unwrap().trim_end_matches(" |").replace('`', "");
            let fields: Vec<_> = places()
                .iter()
                .filter(|place| place.shape.object.page.starts_with(page))
                .filter_map(|place| place.shape.object.field(name))
                .collect();
            // Fields of another page's object lead here.
            let defaults: Vec<_> = fields
                .iter()
                .filter_map(|field| if field.required { Some("required") } else { field.default })
                .collect();
            if defaults.is_empty() {
                continue;
            }
            let plain = |text: &str| text.replace(['`', '"', '[', ']'], "").replace('\'', "");
            assert!(
                defaults.iter().any(|default| plain(&said).starts_with(&plain(default))),
                "{page}: {name}: {said:?}; {defaults:?}"
            );
            rows += 1;
        }
    }
    assert!(rows > 30, "{rows}");
}
