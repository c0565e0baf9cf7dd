//! The report: JSON for machines, and a picture for the README. Sections print their tables
//! themselves.

use std::fs;
use std::path::Path;

use serde_json::{Map, Value, json};

use super::chart;
use super::cost::Figures;

/// Everything that was measured.
pub(super) struct Report {
    sections: Map<String, Value>,
    scenes: Vec<(String, Figures)>,
    envoy: String,
}

impl Report {
    pub(super) fn new(module: &Path, envoy: &str) -> Result<Self, String> {
        let octets = fs::metadata(module).map_err(|error| error.to_string())?.len();
        let sections = [("envoy", json!(envoy)), ("module_octets", json!(octets))];
        Ok(Self {
            sections: sections.map(|(name, value)| (name.to_owned(), value)).into_iter().collect(),
            scenes: Vec::new(),
            envoy: envoy.to_owned(),
        })
    }

    /// Takes what a section found.
    pub(super) fn put(&mut self, section: &str, found: Value) {
        self.sections.insert(section.to_owned(), found);
    }

    /// Takes the scenes that the picture may show.
    pub(super) fn chart(&mut self, scenes: Vec<(String, Figures)>) {
        self.scenes = scenes;
    }

    /// Writes the files; the picture only if there is something to show.
    pub(super) fn write(&self, folder: &Path) -> Result<(), String> {
        let write = |name: &str, text: String| {
            let file = folder.join(name);
            fs::write(&file, text).map_err(|error| format!("{}: {error}", file.display()))?;
            println!("{}", file.display());
            Ok::<_, String>(())
        };
        write("report.json", format!("{:#}\n", Value::Object(self.sections.clone())))?;
        match chart::svg(&self.scenes, &self.envoy) {
            Some(svg) => write("report.svg", svg),
            None => Ok(()),
        }
    }
}

pub(super) fn median(rounds: &[f64]) -> f64 {
    spread(rounds).1
}

/// The least, the middle and the greatest.
pub(super) fn spread(rounds: &[f64]) -> (f64, f64, f64) {
    let mut sorted = rounds.to_vec();
    sorted.sort_by(f64::total_cmp);
    let at = |index: usize| sorted.get(index).copied().unwrap_or(f64::NAN);
    (at(0), at(sorted.len() / 2), at(sorted.len().saturating_sub(1)))
}

/// The value that `share` of all are at most.
pub(super) fn percentile(sorted: &[u64], share: f64) -> u64 {
    let rank = (share * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or_default()
}

pub(super) fn mebibytes(octets: u64) -> f64 {
    octets as f64 / f64::from(1 << 20)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks() {
        let sorted: Vec<u64> = (1..=100).collect();
        assert_eq!(
            [0.5, 0.9, 0.99, 1.0].map(|share| percentile(&sorted, share)),
            [50, 90, 99, 100]
        );
        assert_eq!(percentile(&[], 0.5), 0);
        assert_eq!(percentile(&[7], 0.0), 7);
        assert!(median(&[]).is_nan());
    }
}
