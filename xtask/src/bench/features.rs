//! What each feature adds to the plain gate, in the same rounds.

use std::time::Duration;

use serde_json::json;

use super::Tools;
use super::bed::Bed;
use super::cost::measure;
use super::report::{Report, spread};
use super::scenes::{self, Filter};
use super::upstream;

/// The figures of one scene: with new tokens, and with known ones.
const FILTERS: [Filter; 2] = [Filter::Gate, Filter::GateCached];

/// Prints what a request costs with each feature, as a multiple of the plain gate's.
pub(super) fn run(tools: &Tools, report: &mut Report) -> Result<(), String> {
    let (scenes, documents) = scenes::features(tools.extent);
    let upstream = upstream::start(documents).map_err(|error| error.to_string())?;
    let bed = Bed::start(tools, &scenes, upstream)?;
    let (rounds, span) = tools.extent.choose((7, 250), (3, 100));
    let span = Duration::from_millis(span);
    println!(
        "\nFEATURES: what a request costs beyond no filter, as a multiple of the plain gate's (ES256)\n\
         Medians of {rounds} rounds of {span:?}, and their spread\n"
    );
    let Some(plain) = scenes.first() else { return Ok(()) };
    let mut all = vec![[Vec::new(), Vec::new()]; scenes.len()];
    // Tokens and proofs that pass once are not sent again: each scene goes on where it was.
    let mut next = vec![[0; 2]; scenes.len()];
    for round in 0..=rounds {
        let none = measure(&bed, plain, Filter::None, span, &mut 0)?;
        let mut plainly = [f64::NAN; 2];
        for ((scene, figures), next) in scenes.iter().zip(&mut all).zip(&mut next) {
            for (index, filter) in FILTERS.iter().enumerate() {
                if !scene.filters.contains(filter) {
                    continue;
                }
                let nanos = measure(&bed, scene, *filter, span, &mut next[index])
                    .map_err(|error| format!("{} {filter:?}: {error}", scene.name))?;
                if plainly[index].is_nan() {
                    plainly[index] = nanos - none;
                }
                // The first round warms up, and does not count.
                if round > 0 {
                    figures[index].push((nanos - none) / plainly[index]);
                }
            }
        }
    }
    let mut found = serde_json::Map::new();
    for (scene, [new, known]) in scenes.iter().zip(&all).skip(1) {
        let told = |rounds: &[f64]| {
            if rounds.is_empty() {
                return "-".to_owned();
            }
            let (low, middle, high) = spread(rounds);
            format!("{middle:.2} [{low:.2}-{high:.2}]")
        };
        println!("{:32}  new token {}  known token {}", scene.name, told(new), told(known));
        found.insert(scene.name.clone(), json!({ "new_token": new, "known_token": known }));
    }
    report.put("features", found.into());
    Ok(())
}
