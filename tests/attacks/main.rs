//! The attack corpus: what somebody may send, and the exact answer to it.
//!
//! `cases/` holds the attacks as data, `gates.yaml` the configurations against which they run. Each
//! runs natively against the engine, and as octets on the wire against the built module in Envoy, where
//! the answers must be the same to the last word, the counters must name the same reasons, and the
//! backend must have seen just those requests that were to pass.
#![expect(
    clippy::arithmetic_side_effects,
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::string_slice,
    clippy::unwrap_used,
    reason = "tests"
)]

mod corpus;
mod encodings;
mod forge;
#[path = "../gate/mod.rs"]
mod gate;
mod keys;
mod native;
mod proxy;
mod text;
mod token;
mod wire;

use std::collections::BTreeMap;
use std::io::{self, Write as _};
use std::time::Instant;

use jwt_gate_demo::envoy::{OLDEST, PINNED};

use crate::corpus::{Case, Corpus};

/// What came of a run, for people.
fn report(place: &str, cases: &[&Case], failures: &[String], began: Instant) {
    let mut families: BTreeMap<&str, usize> = BTreeMap::new();
    for case in cases {
        *families.entry(&case.family).or_default() += 1;
    }
    for (family, cases) in &families {
        let start = format!("{family}/");
        let failed = failures.iter().filter(|failure| failure.starts_with(&start)).count();
        println!("attacks {place}, {family}: {cases} cases, {} passed", cases - failed);
    }
    // Not by `println!`, which the test runner keeps to itself: the sum is for everybody.
    let _ = writeln!(
        io::stderr(),
        "attacks {place}: {} cases in {} families, {} failed ({:.0} s)",
        cases.len(),
        families.len(),
        failures.len(),
        began.elapsed().as_secs_f64(),
    );
    assert!(failures.is_empty(), "\n{}\n", failures.join("\n"));
}

#[test]
fn natively() {
    let began = Instant::now();
    let corpus = Corpus::read();
    let cases: Vec<_> = corpus.cases.iter().filter(|case| case.runs_natively()).collect();
    let failures = native::run(&corpus.gates, &cases);
    report("natively", &cases, &failures, began);
}

fn in_envoy(version: &str) {
    let began = Instant::now();
    let corpus = Corpus::read();
    let cases: Vec<_> = corpus.cases.iter().collect();
    let failures = proxy::run(version, &corpus.gates, &cases);
    report(&format!("in Envoy {version}"), &cases, &failures, began);
}

#[test]
fn in_the_newest_envoy() {
    in_envoy(PINNED);
}

#[test]
fn in_the_oldest_envoy() {
    in_envoy(OLDEST);
}

/// Nothing of the corpus is lost by a slip of the pen: names are unique, sources are given, what passes
/// says why, and no part of a token is written twice, of which one would win.
#[test]
fn the_corpus_is_complete() {
    let corpus = Corpus::read();
    let mut names = std::collections::BTreeSet::new();
    for case in &corpus.cases {
        assert!(names.insert(case.full_name()), "{} stands twice", case.full_name());
        assert!(case.source.len() > 3, "{}: no source", case.full_name());
        for recipe in case.shots.iter().flat_map(|shot| shot.tokens.values()) {
            let is_clear = (recipe.payload_text.is_none() || recipe.claims.is_empty())
                && (recipe.header_text.is_none() || recipe.header.is_empty());
            assert!(is_clear, "{}: two texts for one part", case.full_name());
        }
        let told = case
            .shots
            .iter()
            .flat_map(|shot| [Some(&shot.expect), shot.envoy.as_ref(), shot.oldest.as_ref()]);
        let lets_pass = told.flatten().any(|told| told == "pass");
        assert!(!lets_pass || case.why.len() > 10, "{}: why does it pass?", case.full_name());
    }
    let used: std::collections::BTreeSet<_> =
        corpus.cases.iter().map(|case| case.gate.as_str()).collect();
    let known: std::collections::BTreeSet<_> = corpus.gates.keys().map(String::as_str).collect();
    assert_eq!(used, known, "every configuration is attacked");
    let count = format!("{} attacks as data", corpus.cases.len());
    for document in [include_str!("../../SECURITY.md"), include_str!("../../README.md")] {
        assert!(document.contains(&count), "the documents should say: {count}");
    }
}

/// Each case sends something of its own: two that send the same octets to the same gate are one attack
/// that counts twice, and mostly a member of `each` that got lost. Some signatures have salts, so what is
/// written must differ, too.
#[test]
fn no_attack_counts_twice() {
    let corpus = Corpus::read();
    let now = native::now();
    let mut by_octets: BTreeMap<_, String> = BTreeMap::new();
    let mut by_text: BTreeMap<_, String> = BTreeMap::new();
    let mut same = Vec::new();
    for case in &corpus.cases {
        let (gate, name) = (&case.gate, case.full_name());
        let sent: Vec<_> = case.shots.iter().map(|shot| proxy::sent(shot, now)).collect();
        let written = format!("{:?}", case.shots);
        let others = [
            by_octets.insert((gate, sent), name.clone()),
            by_text.insert((gate, written), name.clone()),
        ];
        same.extend(others.into_iter().flatten().map(|other| format!("{other} and {name}")));
    }
    assert!(same.is_empty(), "{same:#?}");
}
