//! Cutting a script into statements at `;`, without parsing it: a mistake further down must not keep the
//! statements before it from running.

use std::ops::Range;

/// One statement's text as a range of the script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// The bytes of the statement, without its `;`.
    pub range: Range<usize>,
    /// Whether a `;` ended it.
    pub terminated: bool,
    /// Whether a string, identifier or comment is still open at the end of the text.
    pub open: bool,
}

/// The statements of a script in order, empty ones left out.
pub fn split(text: &str) -> Vec<Piece> {
    let mut pieces = vec![];
    let mut start = 0;
    let mut at = 0;
    let mut blank = true;
    let mut open = false;
    while at < text.len() {
        match lex(&text[at..]) {
            Lexeme::Semicolon => {
                if !blank {
                    pieces.push(Piece { range: start..at, terminated: true, open: false });
                }
                at += 1;
                (start, blank) = (at, true);
            }
            Lexeme::Space(length) => at += length,
            Lexeme::Other(length) => {
                blank = false;
                at += length;
            }
            Lexeme::Open { comment } => {
                blank &= comment;
                open = true;
                at = text.len();
            }
        }
    }
    if !blank || open {
        pieces.push(Piece { range: start..text.len(), terminated: false, open });
    }
    pieces
}

enum Lexeme {
    Semicolon,
    /// White space or a comment of this many bytes.
    Space(usize),
    /// A character, string or quoted identifier of this many bytes.
    Other(usize),
    /// Something that does not end.
    Open {
        comment: bool,
    },
}

fn lex(text: &str) -> Lexeme {
    let mut chars = text.chars();
    let Some(first) = chars.next() else { return Lexeme::Space(0) };
    let second = chars.next();
    match (first, second) {
        (';', _) => Lexeme::Semicolon,
        ('-', Some('-')) => Lexeme::Space(text.find('\n').map_or(text.len(), |at| at + 1)),
        ('/', Some('*')) => block_comment(text),
        ('\'' | '"' | '`', _) => quoted(text, first, 1, false),
        ('e' | 'E', Some('\'')) => quoted(text, '\'', 2, true),
        ('$', _) => dollar_quoted(text),
        (c, _) if c.is_whitespace() => Lexeme::Space(c.len_utf8()),
        // A word is taken whole, so that the `e` of `type'…'` does not begin a string with escapes.
        (c, _) if c.is_alphanumeric() || c == '_' => {
            let rest = |c: char| !(c.is_alphanumeric() || c == '_' || c == '$');
            Lexeme::Other(text.find(rest).unwrap_or(text.len()))
        }
        (c, _) => Lexeme::Other(c.len_utf8()),
    }
}

fn quoted(text: &str, quote: char, from: usize, escapes: bool) -> Lexeme {
    let mut chars = text[from..].char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        if escapes && c == '\\' {
            chars.next();
        } else if c == quote {
            if chars.peek().is_none_or(|&(_, next)| next != quote) {
                return Lexeme::Other(from + at + quote.len_utf8());
            }
            chars.next();
        }
    }
    Lexeme::Open { comment: false }
}

fn block_comment(text: &str) -> Lexeme {
    let (mut depth, mut at) = (0, 0);
    let bytes = text.as_bytes();
    while at + 1 < bytes.len() {
        match &bytes[at..at + 2] {
            b"/*" => (depth, at) = (depth + 1, at + 2),
            b"*/" if depth == 1 => return Lexeme::Space(at + 2),
            b"*/" => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
    }
    Lexeme::Open { comment: true }
}

fn dollar_quoted(text: &str) -> Lexeme {
    let tag_end = text[1..].find(|c: char| !(c.is_alphanumeric() || c == '_')).map(|at| at + 1);
    let Some(end) = tag_end.filter(|&end| text[end..].starts_with('$')) else { return Lexeme::Other(1) };
    let tag = &text[..=end];
    // `$1` and the like are parameters: a tag does not begin with a digit.
    if tag[1..].starts_with(|c: char| c.is_ascii_digit()) {
        return Lexeme::Other(1);
    }
    match text[tag.len()..].find(tag) {
        Some(at) => Lexeme::Other(at + 2 * tag.len()),
        None => Lexeme::Open { comment: false },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str) -> Vec<&str> {
        split(text).into_iter().map(|piece| text[piece.range].trim()).collect()
    }

    #[test]
    fn cuts_at_semicolons_outside_of_quotes_and_comments() {
        assert_eq!(check("SELECT 1; SELECT 2"), ["SELECT 1", "SELECT 2"]);
        assert_eq!(
            check("SELECT ';', \"a;b\", 'it''s;'; ;; -- x;y\n SELECT 2;"),
            ["SELECT ';', \"a;b\", 'it''s;'", "-- x;y\n SELECT 2"]
        );
        assert_eq!(check("A $$ x; 'y $$; B $t$ ; $$ $t$"), ["A $$ x; 'y $$", "B $t$ ; $$ $t$"]);
        assert_eq!(check("SELECT $1; SELECT $2"), ["SELECT $1", "SELECT $2"]);
        assert_eq!(check("SELECT E'it\\'s;'; SELECT type';'"), ["SELECT E'it\\'s;'", "SELECT type';'"]);
        assert_eq!(check("/* a; /* b; */ c; */ SELECT 1"), ["/* a; /* b; */ c; */ SELECT 1"]);
        assert_eq!(check(" -- only a comment"), Vec::<&str>::new());
    }

    #[test]
    fn says_what_is_unfinished() {
        for (text, terminated, open) in
            [("SELECT 1;", true, false), ("SELECT 1", false, false), ("SELECT 'a;", false, true)]
        {
            let pieces = split(text);
            assert_eq!((pieces[0].terminated, pieces[0].open), (terminated, open), "{text}");
        }
        assert!(split("/* a").iter().any(|piece| piece.open));
        assert!(split("SELECT 1; $$ b").iter().any(|piece| piece.open));
    }
}
