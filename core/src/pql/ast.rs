//! The surface tree: a query as it was written, with places. Nothing is looked up yet.

use crate::diagnostic::Span;

/// A whole query: a condition on the profile.
#[derive(Clone, Debug, PartialEq)]
pub struct Query {
    /// The parameters of a lambda around the whole, as in `(P) => …`.
    pub params: Option<Vec<Name>>,
    /// The condition.
    pub body: Expr,
}

/// A word with its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name {
    /// The word as written.
    pub text: String,
    /// Its place.
    pub span: Span,
}

/// An expression with its place.
#[derive(Clone, Debug, PartialEq)]
pub struct Expr {
    /// What it is.
    pub node: Node,
    /// Its place.
    pub span: Span,
}

/// The kinds of expressions.
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
    /// `now`, `today`, `yesterday`, `tomorrow`.
    Moment(Moment),
    /// `[a, b]`.
    Array(Vec<Expr>),
    /// `$1`.
    Parameter(u64),
    /// `^`, `^^`: how many.
    Up(usize),
    /// A variable, or a field of the context.
    Name(String),
    /// A variable and never a field: `pql/json` can say so.
    Variable(String),
    /// `of.name`.
    Field {
        /// The object or array.
        of: Box<Expr>,
        /// The field.
        name: Name,
    },
    /// `of.name(args)`.
    Method {
        /// The receiver.
        of: Box<Expr>,
        /// The function.
        name: Name,
        /// Its arguments.
        args: Vec<Argument>,
    },
    /// `name(args)`.
    Call {
        /// The function.
        name: Name,
        /// Its arguments.
        args: Vec<Argument>,
    },
    /// `of[condition]`.
    Filter {
        /// The array.
        of: Box<Expr>,
        /// What its elements must satisfy.
        condition: Box<Expr>,
    },
    /// `a and b and c`.
    And(Vec<Expr>),
    /// `a or b or c`.
    Or(Vec<Expr>),
    /// `not a`, `!a`.
    Not(Box<Expr>),
    /// `-a`.
    Negate(Box<Expr>),
    /// An operator between two operands.
    Binary {
        /// The operator.
        op: Operator,
        /// The left operand.
        left: Box<Expr>,
        /// The right operand.
        right: Box<Expr>,
    },
    /// `time occurs constraint`.
    Occurs {
        /// The time.
        time: Box<Expr>,
        /// What is asked of it.
        constraint: Box<Constraint>,
    },
    /// `exists …`, `forall …`, `select …`.
    Quantifier {
        /// Which.
        kind: Quantifier,
        /// Its bindings, at least one.
        bindings: Vec<Binding>,
    },
    /// `sum a over …`.
    Over {
        /// The aggregate.
        aggregate: Aggregate,
        /// What is aggregated.
        value: Box<Expr>,
        /// The bindings, at least one.
        bindings: Vec<Binding>,
    },
    /// `let name = value in body`.
    Let {
        /// The variable.
        name: Name,
        /// Its value.
        value: Box<Expr>,
        /// Where it is known.
        body: Box<Expr>,
    },
    /// `chain(source, time, [steps])`.
    Chain {
        /// The array of elements.
        source: Box<Expr>,
        /// The path of their time, at least one word.
        time: Vec<Name>,
        /// The steps, at least one.
        steps: Vec<Step>,
    },
    /// Something that could not be read; it was reported.
    Invalid,
}

/// An argument of a function.
#[derive(Clone, Debug, PartialEq)]
pub enum Argument {
    /// An expression.
    Expr(Expr),
    /// `x => body`.
    Lambda(Lambda),
}

/// `(a, b) => body`.
#[derive(Clone, Debug, PartialEq)]
pub struct Lambda {
    /// Its parameters, at least one.
    pub params: Vec<Name>,
    /// What it computes.
    pub body: Expr,
    /// Its place.
    pub span: Span,
}

/// `variable from source where condition`.
#[derive(Clone, Debug, PartialEq)]
pub struct Binding {
    /// The variable.
    pub variable: Name,
    /// The array it runs over.
    pub source: Expr,
    /// What it must satisfy.
    pub condition: Option<Expr>,
}

/// A step of a chain.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// The label, a variable in later steps.
    pub label: Name,
    /// `what(…)`.
    pub what: Expr,
    /// `when(…)`.
    pub when: Option<Constraint>,
    /// `where(…)`.
    pub condition: Option<Expr>,
    /// `count(…)`.
    pub count: Option<Count>,
    /// Its place.
    pub span: Span,
}

/// `count(>= 2)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Count {
    /// The comparison; a bare number means at least.
    pub comparison: Option<Comparison>,
    /// The number.
    pub number: i64,
    /// Its place.
    pub span: Span,
}

/// What `occurs` asks.
#[derive(Clone, Debug, PartialEq)]
pub struct Constraint {
    /// The constraint proper.
    pub body: ConstraintBody,
    /// `ignoreYear`.
    pub ignore_year: bool,
    /// Its place.
    pub span: Span,
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
    Direction {
        /// Which way.
        direction: Direction,
        /// Of what.
        anchor: Time,
    },
    /// `between a and b`.
    Between {
        /// The first time.
        from: Time,
        /// The last time.
        to: Time,
    },
    /// `on today`, `today`.
    On(Time),
}

/// A time in a constraint.
#[derive(Clone, Debug, PartialEq)]
pub enum Time {
    /// `this month`, `last month`, `next month`.
    Period {
        /// Which.
        which: Which,
        /// The calendar unit.
        unit: Unit,
        /// Its place.
        span: Span,
    },
    /// `3 days before today`.
    Offset {
        /// How many units.
        number: i64,
        /// Of what.
        unit: Unit,
        /// Which way.
        direction: Direction,
        /// From where.
        anchor: Box<Time>,
        /// Its place.
        span: Span,
    },
    /// A value.
    Value(Expr),
}

macro_rules! words {
    ($(#[doc = $doc:literal])* $name:ident { $($(#[doc = $variant_doc:literal])* $variant:ident $text:literal $(| $other:literal)*;)+ }) => {
        $(#[doc = $doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name {
            $($(#[doc = $variant_doc])* $variant,)+
        }

        impl $name {
            /// All of them, in order.
            pub const ALL: &[Self] = &[$(Self::$variant,)+];

            /// As PQL writes it.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)+ }
            }

            /// The one of that name, in any case.
            pub fn from_word(word: &str) -> Option<Self> {
                match word.to_ascii_lowercase().as_str() {
                    $($text $(| $other)* => Some(Self::$variant),)+
                    _ => None,
                }
            }
        }
    };
}

words! {
    /// Times that `now` decides.
    Moment {
        /// The instant of evaluation.
        Now "now";
        /// The start of its day.
        Today "today";
        /// The start of the day before.
        Yesterday "yesterday";
        /// The start of the day after.
        Tomorrow "tomorrow";
    }
}

words! {
    /// Which period.
    Which {
        /// The one that contains now.
        This "this";
        /// The one before.
        Last "last";
        /// The one after.
        Next "next";
    }
}

words! {
    /// The direction from an anchor.
    Direction {
        /// Earlier.
        Before "before";
        /// Later.
        After "after";
        /// Later, the anchor included.
        From "from";
    }
}

words! {
    /// A unit of time.
    Unit {
        /// 1/1000 second.
        Millisecond "milliseconds" | "millisecond";
        /// 1000 milliseconds.
        Second "seconds" | "second";
        /// 60 seconds.
        Minute "minutes" | "minute";
        /// 60 minutes.
        Hour "hours" | "hour";
        /// 24 hours.
        Day "days" | "day";
        /// 7 days, from Monday.
        Week "weeks" | "week";
        /// A calendar month.
        Month "months" | "month";
        /// A calendar year.
        Year "years" | "year";
        /// 10 years, from a year divisible by 10.
        Decade "decades" | "decade";
        /// 100 years, from a year divisible by 100.
        Century "centuries" | "century";
        /// 1000 years, from a year divisible by 1000.
        Millennium "millennia" | "millennium";
    }
}

words! {
    /// What a quantifier yields.
    Quantifier {
        /// Whether some assignment satisfies all conditions.
        Exists "exists";
        /// Whether all assignments do.
        Forall "forall";
        /// The elements of the first array that can be completed to such an assignment.
        Select "select";
    }
}

words! {
    /// An aggregate over bindings.
    Aggregate {
        /// The sum.
        Sum "sum";
        /// The mean.
        Average "average";
        /// The least.
        Min "min";
        /// The greatest.
        Max "max";
        /// How many are not null.
        Count "count";
    }
}

words! {
    /// A comparison.
    Comparison {
        /// Equal.
        Equal "=";
        /// Different.
        NotEqual "!=";
        /// Less.
        Less "<";
        /// Less or equal.
        LessEqual "<=";
        /// Greater.
        Greater ">";
        /// Greater or equal.
        GreaterEqual ">=";
    }
}

/// An operator between two operands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    /// `=`, `<`, …
    Compare(Comparison),
    /// `in`.
    In,
    /// `notIn`.
    NotIn,
    /// `like`.
    Like,
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

impl Operator {
    /// As PQL writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Compare(comparison) => comparison.as_str(),
            Self::In => "in",
            Self::NotIn => "notIn",
            Self::Like => "like",
            Self::Add => "+",
            Self::Subtract => "-",
            Self::Multiply => "*",
            Self::Divide => "/",
            Self::Modulo => "%",
        }
    }
}

impl Comparison {
    /// The comparison with its sides exchanged.
    #[must_use]
    pub fn flipped(self) -> Self {
        match self {
            Self::Equal => Self::Equal,
            Self::NotEqual => Self::NotEqual,
            Self::Less => Self::Greater,
            Self::LessEqual => Self::GreaterEqual,
            Self::Greater => Self::Less,
            Self::GreaterEqual => Self::LessEqual,
        }
    }
}

impl Argument {
    /// Its place.
    pub fn span(&self) -> Span {
        match self {
            Self::Expr(expr) => expr.span,
            Self::Lambda(lambda) => lambda.span,
        }
    }
}

impl Time {
    /// Its place.
    pub fn span(&self) -> Span {
        match self {
            Self::Period { span, .. } | Self::Offset { span, .. } => *span,
            Self::Value(value) => value.span,
        }
    }
}

/// The words that cannot start an expression as a name, nor name a variable; in lower case.
pub const RESERVED: &[&str] = &[
    "and",
    "or",
    "not",
    "in",
    "notin",
    "like",
    "occurs",
    "exists",
    "forall",
    "select",
    "let",
    "from",
    "where",
    "over",
    "true",
    "false",
    "now",
    "today",
    "yesterday",
    "tomorrow",
];

/// Whether a word is reserved, in any case.
pub fn is_reserved(word: &str) -> bool {
    RESERVED.contains(&word.to_ascii_lowercase().as_str())
}
