//! Text with the location of each character in its file, also for text inside a YAML scalar.

use saphyr_parser::ScalarStyle;

/// A location in a file. Lines and columns start at 1; columns are in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The line.
    pub line: usize,
    /// The column.
    pub column: usize,
}

/// A text with the location of each character.
#[derive(Debug)]
pub struct Text {
    content: String,
    /// The locations of the characters, and of the end.
    places: Vec<Place>,
}

/// Iterates over the source of a YAML scalar, and decodes it.
struct Source<'t> {
    characters:
        std::iter::Peekable<std::iter::Zip<std::vec::IntoIter<char>, std::slice::Iter<'t, Place>>>,
    style: ScalarStyle,
}

// === impl Text ===

impl Text {
    /// A whole file.
    pub fn of_file(content: String) -> Self {
        let mut place = Place { line: 1, column: 1 };
        let mut places = Vec::with_capacity(content.len() + 1);
        for character in content.chars() {
            places.push(place);
            place = match character {
                '\n' => Place { line: place.line + 1, column: 1 },
                _ => Place { column: place.column + 1, ..place },
            };
        }
        places.push(place);
        Self { content, places }
    }

    /// The text.
    pub fn content(&self) -> &str {
        &self.content
    }

    /// The location of the character with this index.
    pub fn place(&self, at: usize) -> Place {
        let last = self.places.last().copied().unwrap_or(Place { line: 1, column: 1 });
        self.places.get(at).copied().unwrap_or(last)
    }

    /// The location of a character by its line and column in the text. The column is in bytes, as in serde_json.
    pub fn place_of(&self, line: usize, column: usize) -> Place {
        let mut before = 0;
        for (number, text) in self.content.split_inclusive('\n').enumerate() {
            if number + 1 == line {
                let bytes = text.char_indices().take_while(|(at, _)| at + 1 < column);
                return self.place(before + bytes.count());
            }
            before += text.chars().count();
        }
        self.place(before)
    }

    /// A text that was decoded from the value at `at`.
    pub fn opaque(&self, at: usize, content: String) -> Self {
        let places = vec![self.place(at); content.chars().count() + 1];
        Self { content, places }
    }

    /// The value of the scalar at `at`, with the locations of its characters in the source.
    pub fn scalar(&self, at: usize, style: ScalarStyle, value: &str) -> Self {
        let mut source = Source::new(self, at, style);
        let mut places: Vec<_> = value.chars().map(|wanted| source.find(wanted)).collect();
        let end = places.last().copied().unwrap_or_else(|| self.place(at));
        places.push(end);
        Self { content: value.to_owned(), places }
    }
}

// === impl Source ===

impl<'t> Source<'t> {
    fn new(text: &'t Text, at: usize, style: ScalarStyle) -> Self {
        let rest: Vec<char> = text.content.chars().skip(at).collect();
        let places = text.places.get(at..).unwrap_or_default().iter();
        let mut source = Self { characters: rest.into_iter().zip(places).peekable(), style };
        // The parser reports the first line of a block scalar as its beginning, after the indicator (`|`).
        if matches!(style, ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted) {
            source.characters.next();
        }
        source
    }

    /// The location of the next character that is `wanted`. Skips other white space, because YAML folds and indents it.
    fn find(&mut self, wanted: char) -> Place {
        let mut last = Place { line: 1, column: 1 };
        while let Some((character, place)) = self.characters.peek().copied() {
            last = *place;
            let is_escape = self.style == ScalarStyle::DoubleQuoted && character == '\\';
            if wanted.is_whitespace() && !character.is_whitespace() && !is_escape {
                return last;
            }
            let (stands_for, _) = self.next();
            if stands_for == Some(wanted) || stands_for.is_some_and(|c| !c.is_whitespace()) {
                return last;
            }
        }
        last
    }

    /// The next character, decoded; `None` if it decodes to nothing.
    fn next(&mut self) -> (Option<char>, Option<Place>) {
        let Some((character, place)) = self.characters.next() else { return (None, None) };
        let stands_for = match (self.style, character) {
            (ScalarStyle::SingleQuoted, '\'') => self.characters.next().map(|_| '\''),
            (ScalarStyle::DoubleQuoted, '\\') => self.escape(),
            _ => Some(character),
        };
        (stands_for, Some(*place))
    }

    /// The character after a backslash, decoded (YAML 1.2 section 5.7).
    fn escape(&mut self) -> Option<char> {
        let (character, _) = self.characters.next()?;
        let digits = match character {
            'x' => 2,
            'u' => 4,
            'U' => 8,
            'n' => return Some('\n'),
            't' => return Some('\t'),
            'r' => return Some('\r'),
            '\n' => return None,
            other => return Some(other),
        };
        let hex: String = self.characters.by_ref().take(digits).map(|(digit, _)| digit).collect();
        u32::from_str_radix(&hex, 16).ok().and_then(char::from_u32)
    }
}
