//! How much of a file was reached: counts go in, a line of the table goes out.

use std::fmt;

/// Of one file, or of several together.
#[derive(Debug, PartialEq, Eq)]
pub struct Reached {
    /// Its path in the repository.
    pub path: String,
    /// Lines with code.
    pub lines: Share,
    /// Stretches of code without a branch in them: finer than lines, as each `?` ends one.
    pub regions: Share,
    /// Where the regions begin that were not reached: line and column, from 1.
    pub missed: Vec<(usize, usize)>,
}

/// So many of so many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Share {
    /// Those that were reached.
    pub reached: usize,
    /// All.
    pub of: usize,
}

// === impl Reached ===

impl Reached {
    /// Several files in one line.
    pub fn sum(name: &str, files: &[&Self]) -> Self {
        Self {
            path: name.to_owned(),
            lines: files.iter().map(|file| file.lines).sum(),
            regions: files.iter().map(|file| file.regions).sum(),
            missed: Vec::new(),
        }
    }
}

impl fmt::Display for Reached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, lines, regions, .. } = self;
        write!(f, "{path:<44} {lines}  {regions}")
    }
}

// === impl Share ===

impl FromIterator<bool> for Share {
    fn from_iter<I: IntoIterator<Item = bool>>(all: I) -> Self {
        all.into_iter().map(|reached| Self { reached: reached.into(), of: 1 }).sum()
    }
}

impl std::iter::Sum for Share {
    fn sum<I: Iterator<Item = Self>>(shares: I) -> Self {
        shares.fold(Self::default(), |all, one| Self {
            reached: all.reached + one.reached,
            of: all.of + one.of,
        })
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { reached, of } = *self;
        // Rounded down: 100 % is all of it.
        let permille = (1000 * reached).checked_div(of).unwrap_or(1000);
        write!(f, "{:>11} {:>4}.{}%", format!("{reached}/{of}"), permille / 10, permille % 10)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_a_line_and_all_of_it_alone_is_100_percent() {
        let file = |reached| Reached {
            path: "src/a.rs".to_owned(),
            lines: Share { reached, of: 2000 },
            regions: [true, false, true].into_iter().collect(),
            missed: vec![(3, 1)],
        };
        let line = format!(
            "{:<44} {:>11} {:>7}  {:>11} {:>7}",
            "src/a.rs", "1999/2000", "99.9%", "2/3", "66.6%"
        );
        assert_eq!(file(1999).to_string(), line);
        let both = Reached::sum("both", &[&file(2000), &file(2000)]);
        assert_eq!(both.lines.to_string(), "  4000/4000  100.0%");
        assert_eq!(Share::default().to_string(), "        0/0  100.0%");
    }
}
