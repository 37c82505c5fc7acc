//! What must hold between the rows of several steps: `2.sku = 1.sku AND 2.time <= 1.latest`.
//!
//! ```text
//! links  = any
//! any    = all {OR all}
//! all    = one {AND one}
//! one    = NOT one | ( any ) | field [op field]
//! field  = step . name        steps count from 1; a name that is not a word is "quoted"
//! op     = '=' | '<>' | '!=' | '<' | '<=' | '>' | '>='
//! ```

use std::cmp::Ordering;
use std::fmt;

/// How deep parentheses and negations may nest.
const MAX_DEPTH: usize = 64;

/// A condition on the rows of several steps. A comparison with NULL does not hold; its negation does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Link {
    /// All hold.
    All(Vec<Link>),
    /// Some holds.
    Any(Vec<Link>),
    /// Does not hold.
    Not(Box<Link>),
    /// A field that is true.
    True(Field),
    /// Two fields compare in this way.
    Compare(Field, Operator, Field),
}

/// A field of the row of a step, both counted from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field {
    /// The step.
    pub step: usize,
    /// The position of the field among those of a row.
    pub field: usize,
}

/// How two fields compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operator {
    /// `=`
    Equal,
    /// `<>`
    NotEqual,
    /// `<`
    Less,
    /// `<=`
    LessEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterEqual,
}

impl Operator {
    /// Whether two values in this order compare so.
    pub fn holds(self, order: Ordering) -> bool {
        match self {
            Self::Equal => order.is_eq(),
            Self::NotEqual => order.is_ne(),
            Self::Less => order.is_lt(),
            Self::LessEqual => order.is_le(),
            Self::Greater => order.is_gt(),
            Self::GreaterEqual => order.is_ge(),
        }
    }
}

/// Where a text is wrong, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkError {
    /// The character, from 1.
    pub position: usize,
    /// What is there.
    pub message: String,
}

impl fmt::Display for LinkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at character {}: {}", self.position, self.message)
    }
}

impl Link {
    /// Reads what links `n_steps` steps whose rows have these fields: conditions that must all hold, none for an
    /// empty text.
    pub fn parse(text: &str, n_steps: usize, fields: &[&str]) -> Result<Vec<Self>, LinkError> {
        let mut parser = Parser { text, at: 0, n_steps, fields };
        parser.skip_space();
        if parser.at == text.len() {
            return Ok(vec![]);
        }
        let link = parser.any(0)?;
        if parser.at < text.len() {
            return Err(parser.error("expected AND, OR or the end"));
        }
        Ok(match link {
            Self::All(links) => links,
            link => vec![link],
        })
    }

    /// Calls `visit` with every field.
    pub fn fields(&self, visit: &mut impl FnMut(Field)) {
        match self {
            Self::All(links) | Self::Any(links) => links.iter().for_each(|link| link.fields(visit)),
            Self::Not(link) => link.fields(visit),
            Self::True(field) => visit(*field),
            Self::Compare(left, _, right) => {
                visit(*left);
                visit(*right);
            }
        }
    }
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
    n_steps: usize,
    fields: &'a [&'a str],
}

impl Parser<'_> {
    fn any(&mut self, depth: usize) -> Result<Link, LinkError> {
        let mut links = vec![self.all(depth)?];
        while self.word("or") {
            links.push(self.all(depth)?);
        }
        Ok(one_or(links, Link::Any))
    }

    fn all(&mut self, depth: usize) -> Result<Link, LinkError> {
        let mut links = vec![self.one(depth)?];
        while self.word("and") {
            links.push(self.one(depth)?);
        }
        Ok(one_or(links, Link::All))
    }

    fn one(&mut self, depth: usize) -> Result<Link, LinkError> {
        if depth > MAX_DEPTH {
            return Err(self.error("nested too deeply"));
        }
        if self.word("not") {
            return Ok(Link::Not(Box::new(self.one(depth + 1)?)));
        }
        if self.symbol("(") {
            let link = self.any(depth + 1)?;
            return if self.symbol(")") { Ok(link) } else { Err(self.error("expected `)`")) };
        }
        let left = self.field()?;
        // The longer of two that begin alike comes first.
        let operators = [
            ("=", Operator::Equal),
            ("<>", Operator::NotEqual),
            ("!=", Operator::NotEqual),
            ("<=", Operator::LessEqual),
            ("<", Operator::Less),
            (">=", Operator::GreaterEqual),
            (">", Operator::Greater),
        ];
        match operators.into_iter().find(|(symbol, _)| self.symbol(symbol)) {
            Some((_, operator)) => Ok(Link::Compare(left, operator, self.field()?)),
            None => Ok(Link::True(left)),
        }
    }

    fn field(&mut self) -> Result<Field, LinkError> {
        let n_steps = self.n_steps;
        let start = self.at;
        let digits = self.take_while(|c| c.is_ascii_digit()).to_owned();
        if digits.is_empty() {
            return Err(self.error("expected a field of a step, `1.name` say"));
        }
        let step = digits.parse::<usize>().ok().filter(|step| (1..=n_steps).contains(step));
        let Some(step) = step else {
            return Err(self.error_at(start, format!("no step {digits}, there are {n_steps}")));
        };
        if !self.rest().starts_with('.') {
            return Err(self.error("expected `.` and the name of a field"));
        }
        self.at += 1;
        let start = self.at;
        let name = self.name()?;
        let Some(field) = self.fields.iter().position(|field| *field == name) else {
            let known = self.fields.iter().map(|field| format!("`{field}`")).collect::<Vec<_>>().join(", ");
            return Err(self.error_at(start, format!("no field `{name}`, there are {known}")));
        };
        self.skip_space();
        Ok(Field { step: step - 1, field })
    }

    fn name(&mut self) -> Result<String, LinkError> {
        if self.rest().starts_with('"') {
            let mut name = String::new();
            let mut chars = self.rest().char_indices().skip(1).peekable();
            while let Some((at, c)) = chars.next() {
                if c != '"' {
                    name.push(c);
                } else if chars.next_if(|(_, next)| *next == '"').is_some() {
                    name.push('"');
                } else {
                    self.at += at + 1;
                    return Ok(name);
                }
            }
            return Err(self.error("the name does not end"));
        }
        let name = self.take_while(|c| c.is_alphanumeric() || c == '_').to_owned();
        if name.is_empty() { Err(self.error("expected the name of a field")) } else { Ok(name) }
    }

    /// Whether a word comes next; it is taken.
    fn word(&mut self, word: &str) -> bool {
        let rest = self.rest();
        let ends = |rest: &str| !rest.starts_with(|c: char| c.is_alphanumeric() || c == '_');
        let found = rest.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word))
            && ends(&rest[word.len()..]);
        if found {
            self.at += word.len();
            self.skip_space();
        }
        found
    }

    /// Whether a symbol comes next; it is taken.
    fn symbol(&mut self, symbol: &str) -> bool {
        let found = self.rest().starts_with(symbol);
        if found {
            self.at += symbol.len();
            self.skip_space();
        }
        found
    }

    fn take_while(&mut self, mut wanted: impl FnMut(char) -> bool) -> &str {
        let rest = &self.text[self.at..];
        let end = rest.find(|c| !wanted(c)).unwrap_or(rest.len());
        self.at += end;
        &rest[..end]
    }

    fn skip_space(&mut self) {
        self.take_while(char::is_whitespace);
    }

    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn error(&self, message: &str) -> LinkError {
        let found = match self.rest().chars().next() {
            Some(c) => format!("{message}, found `{c}`"),
            None => format!("{message}, found the end"),
        };
        self.error_at(self.at, found)
    }

    fn error_at(&self, at: usize, message: String) -> LinkError {
        LinkError { position: self.text[..at].chars().count() + 1, message }
    }
}

fn one_or(mut links: Vec<Link>, several: impl FnOnce(Vec<Link>) -> Link) -> Link {
    match links.pop() {
        Some(link) if links.is_empty() => link,
        last => {
            links.extend(last);
            several(links)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Vec<Link>, String> {
        Link::parse(text, 3, &["sku", "t", "a b"]).map_err(|error| error.to_string())
    }

    fn field(step: usize, field: usize) -> Field {
        Field { step, field }
    }

    #[test]
    fn links_are_read() {
        let same = Link::Compare(field(1, 0), Operator::Equal, field(0, 0));
        let soon = Link::Compare(field(2, 1), Operator::LessEqual, field(1, 1));
        assert_eq!(parse(" "), Ok(vec![]));
        assert_eq!(parse("2.sku = 1.sku"), Ok(vec![same.clone()]));
        assert_eq!(parse("2.sku=1.sku and 3.t<=2.t"), Ok(vec![same.clone(), soon.clone()]));
        let or = Link::Any(vec![same, Link::Not(Box::new(soon))]);
        let quoted = Link::True(field(0, 2));
        assert_eq!(parse(r#"( 2.sku = 1.sku OR NOT 3.t <= 2.t ) AND 1."a b""#), Ok(vec![or, quoted]));
    }

    #[test]
    fn faults_have_a_place() {
        let deep = "(".repeat(30_000);
        for (text, fault) in [
            ("4.sku = 1.sku", "at character 1: no step 4, there are 3"),
            ("0.sku = 1.sku", "at character 1: no step 0, there are 3"),
            ("99999999999999999999.sku", "at character 1: no step 99999999999999999999, there are 3"),
            ("2.sky = 1.sku", "at character 3: no field `sky`, there are `sku`, `t`, `a b`"),
            ("2.sku = ", "at character 9: expected a field of a step, `1.name` say, found the end"),
            ("2.sku ~ 1.sku", "at character 7: expected AND, OR or the end, found `~`"),
            ("(2.sku = 1.sku", "at character 15: expected `)`, found the end"),
            ("2.\"sku = 1.sku", "at character 3: the name does not end, found `\"`"),
            ("2 sku", "at character 2: expected `.` and the name of a field, found ` `"),
            ("2.", "at character 3: expected the name of a field, found the end"),
            ("ä", "at character 1: expected a field of a step, `1.name` say, found `ä`"),
            (deep.as_str(), "at character 66: nested too deeply, found `(`"),
        ] {
            assert_eq!(parse(text), Err(fault.to_owned()), "{text:.40}");
        }
    }
}
