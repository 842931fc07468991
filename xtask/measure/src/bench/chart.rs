//! Draws the costs as SVG bar charts, for light and dark backgrounds.

use std::fmt::Write as _;

use super::contender::NO_FILTER;
use super::contest::Cost;
use super::rivals::{
    FLOOR, JWT_AUTHN, JWT_AUTHN_CACHE, NO_HOST_ES256, NO_HOST_RS256, OURS, OURS_RS256,
};

/// The chart of all contenders: bars of the medians, with a line from one quartile to the other.
pub fn render(costs: &[Cost], subtitle: &str) -> String {
    let bars = costs.iter().filter(|cost| !LEFT_OUT.contains(&cost.key.as_str()));
    let bars = bars.map(|cost| Bar { cost: cost.clone(), meaning: "" });
    draw(&bars.collect::<Vec<_>>(), subtitle, ROW)
}

/// The chart of the README: few bars, with labels and words that need no other page.
pub fn summary(costs: &[Cost], subtitle: &str) -> String {
    let bars = SUMMARY.iter().filter_map(|(key, label, meaning)| {
        let cost = costs.iter().find(|cost| cost.key == *key)?;
        Some(Bar { cost: Cost { label: (*label).to_owned(), ..cost.clone() }, meaning })
    });
    draw(&bars.collect::<Vec<_>>(), subtitle, ROW_WITH_MEANING)
}

// === private ===

struct Bar {
    cost: Cost,
    /// What the cost pays for, in a second line.
    meaning: &'static str,
}

fn draw(bars: &[Bar], subtitle: &str, row_height: f64) -> String {
    let costs = bars.iter().map(|bar| &bar.cost);
    let longest = costs.map(|cost| cost.over.high.max(cost.over.median)).fold(1.0, f64::max);
    let scale = Scale { per_us: (WIDTH - LEFT - RIGHT) / longest };
    let bottom = TOP + row_height * bars.len() as f64;
    let height = bottom + 40.0;
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" \
         height=\"{height}\" role=\"img\" aria-label=\"{TITLE}\">\n{STYLE}\n"
    );
    let _ = writeln!(out, "<text class=\"title\" x=\"16\" y=\"28\">{TITLE}</text>");
    let _ = writeln!(out, "<text class=\"small\" x=\"16\" y=\"48\">{}</text>", escaped(subtitle));
    out += &grid(&scale, longest, bottom);
    for (row, drawn) in bars.iter().enumerate() {
        out += &bar(&scale, drawn, TOP + row_height * row as f64);
    }
    out + "</svg>\n"
}

struct Scale {
    per_us: f64,
}

impl Scale {
    fn x(&self, us: f64) -> f64 {
        LEFT + us.max(0.0) * self.per_us
    }
}

fn grid(scale: &Scale, longest: f64, bottom: f64) -> String {
    let step = [5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0]
        .into_iter()
        .find(|step| longest / step <= 8.0)
        .unwrap_or(5000.0);
    let mut out = String::new();
    let mut at = 0.0;
    while at <= longest {
        let (x, below) = (scale.x(at), bottom + 18.0);
        let top = TOP - 6.0;
        let _ = writeln!(
            out,
            "<line class=\"grid\" x1=\"{x:.1}\" y1=\"{top}\" x2=\"{x:.1}\" y2=\"{bottom}\"/>\
             <text class=\"small\" text-anchor=\"middle\" x=\"{x:.1}\" y=\"{below}\">{at:.0}</text>"
        );
        at += step;
    }
    out
}

fn bar(scale: &Scale, Bar { cost, meaning }: &Bar, y: f64) -> String {
    let over = cost.over;
    let (x, width) = (scale.x(0.0), scale.x(over.median) - scale.x(0.0));
    let (low, high) = (scale.x(over.low), scale.x(over.high));
    let (middle, height) = (y + ROW / 2.0 - 3.0, ROW - 10.0);
    let (text, label_x) = (middle + 4.0, LEFT - 10.0);
    let value_x = high.max(x + width) + 8.0;
    let class = if cost.key.starts_with("ours") { "ours" } else { "other" };
    let (label, median) = (escaped(&cost.label), over.median);
    let (top, bottom) = (middle - 4.0, middle + 4.0);
    let below = match *meaning {
        "" => String::new(),
        words => {
            let (y, words) = (text + 15.0, escaped(words));
            format!(
                "<text class=\"small\" x=\"{label_x}\" y=\"{y}\" text-anchor=\"end\">{words}</text>"
            )
        }
    };
    format!(
        "<text x=\"{label_x}\" y=\"{text}\" text-anchor=\"end\">{label}</text>{below}\
         <rect class=\"{class}\" x=\"{x}\" y=\"{y}\" width=\"{width:.1}\" height=\"{height}\" rx=\"2\"/>\
         <path class=\"spread\" d=\"M{low:.1} {middle}H{high:.1}M{low:.1} {top}V{bottom}M{high:.1} {top}V{bottom}\"/>\
         <text class=\"value\" x=\"{value_x:.1}\" y=\"{text}\">{median:.0}</text>\n"
    )
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// Of no length, or so long that all others would look alike.
const LEFT_OUT: [&str; 3] = [NO_FILTER, NO_HOST_RS256, NO_HOST_ES256];

/// What the README compares, with the labels there and what they mean.
const SUMMARY: [(&str, &str, &str); 5] = [
    (OURS, "sa-authn, token seen before", "most requests: the verified token is in the cache"),
    (OURS_RS256, "sa-authn, new token (RS256)", "once for each token: verifies the signature"),
    (JWT_AUTHN, "Envoy's jwt_authn, any token", "verifies the signature of each request"),
    (
        JWT_AUTHN_CACHE,
        "Envoy's jwt_authn with its cache, token seen before",
        "its cache is off by default",
    ),
    (
        FLOOR,
        "Minimal Wasm filter that only edits headers",
        "the lowest cost that a filter in Wasm can have",
    ),
];

const TITLE: &str = "CPU time that the filter adds to a request (microseconds, shorter is better)";
const WIDTH: f64 = 940.0;
const LEFT: f64 = 400.0;
const RIGHT: f64 = 60.0;
const TOP: f64 = 72.0;
const ROW: f64 = 28.0;
const ROW_WITH_MEANING: f64 = 44.0;

const STYLE: &str = "<style>\
    text{font:13px system-ui,sans-serif;fill:#1f2328}\
    .title{font-size:16px;font-weight:600}.small{font-size:12px;fill:#59636e}.value{font-weight:600}\
    .grid{stroke:#d1d9e0}.spread{stroke:#1f2328;fill:none}.ours{fill:#2f6feb}.other{fill:#a8b1bb}\
    @media(prefers-color-scheme:dark){text{fill:#f0f6fc}.small{fill:#9198a1}.grid{stroke:#3d444d}\
    .spread{stroke:#f0f6fc}.other{fill:#656c76}}\
    </style>";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::statistics::Spread;

    #[test]
    fn each_contender_except_no_filter_has_a_bar_of_its_median() {
        let cost = |key: &str, label: &str, median| {
            let over = Spread { low: median, median, high: median };
            let (key, label) = (key.to_owned(), label.to_owned());
            Cost { key, label, cpu: over, over, p50: 0.0, p99: 0.0 }
        };
        let costs =
            [cost(NO_FILTER, "none", 0.0), cost("ours", "a & b", 100.0), cost("x", "x", 50.0)];
        let svg = render(&costs, "sub");
        assert_eq!(svg.matches("<rect").count(), 2);
        assert!(svg.contains("width=\"480.0\"") && svg.contains("width=\"240.0\""), "{svg}");
        assert!(svg.contains("a &amp; b"), "{svg}");
    }

    #[test]
    fn summary_has_five_bars_at_most() {
        let over = Spread { low: 1.0, median: 1.0, high: 1.0 };
        let cost = |key: &str| {
            let (key, label) = (key.to_owned(), key.to_owned());
            Cost { key, label, cpu: over, over, p50: 0.0, p99: 0.0 }
        };
        let costs = [OURS, OURS_RS256, JWT_AUTHN, JWT_AUTHN_CACHE, FLOOR, "other"].map(cost);
        let svg = summary(&costs, "");
        assert_eq!(svg.matches("<rect").count(), 5);
        for (_, _, meaning) in SUMMARY {
            assert!(svg.contains(meaning), "{meaning}");
        }
    }
}
