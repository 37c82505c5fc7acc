//! Tokens → surface tree. Precedence climbing by hand; after a fault it goes on at the next place where a new part can
//! begin, so that one run reports several faults.

mod chain;
mod forms;
mod time;

use crate::diagnostic::{Diagnostic, Kind, Span};

use super::ast::{Argument, Comparison, Expr, Lambda, Moment, Name, Node, Operator, Query, is_reserved};
use super::lexer::{Spanned, Symbol, Token, lex};

/// How deep a query may nest; what comes after recurses over the tree, so its depth is bounded here.
const DEPTH: usize = 100;

/// Faults beyond this number are rather consequences than news.
const FAULTS: usize = 20;

/// The query that `text` is, or what is wrong with it: at least one fault, in the order of the text.
pub fn parse(text: &str) -> Result<Query, Vec<Diagnostic>> {
    let (tokens, faults) = lex(text);
    let mut parser = Parser { tokens, at: 0, depth: 0, faults, failed_at: None };
    let query = parser.query();
    if parser.faults.is_empty() {
        return Ok(query);
    }
    let mut faults = parser.faults;
    faults.sort_by_key(|fault| fault.span.map(Span::range));
    faults.truncate(FAULTS);
    Err(faults)
}

struct Parser {
    tokens: Vec<Spanned>,
    at: usize,
    depth: usize,
    faults: Vec<Diagnostic>,
    /// The token at which the last fault was found: a second fault there is a consequence of the first.
    failed_at: Option<usize>,
}

impl Parser {
    fn query(&mut self) -> Query {
        if self.peek() == &Token::End {
            let body = self.fail("the query is empty");
            return Query { params: None, body };
        }
        let query = match self.lambda_params() {
            Some(params) => Query { params: Some(params), body: self.expr() },
            None => Query { params: None, body: self.expr() },
        };
        while self.peek() != &Token::End {
            self.unexpected("the end of the query");
            self.at = (self.at + 1).min(self.tokens.len() - 1);
            // What stands after a stray token may hold further faults.
            if self.peek() != &Token::End {
                self.expr();
            }
        }
        query
    }

    fn expr(&mut self) -> Expr {
        self.nested(Self::or)
    }

    /// Runs `parse` one level deeper, or gives up where the text nests too deep.
    fn nested(&mut self, parse: impl FnOnce(&mut Self) -> Expr) -> Expr {
        if self.depth >= DEPTH {
            let fault = self.fail(format!("the query nests deeper than {DEPTH} levels"));
            // Nothing after this place can be read with sense.
            self.at = self.tokens.len() - 1;
            self.failed_at = Some(self.at);
            return fault;
        }
        self.depth += 1;
        let expr = parse(self);
        self.depth -= 1;
        expr
    }

    fn or(&mut self) -> Expr {
        self.list("or", Self::and, Node::Or)
    }

    fn and(&mut self) -> Expr {
        self.list("and", Self::not, Node::And)
    }

    fn list(&mut self, word: &str, part: fn(&mut Self) -> Expr, node: fn(Vec<Expr>) -> Node) -> Expr {
        let first = part(self);
        if !self.is_word(word) {
            return first;
        }
        let mut parts = vec![first];
        while self.take_word(word) {
            parts.push(part(self));
        }
        let span = parts.iter().map(|part| part.span).reduce(Span::to).unwrap_or_default();
        Expr { node: node(parts), span }
    }

    fn not(&mut self) -> Expr {
        let start = self.span();
        if self.take_word("not") || self.take(Symbol::Bang) {
            let operand = self.nested(Self::not);
            let span = start.to(operand.span);
            return Expr { node: Node::Not(Box::new(operand)), span };
        }
        self.comparison()
    }

    fn comparison(&mut self) -> Expr {
        let left = self.additive();
        let compared = self.comparison_after(left);
        if self.comparison_operator().is_some() || self.is_word("occurs") {
            self.fault_here("comparisons cannot be chained")
                .help
                .push("join them with `and`, or put the first in parentheses".into());
            let ignored = Expr { node: Node::Invalid, span: self.span() };
            return self.comparison_after(ignored);
        }
        compared
    }

    fn comparison_after(&mut self, left: Expr) -> Expr {
        if let Some(op) = self.comparison_operator() {
            self.at += 1;
            let right = self.additive();
            return binary(op, left, right);
        }
        if self.take_word("occurs") {
            let constraint = self.constraint();
            let span = left.span.to(constraint.span);
            let node = Node::Occurs { time: Box::new(left), constraint: Box::new(constraint) };
            return Expr { node, span };
        }
        left
    }

    fn comparison_operator(&self) -> Option<Operator> {
        match self.peek() {
            Token::Symbol(symbol) => comparison_of(*symbol).map(Operator::Compare),
            Token::Word(word) => match word.to_ascii_lowercase().as_str() {
                "in" => Some(Operator::In),
                "notin" => Some(Operator::NotIn),
                "like" => Some(Operator::Like),
                _ => None,
            },
            _ => None,
        }
    }

    fn additive(&mut self) -> Expr {
        self.left_associative(Self::multiplicative, |symbol| match symbol {
            Symbol::Plus => Some(Operator::Add),
            Symbol::Minus => Some(Operator::Subtract),
            _ => None,
        })
    }

    fn multiplicative(&mut self) -> Expr {
        self.left_associative(Self::unary, |symbol| match symbol {
            Symbol::Star => Some(Operator::Multiply),
            Symbol::Slash => Some(Operator::Divide),
            Symbol::Percent => Some(Operator::Modulo),
            _ => None,
        })
    }

    /// Each operator nests what is left of it one level deeper.
    fn left_associative(&mut self, part: fn(&mut Self) -> Expr, op: fn(Symbol) -> Option<Operator>) -> Expr {
        let mut left = part(self);
        let mut levels = 0;
        while let Token::Symbol(symbol) = *self.peek()
            && let Some(op) = op(symbol)
        {
            self.at += 1;
            self.depth += 1;
            levels += 1;
            let right = self.nested(part);
            left = binary(op, left, right);
        }
        self.depth -= levels;
        left
    }

    fn unary(&mut self) -> Expr {
        let start = self.span();
        if self.take(Symbol::Minus) {
            let operand = self.nested(Self::unary);
            let span = start.to(operand.span);
            return Expr { node: Node::Negate(Box::new(operand)), span };
        }
        self.postfix()
    }

    fn postfix(&mut self) -> Expr {
        let mut expr = self.primary();
        let mut levels = 0;
        loop {
            if self.depth >= DEPTH {
                expr = self.nested(|parser| parser.fail("too deep"));
                break;
            }
            if self.take(Symbol::Dot) {
                expr = self.member(expr);
            } else if self.is(Symbol::OpenBracket) {
                expr = self.filter(expr);
            } else {
                break;
            }
            self.depth += 1;
            levels += 1;
        }
        self.depth -= levels;
        expr
    }

    /// `name` or `name(args)` after a dot, where any word is a name.
    fn member(&mut self, of: Expr) -> Expr {
        let Some(name) = self.any_word() else { return self.unexpected("a field or function after `.`") };
        let start = of.span;
        let of = Box::new(of);
        if self.is(Symbol::Open) {
            let (args, end) = self.arguments();
            return Expr { node: Node::Method { of, name, args }, span: start.to(end) };
        }
        let span = start.to(name.span);
        Expr { node: Node::Field { of, name }, span }
    }

    fn filter(&mut self, of: Expr) -> Expr {
        let open = self.span();
        self.at += 1;
        if self.is(Symbol::CloseBracket) {
            let expr = self.unexpected("a condition");
            self.at += 1;
            return expr;
        }
        let condition = self.expr();
        if self.is(Symbol::Arrow) {
            self.fault_here("a lambda cannot stand in brackets")
                .help
                .push("write `.filter(x => …)`, or the condition alone".into());
            self.at += 1;
            self.expr();
        }
        let end = self.close(Symbol::CloseBracket, open);
        let span = of.span.to(end);
        Expr { node: Node::Filter { of: Box::new(of), condition: Box::new(condition) }, span }
    }

    fn arguments(&mut self) -> (Vec<Argument>, Span) {
        let open = self.span();
        self.at += 1;
        let mut args = vec![];
        if !self.is(Symbol::Close) {
            loop {
                args.push(self.argument());
                if !self.take(Symbol::Comma) {
                    break;
                }
            }
        }
        (args, self.close(Symbol::Close, open))
    }

    fn argument(&mut self) -> Argument {
        let start = self.span();
        match self.lambda_params() {
            Some(params) => {
                let body = self.expr();
                let span = start.to(body.span);
                Argument::Lambda(Lambda { params, body, span })
            }
            None => Argument::Expr(self.expr()),
        }
    }

    /// The parameters of a lambda with its arrow, if one begins here.
    fn lambda_params(&mut self) -> Option<Vec<Name>> {
        let parenthesised = self.is(Symbol::Open);
        let mut at = self.at + usize::from(parenthesised);
        loop {
            let Token::Word(_) = self.token(at) else { return None };
            at += 1;
            if !(parenthesised && self.token(at) == &Token::Symbol(Symbol::Comma)) {
                break;
            }
            at += 1;
        }
        if parenthesised {
            if self.token(at) != &Token::Symbol(Symbol::Close) {
                return None;
            }
            at += 1;
        }
        if self.token(at) != &Token::Symbol(Symbol::Arrow) {
            return None;
        }
        let mut params: Vec<Name> = vec![];
        while self.at <= at {
            if let Some(name) = self.any_word() {
                if is_reserved(&name.text) {
                    self.fault(name.span, format!("`{}` is reserved and cannot name a parameter", name.text));
                } else if params.iter().any(|other| other.text == name.text) {
                    self.fault(name.span, format!("the parameter `{}` is there twice", name.text));
                }
                params.push(name);
            } else {
                self.at += 1;
            }
        }
        Some(params)
    }

    fn primary(&mut self) -> Expr {
        let span = self.span();
        let node = match self.peek().clone() {
            Token::String(value) => Node::String(value),
            Token::Integer(value) => Node::Integer(value),
            Token::Double(value) => Node::Double(value),
            Token::Parameter(position) => Node::Parameter(position),
            Token::Symbol(Symbol::OpenBracket) => return self.array(),
            Token::Symbol(Symbol::Open) => {
                self.at += 1;
                let mut expr = self.expr();
                expr.span = span.to(self.close(Symbol::Close, span));
                return expr;
            }
            Token::Symbol(Symbol::Caret) => return self.carets(),
            Token::Word(word) => return self.word(&word),
            Token::Symbol(_) | Token::End => return self.unexpected("an expression"),
        };
        self.at += 1;
        Expr { node, span }
    }

    fn array(&mut self) -> Expr {
        let open = self.span();
        self.at += 1;
        let mut items = vec![];
        if !self.is(Symbol::CloseBracket) {
            loop {
                items.push(self.expr());
                if !self.take(Symbol::Comma) {
                    break;
                }
            }
        }
        let span = open.to(self.close(Symbol::CloseBracket, open));
        Expr { node: Node::Array(items), span }
    }

    /// `^^`, `^name`, `^name(args)`; a dot is for `postfix`.
    fn carets(&mut self) -> Expr {
        let start = self.span();
        let (mut count, mut end) = (0, start);
        while self.is(Symbol::Caret) {
            end = self.span();
            count += 1;
            self.at += 1;
        }
        let up = Expr { node: Node::Up(count), span: start.to(end) };
        match self.peek() {
            Token::Word(word) if !is_reserved(word) && end.range().1 == self.span().range().0 => {
                self.member(up)
            }
            // `^ name` with a space is the same, unless the word belongs to what surrounds it.
            Token::Word(word) if !is_reserved(word) && !self.is_contextual_after_operand(word) => {
                self.member(up)
            }
            _ => up,
        }
    }

    fn word(&mut self, word: &str) -> Expr {
        let span = self.span();
        let lower = word.to_ascii_lowercase();
        if let Some(moment) = Moment::from_word(&lower) {
            self.at += 1;
            return Expr { node: Node::Moment(moment), span };
        }
        match lower.as_str() {
            "true" | "false" => {
                self.at += 1;
                return Expr { node: Node::Boolean(lower == "true"), span };
            }
            "exists" | "forall" | "select" => return self.quantifier(),
            "let" => return self.let_in(),
            "chain" if self.token(self.at + 1) == &Token::Symbol(Symbol::Open) => return self.chain(),
            "sum" | "average" | "min" | "max" | "count" if self.operand_follows() => return self.over(),
            _ => {}
        }
        if is_reserved(word) {
            return self.unexpected("an expression");
        }
        self.at += 1;
        if self.is(Symbol::Open) {
            let text = if lower == "if" { lower } else { word.to_owned() };
            let name = Name { text, span };
            let (args, end) = self.arguments();
            return Expr { node: Node::Call { name, args }, span: span.to(end) };
        }
        Expr { node: Node::Name(word.to_owned()), span }
    }

    // ---- tokens ----

    fn token(&self, at: usize) -> &Token {
        self.tokens.get(at).map_or(&Token::End, |spanned| &spanned.token)
    }

    fn peek(&self) -> &Token {
        self.token(self.at)
    }

    /// The place of the next token.
    fn span(&self) -> Span {
        self.tokens.get(self.at).or(self.tokens.last()).map_or(Span::default(), |spanned| spanned.span)
    }

    /// The place of the last token read.
    fn last_span(&self) -> Span {
        self.at
            .checked_sub(1)
            .and_then(|at| self.tokens.get(at))
            .map_or(Span::default(), |spanned| spanned.span)
    }

    fn is(&self, symbol: Symbol) -> bool {
        self.peek() == &Token::Symbol(symbol)
    }

    fn take(&mut self, symbol: Symbol) -> bool {
        let found = self.is(symbol);
        self.at += usize::from(found);
        found
    }

    fn is_word(&self, expected: &str) -> bool {
        self.is_word_at(self.at, expected)
    }

    fn is_word_at(&self, at: usize, expected: &str) -> bool {
        matches!(self.token(at), Token::Word(word) if word.eq_ignore_ascii_case(expected))
    }

    fn take_word(&mut self, expected: &str) -> bool {
        let found = self.is_word(expected);
        self.at += usize::from(found);
        found
    }

    fn any_word(&mut self) -> Option<Name> {
        let Token::Word(text) = self.peek() else { return None };
        let name = Name { text: text.clone(), span: self.span() };
        self.at += 1;
        Some(name)
    }

    /// A name for a variable.
    fn variable(&mut self, what: &str) -> Option<Name> {
        match self.peek() {
            Token::Word(word) if !is_reserved(word) => self.any_word(),
            Token::Word(word) => {
                let message = format!("`{word}` is reserved and cannot be {what}");
                self.fault_here(message);
                self.any_word()
            }
            _ => {
                self.unexpected(what);
                None
            }
        }
    }

    fn expect(&mut self, symbol: Symbol) -> bool {
        let found = self.take(symbol);
        if !found {
            self.unexpected(&format!("`{}`", symbol.as_str()));
        }
        found
    }

    /// The closing symbol for the one that was opened at `open`; skips to it when something else stands there.
    fn close(&mut self, symbol: Symbol, open: Span) -> Span {
        if self.is(symbol) {
            self.at += 1;
            return self.last_span();
        }
        if self.peek() == &Token::End {
            if self.failed_at != Some(self.at) {
                self.failed_at = Some(self.at);
                let missing = symbol.as_str();
                self.fault(open, format!("this is never closed: `{missing}` is missing"));
            }
            return self.span();
        }
        self.unexpected(&format!("`{}`", symbol.as_str()));
        let mut inner = 0_usize;
        loop {
            match self.peek() {
                Token::End => return self.span(),
                Token::Symbol(found) if inner == 0 && *found == symbol => {
                    self.at += 1;
                    return self.last_span();
                }
                Token::Symbol(Symbol::Open | Symbol::OpenBracket) => inner += 1,
                Token::Symbol(Symbol::Close | Symbol::CloseBracket) => match inner.checked_sub(1) {
                    Some(less) => inner = less,
                    None => return self.span(),
                },
                _ => {}
            }
            self.at += 1;
        }
    }

    // ---- faults ----

    fn fault(&mut self, span: Span, message: impl Into<String>) -> &mut Diagnostic {
        self.faults.push(Diagnostic::new(Kind::Parse, message).at(span));
        let last = self.faults.len() - 1;
        &mut self.faults[last]
    }

    fn fault_here(&mut self, message: impl Into<String>) -> &mut Diagnostic {
        self.failed_at = Some(self.at);
        let span = self.span();
        self.fault(span, message)
    }

    /// Reports a fault at the next token, unless one is reported there already.
    fn fail(&mut self, message: impl Into<String>) -> Expr {
        let span = self.span();
        if self.failed_at != Some(self.at) {
            self.fault_here(message);
            self.skip_to_new_part();
        }
        Expr { node: Node::Invalid, span }
    }

    /// Goes on to where a new part can begin or the form around this one ends; nothing there is a fault of its own.
    fn skip_to_new_part(&mut self) {
        let mut inner = 0_usize;
        loop {
            match self.peek() {
                Token::End => break,
                Token::Symbol(Symbol::Open | Symbol::OpenBracket) => inner += 1,
                Token::Symbol(Symbol::Close | Symbol::CloseBracket) => match inner.checked_sub(1) {
                    Some(less) => inner = less,
                    None => break,
                },
                Token::Symbol(Symbol::Comma) if inner == 0 => break,
                Token::Word(word)
                    if inner == 0 && ["and", "or"].iter().any(|other| word.eq_ignore_ascii_case(other)) =>
                {
                    break;
                }
                _ => {}
            }
            self.at += 1;
        }
        self.failed_at = Some(self.at);
    }

    /// Reports that something else than `expected` stands here.
    fn unexpected(&mut self, expected: &str) -> Expr {
        let found = match self.peek() {
            Token::Word(word) => format!("`{word}`"),
            Token::String(_) => "a string".into(),
            Token::Integer(value) => format!("`{value}`"),
            Token::Double(value) => format!("`{value}`"),
            Token::Parameter(position) => format!("`${position}`"),
            Token::Symbol(symbol) => format!("`{}`", symbol.as_str()),
            Token::End => "the end".into(),
        };
        let help = self.help_for_unexpected();
        let known = self.failed_at == Some(self.at);
        let expr = self.fail(format!("expected {expected}, found {found}"));
        if let (false, Some(help), Some(fault)) = (known, help, self.faults.last_mut()) {
            fault.help.push(help.into());
        }
        expr
    }

    fn help_for_unexpected(&self) -> Option<&'static str> {
        match self.peek() {
            Token::Word(word) => match word.to_ascii_lowercase().as_str() {
                "ago" => Some("write `occurs <= 3 days before now`"),
                "is" => Some("write `.isNull()` or `.isNotNull()`"),
                "within" => Some("write `occurs <= 7 days before now`"),
                _ => None,
            },
            Token::Symbol(Symbol::Dot) => Some("a number needs a digit before its dot"),
            Token::Symbol(Symbol::Arrow) => Some("a lambda is the whole query or an argument of a function"),
            _ => None,
        }
    }
}

fn binary(op: Operator, left: Expr, right: Expr) -> Expr {
    let span = left.span.to(right.span);
    Expr { node: Node::Binary { op, left: Box::new(left), right: Box::new(right) }, span }
}

fn comparison_of(symbol: Symbol) -> Option<Comparison> {
    match symbol {
        Symbol::Equal => Some(Comparison::Equal),
        Symbol::NotEqual => Some(Comparison::NotEqual),
        Symbol::Less => Some(Comparison::Less),
        Symbol::LessEqual => Some(Comparison::LessEqual),
        Symbol::Greater => Some(Comparison::Greater),
        Symbol::GreaterEqual => Some(Comparison::GreaterEqual),
        Symbol::Arrow
        | Symbol::Open
        | Symbol::Close
        | Symbol::OpenBracket
        | Symbol::CloseBracket
        | Symbol::Comma
        | Symbol::Dot
        | Symbol::Colon
        | Symbol::Plus
        | Symbol::Minus
        | Symbol::Star
        | Symbol::Slash
        | Symbol::Percent
        | Symbol::Bang
        | Symbol::Caret => None,
    }
}
