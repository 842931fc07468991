//! The parts of the source that are told apart: a path comes in, the part that it belongs to goes out.

use std::fmt;

/// Who runs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// What decides, in Envoy as on the command line.
    Core,
    /// The command line alone.
    CommandLine,
}

// === impl Part ===

impl Part {
    /// In the order in which they are printed.
    pub const ALL: [Self; 2] = [Self::Core, Self::CommandLine];

    /// The part that a file is of, by its path in the repository.
    pub fn of(path: &str) -> Self {
        let command_line = ["src/main.rs", "src/cli.rs"].contains(&path);
        if command_line || path.starts_with("src/cli/") { Self::CommandLine } else { Self::Core }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Core => "the core",
            Self::CommandLine => "the command line",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Part;

    #[test]
    fn main_and_cli_are_the_command_line_and_all_else_is_the_core() {
        for path in ["src/main.rs", "src/cli.rs", "src/cli/check/find.rs"] {
            assert_eq!(Part::of(path), Part::CommandLine, "{path}");
        }
        for path in ["src/exchange.rs", "src/authn/claims.rs", "src/client.rs"] {
            assert_eq!(Part::of(path), Part::Core, "{path}");
        }
    }
}
