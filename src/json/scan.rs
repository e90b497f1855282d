//! Finds where values begin and end, in JSON that was validated as a whole before: bodies are read
//! level by level, and validating each level again would cost more than all the rest. Text that is
//! not JSON after all is rejected or misread, but never read beyond its end.

/// The position after the white space from `at` on.
fn after_space(text: &[u8], at: usize) -> usize {
    let rest = text.get(at..).unwrap_or_default();
    let space = rest.iter().take_while(|byte| matches!(byte, b' ' | b'\n' | b'\r' | b'\t'));
    at + space.count()
}

/// Number of words of eight bytes that are checked before a longer search is set up.
const SHORT_WORDS: usize = 4;

/// The position of the first quote or backslash from `at` on. Most strings are names and short
/// words: for them, setting up a vectorized search costs more than the search.
#[inline]
fn quote_or_backslash(text: &[u8], mut at: usize) -> Option<usize> {
    for _ in 0..SHORT_WORDS {
        let word = text.get(at..).and_then(<[u8]>::first_chunk::<8>);
        let Some(word) = word.map(|bytes| u64::from_le_bytes(*bytes)) else { break };
        let found = bytes_equal_to(word, b'"') | bytes_equal_to(word, b'\\');
        if found != 0 {
            return Some(at + usize::try_from(found.trailing_zeros() / 8).unwrap_or(0));
        }
        at += 8;
    }
    Some(at + memchr::memchr2(b'"', b'\\', text.get(at..)?)?)
}

/// Whether there is a backslash; in short texts without setting up a search.
pub(super) fn has_backslash(text: &[u8]) -> bool {
    if text.len() >= 8 * SHORT_WORDS {
        return memchr::memchr(b'\\', text).is_some();
    }
    let (words, rest) = text.as_chunks::<8>();
    let in_words = words
        .iter()
        .fold(0, |found, word| found | bytes_equal_to(u64::from_le_bytes(*word), b'\\'));
    in_words != 0 || rest.contains(&b'\\')
}

/// Has the high bit set in the lowest of eight bytes that equals `byte`, and in none below it.
fn bytes_equal_to(word: u64, byte: u8) -> u64 {
    const LOW: u64 = u64::MAX / 255;
    const HIGH: u64 = LOW << 7;
    let zeroed = word ^ (LOW * u64::from(byte));
    zeroed.wrapping_sub(LOW) & !zeroed & HIGH
}

/// The position after the string whose opening quote is before `at`.
#[inline]
pub(super) fn after_string(text: &[u8], mut at: usize) -> Option<usize> {
    loop {
        let found = quote_or_backslash(text, at)?;
        match text.get(found)? {
            b'"' => return Some(found + 1),
            // An escape takes at least one byte after the backslash.
            _ => at = found + 2,
        }
    }
}

/// The position after the value that begins at `at`.
fn after_value(text: &[u8], at: usize) -> Option<usize> {
    match text.get(at)? {
        b'"' => after_string(text, at + 1),
        b'{' | b'[' => after_nested(text, at),
        _ => {
            let rest = text.get(at..)?;
            let is_end =
                |byte: &u8| matches!(byte, b',' | b']' | b'}' | b' ' | b'\n' | b'\r' | b'\t');
            let length = rest.iter().position(is_end).unwrap_or(rest.len());
            (length > 0).then_some(at + length)
        }
    }
}

fn after_nested(text: &[u8], mut at: usize) -> Option<usize> {
    let mut depth = 0_usize;
    loop {
        match text.get(at)? {
            b'"' => {
                at = after_string(text, at + 1)?;
                continue;
            }
            b'{' | b'[' => depth += 1,
            b'}' | b']' => {
                depth = depth.checked_sub(1)?;
                if depth == 0 {
                    return Some(at + 1);
                }
            }
            _ => {}
        }
        at += 1;
    }
}

/// The text is not valid JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NoJson;

/// The content of an array or object, piece by piece. A member of an object is two pieces.
pub(super) struct Pieces<'a> {
    text: &'a str,
    at: usize,
    is_first: bool,
    close: u8,
}

impl<'a> Pieces<'a> {
    /// Creates the pieces of the array or object that `text` is.
    pub(super) fn of(text: &'a str) -> Option<Self> {
        let close = match text.as_bytes().first()? {
            b'[' => b']',
            b'{' => b'}',
            _ => return None,
        };
        Some(Self { text, at: 1, is_first: true, close })
    }

    /// The next element, or the name of the next member; `None` at the end.
    pub(super) fn next_piece(&mut self) -> Result<Option<&'a str>, NoJson> {
        let next = self.next_inside()?;
        // Nothing may follow: the text is one value.
        if next.is_none() && self.at != self.text.len() { Err(NoJson) } else { Ok(next) }
    }

    /// As [`Pieces::next_piece`], where other text may follow after the end.
    fn next_inside(&mut self) -> Result<Option<&'a str>, NoJson> {
        let bytes = self.text.as_bytes();
        self.at = after_space(bytes, self.at);
        if bytes.get(self.at) == Some(&self.close) {
            self.at += 1;
            return Ok(None);
        }
        if !std::mem::replace(&mut self.is_first, false) {
            self.take(b',').ok_or(NoJson)?;
        }
        self.value().map(Some).ok_or(NoJson)
    }

    /// The value of the member whose name was next.
    pub(super) fn value_of_member(&mut self) -> Option<&'a str> {
        self.at = after_space(self.text.as_bytes(), self.at);
        self.take(b':')?;
        self.value()
    }

    /// As [`Pieces::value_of_member`]; the elements of an array are passed on in the same pass.
    pub(super) fn array_of_member(&mut self, mut element: impl FnMut(&'a str)) -> Option<&'a str> {
        let bytes = self.text.as_bytes();
        self.at = after_space(bytes, self.at);
        self.take(b':')?;
        if bytes.get(self.at) != Some(&b'[') {
            return self.value();
        }
        let begin = self.at;
        let mut inside = Self { text: self.text, at: begin + 1, is_first: true, close: b']' };
        while let Some(piece) = inside.next_inside().ok()? {
            element(piece);
        }
        self.at = inside.at;
        self.text.get(begin..self.at)
    }

    fn take(&mut self, byte: u8) -> Option<()> {
        (*self.text.as_bytes().get(self.at)? == byte).then_some(())?;
        self.at = after_space(self.text.as_bytes(), self.at + 1);
        Some(())
    }

    fn value(&mut self) -> Option<&'a str> {
        let begin = self.at;
        self.at = after_value(self.text.as_bytes(), begin)?;
        self.text.get(begin..self.at)
    }
}
