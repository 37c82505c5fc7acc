//! `chain(source, time, [steps])`.

use super::super::ast::{Count, Expr, Name, Node, Step};
use super::super::lexer::{Symbol, Token};
use super::{Parser, comparison_of};
use crate::diagnostic::Span;

impl Parser {
    pub(super) fn chain(&mut self) -> Expr {
        let start = self.span();
        self.at += 1;
        let open = self.span();
        self.at += 1;
        let source = Box::new(self.expr());
        let invalid = Expr { node: Node::Invalid, span: start };
        if !self.expect(Symbol::Comma) {
            self.close(Symbol::Close, open);
            return invalid;
        }
        let time = self.time_path();
        if time.is_empty() || !self.expect(Symbol::Comma) || !self.is(Symbol::OpenBracket) {
            self.unexpected("the steps in `[…]`");
            self.close(Symbol::Close, open);
            return invalid;
        }
        let steps = self.steps();
        let span = start.to(self.close(Symbol::Close, open));
        Expr { node: Node::Chain { source, time, steps }, span }
    }

    fn time_path(&mut self) -> Vec<Name> {
        let mut path = vec![];
        while let Some(name) = self.any_word() {
            path.push(name);
            if !self.take(Symbol::Dot) {
                break;
            }
        }
        path
    }

    fn steps(&mut self) -> Vec<Step> {
        let open = self.span();
        self.at += 1;
        let mut steps: Vec<Step> = vec![];
        while let Some(step) = self.step() {
            if steps.iter().any(|other| other.label.text == step.label.text) {
                self.fault(step.label.span, format!("the label `{}` is there twice", step.label.text));
            }
            steps.push(step);
            if !self.take(Symbol::Comma) {
                break;
            }
        }
        self.close(Symbol::CloseBracket, open);
        steps
    }

    fn step(&mut self) -> Option<Step> {
        let label = self.variable("a step's label")?;
        if !self.expect(Symbol::Colon) {
            return None;
        }
        let clause = self.span();
        if !self.take_word("what") {
            self.unexpected("`what(…)`");
            return None;
        }
        let what = self.parenthesised();
        let mut step = Step { span: label.span, label, what, when: None, condition: None, count: None };
        loop {
            let start = self.span();
            let word = match self.peek() {
                Token::Word(word) => word.to_ascii_lowercase(),
                _ => break,
            };
            let twice = match word.as_str() {
                "when" => step.when.is_some(),
                "where" => step.condition.is_some(),
                "count" => step.count.is_some(),
                "what" => true,
                _ => break,
            };
            if twice {
                self.fault_here(format!("`{word}` is there twice in one step"));
            }
            self.at += 1;
            match word.as_str() {
                "when" => {
                    let open = self.span();
                    if self.expect(Symbol::Open) {
                        step.when = Some(self.constraint());
                        self.close(Symbol::Close, open);
                    }
                }
                "count" => step.count = self.count(start),
                "where" => step.condition = Some(self.parenthesised()),
                _ => {
                    self.parenthesised();
                }
            }
        }
        step.span = step.span.to(clause).to(self.last_span());
        Some(step)
    }

    fn parenthesised(&mut self) -> Expr {
        let open = self.span();
        if !self.expect(Symbol::Open) {
            return Expr { node: Node::Invalid, span: open };
        }
        let expr = self.expr();
        self.close(Symbol::Close, open);
        expr
    }

    fn count(&mut self, start: Span) -> Option<Count> {
        let open = self.span();
        if !self.expect(Symbol::Open) {
            return None;
        }
        let comparison = match *self.peek() {
            Token::Symbol(symbol) => comparison_of(symbol),
            _ => None,
        };
        self.at += usize::from(comparison.is_some());
        let number = match *self.peek() {
            Token::Integer(number) => Some(number),
            _ => None,
        };
        if number.is_some() {
            self.at += 1;
        } else {
            self.unexpected("a whole number");
        }
        let span = start.to(self.close(Symbol::Close, open));
        number.map(|number| Count { comparison, number, span })
    }
}
