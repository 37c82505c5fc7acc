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

    /// The same range of a text that begins at `start`.
    pub fn relative_to(self, start: usize) -> Self {
        Self { start: self.start.saturating_sub(start), end: self.end.saturating_sub(start) }
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

/// The lines of a text: turns lines and columns, as SQL parsers report places, into byte offsets.
#[derive(Clone, Debug)]
pub struct Lines<'a> {
    text: &'a str,
    /// Where each line starts, and whether its characters are all one byte long.
    starts: Vec<(usize, bool)>,
}

impl<'a> Lines<'a> {
    /// Finds the lines of a text.
    pub fn new(text: &'a str) -> Self {
        let mut starts = vec![];
        let mut start = 0;
        for line in text.split_inclusive('\n') {
            starts.push((start, line.is_ascii()));
            start += line.len();
        }
        Self { text, starts }
    }

    /// The byte offset of a line and column, both from 1, columns in characters; the end of the text when it has
    /// no such place.
    pub fn offset(&self, line: u64, column: u64) -> usize {
        let line = usize::try_from(line.max(1) - 1).unwrap_or(usize::MAX);
        let column = usize::try_from(column.max(1) - 1).unwrap_or(usize::MAX);
        let Some(&(start, ascii)) = self.starts.get(line) else { return self.text.len() };
        let rest = &self.text[start..];
        if ascii {
            return start + column.min(rest.len());
        }
        rest.char_indices().nth(column).map_or(self.text.len(), |(at, _)| start + at)
    }
}

/// The byte offset of one line and column of a text; see [`Lines::offset`].
pub fn offset_of(text: &str, line: u64, column: u64) -> usize {
    Lines::new(text).offset(line, column)
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
