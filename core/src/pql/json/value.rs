//! JSON with places, so that a fault in a tree of nodes can be shown where it stands.

use crate::diagnostic::{Diagnostic, Kind, Result, Span};

/// A JSON value and its place.
#[derive(Clone, Debug)]
pub(super) struct Value {
    pub(super) node: Node,
    pub(super) span: Span,
}

/// The kinds of JSON values.
#[derive(Clone, Debug)]
pub(super) enum Node {
    Null,
    Boolean(bool),
    /// As written.
    Number(String),
    String(String),
    List(Vec<Value>),
    Object(Vec<(String, Value)>),
}

impl Value {
    /// The member of that name, if this is an object that has it.
    pub(super) fn member(&self, name: &str) -> Option<&Value> {
        match &self.node {
            Node::Object(members) => members.iter().find(|(key, _)| key == name).map(|(_, value)| value),
            Node::Null | Node::Boolean(_) | Node::Number(_) | Node::String(_) | Node::List(_) => None,
        }
    }

    /// The text, if this is a string.
    pub(super) fn text(&self) -> Option<&str> {
        match &self.node {
            Node::String(text) => Some(text),
            Node::Null | Node::Boolean(_) | Node::Number(_) | Node::List(_) | Node::Object(_) => None,
        }
    }
}

/// How deep lists and objects may nest; a node of a query takes up to three levels.
const DEPTH: usize = 300;

/// The value that `text` is.
pub(super) fn read(text: &str) -> Result<Value> {
    let mut reader = Reader { text, at: 0, depth: 0 };
    let value = reader.value()?;
    reader.skip_space();
    match reader.peek() {
        None => Ok(value),
        Some(_) => Err(reader.fault("expected the end of the JSON text")),
    }
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
}

impl Reader<'_> {
    fn peek(&self) -> Option<char> {
        self.text[self.at..].chars().next()
    }

    fn skip_space(&mut self) {
        let rest = &self.text[self.at..];
        self.at += rest.len() - rest.trim_start_matches([' ', '\t', '\r', '\n']).len();
    }

    fn fault(&self, message: impl Into<String>) -> Diagnostic {
        let end = self.peek().map_or(self.at, |c| self.at + c.len_utf8());
        Diagnostic::new(Kind::Parse, message).at(Span::new(self.at, end))
    }

    fn value(&mut self) -> Result<Value> {
        self.skip_space();
        let start = self.at;
        let node = match self.peek() {
            Some('{' | '[') if self.depth >= DEPTH => return Err(self.fault("the JSON text nests too deep")),
            Some('{') => self.object()?,
            Some('[') => self.list()?,
            Some('"') => Node::String(self.string()?),
            Some('-' | '0'..='9') => self.number()?,
            Some(c) if c.is_ascii_alphabetic() => self.word()?,
            Some(c) => return Err(self.fault(format!("unexpected character `{}` in JSON", c.escape_debug()))),
            None => return Err(self.fault("the JSON text ends too early")),
        };
        Ok(Value { node, span: Span::new(start, self.at) })
    }

    fn word(&mut self) -> Result<Node> {
        let words = [("true", Node::Boolean(true)), ("false", Node::Boolean(false)), ("null", Node::Null)];
        for (word, node) in words {
            if self.text[self.at..].starts_with(word) {
                self.at += word.len();
                return Ok(node);
            }
        }
        Err(self.fault("expected a JSON value"))
    }

    fn number(&mut self) -> Result<Node> {
        let rest = &self.text[self.at..];
        let end =
            rest.find(|c: char| !matches!(c, '0'..='9' | '-' | '+' | '.' | 'e' | 'E')).unwrap_or(rest.len());
        let text = &rest[..end];
        if serde_json::from_str::<serde_json::Number>(text).is_err() {
            return Err(self.fault(format!("`{text}` is not a JSON number")));
        }
        let text = text.to_owned();
        self.at += end;
        Ok(Node::Number(text))
    }

    fn string(&mut self) -> Result<String> {
        let rest = &self.text[self.at..];
        let mut escaped = false;
        for (at, byte) in rest.bytes().enumerate().skip(1) {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => {
                    let quoted = &rest[..=at];
                    let value = serde_json::from_str(quoted)
                        .map_err(|_| self.fault("a wrong escape or a control character in this string"))?;
                    self.at += at + 1;
                    return Ok(value);
                }
                _ => {}
            }
        }
        Err(self.fault("this string does not end"))
    }

    fn list(&mut self) -> Result<Node> {
        let mut items = vec![];
        self.sequence(']', |reader| {
            items.push(reader.value()?);
            Ok(())
        })?;
        Ok(Node::List(items))
    }

    fn object(&mut self) -> Result<Node> {
        let mut members = vec![];
        self.sequence('}', |reader| {
            if reader.peek() != Some('"') {
                return Err(reader.fault("expected a member's name in double quotes"));
            }
            let name = reader.string()?;
            reader.skip_space();
            reader.symbol(':')?;
            members.push((name, reader.value()?));
            Ok(())
        })?;
        Ok(Node::Object(members))
    }

    /// The parts up to `close`, which commas separate; the opening symbol is the next character.
    fn sequence(&mut self, close: char, mut part: impl FnMut(&mut Self) -> Result<()>) -> Result<()> {
        self.at += 1;
        self.depth += 1;
        self.skip_space();
        if self.peek() != Some(close) {
            loop {
                self.skip_space();
                part(self)?;
                self.skip_space();
                if self.peek() == Some(close) {
                    break;
                }
                self.symbol(',')?;
            }
        }
        self.depth -= 1;
        self.symbol(close)
    }

    fn symbol(&mut self, expected: char) -> Result<()> {
        if self.peek() == Some(expected) {
            self.at += expected.len_utf8();
            return Ok(());
        }
        Err(self.fault(format!("expected `{expected}`")))
    }
}
