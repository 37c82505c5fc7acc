//! Calls: which functions there are, and what each takes.

use crate::diagnostic::{Diagnostic, Kind, Span};

use super::super::ast::{self, Argument, Name};
use super::super::typed::{DatePart, Each, Expr, Fold, Node, Set, TextTest};
use super::super::types::Type;
use super::{Checker, Result_};

/// A function with a receiver.
#[derive(Clone, Copy)]
enum Method {
    IsNull { negated: bool },
    Text { test: TextTest, negated: bool },
    Equals,
    Matches,
    RegexGroup,
    Count,
    Fold(Fold),
    Exists,
    Each(Each),
    Top { greatest: bool },
    Distinct,
    Head,
    Set(Set),
    Get,
    Keys,
    Values,
    DatePart(DatePart),
}

/// The functions with a receiver.
const METHODS: &[(&str, Method)] = &[
    ("isNull", Method::IsNull { negated: false }),
    ("isNotNull", Method::IsNull { negated: true }),
    ("startsWith", Method::Text { test: TextTest::Starts, negated: false }),
    ("doesNotStartWith", Method::Text { test: TextTest::Starts, negated: true }),
    ("endsWith", Method::Text { test: TextTest::Ends, negated: false }),
    ("doesNotEndWith", Method::Text { test: TextTest::Ends, negated: true }),
    ("contains", Method::Text { test: TextTest::Contains, negated: false }),
    ("doesNotContain", Method::Text { test: TextTest::Contains, negated: true }),
    ("notEqualTo", Method::Text { test: TextTest::Equals, negated: true }),
    ("equals", Method::Equals),
    ("matches", Method::Matches),
    ("regexGroup", Method::RegexGroup),
    ("count", Method::Count),
    ("sum", Method::Fold(Fold::Sum)),
    ("average", Method::Fold(Fold::Average)),
    ("min", Method::Fold(Fold::Min)),
    ("max", Method::Fold(Fold::Max)),
    ("exists", Method::Exists),
    ("forall", Method::Each(Each::Forall)),
    ("filter", Method::Each(Each::Filter)),
    ("map", Method::Each(Each::Map)),
    ("groupBy", Method::Each(Each::Group)),
    ("topN", Method::Top { greatest: true }),
    ("bottomN", Method::Top { greatest: false }),
    ("distinct", Method::Distinct),
    ("head", Method::Head),
    ("includes", Method::Set(Set::Includes)),
    ("intersects", Method::Set(Set::Intersects)),
    ("intersection", Method::Set(Set::Intersection)),
    ("subsetOf", Method::Set(Set::Subset)),
    ("supersetOf", Method::Set(Set::Superset)),
    ("get", Method::Get),
    ("keys", Method::Keys),
    ("values", Method::Values),
    ("getYear", Method::DatePart(DatePart::Year)),
    ("getMonth", Method::DatePart(DatePart::Month)),
    ("getDayOfMonth", Method::DatePart(DatePart::Day)),
];

/// The functions without a receiver.
const GLOBALS: &[&str] =
    &["if", "date", "inSegment", "mapEntry", "currentYear", "currentMonth", "currentDayOfMonth"];

impl Checker {
    pub(super) fn method(
        &mut self,
        of: &ast::Expr,
        name: &Name,
        args: &[Argument],
        span: Span,
    ) -> Result_<Expr> {
        let of = self.expr(of)?;
        let Some((_, method)) = METHODS.iter().find(|(known, _)| *known == name.text) else {
            return self.unknown_function(name);
        };
        match *method {
            Method::IsNull { negated } => {
                self.arity(name, args, 0..=0, span)?;
                if matches!(of.of, Type::Entry(..)) {
                    return self.fail(
                        Kind::Type,
                        of.span,
                        "a map entry is only the result of a map's lambda",
                    );
                }
                Ok(Expr { node: Node::IsNull { of: Box::new(of), negated }, of: Type::Boolean, span })
            }
            Method::Text { test, negated } => self.text_test(test, negated, of, name, args, span),
            Method::Equals => self.equals(of, name, args, span),
            Method::Matches => self.matches(of, name, args, span),
            Method::RegexGroup => self.regex_group(of, name, args, span),
            Method::Count => self.count(of, name, args, span),
            Method::Fold(fold) => self.fold(fold, of, name, args, span),
            Method::Exists => self.exists_method(of, name, args, span),
            Method::Each(Each::Map) if matches!(of.of, Type::Map(..)) => {
                self.map_entries(of, name, args, span)
            }
            Method::Each(each) => self.each(each, of, name, args, span),
            Method::Top { greatest } => self.top(greatest, of, name, args, span),
            Method::Distinct => self.distinct(of, name, args, span),
            Method::Head => self.head(of, name, args, span),
            Method::Set(function) => self.set(function, of, name, args, span),
            Method::Get => self.get(of, name, args, span),
            Method::Keys => self.keys(of, name, args, span),
            Method::Values => self.values(of, name, args, span),
            Method::DatePart(part) => {
                self.arity(name, args, 0..=0, span)?;
                if !of.of.is_time() && of.of != Type::Nothing {
                    return self.wrong_receiver(&of, name, "a date or timestamp");
                }
                Ok(Expr { node: Node::DatePart { part, of: Box::new(of) }, of: Type::Integer, span })
            }
        }
    }

    pub(super) fn call(&mut self, name: &Name, args: &[Argument], span: Span) -> Result_<Expr> {
        let current = |part| Ok(Expr { node: Node::Current(part), of: Type::Integer, span });
        match name.text.as_str() {
            "if" => self.if_else(name, args, span),
            "date" => self.date(name, args, span),
            "inSegment" => {
                self.arity(name, args, 1..=1, span)?;
                match &args[0] {
                    Argument::Expr(ast::Expr { node: ast::Node::String(id), .. }) => {
                        Ok(Expr { node: Node::InSegment(id.clone()), of: Type::Boolean, span })
                    }
                    other => self.fail(Kind::Type, other.span(), "`inSegment` takes a string literal"),
                }
            }
            "mapEntry" => self.entry(name, args, span),
            "currentYear" | "currentMonth" | "currentDayOfMonth" => {
                self.arity(name, args, 0..=0, span)?;
                match name.text.as_str() {
                    "currentYear" => current(DatePart::Year),
                    "currentMonth" => current(DatePart::Month),
                    _ => current(DatePart::Day),
                }
            }
            other if METHODS.iter().any(|(known, _)| *known == other) => {
                let fault = Diagnostic::new(Kind::Type, format!("`{other}` needs a receiver")).at(name.span);
                self.fail_with(fault.help(format!("write `x.{other}(…)`")))
            }
            _ => self.unknown_function(name),
        }
    }

    fn unknown_function(&mut self, name: &Name) -> Result_<Expr> {
        if GLOBALS.contains(&name.text.as_str()) {
            let message = format!("`{}` has no receiver", name.text);
            return self.fail(Kind::Type, name.span, message);
        }
        let known = METHODS.iter().map(|(known, _)| *known).chain(GLOBALS.iter().copied());
        let fault = Diagnostic::new(Kind::UnknownFunction, format!("there is no function `{}`", name.text));
        let fault = fault.at(name.span);
        self.fail_with(match name.text.as_str() {
            "avg" | "mean" => fault.help("did you mean `average`?"),
            "any" => fault.help("did you mean `exists`?"),
            "all" => fault.help("did you mean `forall`?"),
            "size" | "length" => fault.help("did you mean `count`?"),
            other => fault.suggest(other, known),
        })
    }

    // ---- arguments ----

    pub(super) fn arity(
        &mut self,
        name: &Name,
        args: &[Argument],
        wanted: std::ops::RangeInclusive<usize>,
        span: Span,
    ) -> Result_<()> {
        if wanted.contains(&args.len()) {
            return Ok(());
        }
        let (least, most) = (*wanted.start(), *wanted.end());
        let wanted = match (least, most) {
            (0, 0) => "no arguments".to_owned(),
            (1, 1) => "one argument".to_owned(),
            (least, usize::MAX) => format!("at least {least} arguments"),
            (least, most) if least == most => format!("{least} arguments"),
            (least, most) => format!("{least} to {most} arguments"),
        };
        self.fail(Kind::Type, span, format!("`{}` takes {wanted}, not {}", name.text, args.len()))
    }

    /// An argument that is a value.
    pub(super) fn value(&mut self, name: &Name, argument: &Argument) -> Result_<Expr> {
        match argument {
            Argument::Expr(expr) => self.expr(expr),
            Argument::Lambda(lambda) => {
                self.fail(Kind::Type, lambda.span, format!("`{}` does not take a lambda", name.text))
            }
        }
    }

    pub(super) fn wrong_receiver<T>(&mut self, of: &Expr, name: &Name, wanted: &str) -> Result_<T> {
        let message = format!("`{}` is a function of {wanted}, this is {}", name.text, of.of);
        self.fail(Kind::Type, of.span, message)
    }

    // ---- functions without a receiver ----

    fn if_else(&mut self, name: &Name, args: &[Argument], span: Span) -> Result_<Expr> {
        self.arity(name, args, 3..=3, span)?;
        let condition = match &args[0] {
            Argument::Expr(condition) => self.condition(condition)?,
            lambda @ Argument::Lambda(_) => self.value(name, lambda)?,
        };
        let then = self.value(name, &args[1])?;
        let otherwise = self.value(name, &args[2])?;
        let Some(of) = then.of.common(&otherwise.of) else {
            let message = format!("the values of `if` must be of one type: {} and {}", then.of, otherwise.of);
            return self.fail(Kind::Type, then.span.to(otherwise.span), message);
        };
        let (condition, then, otherwise) = (Box::new(condition), Box::new(then), Box::new(otherwise));
        Ok(Expr { node: Node::If { condition, then, otherwise }, of, span })
    }

    fn date(&mut self, name: &Name, args: &[Argument], span: Span) -> Result_<Expr> {
        self.arity(name, args, 3..=3, span)?;
        let mut parts = [0; 3];
        for (part, argument) in parts.iter_mut().zip(args) {
            let Argument::Expr(ast::Expr { node: ast::Node::Integer(value), .. }) = argument else {
                return self.fail(Kind::Type, argument.span(), "`date` takes whole numbers as literals");
            };
            *part = *value;
        }
        let [year, month, day] = parts;
        let found = i32::try_from(year).ok().filter(|year| (1..=9999).contains(year)).and_then(|year| {
            chrono::NaiveDate::from_ymd_opt(year, u32::try_from(month).ok()?, u32::try_from(day).ok()?)
        });
        match found {
            Some(date) => Ok(Expr { node: Node::Date(date), of: Type::Date, span }),
            None => self.fail(Kind::Type, span, format!("there is no day {year}-{month}-{day}")),
        }
    }
}
