//! The steps, one below the other.

/// What came of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// It holds.
    Good,
    /// It does not.
    Bad,
    /// It was not asked for, or not reached.
    Idle,
}

/// See above.
#[derive(Debug, Default)]
pub struct Page {
    text: String,
}

// === impl Page ===

impl Page {
    /// A step with what was compared.
    pub fn say(&mut self, mark: Mark, step: &str, said: impl AsRef<str>) {
        let mark = match mark {
            Mark::Good => "ok",
            Mark::Bad => "NO",
            Mark::Idle => "--",
        };
        self.line(mark, step, said.as_ref());
    }

    /// Something that is no step.
    pub fn note(&mut self, name: &str, said: impl AsRef<str>) {
        self.line("", name, said.as_ref());
    }

    /// A step that the core has decided on.
    pub fn judge(&mut self, step: &str, held: Result<String, String>) {
        match held {
            Ok(said) => self.say(Mark::Good, step, said),
            Err(said) => self.say(Mark::Bad, step, said),
        }
    }

    fn line(&mut self, mark: &str, name: &str, said: &str) {
        let said = said.replace('\n', "\n              ");
        self.text += format!("{mark:<3} {name:<9} {said}").trim_end();
        self.text.push('\n');
    }

    /// All of it.
    pub fn text(self) -> String {
        self.text
    }
}
