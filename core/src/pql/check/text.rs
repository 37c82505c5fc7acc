//! Functions of strings.

use regex::Regex;

use crate::diagnostic::{Diagnostic, Kind, Span};

use super::super::ast::{self, Argument, Name};
use super::super::typed::{Expr, Node, TextTest};
use super::super::types::Type;
use super::{Checker, Result_};

impl Checker {
    pub(super) fn text_test(
        &mut self,
        test: TextTest,
        negated: bool,
        of: Expr,
        name: &Name,
        args: &[Argument],
        span: Span,
    ) -> Result_<Expr> {
        self.text(&of, name)?;
        self.arity(name, args, 1..=2, span)?;
        let value = self.text_argument(name, &args[0])?;
        let case_sensitive = args.get(1).map_or(Ok(true), |flag| self.case_flag(name, flag))?;
        let (of, value) = (Box::new(of), Box::new(value));
        Ok(Expr {
            node: Node::TextTest { test, of, value, negated, case_sensitive },
            of: Type::Boolean,
            span,
        })
    }

    /// `equals` takes any number of values; a literal boolean at the end is the flag.
    pub(super) fn equals(&mut self, of: Expr, name: &Name, args: &[Argument], span: Span) -> Result_<Expr> {
        self.text(&of, name)?;
        let flag = args.last().and_then(|last| match last {
            Argument::Expr(ast::Expr { node: ast::Node::Boolean(flag), .. }) => Some(*flag),
            Argument::Expr(_) | Argument::Lambda(_) => None,
        });
        let values = if flag.is_some() { &args[..args.len() - 1] } else { args };
        if values.is_empty() {
            return self.fail(Kind::Type, span, "`equals` takes at least one value");
        }
        let values =
            values.iter().map(|value| self.text_argument(name, value)).collect::<Result_<Vec<_>>>()?;
        let node = Node::Equals { of: Box::new(of), values, case_sensitive: flag.unwrap_or(true) };
        Ok(Expr { node, of: Type::Boolean, span })
    }

    pub(super) fn matches(&mut self, of: Expr, name: &Name, args: &[Argument], span: Span) -> Result_<Expr> {
        self.text(&of, name)?;
        self.arity(name, args, 1..=1, span)?;
        let (regex, _) = self.regex(name, &args[0])?;
        Ok(Expr { node: Node::Matches { of: Box::new(of), regex }, of: Type::Boolean, span })
    }

    pub(super) fn regex_group(
        &mut self,
        of: Expr,
        name: &Name,
        args: &[Argument],
        span: Span,
    ) -> Result_<Expr> {
        self.text(&of, name)?;
        self.arity(name, args, 1..=2, span)?;
        let (regex, groups) = self.regex(name, &args[0])?;
        let group = match args.get(1) {
            None => 1,
            Some(Argument::Expr(ast::Expr { node: ast::Node::Integer(group), .. })) => *group,
            Some(other) => {
                return self.fail(Kind::Type, other.span(), "the group must be a whole number as a literal");
            }
        };
        if !usize::try_from(group).is_ok_and(|group| group < groups) {
            let place = args.get(1).map_or(args[0].span(), Argument::span);
            let message = format!("the expression has {} groups, not {group}", groups - 1);
            return self.fail(Kind::Type, place, message);
        }
        Ok(Expr { node: Node::RegexGroup { of: Box::new(of), regex, group }, of: Type::String, span })
    }

    fn text(&mut self, of: &Expr, name: &Name) -> Result_<()> {
        if of.of == Type::String || of.of == Type::Nothing {
            return Ok(());
        }
        if matches!(&of.of, Type::Array(item) if **item == Type::String) {
            let message = format!("`{}` is a function of a string, this is an array of strings", name.text);
            let fault = Diagnostic::new(Kind::Type, message).at(of.span);
            return self.fail_with(fault.help(format!("write `.exists(s => s.{}(…))`", name.text)));
        }
        self.wrong_receiver(of, name, "a string")
    }

    fn text_argument(&mut self, name: &Name, argument: &Argument) -> Result_<Expr> {
        let value = self.value(name, argument)?;
        self.expect(&value, &Type::String, &format!("`{}` takes strings", name.text))?;
        Ok(value)
    }

    fn case_flag(&mut self, name: &Name, argument: &Argument) -> Result_<bool> {
        match argument {
            Argument::Expr(ast::Expr { node: ast::Node::Boolean(flag), .. }) => Ok(*flag),
            other => {
                let message = format!("the last argument of `{}` must be `true` or `false`", name.text);
                self.fail(Kind::Type, other.span(), message)
            }
        }
    }

    /// A regular expression and the number of its groups, the whole match included.
    fn regex(&mut self, name: &Name, argument: &Argument) -> Result_<(String, usize)> {
        let Argument::Expr(ast::Expr { node: ast::Node::String(regex), span }) = argument else {
            let message = format!("`{}` takes its regular expression as a string literal", name.text);
            return self.fail(Kind::Type, argument.span(), message);
        };
        match Regex::new(regex) {
            Ok(compiled) => Ok((regex.clone(), compiled.captures_len())),
            Err(error) => {
                // The last line of the error says what is wrong, those before it show where.
                let text = error.to_string();
                let reason = text.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
                self.fail(Kind::Type, *span, format!("bad regular expression: {reason}"))
            }
        }
    }
}
