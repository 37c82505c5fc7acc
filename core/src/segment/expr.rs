//! Expressions: SQL's, and the forms that speak about a profile's events.

use crate::diagnostic::Span;

use super::Form;

/// An expression with its place in the text it was written in.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Expr {
    /// What it is.
    pub node: Node,
    /// Where it stands; not part of what it means.
    pub span: Span,
}

/// The kinds of expressions.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Node {
    /// A constant.
    Literal(Value),
    /// A column, with its qualifier and fields as written: `a`, `t.a`, `t.a.field`.
    Column(Vec<Name>),
    /// `NOT x`, `-x`.
    Unary {
        /// The operator.
        op: UnaryOp,
        /// Its operand.
        expr: Box<Expr>,
    },
    /// `x AND y`, `x + y`, …
    Binary {
        /// The operator.
        op: BinaryOp,
        /// The left operand.
        left: Box<Expr>,
        /// The right operand.
        right: Box<Expr>,
    },
    /// `x IS [NOT] NULL`, `x IS [NOT] TRUE`, …
    Is {
        /// What is tested.
        expr: Box<Expr>,
        /// For what.
        test: Test,
        /// `IS NOT`.
        negated: bool,
    },
    /// `x [NOT] IN (a, b)`.
    In {
        /// What is looked for.
        expr: Box<Expr>,
        /// Among these.
        list: Vec<Expr>,
        /// `NOT IN`.
        negated: bool,
    },
    /// `x [NOT] BETWEEN low AND high`.
    Between {
        /// What is compared.
        expr: Box<Expr>,
        /// The least value that passes.
        low: Box<Expr>,
        /// The greatest value that passes.
        high: Box<Expr>,
        /// `NOT BETWEEN`.
        negated: bool,
    },
    /// `x [NOT] LIKE pattern [ESCAPE c]`, `ILIKE`.
    Like {
        /// What is matched.
        expr: Box<Expr>,
        /// The pattern.
        pattern: Box<Expr>,
        /// The character that takes `%` and `_` their meaning.
        escape: Option<char>,
        /// `ILIKE`.
        case_insensitive: bool,
        /// `NOT LIKE`.
        negated: bool,
    },
    /// `CASE [operand] WHEN … THEN … [ELSE …] END`.
    Case {
        /// What each `WHEN` is compared with, or `None` where each is a condition.
        operand: Option<Box<Expr>>,
        /// `WHEN`, `THEN`.
        branches: Vec<(Expr, Expr)>,
        /// `ELSE`.
        otherwise: Option<Box<Expr>>,
    },
    /// `CAST(x AS type)`, `TRY_CAST(x AS type)`.
    Cast {
        /// What is converted.
        expr: Box<Expr>,
        /// The SQL name of the type.
        to: String,
        /// `TRY_CAST`: NULL instead of an error.
        lenient: bool,
    },
    /// `x AT TIME ZONE 'zone'`.
    AtTimeZone {
        /// The timestamp.
        expr: Box<Expr>,
        /// The name of the zone.
        zone: String,
    },
    /// A function; whether scalar, aggregate or window is known once names are resolved.
    Call(Box<Call>),
    /// `x -> body`, an argument of a higher-order function.
    Lambda {
        /// The names of its parameters.
        params: Vec<String>,
        /// What it computes.
        body: Box<Expr>,
    },
    /// `[a, b]`.
    List(Vec<Expr>),
    /// `{name: a}`.
    Struct(Vec<(String, Expr)>),
    /// `x.name` of an expression that is not a column, and `x['name']`.
    Field {
        /// The struct or map.
        of: Box<Expr>,
        /// The field or key.
        name: String,
    },
    /// `x[i]`, from 1.
    Index {
        /// The list or map.
        of: Box<Expr>,
        /// The position or key.
        index: Box<Expr>,
    },
    /// A short form about events or about the population. Gone once names are resolved.
    Form {
        /// Which.
        form: Form,
        /// Its arguments, as its signature says.
        args: Vec<Expr>,
    },
    /// A column that has been found: every [`Node::Column`] but the parameters of lambdas becomes one of these.
    Attribute {
        /// The table it belongs to.
        relation: Relation,
        /// The column, then the fields below it.
        path: Vec<String>,
    },
    /// A value computed from the profile's events: its position among the features of the program. Aggregates and
    /// short forms become these once names are resolved.
    Feature(usize),
}

/// The table of a store that a column belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Relation {
    /// The profile table.
    Profiles,
    /// The event table of this position.
    Events(usize),
    /// The lookup of this position.
    Lookup(usize),
    /// The groups of a profile's events by this key, of the program's keys: the key itself.
    Group(usize),
}

/// A constant, by its text, so that expressions can be compared and hashed exactly.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Value {
    /// `NULL`.
    Null,
    /// `true`, `false`.
    Boolean(bool),
    /// A number as written: `1`, `2.50`, `1e3`.
    Number(String),
    /// A string, unquoted.
    String(String),
    /// `DATE '2026-06-15'`, `TIMESTAMP '…'`: the type and the text.
    Typed(String, String),
    /// `INTERVAL '30 days'`: the text.
    Interval(String),
}

/// An identifier as written.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Name {
    /// The name, as it is looked up: lower case unless it was quoted.
    pub value: String,
    /// Its place.
    pub span: Span,
}

impl Name {
    /// A name without a place.
    pub fn new(value: impl Into<String>) -> Self {
        Self { value: value.into(), span: Span::default() }
    }
}

/// Operators before their operand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum UnaryOp {
    /// `NOT`.
    Not,
    /// `-`.
    Minus,
}

macro_rules! binary_operators {
    ($($(#[doc = $doc:literal])+ $variant:ident $text:literal $precedence:literal;)+) => {
        /// Operators between their operands.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum BinaryOp {
            $($(#[doc = $doc])+ $variant,)+
        }

        impl BinaryOp {
            /// Every operator.
            pub const ALL: &[Self] = &[$(Self::$variant,)+];

            /// The operator in SQL.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)+ }
            }

            /// How tightly it binds: a greater number binds tighter.
            pub fn precedence(self) -> u8 {
                match self { $(Self::$variant => $precedence,)+ }
            }
        }
    };
}

binary_operators! {
    /// Disjunction.
    Or "OR" 1;
    /// Conjunction.
    And "AND" 2;
    /// Equal.
    Eq "=" 4;
    /// Not equal.
    NotEq "<>" 4;
    /// Less.
    Lt "<" 4;
    /// Less or equal.
    LtEq "<=" 4;
    /// Greater.
    Gt ">" 4;
    /// Greater or equal.
    GtEq ">=" 4;
    /// Different, NULL being a value.
    IsDistinctFrom "IS DISTINCT FROM" 4;
    /// The same, NULL being a value.
    IsNotDistinctFrom "IS NOT DISTINCT FROM" 4;
    /// Matches a regular expression.
    Match "~" 5;
    /// Matches a regular expression in any case.
    IMatch "~*" 5;
    /// Does not match a regular expression.
    NotMatch "!~" 5;
    /// Does not match a regular expression in any case.
    NotIMatch "!~*" 5;
    /// Concatenation.
    Concat "||" 5;
    /// Contains all of.
    Contains "@>" 5;
    /// Is contained in.
    ContainedBy "<@" 5;
    /// Bits in either.
    BitOr "|" 5;
    /// Bits in both.
    BitAnd "&" 5;
    /// Bits in one.
    BitXor "^" 5;
    /// Bits moved up.
    ShiftLeft "<<" 5;
    /// Bits moved down.
    ShiftRight ">>" 5;
    /// Sum.
    Plus "+" 6;
    /// Difference.
    Minus "-" 6;
    /// Product.
    Multiply "*" 7;
    /// Quotient.
    Divide "/" 7;
    /// Remainder.
    Modulo "%" 7;
}

/// What `IS` asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Test {
    /// `IS NULL`.
    Null,
    /// `IS TRUE`.
    True,
    /// `IS FALSE`.
    False,
    /// `IS UNKNOWN`.
    Unknown,
}

/// A function call with all that SQL allows about it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Call {
    /// The name, in lower case.
    pub name: String,
    /// Where the name stands.
    pub name_span: Span,
    /// The arguments; none for `count(*)`, see `star`.
    pub args: Vec<Expr>,
    /// `count(*)`.
    pub star: bool,
    /// `DISTINCT`.
    pub distinct: bool,
    /// `ORDER BY` among the arguments.
    pub order_by: Vec<Order>,
    /// `WITHIN GROUP (ORDER BY …)`.
    pub within_group: Vec<Order>,
    /// `FILTER (WHERE …)`.
    pub filter: Option<Box<Expr>>,
    /// `IGNORE NULLS`.
    pub ignore_nulls: bool,
    /// `OVER (…)`.
    pub over: Option<Box<Over>>,
}

/// One key of an `ORDER BY`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Order {
    /// What to order by.
    pub expr: Expr,
    /// `DESC`.
    pub descending: bool,
    /// `NULLS FIRST`, `NULLS LAST`, or as the direction has it.
    pub nulls_first: Option<bool>,
}

/// `OVER (…)`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Over {
    /// `PARTITION BY`.
    pub partition_by: Vec<Expr>,
    /// `ORDER BY`.
    pub order_by: Vec<Order>,
    /// The frame as SQL text, e.g. `ROWS BETWEEN 1 PRECEDING AND CURRENT ROW`.
    pub frame: Option<String>,
}

/// How many conditions one after another nest to the left.
pub const LONGEST_CHAIN: usize = 16;

impl Expr {
    /// An expression with its place.
    pub fn new(node: Node, span: Span) -> Self {
        Self { node, span }
    }

    /// An expression that nobody wrote: it has no place of its own.
    pub fn synthetic(node: Node) -> Self {
        Self { node, span: Span::default() }
    }

    /// A constant.
    pub fn literal(value: Value) -> Self {
        Self::synthetic(Node::Literal(value))
    }

    /// A column by its path.
    pub fn column<I: Into<String>>(path: impl IntoIterator<Item = I>) -> Self {
        Self::synthetic(Node::Column(path.into_iter().map(Name::new).collect()))
    }

    /// `self op right`, placed over both.
    #[must_use]
    pub fn binary(self, op: BinaryOp, right: Self) -> Self {
        let span = self.span.to(right.span);
        Self::new(Node::Binary { op, left: Box::new(self), right: Box::new(right) }, span)
    }

    /// Conditions joined by `AND` or by `OR`: from the left, as people read them, or halved where there are so many that
    /// whatever recurses over the tree would run out of stack.
    pub fn chain(op: BinaryOp, mut parts: Vec<Self>) -> Option<Self> {
        if parts.len() <= LONGEST_CHAIN {
            return parts.into_iter().reduce(|left, right| left.binary(op, right));
        }
        let right = parts.split_off(parts.len() / 2);
        Some(Self::chain(op, parts)?.binary(op, Self::chain(op, right)?))
    }

    /// `NOT self`.
    #[must_use]
    pub fn negated(self) -> Self {
        let span = self.span;
        Self::new(Node::Unary { op: UnaryOp::Not, expr: Box::new(self) }, span)
    }

    /// A plain function call.
    pub fn call(name: impl Into<String>, args: Vec<Self>) -> Self {
        Self::synthetic(Node::Call(Box::new(Call { name: name.into(), args, ..Call::default() })))
    }

    /// A short form.
    pub fn form(form: Form, args: Vec<Self>) -> Self {
        Self::synthetic(Node::Form { form, args })
    }

    /// The conjunction of all, or `None` of nothing.
    pub fn all(conditions: impl IntoIterator<Item = Self>) -> Option<Self> {
        Self::chain(BinaryOp::And, conditions.into_iter().collect())
    }

    /// The same expression, said to stand at `span`.
    #[must_use]
    pub fn at(mut self, span: Span) -> Self {
        self.span = span;
        self
    }
}
