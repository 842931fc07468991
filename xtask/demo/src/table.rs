//! The table of requests and their outcomes, as plain text.

use super::case::Case;
use super::judge::Seen;
use super::style::Style;

/// One request, its outcome, and the differences from the expected outcome.
#[derive(Clone, Debug)]
pub struct Row {
    /// The request.
    pub case: Case,
    /// The outcome.
    pub seen: Seen,
    /// The differences from the expected outcome.
    pub faults: Vec<String>,
}

/// The cells of a line, without the mark.
type Cells = [String; 5];

// === impl Row ===

impl Row {
    /// Whether the outcome is as expected.
    pub fn is_right(&self) -> bool {
        self.faults.is_empty()
    }

    fn cells(&self) -> Cells {
        [
            format!("{:<4} {}", self.case.method, self.case.path),
            self.case.sent.to_owned(),
            self.seen.answer.status.to_string(),
            self.seen.reason().unwrap_or_else(|| "-".to_owned()),
            self.seen.at_upstream(),
        ]
    }
}

/// The table: a heading, and a line per request with its differences below.
pub fn render(rows: &[Row], style: &Style) -> String {
    let heading = HEADING.map(str::to_owned);
    let cells: Vec<Cells> = rows.iter().map(Row::cells).collect();
    let widths = widths(cells.iter().chain([&heading]));
    let mut table = style.heading(line(&heading, &widths).trim_end()) + "\n";
    for (row, cells) in rows.iter().zip(&cells) {
        let mark = if row.is_right() { style.good("ok") } else { style.bad("WRONG") };
        table += &format!("{}{mark}\n", line(cells, &widths));
        for fault in &row.faults {
            table += &format!("     {}\n", style.bad(fault));
        }
    }
    table
}

fn widths<'c>(lines: impl Iterator<Item = &'c Cells>) -> [usize; 5] {
    lines.fold([0; 5], |widths, cells| {
        std::array::from_fn(|at| widths[at].max(cells[at].chars().count()))
    })
}

fn line(cells: &Cells, widths: &[usize; 5]) -> String {
    cells.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}  ")).collect()
}

const HEADING: [&str; 5] = ["REQUEST", "WHAT WAS SENT", "STATUS", "REASON", "UPSTREAM SAW"];

#[cfg(test)]
mod tests {
    use envoy_test::{ApiServer, ApiServerOptions};

    use super::*;
    use crate::case::Expected;
    use crate::{cases, judge};

    #[tokio::test]
    async fn table_fits_a_terminal_of_120_columns() {
        let api_server = ApiServer::start(ApiServerOptions::default()).await.unwrap();
        let cases = [cases::cases(&api_server), cases::after_rotation(&api_server)].concat();
        let rows: Vec<Row> = cases
            .into_iter()
            .map(|case| {
                let seen = Seen::as_it_must_be(case.expected);
                Row { faults: judge::faults(case.expected, &seen), case, seen }
            })
            .collect();
        assert!(rows.iter().all(Row::is_right), "{rows:?}");
        for line in render(&rows, &Style::plain()).lines() {
            assert!(line.chars().count() <= 120, "{line}");
        }
    }

    #[test]
    fn faults_are_listed_below_their_line() {
        let row = |seen, faults| Row {
            case: Case::get("/secrets/1", "a token", PASSES, |request| request),
            seen: Seen::as_it_must_be(seen),
            faults,
        };
        let rows = [
            row(PASSES, Vec::new()),
            row(
                Expected::Refused(403, "forbidden"),
                vec!["status: expected 200, found 403".to_owned()],
            ),
        ];
        let expected = "\
REQUEST          WHAT WAS SENT  STATUS  REASON     UPSTREAM SAW
GET  /secrets/1  a token        200     -          api/api, no token  ok
GET  /secrets/1  a token        403     forbidden  -                  WRONG
     status: expected 200, found 403
";
        assert_eq!(render(&rows, &Style::plain()), expected);
    }

    const PASSES: Expected = Expected::Passes(Some("api/api"));
}
