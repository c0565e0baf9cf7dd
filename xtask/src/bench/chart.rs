//! The picture: what native and the gate add to a request, algorithm by algorithm.

use std::fmt::Write as _;

use super::cost::{Figures, added, ratios};
use super::report::median;
use super::scenes::Filter;

/// Which filters are shown, and the classes of their bars.
const SHOWN: [(Filter, &str, &str); 4] = [
    (Filter::Native, "native", "native jwt_authn"),
    (Filter::Gate, "new", "jwt-gate, token never seen before"),
    (Filter::NativeCached, "native-known", "native, token seen before"),
    (Filter::GateCached, "known", "jwt-gate, token seen before"),
];

/// Colours for light and for dark surroundings; the text is dark or light with them.
const STYLE: &str = "\
text { fill: #1f2328; font: 13px system-ui, sans-serif }
.title { font-size: 16px; font-weight: 600 }
.note, .tick { fill: #59636e; font-size: 12px }
.paper { fill: #ffffff }
.grid { stroke: #d1d9e0; stroke-width: 1 }
.native { fill: #8a8f98 } .native-known { fill: #c3c7cd }
.new { fill: #2f6fde } .known { fill: #2a9d5c }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3 }
  .note, .tick { fill: #9198a1 }
  .paper { fill: #0d1117 }
  .grid { stroke: #30363d }
  .native { fill: #8b929c } .native-known { fill: #555c66 }
  .new { fill: #5b95ff } .known { fill: #4cc38a }
}";

const WIDTH: f64 = 860.0;
/// Where the bars begin, and how long the longest is.
const LEFT: f64 = 140.0;
const LENGTH: f64 = 560.0;
/// The height of a bar with its gap, the gap between groups, and where the first group begins.
const BAR: f64 = 16.0;
const GAP: f64 = 14.0;
const TOP: f64 = 136.0;

/// Bars for every scene that has them all; none if there is no such scene.
pub(super) fn svg(scenes: &[(String, Figures)], envoy: &str) -> Option<String> {
    let complete = |(_, figures): &&(String, Figures)| {
        SHOWN.iter().all(|(filter, ..)| figures.contains_key(filter))
    };
    let scenes: Vec<_> = scenes.iter().filter(complete).collect();
    let value = |figures: &Figures, filter| median(&added(figures, filter)).max(0.0) / 1000.0;
    let most = scenes
        .iter()
        .flat_map(|(_, figures)| SHOWN.map(|(filter, ..)| value(figures, filter)))
        .max_by(f64::total_cmp)?
        .max(10.0);
    let rounds = scenes.first()?.1.get(&Filter::Native).map_or(0, Vec::len);
    let place = |micros: f64| LEFT + LENGTH * micros.max(1.0).ln() / most.ln();
    let group = BAR * SHOWN.len() as f64 + GAP;
    let bottom = TOP + group * scenes.len() as f64;
    let height = bottom + 50.0;

    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" \
         aria-label=\"Processor time that jwt-gate and the native filter add to a request\">\n\
         <style>\n{STYLE}\n</style>\n\
         <rect class=\"paper\" width=\"{WIDTH}\" height=\"{height}\"/>\n\
         <text class=\"title\" x=\"16\" y=\"28\">Processor time added to a request: shorter is better</text>\n\
         <text class=\"note\" x=\"16\" y=\"48\">Envoy {envoy}, one worker; tokens with 400 octets of claims; \
         medians of {rounds} rounds</text>\n\
         <text class=\"note\" x=\"16\" y=\"64\">In brackets: the multiple of what native adds for a token \
         never seen before</text>\n"
    );
    for (index, (_, class, label)) in SHOWN.into_iter().enumerate() {
        let (x, y) = (16.0 + 330.0 * (index % 2) as f64, 78.0 + 20.0 * (index / 2) as f64);
        let _ = writeln!(
            svg,
            "<rect class=\"{class}\" x=\"{x}\" y=\"{y}\" width=\"12\" height=\"12\"/>\
             <text x=\"{}\" y=\"{}\">{label}</text>",
            x + 18.0,
            y + 11.0
        );
    }
    let ticks = [1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0, 2000.0, 5000.0];
    for tick in ticks.into_iter().filter(|tick| *tick <= most) {
        let x = place(tick);
        let _ = writeln!(
            svg,
            "<line class=\"grid\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{}\" y2=\"{bottom}\"/>\
             <text class=\"tick\" x=\"{x:.1}\" y=\"{}\" text-anchor=\"middle\">{tick}</text>",
            TOP - 8.0,
            bottom + 16.0
        );
    }
    let _ = writeln!(
        svg,
        "<text class=\"tick\" x=\"{}\" y=\"{}\" text-anchor=\"middle\">microseconds beyond a request \
         without a filter, on a logarithmic scale</text>",
        LEFT + LENGTH / 2.0,
        bottom + 36.0
    );
    for (index, (name, figures)) in scenes.iter().enumerate() {
        let top = TOP + group * index as f64;
        let middle = top + BAR * SHOWN.len() as f64 / 2.0 + 3.0;
        let _ = writeln!(
            svg,
            "<text x=\"{}\" y=\"{middle}\" text-anchor=\"end\">{name}</text>",
            LEFT - 10.0
        );
        for (row, (filter, class, label)) in SHOWN.into_iter().enumerate() {
            let (micros, y) = (value(figures, filter), top + BAR * row as f64);
            let end = place(micros);
            let ratio = match filter {
                Filter::Native => String::new(),
                _ => format!(" [{:.2}]", median(&ratios(figures, filter))),
            };
            let _ = writeln!(
                svg,
                "<rect class=\"{class}\" x=\"{LEFT}\" y=\"{y}\" width=\"{:.1}\" height=\"{}\">\
                 <title>{name}, {label}</title></rect>\
                 <text x=\"{:.1}\" y=\"{}\">{micros:.1}{ratio}</text>",
                (end - LEFT).max(1.0),
                BAR - 3.0,
                end + 6.0,
                y + 11.0
            );
        }
    }
    svg.push_str("</svg>\n");
    Some(svg)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios_are_marked() {
        let figures = |scale: f64| {
            let filters = [Filter::None].into_iter().chain(SHOWN.map(|(filter, ..)| filter));
            filters
                .enumerate()
                .map(|(index, filter)| (filter, vec![scale * index as f64]))
                .collect()
        };
        let scenes = [("ES256".to_owned(), figures(8000.0)), ("half".to_owned(), Figures::new())];
        let svg = svg(&scenes, "1.2.3").unwrap();
        assert!(svg.contains(">16.0 [2.00]<") && !svg.contains("half"), "{svg}");
        assert!(super::svg(&scenes[1..], "1.2.3").is_none());
    }
}
