//! The checked tree: every name is found, every expression has a type, contexts have become variables.

use crate::diagnostic::Span;

use super::ast::{Aggregate, Comparison, Direction, Moment, Unit, Which};
use super::types::Type;

/// A variable: a binding of a quantifier or `let`, a parameter, a chain's label, or the element of a context.
pub type Variable = usize;

/// A checked expression.
#[derive(Clone, Debug, PartialEq)]
pub struct Expr {
    /// What it is.
    pub node: Node,
    /// Its type.
    pub of: Type,
    /// Its place.
    pub span: Span,
}

/// The kinds of checked expressions.
#[derive(Clone, Debug, PartialEq)]
pub enum Node {
    /// `"text"`.
    String(String),
    /// `true`, `false`.
    Boolean(bool),
    /// `5`.
    Integer(i64),
    /// `0.5`.
    Double(f64),
    /// `date(2026, 6, 15)`.
    Date(chrono::NaiveDate),
    /// `now` and its like as a timestamp.
    Moment(Moment),
    /// `currentYear()` and its like.
    Current(DatePart),
    /// `[a, b]`.
    Array(Vec<Expr>),
    /// The profile.
    Profile,
    /// A variable.
    Variable(Variable),
    /// A field of an object.
    Field {
        /// The object.
        of: Box<Expr>,
        /// The field.
        name: String,
    },
    /// The field of each element; concatenated if it is an array.
    Projection {
        /// The array of objects.
        of: Box<Expr>,
        /// The field.
        name: String,
        /// Whether the field is an array.
        flatten: bool,
    },
    /// Conjunction of conditions.
    And(Vec<Expr>),
    /// Disjunction of conditions.
    Or(Vec<Expr>),
    /// Complement of a condition.
    Not(Box<Expr>),
    /// `-a`.
    Negate(Box<Expr>),
    /// `a + b`.
    Arithmetic {
        /// The operator.
        op: Arithmetic,
        /// The left operand.
        left: Box<Expr>,
        /// The right operand.
        right: Box<Expr>,
    },
    /// A comparison of scalars, of an array's elements with a scalar, or of arrays as sets.
    Compare {
        /// The comparison.
        op: Comparison,
        /// The left operand.
        left: Box<Expr>,
        /// The right operand.
        right: Box<Expr>,
    },
    /// `a in b`, `a notIn b`.
    In {
        /// The scalar.
        value: Box<Expr>,
        /// The array.
        array: Box<Expr>,
        /// `notIn`.
        negated: bool,
    },
    /// `a like b`.
    Like {
        /// The text.
        value: Box<Expr>,
        /// The pattern.
        pattern: Box<Expr>,
    },
    /// `a.isNull()`, `a.isNotNull()`.
    IsNull {
        /// What is tested.
        of: Box<Expr>,
        /// `isNotNull`.
        negated: bool,
    },
    /// `startsWith` and its like.
    TextTest {
        /// Which.
        test: TextTest,
        /// The text.
        of: Box<Expr>,
        /// What it is compared with.
        value: Box<Expr>,
        /// The negative form: true where the text is known and the test fails.
        negated: bool,
        /// Whether case counts.
        case_sensitive: bool,
    },
    /// `a.equals(b, c)`.
    Equals {
        /// The text.
        of: Box<Expr>,
        /// The values, one of which it must equal.
        values: Vec<Expr>,
        /// Whether case counts.
        case_sensitive: bool,
    },
    /// `a.matches("…")`.
    Matches {
        /// The text.
        of: Box<Expr>,
        /// The regular expression.
        regex: String,
    },
    /// `a.regexGroup("…", n)`.
    RegexGroup {
        /// The text.
        of: Box<Expr>,
        /// The regular expression.
        regex: String,
        /// The group.
        group: i64,
    },
    /// `a.getYear()` and its like.
    DatePart {
        /// Which.
        part: DatePart,
        /// The time.
        of: Box<Expr>,
    },
    /// A function that evaluates an expression for each element.
    Each {
        /// Which.
        function: Each,
        /// The array.
        of: Box<Expr>,
        /// The element in `body`.
        variable: Variable,
        /// What is evaluated.
        body: Box<Expr>,
    },
    /// `sum()`, `min()` … of the elements themselves.
    Fold {
        /// Which.
        fold: Fold,
        /// The array.
        of: Box<Expr>,
    },
    /// `a.count()` of an array or map.
    Count(Box<Expr>),
    /// `a.exists()`: whether there are elements.
    NotEmpty(Box<Expr>),
    /// `a.distinct()`.
    Distinct(Box<Expr>),
    /// `a.head()`.
    Head(Box<Expr>),
    /// `includes`, `intersects`, …
    Set {
        /// Which.
        function: Set,
        /// The receiver.
        of: Box<Expr>,
        /// The other array, or the scalar of `includes`.
        other: Box<Expr>,
    },
    /// `a.get(key)`.
    Get {
        /// The map.
        of: Box<Expr>,
        /// The key.
        key: Box<Expr>,
    },
    /// `a.keys()`.
    Keys(Box<Expr>),
    /// `a.values()`; concatenated if they are arrays.
    Values(Box<Expr>),
    /// `a.map((k, v) => …)`; a map if the body is an entry, else an array.
    MapEntries {
        /// The map.
        of: Box<Expr>,
        /// The key in `body`.
        key: Variable,
        /// The value in `body`.
        value: Variable,
        /// What is evaluated.
        body: Box<Expr>,
    },
    /// `mapEntry(k, v)`.
    Entry {
        /// The key.
        key: Box<Expr>,
        /// The value.
        value: Box<Expr>,
    },
    /// `if(c, a, b)`.
    If {
        /// The condition.
        condition: Box<Expr>,
        /// The value where it holds.
        then: Box<Expr>,
        /// The value where it does not.
        otherwise: Box<Expr>,
    },
    /// `inSegment("…")`.
    InSegment(String),
    /// `exists …`.
    Exists(Vec<Binding>),
    /// `forall …`.
    Forall(Vec<Binding>),
    /// `select …`.
    Select(Vec<Binding>),
    /// `sum a over …`.
    Over {
        /// The aggregate.
        aggregate: Aggregate,
        /// What is aggregated.
        value: Box<Expr>,
        /// Over what.
        bindings: Vec<Binding>,
    },
    /// `let a = b in c`.
    Let {
        /// The variable.
        variable: Variable,
        /// Its value.
        value: Box<Expr>,
        /// Where it is known.
        body: Box<Expr>,
    },
    /// `a occurs …`.
    Occurs {
        /// The time.
        time: Box<Expr>,
        /// What is asked of it.
        constraint: Box<Constraint>,
    },
    /// `chain(…)`.
    Chain {
        /// The array of elements.
        source: Box<Expr>,
        /// The steps.
        steps: Vec<Step>,
    },
}

/// A part of a date.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DatePart {
    /// The year.
    Year,
    /// The month, from 1.
    Month,
    /// The day of the month, from 1.
    Day,
}

/// An arithmetic operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arithmetic {
    /// `+`.
    Add,
    /// `-`.
    Subtract,
    /// `*`.
    Multiply,
    /// `/`.
    Divide,
    /// `%`.
    Modulo,
}

/// A test of two strings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TextTest {
    /// Begins with.
    Starts,
    /// Ends with.
    Ends,
    /// Contains.
    Contains,
    /// Is the same as; only negated.
    Equals,
}

/// A function that evaluates an expression for each element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Each {
    /// `filter`, `[…]`.
    Filter,
    /// `map`.
    Map,
    /// `exists`.
    Exists,
    /// `forall`.
    Forall,
    /// `sum`, `average`, `min`, `max`.
    Fold(Fold),
    /// `topN`, `bottomN`: how many, and whether the greatest.
    Top(i64, bool),
    /// `groupBy`.
    Group,
}

/// An aggregate of an array's elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fold {
    /// `sum`.
    Sum,
    /// `average`.
    Average,
    /// `min`.
    Min,
    /// `max`.
    Max,
}

/// A function of arrays as sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Set {
    /// `includes`.
    Includes,
    /// `intersects`.
    Intersects,
    /// `intersection`.
    Intersection,
    /// `subsetOf`.
    Subset,
    /// `supersetOf`.
    Superset,
}

/// `variable from source where condition`.
#[derive(Clone, Debug, PartialEq)]
pub struct Binding {
    /// The variable.
    pub variable: Variable,
    /// The array.
    pub source: Expr,
    /// What it must satisfy.
    pub condition: Option<Expr>,
}

/// A step of a chain.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// The element, in the step's own conditions and in later steps.
    pub variable: Variable,
    /// The element's time.
    pub time: Expr,
    /// WHAT, WHERE and WHEN, all of which must hold.
    pub conditions: Vec<Expr>,
    /// How many elements must match; at least one unless it says otherwise.
    pub count: Count,
}

/// How many elements must match a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Count {
    /// At least so many, which is one or more.
    AtLeast(i64),
    /// Any other comparison; only in chains of one step.
    Compare(Comparison, i64),
}

/// A checked time constraint.
#[derive(Clone, Debug, PartialEq)]
pub struct Constraint {
    /// The constraint proper.
    pub body: ConstraintBody,
    /// `ignoreYear`.
    pub ignore_year: bool,
}

/// The forms of time constraints.
#[derive(Clone, Debug, PartialEq)]
pub enum ConstraintBody {
    /// `<= 7 days before now`.
    Offset {
        /// The comparison.
        comparison: Comparison,
        /// How many units.
        number: i64,
        /// Of what.
        unit: Unit,
        /// Which way.
        direction: Direction,
        /// From where.
        anchor: Time,
    },
    /// `before today`.
    Direction(Direction, Time),
    /// `between a and b`.
    Between(Time, Time),
    /// `on today`.
    On(Time),
}

/// A time in a constraint.
#[derive(Clone, Debug, PartialEq)]
pub enum Time {
    /// `now` and its like.
    Moment(Moment),
    /// `this month`.
    Period(Which, Unit),
    /// `3 days before today`.
    Offset {
        /// How many units.
        number: i64,
        /// Of what.
        unit: Unit,
        /// Whether earlier.
        before: bool,
        /// From where.
        anchor: Box<Time>,
    },
    /// A date or timestamp.
    Value(Box<Expr>),
}

/// Calls `f` on the direct parts of an expression.
pub fn visit<'a>(expr: &'a Expr, f: &mut impl FnMut(&'a Expr)) {
    match &expr.node {
        Node::String(_)
        | Node::Boolean(_)
        | Node::Integer(_)
        | Node::Double(_)
        | Node::Date(_)
        | Node::Moment(_)
        | Node::Current(_)
        | Node::Profile
        | Node::Variable(_)
        | Node::InSegment(_) => {}
        Node::Array(parts) | Node::And(parts) | Node::Or(parts) => parts.iter().for_each(f),
        Node::Field { of, .. }
        | Node::Projection { of, .. }
        | Node::IsNull { of, .. }
        | Node::Matches { of, .. }
        | Node::RegexGroup { of, .. }
        | Node::DatePart { of, .. }
        | Node::Fold { of, .. }
        | Node::Not(of)
        | Node::Negate(of)
        | Node::Count(of)
        | Node::NotEmpty(of)
        | Node::Distinct(of)
        | Node::Head(of)
        | Node::Keys(of)
        | Node::Values(of) => f(of),
        Node::Arithmetic { left, right, .. } | Node::Compare { left, right, .. } => {
            f(left);
            f(right);
        }
        Node::In { value, array: other, .. } | Node::Like { value, pattern: other } => {
            f(value);
            f(other);
        }
        Node::TextTest { of, value: other, .. }
        | Node::Set { of, other, .. }
        | Node::Get { of, key: other }
        | Node::Each { of, body: other, .. }
        | Node::MapEntries { of, body: other, .. } => {
            f(of);
            f(other);
        }
        Node::Equals { of, values, .. } => {
            f(of);
            values.iter().for_each(f);
        }
        Node::Entry { key, value } => {
            f(key);
            f(value);
        }
        Node::If { condition, then, otherwise } => {
            f(condition);
            f(then);
            f(otherwise);
        }
        Node::Exists(bindings) | Node::Forall(bindings) | Node::Select(bindings) => {
            visit_bindings(bindings, f)
        }
        Node::Over { value, bindings, .. } => {
            visit_bindings(bindings, f);
            f(value);
        }
        Node::Let { value, body, .. } => {
            f(value);
            f(body);
        }
        Node::Occurs { time, constraint } => {
            f(time);
            match &constraint.body {
                ConstraintBody::Offset { anchor, .. }
                | ConstraintBody::Direction(_, anchor)
                | ConstraintBody::On(anchor) => visit_time(anchor, f),
                ConstraintBody::Between(from, to) => {
                    visit_time(from, f);
                    visit_time(to, f);
                }
            }
        }
        Node::Chain { source, steps } => {
            f(source);
            for step in steps {
                f(&step.time);
                step.conditions.iter().for_each(&mut *f);
            }
        }
    }
}

fn visit_bindings<'a>(bindings: &'a [Binding], f: &mut impl FnMut(&'a Expr)) {
    for binding in bindings {
        f(&binding.source);
        binding.condition.iter().for_each(&mut *f);
    }
}

fn visit_time<'a>(time: &'a Time, f: &mut impl FnMut(&'a Expr)) {
    match time {
        Time::Moment(_) | Time::Period(..) => {}
        Time::Offset { anchor, .. } => visit_time(anchor, f),
        Time::Value(value) => f(value),
    }
}
