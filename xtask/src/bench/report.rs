//! The figures: a table for people, JSON for machines, a picture for the README.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use super::Rounds;
use super::scenes::{Filter, Scene};

/// Everything that was measured.
pub(super) struct Report {
    scenes: Vec<(String, BTreeMap<Filter, Rounds>)>,
    module_octets: u64,
    ready_after: Duration,
    resident: Option<u64>,
}

impl Report {
    pub(super) fn new(module: &Path, ready_after: Duration) -> Result<Self, String> {
        let module_octets = fs::metadata(module).map_err(|error| error.to_string())?.len();
        Ok(Self { scenes: Vec::new(), module_octets, ready_after, resident: None })
    }

    pub(super) fn memory(&mut self, resident: Option<u64>) {
        self.resident = resident;
    }

    /// Takes the figures of a scene; its line of the table.
    pub(super) fn add(&mut self, scene: &Scene, figures: BTreeMap<Filter, Rounds>) -> String {
        let mut line = String::new();
        if self.scenes.is_empty() {
            let _ = writeln!(
                line,
                "microseconds of the worker's processor time that a request takes beyond no filter, \
                 medians;\nin brackets the ratio to native without its cache in the same round, and \
                 its spread\n"
            );
        }
        let _ = write!(line, "{:32}", scene.name);
        for filter in Filter::ALL.into_iter().skip(1).filter(|filter| figures.contains_key(filter))
        {
            let _ = write!(line, "  {filter:?} {:.1}", median(&added(&figures, filter)) / 1000.0);
            if filter.checks() && filter != Filter::Native {
                let (low, middle, high) = spread(&ratios(&figures, filter));
                let _ = write!(line, " [{middle:.2}: {low:.2}-{high:.2}]");
            }
        }
        self.scenes.push((scene.name.clone(), figures));
        line
    }

    /// What is not about one scene.
    pub(super) fn summary(&self) -> String {
        let filters: usize = self
            .scenes
            .iter()
            .flat_map(|(_, figures)| figures.keys())
            .filter(|filter| matches!(filter, Filter::Gate | Filter::GateCached))
            .count();
        let resident = match self.resident {
            Some(octets) => format!("{:.0} MiB", octets as f64 / f64::from(1 << 20)),
            None => "an unknown amount".to_owned(),
        };
        format!(
            "module {:.0} KB; Envoy ready after {:.1} s with {filters} gates; resident memory for \
             everything together: {resident}",
            self.module_octets as f64 / 1000.0,
            self.ready_after.as_secs_f64(),
        )
    }

    pub(super) fn write(&self, folder: &Path) -> Result<(), String> {
        let write = |name: &str, text: String| {
            let file = folder.join(name);
            fs::write(&file, text).map_err(|error| format!("{}: {error}", file.display()))?;
            println!("{}", file.display());
            Ok::<_, String>(())
        };
        write("report.json", format!("{:#}\n", self.json()))?;
        write("report.svg", self.svg())
    }

    fn json(&self) -> Value {
        let scenes = self.scenes.iter().map(|(name, figures)| {
            let filters = figures.iter().map(|(filter, rounds)| {
                let mut values = json!({ "nanoseconds_per_request": rounds });
                if *filter != Filter::None {
                    values["added_nanoseconds_median"] = json!(median(&added(figures, *filter)));
                }
                if filter.checks() {
                    values["ratio_to_native_median"] = json!(median(&ratios(figures, *filter)));
                }
                (format!("{filter:?}"), values)
            });
            (name.clone(), Value::Object(filters.collect()))
        });
        json!({
            "scenes": Value::Object(scenes.collect()),
            "module_octets": self.module_octets,
            "ready_after_seconds": self.ready_after.as_secs_f64(),
            "resident_octets": self.resident,
        })
    }

    /// Bars: native, the gate, and the gate for a token that it has seen before.
    fn svg(&self) -> String {
        const SHOWN: [(Filter, &str, &str); 3] = [
            (Filter::Native, "native jwt_authn", "#8a8f98"),
            (Filter::Gate, "jwt-gate, new token", "#2f6fde"),
            (Filter::GateCached, "jwt-gate, token seen before", "#5fb37a"),
        ];
        let scenes: Vec<_> = self
            .scenes
            .iter()
            .filter(|(_, figures)| figures.contains_key(&Filter::GateCached))
            .collect();
        let value = |figures: &BTreeMap<Filter, Rounds>, filter| {
            median(&added(figures, filter)).max(0.0) / 1000.0
        };
        let most = scenes
            .iter()
            .flat_map(|(_, figures)| SHOWN.map(|(filter, ..)| value(figures, filter)))
            .fold(1.0, f64::max);
        let (row, bar, left, width) = (66.0, 16.0, 150.0, 520.0);
        let height = 70.0 + row * scenes.len() as f64;
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 760 {height}\" \
             font-family=\"system-ui, sans-serif\" font-size=\"13\">\n\
             <rect width=\"760\" height=\"{height}\" fill=\"#ffffff\"/>\n\
             <text x=\"16\" y=\"26\" font-size=\"15\" font-weight=\"600\">Processor time added to a \
             request, microseconds (logarithmic)</text>\n"
        );
        let mut x = 16.0;
        for (_, label, colour) in SHOWN {
            let _ = writeln!(
                svg,
                "<rect x=\"{x}\" y=\"40\" width=\"12\" height=\"12\" fill=\"{colour}\"/>\
                 <text x=\"{}\" y=\"51\">{label}</text>",
                x + 18.0
            );
            x += 40.0 + 7.0 * label.len() as f64;
        }
        let scale = |micros: f64| width * (1.0 + micros).ln() / (1.0 + most).ln();
        for (index, (name, figures)) in scenes.iter().enumerate() {
            let top = 70.0 + row * index as f64;
            let _ = writeln!(svg, "<text x=\"16\" y=\"{}\">{name}</text>", top + 30.0);
            for (place, (filter, _, colour)) in SHOWN.into_iter().enumerate() {
                let (micros, y) = (value(figures, filter), top + bar * place as f64);
                let _ = writeln!(
                    svg,
                    "<rect x=\"{left}\" y=\"{y}\" width=\"{:.1}\" height=\"{}\" fill=\"{colour}\"/>\
                     <text x=\"{:.1}\" y=\"{}\">{micros:.1}</text>",
                    scale(micros),
                    bar - 3.0,
                    left + scale(micros) + 6.0,
                    y + 11.0
                );
            }
        }
        svg.push_str("</svg>\n");
        svg
    }
}

/// What a filter adds to no filter, round by round.
fn added(figures: &BTreeMap<Filter, Rounds>, filter: Filter) -> Rounds {
    let none = figures.get(&Filter::None).into_iter().flatten();
    figures.get(&filter).into_iter().flatten().zip(none).map(|(own, none)| own - none).collect()
}

/// The same as a multiple of what the native filter adds.
fn ratios(figures: &BTreeMap<Filter, Rounds>, filter: Filter) -> Rounds {
    let native = added(figures, Filter::Native);
    added(figures, filter).into_iter().zip(native).map(|(own, native)| own / native).collect()
}

fn median(rounds: &[f64]) -> f64 {
    spread(rounds).1
}

/// The least, the middle and the greatest.
fn spread(rounds: &[f64]) -> (f64, f64, f64) {
    let mut sorted = rounds.to_vec();
    sorted.sort_by(f64::total_cmp);
    let at = |index: usize| sorted.get(index).copied().unwrap_or(f64::NAN);
    (at(0), at(sorted.len() / 2), at(sorted.len().saturating_sub(1)))
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
        assert!(median(&[]).is_nan());
    }
}
