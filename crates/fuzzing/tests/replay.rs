//! The targets on every seed, and on seeds that were changed: what the fuzzer does, in short and on any
//! compiler. `FUZZ_SECONDS` has it go on for longer than a second for each target.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use jwt_gate_fuzzing::seeds::{Random, noise, seeds};
use jwt_gate_fuzzing::{TARGETS, engine};

/// Runs a target; what went wrong, with the input.
fn check(name: &str, target: fn(&[u8]), input: &[u8]) {
    let outcome = catch_unwind(AssertUnwindSafe(|| target(input)));
    if outcome.is_err() {
        let octets: String = input.iter().map(|octet| format!("{octet:02x}")).collect();
        panic!("{name}: wrong with the octets {octets}");
    }
}

#[test]
fn seeds_are_good() {
    for (name, target) in TARGETS {
        let seeds = seeds(name);
        assert!(seeds.len() > 5, "{name}");
        for seed in &seeds {
            check(name, target, seed);
        }
        println!("{name}: {} seeds", seeds.len());
        println!("assured: {} cases, 0 exceptions", seeds.len());
    }
}

#[test]
fn changed_seeds_are_good() {
    let seconds = std::env::var("FUZZ_SECONDS").ok().and_then(|text| text.parse().ok());
    let time = Duration::from_secs_f64(seconds.unwrap_or(1.0));
    for (name, target) in TARGETS {
        let mut seeds = seeds(name);
        let mut random = Random::new(7);
        let (start, mut count) = (Instant::now(), 0_u64);
        // At least some, however slow the machine.
        while count < 20 || start.elapsed() < time {
            let seed = &seeds[random.below(seeds.len())];
            let changed = random.change(seed, &seeds);
            check(name, target, &changed);
            // Changes add up.
            if changed.len() < 4096 && random.below(4) == 0 {
                let at = random.below(seeds.len());
                seeds[at] = changed;
            }
            count += 1;
        }
        println!("{name}: {count} changed seeds");
        println!("assured: {count} cases, 0 exceptions");
    }
}

/// The scenarios are not all alike: every way that a request can go is gone often.
#[test]
fn scenarios_are_of_all_kinds() {
    let mut sum = engine::Tally::default();
    for number in 0..300 {
        let one = engine::tally(&noise(1_000 + number, 1_500));
        sum.passed_by_token += one.passed_by_token;
        sum.passed_without += one.passed_without;
        sum.refused += one.refused;
        sum.waited += one.waited;
        sum.resumed += one.resumed;
    }
    println!("{sum:?}");
    let counts = [sum.passed_by_token, sum.passed_without, sum.refused, sum.waited, sum.resumed];
    assert!(counts.iter().all(|count| *count > 20), "{sum:?}");
}
