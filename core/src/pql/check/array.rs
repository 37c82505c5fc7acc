//! Functions of arrays.

use crate::diagnostic::{Diagnostic, Kind, Span};

use super::super::ast::{self, Argument, Name};
use super::super::typed::{Each, Expr, Fold, Node, Set};
use super::super::types::Type;
use super::{Checker, Result_};

impl Checker {
    /// The type of the elements of a receiver that must be an array.
    fn item(&mut self, of: &Expr, name: &Name) -> Result_<Type> {
        match &of.of {
            Type::Array(item) => Ok((**item).clone()),
            _ => self.wrong_receiver(of, name, "an array"),
        }
    }

    pub(super) fn filter_brackets(
        &mut self,
        of: &ast::Expr,
        condition: &ast::Expr,
        span: Span,
    ) -> Result_<Expr> {
        let of = self.expr(of)?;
        let Type::Array(item) = &of.of else {
            let message = format!("`[…]` filters an array, this is {}", of.of);
            return self.fail(Kind::Type, of.span, message);
        };
        if matches!(condition.node, ast::Node::Integer(_)) {
            let fault =
                Diagnostic::new(Kind::Type, "`[…]` takes a condition, not a position").at(condition.span);
            return self.fail_with(fault.help("write `.head()` for the first element"));
        }
        let item = (**item).clone();
        let (variable, body) = self.with_context(None, item, |checker| checker.condition(condition))?;
        let result = of.of.clone();
        let (of, body) = (Box::new(of), Box::new(body));
        Ok(Expr { node: Node::Each { function: Each::Filter, of, variable, body }, of: result, span })
    }

    /// An expression or one-parameter lambda about an element.
    fn element_expr(
        &mut self,
        item: Type,
        name: &Name,
        argument: &Argument,
        check: impl FnOnce(&mut Self, &ast::Expr) -> Result_<Expr>,
    ) -> Result_<(usize, Expr)> {
        match argument {
            Argument::Expr(body) => self.with_context(None, item, |checker| check(checker, body)),
            Argument::Lambda(lambda) => {
                let [param] = &lambda.params[..] else {
                    let message = format!("`{}` takes a lambda with one parameter", name.text);
                    return self.fail(Kind::Type, lambda.span, message);
                };
                self.with_context(Some(param), item, |checker| check(checker, &lambda.body))
            }
        }
    }

    pub(super) fn count(&mut self, of: Expr, name: &Name, args: &[Argument], span: Span) -> Result_<Expr> {
        if !matches!(of.of, Type::Array(_) | Type::Map(..)) {
            return self.wrong_receiver(&of, name, "an array or map");
        }
        if let [argument] = args {
            let fault = Diagnostic::new(Kind::Type, "`count` takes no arguments").at(argument.span());
            return self.fail_with(fault.help("write `.filter(…).count()`"));
        }
        self.arity(name, args, 0..=0, span)?;
        Ok(Expr { node: Node::Count(Box::new(of)), of: Type::Integer, span })
    }

    pub(super) fn exists_method(
        &mut self,
        of: Expr,
        name: &Name,
        args: &[Argument],
        span: Span,
    ) -> Result_<Expr> {
        self.item(&of, name)?;
        if args.is_empty() {
            return Ok(Expr { node: Node::NotEmpty(Box::new(of)), of: Type::Boolean, span });
        }
        self.each(Each::Exists, of, name, args, span)
    }

    pub(super) fn fold(
        &mut self,
        fold: Fold,
        of: Expr,
        name: &Name,
        args: &[Argument],
        span: Span,
    ) -> Result_<Expr> {
        let item = self.item(&of, name)?;
        self.arity(name, args, 0..=1, span)?;
        if !args.is_empty() {
            return self.each(Each::Fold(fold), of, name, args, span);
        }
        let result = self.folded(fold, &item, name, of.span)?;
        Ok(Expr { node: Node::Fold { fold, of: Box::new(of) }, of: result, span })
    }

    /// The type of an aggregate of values of a type.
    pub(super) fn folded(&mut self, fold: Fold, item: &Type, name: &Name, span: Span) -> Result_<Type> {
        let numbers = matches!(fold, Fold::Sum | Fold::Average);
        let ordered = item.is_scalar() && *item != Type::Boolean;
        if (numbers && !item.is_number()) || !ordered {
            let wanted = if numbers { "numbers" } else { "numbers, strings, dates or timestamps" };
            let fault = Diagnostic::new(
                Kind::Type,
                format!("`{}` needs {wanted}, each value here is {item}", name.text),
            );
            return self.fail_with(match item {
                Type::Object(_) => fault.at(span).help(format!("say of what: `.{}(field)`", name.text)),
                _ => fault.at(span),
            });
        }
        Ok(match (fold, item) {
            (Fold::Average, _) => Type::Double,
            (Fold::Sum, Type::Nothing) => Type::Integer,
            (Fold::Sum | Fold::Min | Fold::Max, item) => item.clone(),
        })
    }

    pub(super) fn each(
        &mut self,
        function: Each,
        of: Expr,
        name: &Name,
        args: &[Argument],
        span: Span,
    ) -> Result_<Expr> {
        let item = self.item(&of, name)?;
        self.arity(name, args, 1..=1, span)?;
        let is_condition = matches!(function, Each::Filter | Each::Exists | Each::Forall);
        let (variable, body) = self.element_expr(item, name, &args[0], |checker, body| {
            if is_condition { checker.condition(body) } else { checker.expr(body) }
        })?;
        let result = match function {
            Each::Filter | Each::Top(..) => of.of.clone(),
            Each::Exists | Each::Forall => Type::Boolean,
            Each::Map => match &body.of {
                Type::Object(_) => body.of.clone().array(),
                scalar if scalar.is_scalar() => scalar.clone().array(),
                other => {
                    let message = format!("`map` makes scalars or objects, this is {other}");
                    return self.fail(Kind::Type, body.span, message);
                }
            },
            Each::Fold(fold) => {
                let (of, place) = (body.of.clone(), body.span);
                self.folded(fold, &of, name, place)?
            }
            Each::Group => match &body.of {
                Type::String | Type::Integer | Type::Boolean => {
                    Type::Map(Box::new(body.of.clone()), Box::new(of.of.clone()))
                }
                other => {
                    let message =
                        format!("`groupBy` needs a string, integer or boolean as key, this is {other}");
                    return self.fail(Kind::Type, body.span, message);
                }
            },
        };
        Ok(Expr {
            node: Node::Each { function, of: Box::new(of), variable, body: Box::new(body) },
            of: result,
            span,
        })
    }

    pub(super) fn top(
        &mut self,
        greatest: bool,
        of: Expr,
        name: &Name,
        args: &[Argument],
        span: Span,
    ) -> Result_<Expr> {
        let item = self.item(&of, name)?;
        self.arity(name, args, 2..=2, span)?;
        let (variable, key) = self.element_expr(item, name, &args[0], Checker::expr)?;
        if !key.of.is_scalar() || key.of == Type::Boolean {
            let message = format!(
                "`{}` orders by numbers, strings, dates or timestamps, this is {}",
                name.text, key.of
            );
            return self.fail(Kind::Type, key.span, message);
        }
        let Argument::Expr(ast::Expr { node: ast::Node::Integer(count), .. }) = &args[1] else {
            let message = format!("`{}` takes a whole number as a literal", name.text);
            return self.fail(Kind::Type, args[1].span(), message);
        };
        let result = of.of.clone();
        let function = Each::Top(*count, greatest);
        Ok(Expr {
            node: Node::Each { function, of: Box::new(of), variable, body: Box::new(key) },
            of: result,
            span,
        })
    }

    pub(super) fn distinct(&mut self, of: Expr, name: &Name, args: &[Argument], span: Span) -> Result_<Expr> {
        let item = self.item(&of, name)?;
        self.arity(name, args, 0..=0, span)?;
        if !item.is_scalar() {
            let message = format!("`distinct` needs an array of scalars, each element is {item}");
            return self.fail(Kind::Type, of.span, message);
        }
        let result = of.of.clone();
        Ok(Expr { node: Node::Distinct(Box::new(of)), of: result, span })
    }

    pub(super) fn head(&mut self, of: Expr, name: &Name, args: &[Argument], span: Span) -> Result_<Expr> {
        let item = self.item(&of, name)?;
        self.arity(name, args, 0..=0, span)?;
        Ok(Expr { node: Node::Head(Box::new(of)), of: item, span })
    }

    pub(super) fn set(
        &mut self,
        function: Set,
        of: Expr,
        name: &Name,
        args: &[Argument],
        span: Span,
    ) -> Result_<Expr> {
        let item = self.item(&of, name)?;
        self.arity(name, args, 1..=1, span)?;
        let other = self.value(name, &args[0])?;
        let compared = match (function, &other.of) {
            (Set::Includes, scalar) => scalar.clone(),
            (Set::Intersects | Set::Intersection | Set::Subset | Set::Superset, Type::Array(item)) => {
                (**item).clone()
            }
            (Set::Intersects | Set::Intersection | Set::Subset | Set::Superset, wrong) => {
                let message = format!("`{}` takes an array, this is {wrong}", name.text);
                return self.fail(Kind::Type, other.span, message);
            }
        };
        if !item.comparable(&compared) {
            let message = format!("the elements cannot be compared: {item}, and {compared}");
            return self.fail(Kind::Type, span, message);
        }
        let result = match function {
            Set::Intersection => of.of.clone(),
            Set::Includes | Set::Intersects | Set::Subset | Set::Superset => Type::Boolean,
        };
        Ok(Expr { node: Node::Set { function, of: Box::new(of), other: Box::new(other) }, of: result, span })
    }
}
