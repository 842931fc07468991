//! Colours text on a terminal.

use std::env;
use std::io::{self, IsTerminal};

/// Whether there are colours.
#[derive(Clone, Copy, Debug)]
pub struct Style {
    colours: bool,
}

// === impl Style ===

impl Style {
    /// Colours on a terminal, unless NO_COLOR (<https://no-color.org>) is set.
    pub fn of_stdout() -> Self {
        let unwanted = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self { colours: io::stdout().is_terminal() && !unwanted }
    }

    /// No colours.
    #[cfg(test)]
    pub fn plain() -> Self {
        Self { colours: false }
    }

    /// For what is as it must be.
    pub fn good(&self, text: &str) -> String {
        self.paint("32", text)
    }

    /// For what is not.
    pub fn bad(&self, text: &str) -> String {
        self.paint("1;31", text)
    }

    /// For headings.
    pub fn heading(&self, text: &str) -> String {
        self.paint("1", text)
    }

    fn paint(&self, code: &str, text: &str) -> String {
        if self.colours { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}
