//! An SVG chart of memory and latency over time, for light and dark mode.

use std::fmt::Write as _;

use super::events::Event;
use super::report::Report;
use super::samples::Sample;

/// Two panels with one time axis; grey during failures of an API server.
pub fn render(report: &Report) -> String {
    let end = report.took.as_secs_f64().max(1.0);
    let samples = &report.samples;
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" width=\"{WIDTH}\" \
         height=\"{HEIGHT}\" role=\"img\" aria-label=\"{TITLE}\">\n{STYLE}\n\
         <text class=\"title\" x=\"16\" y=\"28\">{TITLE}</text>\n\
         <text class=\"small\" x=\"16\" y=\"48\">{SUBTITLE}</text>\n"
    );
    let memory = [
        Line {
            class: "one",
            name: "RSS",
            points: points(samples, |sample| sample.resident as f64 / 1e6),
        },
        Line {
            class: "two",
            name: "Wasm",
            points: points(samples, |sample| sample.wasm as f64 / 1e6),
        },
    ];
    let latency = [
        Line { class: "one", name: "p50", points: points(samples, |sample| sample.p50 / 1000.0) },
        Line { class: "two", name: "p99", points: points(samples, |sample| sample.p99 / 1000.0) },
    ];
    out += &Panel { top: 80.0, end, unit: "MB" }.render(report, &memory);
    out += &Panel { top: 320.0, end, unit: "ms" }.render(report, &latency);
    out + "</svg>\n"
}

struct Line {
    class: &'static str,
    name: &'static str,
    points: Vec<(f64, f64)>,
}

struct Panel {
    top: f64,
    end: f64,
    unit: &'static str,
}

// === impl Panel ===

impl Panel {
    fn render(&self, report: &Report, lines: &[Line]) -> String {
        let values = lines.iter().flat_map(|line| line.points.iter().map(|(_, value)| *value));
        let most = values.fold(0.0, f64::max);
        let step = step(most);
        let ceiling = (most / step).ceil().max(1.0) * step;
        let mut out = self.disturbances(report) + &self.grid(ceiling, step);
        for line in lines {
            let at = |(x, value): &(f64, f64)| {
                format!("{:.1},{:.1}", self.x(*x), self.y(*value, ceiling))
            };
            let path: Vec<_> = line.points.iter().map(at).collect();
            let class = line.class;
            let _ = writeln!(out, "<polyline class=\"{class}\" points=\"{}\"/>", path.join(" "));
        }
        out + &self.names(lines, ceiling)
    }

    /// The names of the lines beside their ends, from top to bottom, so far apart that they do not overlap.
    fn names(&self, lines: &[Line], ceiling: f64) -> String {
        let ends = lines.iter().filter_map(|line| {
            let (_, value) = line.points.last()?;
            Some((self.y(*value, ceiling) + 4.0, line))
        });
        let mut ends: Vec<_> = ends.collect();
        ends.sort_by(|(one, _), (other, _)| one.total_cmp(other));
        // Upwards from the axis, below which are the minutes.
        let mut lowest = self.top + PANEL - 2.0;
        for (y, _) in ends.iter_mut().rev() {
            *y = y.min(lowest);
            lowest = *y - NAME;
        }
        let x = WIDTH - RIGHT + 8.0;
        let text = |(y, line): &(f64, &Line)| {
            let (class, name) = (line.class, line.name);
            format!("<text class=\"{class}\" x=\"{x}\" y=\"{y:.1}\">{name}</text>\n")
        };
        ends.iter().map(text).collect()
    }

    fn disturbances(&self, report: &Report) -> String {
        let mut out = String::new();
        let spans = report.events.iter().filter(|(what, _, _)| {
            matches!(what, Event::EastTrouble | Event::WestTrouble | Event::WestKeysTrouble)
        });
        for (_, from, to) in spans {
            let (x, end) = (self.x(from.as_secs_f64()), self.x(to.as_secs_f64()));
            let (y, width) = (self.top, end - x);
            let _ = writeln!(
                out,
                "<rect class=\"disturbance\" x=\"{x:.1}\" y=\"{y}\" width=\"{width:.1}\" height=\"{PANEL}\"/>"
            );
        }
        out
    }

    fn grid(&self, ceiling: f64, step: f64) -> String {
        let mut out = String::new();
        let mut value = 0.0;
        while value <= ceiling + step / 2.0 {
            let (y, right) = (self.y(value, ceiling), WIDTH - RIGHT);
            let (text, unit) = (y + 4.0, self.unit);
            let _ = writeln!(
                out,
                "<line class=\"grid\" x1=\"{LEFT}\" y1=\"{y:.1}\" x2=\"{right}\" y2=\"{y:.1}\"/>\
                 <text class=\"small\" text-anchor=\"end\" x=\"{}\" y=\"{text:.1}\">{value} {unit}</text>",
                LEFT - 8.0
            );
            value += step;
        }
        let minutes = self.end / 60.0;
        let every = step_of_minutes(minutes);
        let mut minute = 0.0;
        while minute <= minutes {
            let (x, y) = (self.x(minute * 60.0), self.top + PANEL + 18.0);
            let _ = writeln!(
                out,
                "<text class=\"small\" text-anchor=\"middle\" x=\"{x:.1}\" y=\"{y}\">{minute:.0} min</text>"
            );
            minute += every;
        }
        out
    }

    fn x(&self, seconds: f64) -> f64 {
        LEFT + (WIDTH - LEFT - RIGHT) * (seconds / self.end).min(1.0)
    }

    fn y(&self, value: f64, ceiling: f64) -> f64 {
        self.top + PANEL * (1.0 - (value / ceiling).clamp(0.0, 1.0))
    }
}

// === private ===

fn points(samples: &[Sample], metric: impl Fn(&Sample) -> f64) -> Vec<(f64, f64)> {
    samples.iter().map(|sample| (sample.at, metric(sample))).collect()
}

fn step(most: f64) -> f64 {
    let steps = [0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0];
    steps.into_iter().find(|step| most / step <= 6.0).unwrap_or(5000.0)
}

fn step_of_minutes(minutes: f64) -> f64 {
    [1.0, 5.0, 10.0, 60.0].into_iter().find(|step| minutes / step <= 8.0).unwrap_or(240.0)
}

const TITLE: &str = "An Envoy under mixed traffic: memory, and latency of callers with cached keys";
const SUBTITLE: &str = "Grey: an API server fails or is down. Keys are rotated and the configuration is replaced throughout.";
const WIDTH: f64 = 940.0;
const HEIGHT: f64 = 560.0;
const LEFT: f64 = 70.0;
const RIGHT: f64 = 60.0;
const PANEL: f64 = 190.0;
/// The height of a name.
const NAME: f64 = 16.0;

const STYLE: &str = "<style>\
    text{font:13px system-ui,sans-serif;fill:#1f2328}\
    .title{font-size:16px;font-weight:600}.small{font-size:12px;fill:#59636e}\
    .grid{stroke:#d1d9e0}.disturbance{fill:#818b98;opacity:.2}polyline{fill:none;stroke-width:1.5}\
    polyline.one{stroke:#2f6feb}polyline.two{stroke:#bc4c00}text.one{fill:#2f6feb}text.two{fill:#bc4c00}\
    @media(prefers-color-scheme:dark){text{fill:#f0f6fc}.small{fill:#9198a1}.grid{stroke:#3d444d}\
    polyline.one{stroke:#4493f8}polyline.two{stroke:#f0883e}text.one{fill:#4493f8}text.two{fill:#f0883e}}\
    </style>";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_lines_with_the_same_end_do_not_overlap() {
        let panel = Panel { top: 0.0, end: 1.0, unit: "ms" };
        let line = |class, name, end| Line { class, name, points: vec![(0.0, 9.0), (1.0, end)] };
        for (p50, p99) in [(1.0, 1.0), (0.0, 0.0), (1.0, 1.1), (1.1, 1.0), (10.0, 10.0)] {
            let lines = [line("one", "p50", p50), line("two", "p99", p99)];
            let names = panel.names(&lines, 10.0);
            let heights = names.split(" y=\"").skip(1).filter_map(|rest| rest.split('"').next());
            let heights: Vec<f64> = heights.filter_map(|height| height.parse().ok()).collect();
            assert!(matches!(heights.as_slice(), [one, two] if two - one >= 15.9), "{names}");
            assert!(heights.iter().all(|height| *height <= PANEL - 2.0), "{names}");
        }
    }
}
