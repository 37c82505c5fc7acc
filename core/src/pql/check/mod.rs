//! Surface tree → typed tree: finds every name, checks every type, and turns contexts into variables.
//!
//! Checks run inside-out and left to right, a receiver before its function, a source before its condition. An
//! operand of `and` or `or` that is wrong does not keep the others from being checked.

mod array;
mod chain;
mod forms;
mod function;
mod map;
mod operator;
mod text;
mod time;

use crate::diagnostic::{Diagnostic, Kind, Span};

use super::ast::{self, Name, Query};
use super::typed::{Expr, Node, Variable};
use super::types::{Object, Role, Type};

/// The checked query, or what is wrong with it: at least one fault.
pub fn check(query: &Query, profile: Object) -> Result<Expr, Vec<Diagnostic>> {
    let profile = Type::Object(profile);
    let context = Context { of: profile.clone(), element: Element::Profile };
    let mut checker = Checker { profile, contexts: vec![context], bound: vec![], next: 0, faults: vec![] };
    match checker.query(query) {
        Ok(expr) if checker.faults.is_empty() => Ok(expr),
        Ok(_) | Err(Failed) => Err(checker.faults),
    }
}

/// The check failed; the reason is among the faults.
struct Failed;

type Result_<T> = Result<T, Failed>;

/// What a context or variable stands for.
#[derive(Clone, Copy)]
enum Element {
    Profile,
    Variable(Variable),
    /// A chain's label that cannot be used, since its step counts.
    Counted,
}

#[derive(Clone)]
struct Context {
    of: Type,
    element: Element,
}

struct Bound {
    name: String,
    of: Type,
    element: Element,
}

struct Checker {
    profile: Type,
    /// The contexts, outermost first; never empty.
    contexts: Vec<Context>,
    /// The variables in scope, innermost last.
    bound: Vec<Bound>,
    next: Variable,
    faults: Vec<Diagnostic>,
}

impl Checker {
    fn query(&mut self, query: &Query) -> Result_<Expr> {
        if let Some(params) = &query.params {
            let [param] = &params[..] else {
                let message =
                    format!("the query's lambda takes the profile alone, not {} parameters", params.len());
                return self.fail(Kind::Type, params[1].span, message);
            };
            let of = self.profile.clone();
            self.bound.push(Bound { name: param.text.clone(), of, element: Element::Profile });
        }
        self.condition(&query.body)
    }

    fn fail<T>(&mut self, kind: Kind, span: Span, message: impl Into<String>) -> Result_<T> {
        self.fail_with(Diagnostic::new(kind, message).at(span))
    }

    fn fail_with<T>(&mut self, fault: Diagnostic) -> Result_<T> {
        self.faults.push(fault);
        Err(Failed)
    }

    /// Checks something that must be true or false: a boolean, or an array that must not be empty.
    fn condition(&mut self, expr: &ast::Expr) -> Result_<Expr> {
        let checked = self.expr(expr)?;
        match checked.of {
            Type::Boolean | Type::Array(_) | Type::Nothing => Ok(checked),
            Type::String
            | Type::Integer
            | Type::Double
            | Type::Date
            | Type::Timestamp
            | Type::Map(..)
            | Type::Object(_)
            | Type::Entry(..)
            | Type::Other(_) => {
                let message = format!("a condition must be a boolean or an array, this is {}", checked.of);
                let fault = Diagnostic::new(Kind::Type, message).at(expr.span);
                self.fail_with(fault.help("compare it with something, or ask `.isNotNull()`"))
            }
        }
    }

    fn expr(&mut self, expr: &ast::Expr) -> Result_<Expr> {
        let span = expr.span;
        let made = |node, of| Ok(Expr { node, of, span });
        match &expr.node {
            ast::Node::String(value) => made(Node::String(value.clone()), Type::String),
            ast::Node::Boolean(value) => made(Node::Boolean(*value), Type::Boolean),
            ast::Node::Integer(value) => made(Node::Integer(*value), Type::Integer),
            ast::Node::Double(value) => made(Node::Double(*value), Type::Double),
            ast::Node::Moment(moment) => made(Node::Moment(*moment), Type::Timestamp),
            ast::Node::Array(items) => self.array_literal(items, span),
            ast::Node::Parameter(1) => made(Node::Profile, self.profile.clone()),
            ast::Node::Parameter(other) => {
                self.fail(Kind::UnknownField, span, format!("there is no `${other}`, only `$1`, the profile"))
            }
            ast::Node::Up(count) => self.up(*count, span),
            ast::Node::Name(name) => match self.variable(name, span)? {
                Some(variable) => Ok(variable),
                None => self.context_field(name, span),
            },
            ast::Node::Variable(name) => match self.variable(name, span)? {
                Some(variable) => Ok(variable),
                None => self.fail(Kind::UnknownField, span, format!("there is no variable `{name}`")),
            },
            ast::Node::Field { of, name } => {
                let of = self.expr(of)?;
                self.field(of, name, span)
            }
            ast::Node::Method { of, name, args } => self.method(of, name, args, span),
            ast::Node::Call { name, args } => self.call(name, args, span),
            ast::Node::Filter { of, condition } => self.filter_brackets(of, condition, span),
            ast::Node::And(parts) => made(Node::And(self.conditions(parts)?), Type::Boolean),
            ast::Node::Or(parts) => made(Node::Or(self.conditions(parts)?), Type::Boolean),
            ast::Node::Not(operand) => made(Node::Not(Box::new(self.condition(operand)?)), Type::Boolean),
            ast::Node::Negate(operand) => self.negate(operand, span),
            ast::Node::Binary { op, left, right } => self.binary(*op, left, right, span),
            ast::Node::Occurs { time, constraint } => self.occurs(time, constraint, span),
            ast::Node::Quantifier { kind, bindings } => self.quantifier(*kind, bindings, span),
            ast::Node::Over { aggregate, value, bindings } => self.over(*aggregate, value, bindings, span),
            ast::Node::Let { name, value, body } => self.let_in(name, value, body, span),
            ast::Node::Chain { source, time, steps } => self.chain(source, time, steps, span),
            ast::Node::Invalid => self.fail(Kind::Parse, span, "this could not be read"),
        }
    }

    fn conditions(&mut self, parts: &[ast::Expr]) -> Result_<Vec<Expr>> {
        let checked: Vec<Result_<Expr>> = parts.iter().map(|part| self.condition(part)).collect();
        checked.into_iter().collect()
    }

    // ---- names ----

    fn up(&mut self, count: usize, span: Span) -> Result_<Expr> {
        let at = self.contexts.len().checked_sub(count + 1);
        match at.and_then(|at| self.contexts.get(at)) {
            Some(context) => {
                let (of, element) = (context.of.clone(), context.element);
                self.element(element, of, span)
            }
            None => {
                let depth = self.contexts.len() - 1;
                let message = format!(
                    "`{}` leaves the profile: there are {depth} contexts around this",
                    "^".repeat(count)
                );
                self.fail(Kind::UnknownField, span, message)
            }
        }
    }

    fn element(&mut self, element: Element, of: Type, span: Span) -> Result_<Expr> {
        let node = match element {
            Element::Profile => Node::Profile,
            Element::Variable(variable) => Node::Variable(variable),
            Element::Counted => {
                let message = "the label of a step with `count(…)` stands for no single element";
                return self.fail(Kind::Type, span, message);
            }
        };
        Ok(Expr { node, of, span })
    }

    fn variable(&mut self, name: &str, span: Span) -> Result_<Option<Expr>> {
        let Some(bound) = self.bound.iter().rev().find(|bound| bound.name == name) else { return Ok(None) };
        let (of, element) = (bound.of.clone(), bound.element);
        self.element(element, of, span).map(Some)
    }

    /// A bare name as a field of the innermost context.
    fn context_field(&mut self, name: &str, span: Span) -> Result_<Expr> {
        let up = self.up(0, span)?;
        let Type::Object(object) = &up.of else {
            let message = format!("there is no variable `{name}`, and the context, {}, has no fields", up.of);
            return self.fail(Kind::UnknownField, span, message);
        };
        if let Some(of) = object.field(name).cloned() {
            return Ok(Expr { node: Node::Field { of: Box::new(up), name: name.to_owned() }, of, span });
        }
        let variables = self.bound.iter().map(|bound| bound.name.as_str());
        let context = &up.of;
        let mut fault = Diagnostic::new(Kind::UnknownField, format!("{context} has no field `{name}`"))
            .at(span)
            .suggest(name, object.names().chain(variables));
        if name == "null" {
            fault = fault.help("PQL has no `null`: write `.isNull()`");
        } else if object.role != Role::Profile
            && matches!(&self.profile, Type::Object(profile) if profile.field(name).is_some())
        {
            fault = fault.help(format!("the profile has it: write `$1.{name}`"));
        }
        self.fail_with(fault)
    }

    /// A field of an object, or of each element of an array of objects.
    fn field(&mut self, of: Expr, name: &Name, span: Span) -> Result_<Expr> {
        let (object, projects) = match &of.of {
            Type::Object(object) => (object, false),
            Type::Array(item) => match &**item {
                Type::Object(object) => (object, true),
                _ => return self.no_field(&of.of, name),
            },
            other => return self.no_field(other, name),
        };
        let Some(found) = object.field(&name.text).cloned() else {
            let fault = Diagnostic::new(Kind::UnknownField, format!("there is no field `{}`", name.text));
            let fault = fault.at(name.span).suggest(&name.text, object.names());
            return self.fail_with(fault);
        };
        let name = name.text.clone();
        if !projects {
            return Ok(Expr { node: Node::Field { of: Box::new(of), name }, of: found, span });
        }
        let flatten = matches!(found, Type::Array(_));
        let result = if flatten { found } else { found.array() };
        Ok(Expr { node: Node::Projection { of: Box::new(of), name, flatten }, of: result, span })
    }

    fn no_field<T>(&mut self, of: &Type, name: &Name) -> Result_<T> {
        let message = format!("`{}` is asked of {of}, which has no fields", name.text);
        let fault = Diagnostic::new(Kind::UnknownField, message).at(name.span);
        self.fail_with(match of {
            Type::Map(..) => fault.help(format!("write `.get(\"{}\")`", name.text)),
            _ => fault,
        })
    }

    // ---- scopes ----

    fn fresh(&mut self) -> Variable {
        self.next += 1;
        self.next - 1
    }

    /// Binds a name while `check` runs.
    fn with_variable<T>(
        &mut self,
        name: &str,
        of: Type,
        check: impl FnOnce(&mut Self, Variable) -> Result_<T>,
    ) -> Result_<T> {
        let variable = self.fresh();
        let depth = self.bound.len();
        self.bound.push(Bound { name: name.to_owned(), of, element: Element::Variable(variable) });
        let result = check(self, variable);
        self.bound.truncate(depth);
        result
    }

    /// Makes an element the context, by a parameter's name if it has one, while `check` runs.
    fn with_context<T>(
        &mut self,
        param: Option<&Name>,
        of: Type,
        check: impl FnOnce(&mut Self) -> Result_<T>,
    ) -> Result_<(Variable, T)> {
        let variable = self.fresh();
        let element = Element::Variable(variable);
        let depth = self.bound.len();
        if let Some(param) = param {
            self.bound.push(Bound { name: param.text.clone(), of: of.clone(), element });
        }
        self.contexts.push(Context { of, element });
        let result = check(self);
        self.contexts.pop();
        self.bound.truncate(depth);
        result.map(|checked| (variable, checked))
    }
}
