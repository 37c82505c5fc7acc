//! Functions of maps.

use crate::diagnostic::{Kind, Span};

use super::super::ast::{Argument, Name};
use super::super::typed::{Expr, Node};
use super::super::types::Type;
use super::{Bound, Checker, Context, Element, Result_};

impl Checker {
    fn map_types(&mut self, of: &Expr, name: &Name) -> Result_<(Type, Type)> {
        match &of.of {
            Type::Map(key, value) => Ok(((**key).clone(), (**value).clone())),
            _ => self.wrong_receiver(of, name, "a map"),
        }
    }

    pub(super) fn get(&mut self, of: Expr, name: &Name, args: &[Argument], span: Span) -> Result_<Expr> {
        let (key, value) = self.map_types(&of, name)?;
        self.arity(name, args, 1..=1, span)?;
        let wanted = self.value(name, &args[0])?;
        if !key.comparable(&wanted.of) {
            let message = format!("the key must be {key}, this is {}", wanted.of);
            return self.fail(Kind::Type, wanted.span, message);
        }
        Ok(Expr { node: Node::Get { of: Box::new(of), key: Box::new(wanted) }, of: value, span })
    }

    pub(super) fn keys(&mut self, of: Expr, name: &Name, args: &[Argument], span: Span) -> Result_<Expr> {
        let (key, _) = self.map_types(&of, name)?;
        self.arity(name, args, 0..=0, span)?;
        Ok(Expr { node: Node::Keys(Box::new(of)), of: key.array(), span })
    }

    pub(super) fn values(&mut self, of: Expr, name: &Name, args: &[Argument], span: Span) -> Result_<Expr> {
        let (_, value) = self.map_types(&of, name)?;
        self.arity(name, args, 0..=0, span)?;
        let result = if matches!(value, Type::Array(_)) { value } else { value.array() };
        Ok(Expr { node: Node::Values(Box::new(of)), of: result, span })
    }

    pub(super) fn map_entries(
        &mut self,
        of: Expr,
        name: &Name,
        args: &[Argument],
        span: Span,
    ) -> Result_<Expr> {
        let (key, value) = self.map_types(&of, name)?;
        self.arity(name, args, 1..=1, span)?;
        let Argument::Lambda(lambda) = &args[0] else {
            return self.fail(Kind::Type, args[0].span(), "`map` of a map takes a lambda: `(k, v) => …`");
        };
        let [key_param, value_param] = &lambda.params[..] else {
            return self.fail(Kind::Type, lambda.span, "`map` of a map takes a lambda with two parameters");
        };
        let (key_variable, value_variable) = (self.fresh(), self.fresh());
        let depth = self.bound.len();
        let element = Element::Variable(key_variable);
        self.bound.push(Bound { name: key_param.text.clone(), of: key.clone(), element });
        let of_value = Element::Variable(value_variable);
        self.bound.push(Bound { name: value_param.text.clone(), of: value, element: of_value });
        self.contexts.push(Context { of: key, element });
        let body = self.expr(&lambda.body);
        self.contexts.pop();
        self.bound.truncate(depth);
        let body = body?;
        let result = match &body.of {
            Type::Entry(key, value) => Type::Map(key.clone(), value.clone()),
            Type::Object(_) => body.of.clone().array(),
            scalar if scalar.is_scalar() => scalar.clone().array(),
            other => {
                let message = format!("`map` makes scalars, objects or entries, this is {other}");
                return self.fail(Kind::Type, body.span, message);
            }
        };
        let node = Node::MapEntries {
            of: Box::new(of),
            key: key_variable,
            value: value_variable,
            body: Box::new(body),
        };
        Ok(Expr { node, of: result, span })
    }

    pub(super) fn entry(&mut self, name: &Name, args: &[Argument], span: Span) -> Result_<Expr> {
        self.arity(name, args, 2..=2, span)?;
        let key = self.value(name, &args[0])?;
        let value = self.value(name, &args[1])?;
        if !matches!(key.of, Type::String | Type::Integer | Type::Boolean) {
            let message = format!("a key must be a string, integer or boolean, this is {}", key.of);
            return self.fail(Kind::Type, key.span, message);
        }
        if matches!(value.of, Type::Entry(..)) {
            return self.fail(Kind::Type, value.span, "a map entry is only the result of a map's lambda");
        }
        let of = Type::Entry(Box::new(key.of.clone()), Box::new(value.of.clone()));
        Ok(Expr { node: Node::Entry { key: Box::new(key), value: Box::new(value) }, of, span })
    }
}
