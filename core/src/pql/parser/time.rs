//! Time constraints: what follows `occurs`, and what stands in `when(…)`.

use super::super::ast::{Comparison, Constraint, ConstraintBody, Direction, Expr, Node, Time, Unit, Which};
use super::super::lexer::{Symbol, Token};
use super::{Parser, comparison_of};
use crate::diagnostic::nearest;

impl Parser {
    pub(super) fn constraint(&mut self) -> Constraint {
        let start = self.span();
        let body = self.constraint_body();
        let ignore_year = self.take_word("ignoreYear");
        Constraint { body, ignore_year, span: start.to(self.last_span()) }
    }

    fn constraint_body(&mut self) -> ConstraintBody {
        if let Token::Symbol(symbol) = *self.peek()
            && let Some(comparison) = comparison_of(symbol)
        {
            self.at += 1;
            return self.offset_constraint(comparison);
        }
        if self.is_word("within") {
            return self.within();
        }
        if self.take_word("between") {
            let from = self.time();
            if !self.take_word("and") {
                self.unexpected("`and`");
                return ConstraintBody::On(from);
            }
            let to = self.time();
            return ConstraintBody::Between { from, to };
        }
        if let Some(direction) = self.direction() {
            return ConstraintBody::Direction { direction, anchor: self.time() };
        }
        self.take_word("on");
        ConstraintBody::On(self.time())
    }

    /// `occurs within 7 days`, which is not PQL: what stands there belongs to it and is no fault of its own.
    fn within(&mut self) -> ConstraintBody {
        let mut at = self.at + 1;
        while self.is_word_at(at, "the") || self.is_word_at(at, "last") {
            at += 1;
        }
        let length = match (self.token(at), self.token(at + 1)) {
            (Token::Integer(number), Token::Word(unit)) if Unit::from_word(unit).is_some() => {
                format!("{number} {unit}")
            }
            _ => "7 days".to_owned(),
        };
        let span = self.span();
        self.fault_here("`occurs within` is not PQL")
            .help
            .push(format!("write `occurs <= {length} before now`"));
        self.skip_to_new_part();
        ConstraintBody::On(Time::Value(Expr { node: Node::Invalid, span }))
    }

    fn offset_constraint(&mut self, comparison: Comparison) -> ConstraintBody {
        let Some(number) = self.count_of_units() else { return ConstraintBody::On(self.skipped_time()) };
        let Some(unit) = self.unit() else { return ConstraintBody::On(self.skipped_time()) };
        let Some(direction) = self.direction() else {
            self.unexpected("`before`, `after` or `from`");
            return ConstraintBody::On(self.skipped_time());
        };
        ConstraintBody::Offset { comparison, number, unit, direction, anchor: self.time() }
    }

    fn count_of_units(&mut self) -> Option<i64> {
        if let Token::Integer(number) = *self.peek() {
            self.at += 1;
            return Some(number);
        }
        let negative = self.is(Symbol::Minus);
        self.unexpected("a whole number");
        if let (true, Some(fault)) = (negative, self.faults.last_mut()) {
            fault.help.push("the number is never negative: `before` and `after` give the direction".into());
        }
        None
    }

    fn unit(&mut self) -> Option<Unit> {
        let Token::Word(word) = self.peek().clone() else {
            self.unexpected("a unit of time");
            return None;
        };
        if let Some(unit) = Unit::from_word(&word) {
            self.at += 1;
            return Some(unit);
        }
        self.unexpected("a unit of time");
        if let Some(fault) = self.faults.last_mut() {
            let names = Unit::ALL.iter().map(|unit| unit.as_str());
            match nearest(&word, names.clone()) {
                Some(name) => fault.help.push(format!("did you mean `{name}`?")),
                None => fault.help.push(format!("units are {}", names.collect::<Vec<_>>().join(", "))),
            }
        }
        None
    }

    fn direction(&mut self) -> Option<Direction> {
        let Token::Word(word) = self.peek() else { return None };
        let direction = Direction::from_word(word)?;
        self.at += 1;
        Some(direction)
    }

    fn time(&mut self) -> Time {
        let start = self.span();
        if let Token::Integer(number) = *self.peek() {
            return self.offset_time(number);
        }
        if let Token::Word(word) = self.peek()
            && let Some(which) = Which::from_word(word)
            && let Token::Word(word) = self.token(self.at + 1)
            && let Some(unit) = Unit::from_word(word)
        {
            self.at += 2;
            return Time::Period { which, unit, span: start.to(self.last_span()) };
        }
        Time::Value(self.postfix())
    }

    fn offset_time(&mut self, number: i64) -> Time {
        let start = self.span();
        self.at += 1;
        let Some(unit) = self.unit() else { return self.skipped_time() };
        let Some(direction) = self.direction() else {
            self.unexpected("`before`, `after` or `from`");
            return self.skipped_time();
        };
        // Each offset nests the next: the depth of the tree is bounded here as everywhere.
        if self.depth >= super::DEPTH {
            return Time::Value(self.nested(|parser| parser.fail("too deep")));
        }
        self.depth += 1;
        let anchor = Box::new(self.time());
        self.depth -= 1;
        Time::Offset { number, unit, direction, anchor, span: start.to(self.last_span()) }
    }

    /// A time in place of one that could not be read.
    fn skipped_time(&mut self) -> Time {
        Time::Value(self.fail("expected a time"))
    }

    /// Whether a word after a complete operand continues the constraint around it.
    pub(super) fn is_contextual_after_operand(&self, word: &str) -> bool {
        ["ignoreYear", "and", "before", "after", "from"].iter().any(|other| word.eq_ignore_ascii_case(other))
    }
}
