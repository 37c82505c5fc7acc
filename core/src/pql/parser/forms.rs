//! Quantifiers, aggregates over bindings, and `let`.

use super::super::ast::{Aggregate, Binding, Expr, Node, Quantifier, is_reserved};
use super::super::lexer::{Symbol, Token};
use super::Parser;

impl Parser {
    pub(super) fn quantifier(&mut self) -> Expr {
        let start = self.span();
        let kind = match self.peek() {
            Token::Word(word) => Quantifier::from_word(word).unwrap_or(Quantifier::Exists),
            _ => Quantifier::Exists,
        };
        self.at += 1;
        let bindings = self.bindings();
        let span = start.to(self.last_span());
        Expr { node: Node::Quantifier { kind, bindings }, span }
    }

    /// `sum value over bindings`.
    pub(super) fn over(&mut self) -> Expr {
        let start = self.span();
        let aggregate = match self.peek() {
            Token::Word(word) => Aggregate::from_word(word).unwrap_or(Aggregate::Sum),
            _ => Aggregate::Sum,
        };
        self.at += 1;
        let value = self.additive();
        if !self.take_word("over") {
            let invalid = self.unexpected("`over`");
            if let Some(fault) = self.faults.last_mut() {
                let name = aggregate.as_str();
                fault
                    .help
                    .push(format!("write `{name} E.field over E from xEvent`, or `xEvent.{name}(field)`"));
            }
            return invalid;
        }
        let bindings = self.bindings();
        let span = start.to(self.last_span());
        Expr { node: Node::Over { aggregate, value: Box::new(value), bindings }, span }
    }

    /// Whether the token after the next begins an operand, which makes `sum` and its like an aggregate.
    pub(super) fn operand_follows(&self) -> bool {
        match self.token(self.at + 1) {
            Token::String(_) | Token::Integer(_) | Token::Double(_) | Token::Parameter(_) => true,
            Token::Symbol(symbol) => matches!(symbol, Symbol::Open | Symbol::Caret),
            Token::Word(word) => {
                let literal = word.eq_ignore_ascii_case("true") || word.eq_ignore_ascii_case("false");
                literal || !is_reserved(word)
            }
            Token::End => false,
        }
    }

    pub(super) fn let_in(&mut self) -> Expr {
        let start = self.span();
        self.at += 1;
        let Some(name) = self.variable("a variable") else {
            return Expr { node: Node::Invalid, span: start };
        };
        if !self.expect(Symbol::Equal) {
            return Expr { node: Node::Invalid, span: start };
        }
        let value = self.additive();
        if !self.take_word("in") {
            let invalid = self.unexpected("`in`");
            if let Some(fault) = self.faults.last_mut() {
                fault.help.push(
                    "write `let name = value in condition`, with parentheses around a comparison".into(),
                );
            }
            return invalid;
        }
        let body = self.expr();
        let span = start.to(body.span);
        Expr { node: Node::Let { name, value: Box::new(value), body: Box::new(body) }, span }
    }

    fn bindings(&mut self) -> Vec<Binding> {
        let mut bindings = vec![];
        while let Some(binding) = self.binding() {
            bindings.push(binding);
            // A comma that no binding follows belongs to the call around this form.
            let another = self.is(Symbol::Comma)
                && matches!(self.token(self.at + 1), Token::Word(_))
                && self.is_word_at(self.at + 2, "from");
            if !another {
                break;
            }
            self.at += 1;
        }
        bindings
    }

    fn binding(&mut self) -> Option<Binding> {
        let variable = self.variable("a variable")?;
        if !self.take_word("from") {
            self.unexpected("`from`");
            return None;
        }
        let source = self.postfix();
        let condition = (self.take_word("where") || self.take(Symbol::Colon)).then(|| self.expr());
        Some(Binding { variable, source, condition })
    }
}
