//! Places in a text, as byte ranges.

use std::hash::{Hash, Hasher};

/// A byte range of a text.
///
/// Spans ride on syntax trees without being part of what a tree means: any two are equal, so that trees compare
/// and hash by content.
#[derive(Clone, Copy, Debug, Default)]
pub struct Span {
    /// The first byte.
    pub start: usize,
    /// One past the last byte.
    pub end: usize,
}

impl Span {
    /// The bytes from `start` up to, not including, `end`.
    pub fn new(start: usize, end: usize) -> Self {
        Self { start, end }
    }

    /// The smallest span that holds both.
    #[must_use]
    pub fn to(self, other: Self) -> Self {
        Self { start: self.start.min(other.start), end: self.end.max(other.end) }
    }

    /// The same range of a text that begins `offset` bytes later.
    #[must_use]
    pub fn shifted(self, offset: usize) -> Self {
        Self { start: self.start + offset, end: self.end + offset }
    }

    /// The range as `(start, end)`, for tests and protocols: spans themselves compare equal.
    pub fn range(self) -> (usize, usize) {
        (self.start, self.end)
    }
}

impl PartialEq for Span {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Span {}

impl Hash for Span {
    fn hash<H: Hasher>(&self, _: &mut H) {}
}

/// The byte offset of a line and column (both from 1, columns in characters) as SQL parsers report them; the end
/// of the text when it has no such place.
pub fn offset_of(text: &str, line: u64, column: u64) -> usize {
    let mut start = 0;
    for _ in 1..line.max(1) {
        match text[start..].find('\n') {
            Some(at) => start += at + 1,
            None => return text.len(),
        }
    }
    let rest = &text[start..];
    let skip = usize::try_from(column.max(1) - 1).unwrap_or(usize::MAX);
    rest.char_indices().nth(skip).map_or(text.len(), |(at, _)| start + at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_offsets_by_characters() {
        let text = "añb\nçd";
        assert_eq!(offset_of(text, 1, 1), 0);
        assert_eq!(offset_of(text, 1, 3), 3);
        assert_eq!(offset_of(text, 2, 2), text.find('d').unwrap());
        assert_eq!(offset_of(text, 9, 9), text.len());
    }
}
