//! Text → tokens with their places. Slips with one obvious mend become the token that was meant, so that the parser
//! goes on and finds the next fault.

use crate::diagnostic::{Diagnostic, Kind, Span};

/// A token.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token {
    /// A name or a keyword: which one is for the parser to say.
    Word(String),
    /// `"…"`, unescaped.
    String(String),
    /// Digits.
    Integer(i64),
    /// Digits with a dot.
    Double(f64),
    /// `$1`.
    Parameter(u64),
    /// One of the symbols.
    Symbol(Symbol),
    /// The end of the text.
    End,
}

macro_rules! symbols {
    ($($variant:ident $text:literal;)+) => {
        /// A symbol.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(super) enum Symbol {
            $($variant,)+
        }

        impl Symbol {
            /// Every symbol, longer ones before their prefixes.
            const ALL: &[Self] = &[$(Self::$variant,)+];

            /// The symbol as written.
            pub(super) fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)+ }
            }
        }
    };
}

symbols! {
    Arrow "=>"; NotEqual "!="; LessEqual "<="; GreaterEqual ">=";
    Open "("; Close ")"; OpenBracket "["; CloseBracket "]"; Comma ","; Dot "."; Colon ":";
    Equal "="; Less "<"; Greater ">"; Plus "+"; Minus "-"; Star "*"; Slash "/"; Percent "%"; Bang "!"; Caret "^";
}

/// A token and its place.
#[derive(Clone, Debug)]
pub(super) struct Spanned {
    pub(super) token: Token,
    pub(super) span: Span,
}

/// The tokens of `text`, with an `End` as the last, and the faults found on the way.
pub(super) fn lex(text: &str) -> (Vec<Spanned>, Vec<Diagnostic>) {
    let mut lexer = Lexer { text, at: 0, tokens: vec![], faults: vec![] };
    lexer.run();
    (lexer.tokens, lexer.faults)
}

struct Lexer<'a> {
    text: &'a str,
    at: usize,
    tokens: Vec<Spanned>,
    faults: Vec<Diagnostic>,
}

/// Quotes that are not PQL's, with what closes each.
const FOREIGN_QUOTES: &[(char, &[char])] = &[
    ('\'', &['\'']),
    ('“', &['”', '“']),
    ('”', &['”']),
    ('‘', &['’', '‘']),
    ('„', &['“', '”']),
    ('«', &['»']),
];

impl Lexer<'_> {
    fn run(&mut self) {
        while let Some(c) = self.peek() {
            let start = self.at;
            match c {
                ' ' | '\t' | '\r' | '\n' => self.at += 1,
                'a'..='z' | 'A'..='Z' | '_' => {
                    let word = self.take_while(is_word).to_owned();
                    self.push(Token::Word(word), start);
                }
                '0'..='9' => self.number(start),
                '"' => self.string(start),
                '$' => self.parameter(start),
                _ => self.symbol(c, start),
            }
        }
        let end = self.text.len();
        self.tokens.push(Spanned { token: Token::End, span: Span::new(end, end) });
    }

    fn peek(&self) -> Option<char> {
        self.text[self.at..].chars().next()
    }

    fn take_while(&mut self, keep: impl Fn(char) -> bool) -> &str {
        let rest = &self.text[self.at..];
        let taken = rest.find(|c| !keep(c)).map_or(rest, |end| &rest[..end]);
        self.at += taken.len();
        taken
    }

    fn push(&mut self, token: Token, start: usize) {
        self.tokens.push(Spanned { token, span: Span::new(start, self.at) });
    }

    fn fault(&mut self, start: usize, message: impl Into<String>) -> &mut Diagnostic {
        let fault = Diagnostic::new(Kind::Parse, message).at(Span::new(start, self.at));
        self.faults.push(fault);
        let last = self.faults.len() - 1;
        &mut self.faults[last]
    }

    fn number(&mut self, start: usize) {
        self.take_while(|c| c.is_ascii_digit());
        let rest = &self.text[self.at..];
        let fraction =
            rest.strip_prefix('.').is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
        if fraction {
            self.at += 1;
            self.take_while(|c| c.is_ascii_digit());
        }
        let digits = self.text[start..self.at].to_owned();
        let suffix = self.take_while(is_word).to_owned();
        if !suffix.is_empty() {
            let exponent = suffix.starts_with(['e', 'E']);
            let fault = self.fault(start, format!("`{digits}{suffix}` is not a number"));
            if exponent {
                fault.help.push("write the number without an exponent".into());
            } else {
                fault.help.push(format!("put a space between `{digits}` and `{suffix}`"));
            }
        }
        let token = if fraction {
            Token::Double(digits.parse().unwrap_or(0.0))
        } else if let Ok(integer) = digits.parse() {
            Token::Integer(integer)
        } else {
            self.fault(start, format!("`{digits}` is too great: integers end at 9223372036854775807"));
            Token::Integer(i64::MAX)
        };
        self.push(token, start);
    }

    fn string(&mut self, start: usize) {
        self.at += 1;
        let mut value = String::new();
        loop {
            let Some(c) = self.peek() else {
                self.fault(start, "this string does not end").help.push("close it with `\"`".into());
                break;
            };
            self.at += c.len_utf8();
            match c {
                '"' => break,
                '\\' => self.escape(&mut value),
                c => value.push(c),
            }
        }
        self.push(Token::String(value), start);
    }

    fn escape(&mut self, value: &mut String) {
        let start = self.at - 1;
        let Some(c) = self.peek() else { return };
        self.at += c.len_utf8();
        match c {
            '"' | '\\' | '/' => value.push(c),
            'n' => value.push('\n'),
            'r' => value.push('\r'),
            't' => value.push('\t'),
            'u' => self.unicode(start, value),
            c => {
                let fault = self.fault(start, format!("`\\{c}` is not an escape"));
                fault.help.push(format!("write `\\\\{c}` for a backslash and `{c}`"));
            }
        }
    }

    /// `\uXXXX`; two of them may be a surrogate pair, as in JSON.
    fn unicode(&mut self, start: usize, value: &mut String) {
        let Some(first) = self.four_hex_digits() else {
            self.fault(start, "`\\u` needs four hexadecimal digits");
            return;
        };
        if let Some(c) = char::from_u32(first) {
            value.push(c);
            return;
        }
        let pair = (0xD800..0xDC00).contains(&first) && self.text[self.at..].starts_with("\\u");
        if pair {
            self.at += 2;
            if let Some(second) = self.four_hex_digits().filter(|low| (0xDC00..0xE000).contains(low))
                && let Some(c) = char::from_u32(0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00))
            {
                value.push(c);
                return;
            }
        }
        self.fault(start, "this is half of a surrogate pair, not a character");
    }

    fn four_hex_digits(&mut self) -> Option<u32> {
        let digits = self.text.get(self.at..self.at + 4)?;
        let all_hex = digits.bytes().all(|b| b.is_ascii_hexdigit());
        let value = u32::from_str_radix(digits, 16).ok().filter(|_| all_hex)?;
        self.at += 4;
        Some(value)
    }

    fn parameter(&mut self, start: usize) {
        self.at += 1;
        let digits = self.take_while(|c| c.is_ascii_digit()).to_owned();
        match digits.parse() {
            Ok(position) => self.push(Token::Parameter(position), start),
            Err(_) => {
                self.take_while(is_word);
                self.fault(start, "`$` needs a number").help.push("write `$1` for the profile".into());
                self.push(Token::Parameter(1), start);
            }
        }
    }

    fn symbol(&mut self, c: char, start: usize) {
        let rest = &self.text[self.at..];
        let slips = [
            ("===", Symbol::Equal),
            ("==", Symbol::Equal),
            ("<>", Symbol::NotEqual),
            ("≠", Symbol::NotEqual),
            ("≤", Symbol::LessEqual),
            ("≥", Symbol::GreaterEqual),
        ];
        if let Some((wrong, meant)) = slips.iter().find(|(wrong, _)| rest.starts_with(wrong)) {
            self.at += wrong.len();
            let fault = self.fault(start, format!("`{wrong}` is not an operator"));
            fault.help.push(format!("write `{}`", meant.as_str()));
            return self.push(Token::Symbol(*meant), start);
        }
        for (wrong, meant) in [("&&", "and"), ("||", "or")] {
            if rest.starts_with(wrong) {
                self.at += wrong.len();
                let fault = self.fault(start, format!("`{wrong}` is not an operator"));
                fault.help.push(format!("write `{meant}`"));
                return self.push(Token::Word(meant.into()), start);
            }
        }
        for (comment, end) in [("//", "\n"), ("/*", "*/")] {
            if let Some(body) = rest.strip_prefix(comment) {
                self.at += comment.len() + body.find(end).map_or(body.len(), |at| at + end.len());
                self.fault(start, "PQL has no comments");
                return;
            }
        }
        if let Some(symbol) = Symbol::ALL.iter().find(|symbol| rest.starts_with(symbol.as_str())) {
            self.at += symbol.as_str().len();
            return self.push(Token::Symbol(*symbol), start);
        }
        if let Some((_, closing)) = FOREIGN_QUOTES.iter().find(|(quote, _)| *quote == c) {
            return self.foreign_string(start, c, closing);
        }
        self.at += c.len_utf8();
        self.fault(start, format!("unexpected character `{}`", c.escape_debug()));
    }

    /// A string in quotes of another language: reported, and read as the string that was meant.
    fn foreign_string(&mut self, start: usize, quote: char, closing: &[char]) {
        self.at += quote.len_utf8();
        let body = &self.text[self.at..];
        let (value, width) = match body.find(closing) {
            Some(end) => (&body[..end], end + body[end..].chars().next().map_or(0, char::len_utf8)),
            None => (body, body.len()),
        };
        let value = value.to_owned();
        self.at += width;
        let fault = self.fault(start, format!("strings stand in double quotes, not in `{quote}`"));
        fault.help.push(format!("write \"{}\"", value.replace('\\', "\\\\").replace('"', "\\\"")));
        self.push(Token::String(value), start);
    }
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}
