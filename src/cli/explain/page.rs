//! The page of steps that `explain` prints.

/// The result of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// The step succeeded.
    Good,
    /// The step failed.
    Bad,
    /// The step is not configured, or was not reached.
    Idle,
}

/// The page.
#[derive(Debug, Default)]
pub struct Page {
    text: String,
}

// === impl Page ===

impl Page {
    /// Adds a step with the values that were compared.
    pub fn step(&mut self, mark: Mark, step: &str, text: impl AsRef<str>) {
        let mark = match mark {
            Mark::Good => "ok",
            Mark::Bad => "NO",
            Mark::Idle => "--",
        };
        self.line(mark, step, text.as_ref());
    }

    /// Adds a line that is not a step.
    pub fn note(&mut self, name: &str, text: impl AsRef<str>) {
        self.line("", name, text.as_ref());
    }

    /// Adds a step with the result of a check.
    pub fn check(&mut self, step: &str, held: Result<String, String>) {
        match held {
            Ok(said) => self.step(Mark::Good, step, said),
            Err(said) => self.step(Mark::Bad, step, said),
        }
    }

    fn line(&mut self, mark: &str, name: &str, said: &str) {
        let said = said.replace('\n', "\n              ");
        self.text += format!("{mark:<3} {name:<9} {said}").trim_end();
        self.text.push('\n');
    }

    /// The text of the page.
    pub fn text(self) -> String {
        self.text
    }
}
