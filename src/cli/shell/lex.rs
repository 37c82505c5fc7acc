//! SQL in pieces as large as colours need them; unfinished text is fine.

use std::ops::Range;

/// The sort of a piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Token {
    /// A keyword or name that is not quoted.
    Word,
    Number,
    /// A string, dollar-quoted ones too.
    Text,
    /// A quoted name.
    Quoted,
    Comment,
    /// White space and symbols.
    Other,
}

/// The pieces of a text, one after another, nothing left out.
pub(super) fn tokens(text: &str) -> Vec<(Token, Range<usize>)> {
    let mut tokens = vec![];
    let mut at = 0;
    while let Some(first) = text[at..].chars().next() {
        let (token, length) = token(&text[at..], first);
        tokens.push((token, at..at + length));
        at += length;
    }
    tokens
}

fn token(text: &str, first: char) -> (Token, usize) {
    let until = |close: &str, from: usize| {
        text.get(from..).and_then(|rest| rest.find(close)).map_or(text.len(), |at| from + at + close.len())
    };
    match first {
        '-' if text.starts_with("--") => (Token::Comment, text.find('\n').unwrap_or(text.len())),
        '/' if text.starts_with("/*") => (Token::Comment, until("*/", 2)),
        // A doubled quote ends one string and begins the next: the colour is the same.
        '\'' => (Token::Text, until("'", 1)),
        '"' | '`' => (Token::Quoted, until(&first.to_string(), 1)),
        '$' => match dollar_tag(text) {
            Some(tag) => (Token::Text, until(tag, tag.len())),
            None => (Token::Other, 1),
        },
        c if c.is_ascii_digit() => {
            (Token::Number, run(text, |c| c.is_ascii_alphanumeric() || c == '.' || c == '_'))
        }
        c if is_word(c) => (Token::Word, run(text, |c| is_word(c) || c.is_ascii_digit())),
        c => (Token::Other, c.len_utf8()),
    }
}

fn run(text: &str, belongs: impl Fn(char) -> bool) -> usize {
    text.find(|c| !belongs(c)).unwrap_or(text.len())
}

/// Whether a name may begin with it.
pub(super) fn is_word(c: char) -> bool {
    c.is_alphabetic() || c == '_'
}

/// `$$` or `$tag$` at the start of the text.
fn dollar_tag(text: &str) -> Option<&str> {
    let end = 1 + text.get(1..)?.find('$')?;
    let tag = &text[1..end];
    let is_tag = tag.chars().all(|c| is_word(c) || c.is_ascii_digit())
        && !tag.starts_with(|c: char| c.is_ascii_digit());
    is_tag.then_some(&text[..=end])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str) -> Vec<(Token, &str)> {
        let tokens = tokens(text);
        assert_eq!(tokens.iter().map(|(_, range)| &text[range.clone()]).collect::<String>(), text);
        tokens
            .into_iter()
            .map(|(token, range)| (token, &text[range]))
            .filter(|(token, _)| *token != Token::Other)
            .collect()
    }

    #[test]
    fn cuts_text_into_pieces() {
        use Token::{Comment, Number, Quoted, Text, Word};
        assert_eq!(
            check("SELECT a1, 'b', 2.5 -- c\nFROM \"d\" /* e"),
            [
                (Word, "SELECT"),
                (Word, "a1"),
                (Text, "'b'"),
                (Number, "2.5"),
                (Comment, "-- c"),
                (Word, "FROM"),
                (Quoted, "\"d\""),
                (Comment, "/* e"),
            ]
        );
        assert_eq!(check("$1 $$ x 'y $$ é"), [(Number, "1"), (Text, "$$ x 'y $$"), (Word, "é")]);
        assert_eq!(check("'open"), [(Text, "'open")]);
        assert_eq!(check("$a$ b $a$"), [(Text, "$a$ b $a$")]);
    }
}
