//! What the rows of one table are asked: tests of their columns, each once, whatever the number of rules.

use std::collections::HashMap;

use arrow::datatypes::{DataType, Schema};

use crate::profile::Bound;
use crate::segment::{BinaryOp, Call, Expr, Node, Relation, Value, walk};

use super::constant::{mirrored, number, text, tick};
use super::truth::Want;

/// All that the rows of a table are asked.
#[derive(Clone, Debug, Default)]
pub struct Questions {
    /// What is looked at.
    pub subjects: Vec<Subject>,
    /// Answers that conditions are made of.
    pub literals: Vec<Literal>,
    known_subjects: HashMap<Of, usize>,
    known_tests: HashMap<(usize, Test), usize>,
    known_literals: HashMap<Literal, usize>,
}

/// Something about a row that tests look at.
#[derive(Clone, Debug)]
pub struct Subject {
    /// What it is.
    pub of: Of,
    /// What it is asked.
    pub tests: Vec<Test>,
}

/// The kinds of subjects. Columns are given with the fields below them.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Of {
    /// A column of strings: each distinct value is tested once.
    Text(Vec<String>),
    /// A column of numbers, dates or timestamps: tests are bounds among its sorted constants.
    Ordered(Vec<String>),
    /// A column of booleans.
    Boolean(Vec<String>),
    /// The elements of a column of lists of strings.
    Elements(Vec<String>),
    /// The row of a lookup that the event or profile refers to: each row of the lookup is tested once.
    Lookup(usize),
    /// The row as a whole: the expression is computed for each row.
    Row(Box<Expr>),
}

/// A question with the answer TRUE, FALSE or NULL.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Test {
    /// The value is NULL; never NULL itself.
    Null,
    /// The string, or its lower case, is one of these.
    Equals {
        /// Compare the lower case.
        lower: bool,
        /// Sorted.
        values: Vec<String>,
    },
    /// The string, or its lower case, matches a pattern.
    Like {
        /// Match the lower case.
        lower: bool,
        /// The pattern, without escapes.
        pattern: String,
        /// `ILIKE`.
        case_insensitive: bool,
    },
    /// The value is one of these, by order key, sorted.
    Among(Vec<i64>),
    /// The value is below this one, by order key.
    Below {
        /// The bound.
        bound: i64,
        /// Or it is the bound.
        or_equal: bool,
    },
    /// The boolean is true, or the row's expression is.
    Holds,
    /// The list has this element.
    Has(String),
    /// A boolean expression over nothing but the subject.
    Expr(Box<Expr>),
}

/// An answer: the test of the subject has a truth value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Literal {
    /// The subject.
    pub subject: usize,
    /// The test, of the subject's.
    pub test: usize,
    /// The truth value.
    pub want: Want,
}

impl Questions {
    /// The place of each literal among those of its subject.
    pub fn places(&self) -> Vec<u32> {
        let mut counts = vec![0; self.subjects.len()];
        let place = |literal: &Literal| {
            let next = &mut counts[literal.subject];
            *next += 1;
            *next - 1
        };
        self.literals.iter().map(place).collect()
    }

    /// The position of a literal, which is new or known.
    pub(super) fn literal(&mut self, of: Of, test: Test, want: Want) -> usize {
        let subjects = &mut self.subjects;
        let subject = *self.known_subjects.entry(of).or_insert_with_key(|of| {
            subjects.push(Subject { of: of.clone(), tests: vec![] });
            subjects.len() - 1
        });
        let tests = &mut self.subjects[subject].tests;
        let test = *self.known_tests.entry((subject, test)).or_insert_with_key(|(_, test)| {
            tests.push(test.clone());
            tests.len() - 1
        });
        super::intern(&mut self.known_literals, &mut self.literals, Literal { subject, test, want })
    }
}

/// How a condition that no boolean operator stands above is asked of a row of `home`.
pub(super) fn question(expr: &Expr, want: Want, home: Relation, bound: &Bound) -> (Of, Test, Want) {
    recognised(expr, want, home, bound).unwrap_or_else(|| generic(expr, want, home, bound))
}

fn recognised(expr: &Expr, want: Want, home: Relation, bound: &Bound) -> Option<(Of, Test, Want)> {
    let column = |expr: &Expr| Column::of(expr, home, bound);
    match &expr.node {
        Node::Attribute { .. } => {
            let column = column(expr)?;
            (*column.data_type == DataType::Boolean).then_some((Of::Boolean(column.path), Test::Holds, want))
        }
        Node::Is { expr, test: crate::segment::Test::Null, negated } => {
            let column = column(expr)?;
            let want = if *negated { want.flipped() } else { want };
            Some((column.subject()?, Test::Null, want))
        }
        Node::Binary { op, left, right } => match column(left) {
            Some(column) => comparison(&column, *op, right, want),
            None => comparison(&column(right)?, mirrored(*op)?, left, want),
        },
        Node::In { expr, list, negated } => {
            let column = column(expr)?;
            let want = if *negated { want.flipped() } else { want };
            let of = column.subject()?;
            match of {
                Of::Text(_) => {
                    let values: Option<Vec<String>> =
                        list.iter().map(|item| text(item).map(str::to_owned)).collect();
                    Some((of, equals(column.lower, values?), want))
                }
                Of::Ordered(_) if !column.lower => {
                    let ticks: Option<Vec<_>> =
                        list.iter().map(|item| tick(item, column.data_type)).collect();
                    let ticks = ticks?.into_iter().filter(|tick| tick.exact).map(|tick| tick.floor);
                    Some((of, among(ticks.collect()), want))
                }
                _ => None,
            }
        }
        Node::Like { expr, pattern, escape, case_insensitive, negated } => {
            let column = column(expr)?;
            let of = column.subject()?;
            let pattern = text(pattern)?.to_owned();
            // What a backslash means is left to DataFusion.
            if escape.is_some() || pattern.contains('\\') {
                return None;
            }
            let test = Test::Like { lower: column.lower, pattern, case_insensitive: *case_insensitive };
            let want = if *negated { want.flipped() } else { want };
            matches!(of, Of::Text(_)).then_some((of, test, want))
        }
        Node::Call(call)
            if matches!(
                call.name.as_str(),
                "array_has" | "list_has" | "array_contains" | "list_contains"
            ) =>
        {
            let [list, element] = &call.args[..] else { return None };
            let column = column(list)?;
            let of = column.subject()?;
            let element = text(element)?.to_owned();
            matches!(of, Of::Elements(_)).then_some((of, Test::Has(element), want))
        }
        _ => None,
    }
}

fn comparison(column: &Column<'_>, op: BinaryOp, constant: &Expr, want: Want) -> Option<(Of, Test, Want)> {
    let of = column.subject()?;
    match &of {
        Of::Text(_) => {
            let value = text(constant)?.to_owned();
            let want = match op {
                BinaryOp::Eq => want,
                BinaryOp::NotEq => want.flipped(),
                _ => return None,
            };
            Some((of, equals(column.lower, vec![value]), want))
        }
        Of::Boolean(_) => {
            let Node::Literal(Value::Boolean(value)) = &constant.node else { return None };
            let same = match op {
                BinaryOp::Eq => *value,
                BinaryOp::NotEq => !*value,
                _ => return None,
            };
            Some((of, Test::Holds, if same { want } else { want.flipped() }))
        }
        Of::Ordered(_) => {
            let tick = tick(constant, column.data_type)?;
            // Below an instant between two values is at or below the lesser of them.
            let below = |or_equal| Test::Below { bound: tick.floor, or_equal: or_equal || !tick.exact };
            let (test, want) = match op {
                BinaryOp::Eq | BinaryOp::NotEq => {
                    let test = among(if tick.exact { vec![tick.floor] } else { vec![] });
                    (test, if op == BinaryOp::Eq { want } else { want.flipped() })
                }
                BinaryOp::Lt => (below(false), want),
                BinaryOp::LtEq => (below(true), want),
                BinaryOp::Gt => (below(true), want.flipped()),
                BinaryOp::GtEq => (below(false), want.flipped()),
                _ => return None,
            };
            Some((of, test, want))
        }
        Of::Elements(_) | Of::Lookup(_) | Of::Row(_) => None,
    }
}

fn equals(lower: bool, mut values: Vec<String>) -> Test {
    values.sort_unstable();
    values.dedup();
    Test::Equals { lower, values }
}

fn among(mut keys: Vec<i64>) -> Test {
    keys.sort_unstable();
    keys.dedup();
    Test::Among(keys)
}

/// A condition that no index answers: asked of a string, of a lookup's row, or of the row as a whole.
fn generic(expr: &Expr, want: Want, home: Relation, bound: &Bound) -> (Of, Test, Want) {
    let mut columns: Vec<(Relation, &[String])> = vec![];
    walk(expr, &mut |part| {
        if let Node::Attribute { relation, path } = &part.node
            && !columns.contains(&(*relation, path))
        {
            columns.push((*relation, path));
        }
        true
    });
    if let [(relation, path)] = columns[..]
        && relation == home
        && path.len() == 1
        && data_type(path, schema_of(home, bound)).is_some_and(is_text)
    {
        return (Of::Text(path.to_vec()), Test::Expr(Box::new(expr.clone())), want);
    }
    if let Some((Relation::Lookup(lookup), _)) = columns.first()
        && columns.iter().all(|(relation, _)| *relation == Relation::Lookup(*lookup))
        && bound.store.lookups.get(*lookup).is_some_and(|found| refers(found.on) == home)
    {
        return (Of::Lookup(*lookup), Test::Expr(Box::new(expr.clone())), want);
    }
    (Of::Row(Box::new(expr.clone())), Test::Holds, want)
}

fn refers(on: crate::profile::Referrer) -> Relation {
    match on {
        crate::profile::Referrer::Profiles => Relation::Profiles,
        crate::profile::Referrer::Events(at) => Relation::Events(at),
    }
}

fn schema_of(home: Relation, bound: &Bound) -> Option<&Schema> {
    match home {
        Relation::Profiles => Some(&bound.profiles),
        Relation::Events(at) => bound.events.get(at).map(|schema| &**schema),
        Relation::Lookup(at) => bound.lookups.get(at).map(|schema| &**schema),
        Relation::Group(_) => None,
    }
}

/// A column, or the lower case of one.
struct Column<'a> {
    path: Vec<String>,
    data_type: &'a DataType,
    lower: bool,
}

impl<'a> Column<'a> {
    fn of(expr: &Expr, home: Relation, bound: &'a Bound) -> Option<Self> {
        match &expr.node {
            Node::Attribute { relation, path } if *relation == home => {
                let data_type = data_type(path, schema_of(home, bound))?;
                Some(Self { path: path.clone(), data_type, lower: false })
            }
            Node::Call(call) if call.name == "lower" && plain(call) => {
                let column = Self::of(call.args.first()?, home, bound)?;
                (!column.lower && is_text(column.data_type)).then_some(Self { lower: true, ..column })
            }
            _ => None,
        }
    }

    fn subject(&self) -> Option<Of> {
        let path = self.path.clone();
        match self.data_type {
            data_type if is_text(data_type) => Some(Of::Text(path)),
            DataType::Boolean => Some(Of::Boolean(path)),
            DataType::List(field) if is_text(field.data_type()) => Some(Of::Elements(path)),
            DataType::Int8
            | DataType::Int16
            | DataType::Int32
            | DataType::Int64
            | DataType::UInt8
            | DataType::UInt16
            | DataType::UInt32
            | DataType::Float32
            | DataType::Float64
            | DataType::Date32
            | DataType::Timestamp(..) => Some(Of::Ordered(path)),
            _ => None,
        }
    }
}

fn plain(call: &Call) -> bool {
    call.args.len() == 1 && !call.distinct && call.over.is_none() && call.filter.is_none()
}

/// The type of an expression that is a column of a table, or a field below one.
pub(super) fn type_of<'a>(expr: &Expr, home: Relation, bound: &'a Bound) -> Option<&'a DataType> {
    match &expr.node {
        Node::Attribute { relation, path } if *relation == home => data_type(path, schema_of(home, bound)),
        _ => None,
    }
}

/// Whether values of a type are strings.
pub fn is_text(data_type: &DataType) -> bool {
    match data_type {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => true,
        DataType::Dictionary(_, values) => is_text(values),
        _ => false,
    }
}

fn data_type<'a>(path: &[String], schema: Option<&'a Schema>) -> Option<&'a DataType> {
    let (first, fields) = path.split_first()?;
    let mut data_type = schema?.field_with_name(first).ok()?.data_type();
    for name in fields {
        let DataType::Struct(fields) = data_type else { return None };
        data_type = fields.iter().find(|field| field.name() == name)?.data_type();
    }
    Some(data_type)
}

/// The least whole number that is at least a constant, for comparing counts.
pub(super) fn whole(expr: &Expr) -> Option<(i64, bool)> {
    let text = number(expr)?;
    if let Ok(value) = text.parse::<i64>() {
        return Some((value, true));
    }
    let value: f64 = text.parse().ok()?;
    // Beyond this range neighbouring whole numbers cannot be told apart, and no count gets there.
    if !value.is_finite() || value.abs() > 1e15 {
        return None;
    }
    #[expect(clippy::cast_possible_truncation, reason = "a whole number of less than 2^53")]
    let floor = value.floor() as i64;
    Some((floor, value.fract() == 0.0))
}
