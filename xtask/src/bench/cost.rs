//! What a request costs: the time that Envoy's only worker thread is on a processor, as the kernel
//! counts it, divided by the requests of the moment.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use serde_json::{Value, json};

use super::Tools;
use super::bed::Bed;
use super::load::{self, Connection, Turn};
use super::report::{Report, median, spread};
use super::scenes::{self, Filter, Scene};

/// What the runs of one filter of a scene came to, one figure a round: nanoseconds of the worker's
/// processor time for a request.
pub(super) type Rounds = Vec<f64>;
/// The same of all filters.
pub(super) type Figures = BTreeMap<Filter, Rounds>;

/// Plays the scenes with `word` in their names.
pub(super) fn run(tools: &Tools, report: &mut Report, word: &str) -> Result<(), String> {
    let scenes = scenes::named(tools.extent, word);
    if scenes.is_empty() {
        return Err(format!("no section and no scene is called {word:?}"));
    }
    let bed = Bed::start(tools, &scenes, 1)?;
    let (rounds, span) = tools.extent.choose((5, 300), (3, 100));
    let span = Duration::from_millis(span);
    println!(
        "\nCOST: microseconds of the worker's processor time that a request takes beyond no filter\n\
         Medians of {rounds} rounds of {span:?} for each filter; in brackets the ratio to native \
         without its cache\nin the same round, and its spread\n"
    );
    let mut all = Vec::new();
    for scene in scenes {
        let mut figures = Figures::new();
        let mut next = 0;
        // The first round warms up, and does not count.
        for round in 0..=rounds {
            for filter in scene.filters {
                if round == 0 {
                    warm_up(&bed, &scene, *filter)
                        .map_err(|error| format!("{} {filter:?}: {error}", scene.name))?;
                }
                let nanos = measure(&bed, &scene, *filter, span, &mut next)
                    .map_err(|error| format!("{} {filter:?}: {error}", scene.name))?;
                if round > 0 {
                    figures.entry(*filter).or_default().push(nanos);
                }
            }
        }
        println!("{}", line(&scene.name, &figures));
        all.push((scene.name, figures));
    }
    report.put("cost", json(&all));
    report.chart(all);
    Ok(())
}

/// Sends what the caches are to be full of.
fn warm_up(bed: &Bed, scene: &Scene, filter: Filter) -> Result<(), String> {
    if scene.pool.is_empty() {
        return Ok(());
    }
    let mut turn = Turn { requests: &scene.pool, next: 0 };
    let send = |connection: &mut Connection| connection.send(turn.next()?);
    let count = scene.pool.len() as u64;
    load::saturate(bed.address(scene, filter)?, send, 200, |answered| answered < count)
        .map(drop)
        .map_err(|error| error.to_string())
}

/// Sends requests for about `span`; the worker's time for each.
pub(super) fn measure(
    bed: &Bed,
    scene: &Scene,
    filter: Filter,
    span: Duration,
    next: &mut usize,
) -> Result<f64, String> {
    let address = bed.address(scene, filter)?;
    let text = |error: std::io::Error| error.to_string();
    if !scene.prelude.is_empty() {
        let mut turn = Turn { requests: &scene.prelude, next: 0 };
        load::run(address, &mut turn, 200, Duration::from_millis(2)).map_err(text)?;
    }
    let before = bed.on_processor()?;
    let expected = if filter.checks() { scene.status } else { 200 };
    let mut turn = Turn { requests: scene.requests(filter), next: *next };
    let sent = load::run(address, &mut turn, expected, span).map_err(text)?;
    *next = turn.next;
    let after = bed.on_processor()?;
    Ok((after - before) as f64 / sent as f64)
}

fn line(name: &str, figures: &Figures) -> String {
    let mut line = format!("{name:32}");
    for filter in Filter::ALL.into_iter().skip(1).filter(|filter| figures.contains_key(filter)) {
        let _ =
            write!(line, "  {} {:.1}", filter.label(), median(&added(figures, filter)) / 1000.0);
        if filter.checks() && filter != Filter::Native {
            let (low, middle, high) = spread(&ratios(figures, filter));
            let _ = write!(line, " [{middle:.2}: {low:.2}-{high:.2}]");
        }
    }
    line
}

fn json(scenes: &[(String, Figures)]) -> Value {
    let scenes = scenes.iter().map(|(name, figures)| {
        let filters = figures.iter().map(|(filter, rounds)| {
            let mut values = json!({ "nanoseconds_per_request": rounds });
            if *filter != Filter::None {
                values["added_nanoseconds_median"] = json!(median(&added(figures, *filter)));
            }
            if filter.checks() {
                values["ratio_to_native_median"] = json!(median(&ratios(figures, *filter)));
            }
            (filter.label().to_owned(), values)
        });
        (name.clone(), Value::Object(filters.collect()))
    });
    Value::Object(scenes.collect())
}

/// What a filter adds to no filter, round by round.
pub(super) fn added(figures: &Figures, filter: Filter) -> Rounds {
    let none = figures.get(&Filter::None).into_iter().flatten();
    figures.get(&filter).into_iter().flatten().zip(none).map(|(own, none)| own - none).collect()
}

/// The same as a multiple of what the native filter adds.
pub(super) fn ratios(figures: &Figures, filter: Filter) -> Rounds {
    let native = added(figures, Filter::Native);
    added(figures, filter).into_iter().zip(native).map(|(own, native)| own / native).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_compared_round_by_round() {
        let figures = BTreeMap::from([
            (Filter::None, vec![10.0, 20.0, 30.0]),
            (Filter::Native, vec![20.0, 40.0, 60.0]),
            (Filter::Gate, vec![15.0, 25.0, 60.0]),
        ]);
        assert_eq!(added(&figures, Filter::Gate), [5.0, 5.0, 30.0]);
        assert_eq!(spread(&ratios(&figures, Filter::Gate)), (0.25, 0.5, 1.0));
    }
}
