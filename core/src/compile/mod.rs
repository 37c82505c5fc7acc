//! Many resolved rules → one evaluation [`Program`](Evaluation): what each row of each table is asked once, what is
//! counted and kept of a profile's events, and a boolean tree a rule over the answers.
//!
//! A rule is taken apart into *leaves*, yes-or-no facts about one profile, each interned over all rules:
//!
//! * an [attribute](Leaf::Attribute): a *literal*, one test of one column (or of whatever expression no index can
//!   answer) that is TRUE, or FALSE, for the profile's row;
//! * a [count](Leaf::Count): at least `k` events of a *counter* since an instant. `did`, `times`, `last_time(…) < …`,
//!   `first_time`, `nth_time`, distinct counts, whether an aggregate is NULL, and one event after (or without) another
//!   all come down to counts, so that windows and thresholds leave the conditions and one newest-first walk over a
//!   profile's events answers them all;
//! * a [value](Leaf::Value): any other boolean expression over aggregates and attributes;
//! * a [count of groups](Leaf::Groups): `any_per`, `count_per`;
//! * a [rank](Leaf::Rank) among all profiles: `top_n`, `top_percent`. It is known only after all of them have been looked
//!   at, so that a rule is looked at for either answer, and the members are put together in the end.
//!
//! The condition on events under a counter or an aggregate is an *atom*: an OR of *terms*, each an AND of literals.
//! SQL's three-valued logic is gone after [`truth`]: each literal asks for one truth value, and what a tree holds is
//! two-valued. Nothing here reads data or knows DataFusion; what cannot be said in these terms is refused, rule by
//! rule, with the reason.

mod certain;
mod condition;
mod constant;
mod feature;
mod question;
mod rank;
mod rule;
mod sequel;
mod truth;

use std::collections::HashMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use coterie_udfs::kernel::span::Span;

use crate::profile::Bound;
use crate::resolve::Program;
use crate::segment::{Call, Expr};

pub use constant::float_key;
pub use question::is_text;
pub use question::{Literal, Of, Questions, Subject, Test};
pub use rank::{Rank, Rule};
pub use truth::{Tree, Want};

/// The least instant that an event can have; one without a time is before it, at [`i64::MIN`].
pub const EVER: i64 = i64::MIN + 1;

/// What many rules about one store ask, each thing once.
#[derive(Clone, Debug)]
pub struct Evaluation {
    /// The store.
    pub store: Arc<Bound>,
    /// The instant that `now()` means.
    pub now: DateTime<Utc>,
    /// Whether events after `now` are hidden.
    pub as_of: bool,
    /// What the rows of the profile table are asked.
    pub profiles: Questions,
    /// The event tables that some rule asks about.
    pub tables: Vec<Table>,
    /// The facts that rules are made of.
    pub leaves: Vec<Leaf>,
    /// Boolean expressions over features and attributes, for [`Leaf::Value`].
    pub values: Vec<Expr>,
    /// What profiles are ordered by, for [`Leaf::Rank`].
    pub ranks: Vec<Rank>,
    /// The rules that can be evaluated in this way.
    pub rules: Vec<Rule>,
    /// The rules that cannot, and why.
    pub refused: Vec<(usize, String)>,
}

impl Evaluation {
    /// Whether only profiles with events that some condition holds for can be members of any rule, or decide who is.
    pub fn members_have_events(&self) -> bool {
        let without_events = |leaf: usize| match self.leaves[leaf] {
            Leaf::Count { .. } | Leaf::Groups { .. } | Leaf::Below { .. } => Some(false),
            Leaf::Attribute(_) | Leaf::Value { .. } | Leaf::Rank(_) => None,
        };
        self.trees().all(|tree| tree.known(&without_events) == Some(false))
            && self.ranks.iter().all(|rank| rank.of_events)
    }

    /// Whether events alone decide who the members are, among those who have a profile.
    pub fn is_about_events(&self) -> bool {
        let of_events = |leaf: &Leaf| match leaf {
            Leaf::Count { .. } | Leaf::Groups { .. } | Leaf::Below { .. } => true,
            // What is computed may fail, for others too than those who have a profile.
            Leaf::Attribute(_) | Leaf::Value { .. } | Leaf::Rank(_) => false,
        };
        self.members_have_events() && self.ranks.is_empty() && self.leaves.iter().all(of_events)
    }

    /// The conditions of all rules.
    pub fn trees(&self) -> impl Iterator<Item = &Tree> {
        self.rules.iter().flat_map(|rule| &rule.trees)
    }
}

/// What is asked of one event table.
#[derive(Clone, Debug)]
pub struct Table {
    /// Which of the store's event tables.
    pub events: usize,
    /// What its rows are asked.
    pub questions: Questions,
    /// Conditions on an event.
    pub atoms: Vec<Atom>,
    /// What is counted.
    pub counters: Vec<Counter>,
    /// Events that others are followed by.
    pub seconds: Vec<Second>,
    /// What must come after an event for it to be counted.
    pub sequels: Vec<Sequel>,
    /// What is summed.
    pub measures: Vec<Measure>,
    /// Values that are kept of events, by expression.
    pub channels: Vec<Expr>,
    /// Aggregates whose values are needed.
    pub aggregates: Vec<Aggregate>,
    /// Rules about the groups of a profile's events by a key.
    pub groups: Vec<Group>,
}

/// A condition on an event: one of the terms holds. A term holds where all its literals do.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Atom {
    /// Positions of literals among the table's questions.
    pub terms: Vec<Vec<usize>>,
    /// Channels that must not be NULL.
    pub valid: Vec<usize>,
}

/// Something that is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Counter {
    /// Of these events,
    pub atom: usize,
    /// all, or the distinct values of this channel,
    pub distinct: Option<usize>,
    /// or those with this sequel.
    pub sequel: Option<usize>,
}

impl Counter {
    /// Counts all events of an atom.
    fn of(atom: usize) -> Self {
        Self { atom, distinct: None, sequel: None }
    }
}

/// Events that others are followed by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Second {
    /// The events of this atom,
    pub atom: usize,
    /// none of them before this instant.
    pub since: i64,
}

/// What comes after an event, strictly later.
#[derive(Clone, Debug)]
pub struct Sequel {
    /// Some event of these.
    pub second: usize,
    /// At most so much later.
    pub within: Option<Span>,
    /// Or none does, though the time for it was over at this instant.
    pub missing_at: Option<i64>,
}

/// An aggregate over the events of an atom.
#[derive(Clone, Debug)]
pub struct Aggregate {
    /// Its position among the features of the resolved program.
    pub feature: usize,
    /// The events it ranges over.
    pub atom: usize,
    /// None of them before this instant.
    pub since: i64,
    /// The function, without its filter.
    pub call: Call,
    /// Where its arguments come from.
    pub args: Vec<Arg>,
    /// Whether events where no condition among the arguments holds make no difference.
    pub matching: bool,
}

/// An argument of an aggregate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arg {
    /// The event's timestamp.
    Time,
    /// Whether an atom holds, and the event is not before an instant.
    Condition(usize, i64),
    /// A value kept of the event.
    Channel(usize),
    /// A constant.
    Constant,
}

/// A rule about each group of a profile's events by a key.
#[derive(Clone, Debug)]
pub struct Group {
    /// Its position among the features of the resolved program.
    pub feature: usize,
    /// The channel that holds the key; NULL is in no group.
    pub key: usize,
    /// What holds of a group: counts within it, by position in `leaves`.
    pub leaves: Vec<GroupLeaf>,
    /// The rule.
    pub rule: Tree,
}

/// A count within a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct GroupLeaf {
    /// The counter, of the table's.
    pub counter: usize,
    /// Events since this instant.
    pub since: i64,
    /// At least so many.
    pub least: u32,
}

/// A fact about a profile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Leaf {
    /// A literal of the profile table's questions holds.
    Attribute(usize),
    /// There are at least so many events of a counter since an instant.
    Count {
        /// The position among the tables.
        table: usize,
        /// The counter, of that table's.
        counter: usize,
        /// Events since this instant, in the unit of the timestamp column.
        since: i64,
        /// At least so many.
        least: u32,
    },
    /// The rule holds for at least so many groups.
    Groups {
        /// The position among the tables.
        table: usize,
        /// The group, of that table's.
        group: usize,
        /// At least so many.
        least: u32,
    },
    /// A sum or mean of a channel is below a number, or also equal to it; false where there is none.
    Below {
        /// The position among the tables.
        table: usize,
        /// The measure, of that table's.
        measure: usize,
        /// Of events since this instant.
        since: i64,
        /// The number.
        bound: Number,
        /// Or it is the number.
        or_equal: bool,
    },
    /// A boolean expression has a truth value.
    Value {
        /// The position among the values.
        value: usize,
        /// The truth value asked for: true or false.
        truth: bool,
    },
    /// The profile is among the first ones of a rank.
    Rank(usize),
}

/// A number as it is compared with sums.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Number {
    /// The number, if it is written as a whole one.
    pub whole: Option<i64>,
    /// By order key.
    pub float: i64,
}

/// A sum or mean over the events of an atom.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Measure {
    /// Of these events, whose channel is not NULL,
    pub atom: usize,
    /// the values of this channel,
    pub channel: usize,
    /// their mean, or else their sum.
    pub mean: bool,
}

/// What an earlier attempt found that cannot be bound to data.
#[derive(Clone, Debug, Default)]
pub struct Refusals {
    /// Features, with the reason.
    pub features: HashMap<usize, String>,
    /// Expressions about rows, with the reason.
    pub exprs: HashMap<Expr, String>,
}

/// Compiles all rules of a program.
pub fn compile(program: &Program, refusals: &Refusals) -> Evaluation {
    let mut compiler = Compiler::new(program, refusals);
    for (at, rule) in program.rules.iter().enumerate() {
        match compiler.rule(&rule.expr).and_then(|tree| compiler.ranked_rule(at, tree)) {
            Ok(rule) => compiler.out.rules.push(rule),
            Err(why) => compiler.out.refused.push((at, why)),
        }
    }
    compiler.out
}

/// Why something cannot be said in an evaluation program.
type Refusal = String;

struct Compiler<'a> {
    program: &'a Program,
    refusals: &'a Refusals,
    out: Evaluation,
    leaves: HashMap<Leaf, usize>,
    values: HashMap<Expr, usize>,
    ranks: HashMap<Rank, usize>,
    /// The position among the tables of each event table of the store.
    tables: HashMap<usize, usize>,
    interned: Vec<Interned>,
}

/// The positions of what a table has been asked.
#[derive(Default)]
struct Interned {
    atoms: HashMap<Atom, usize>,
    counters: HashMap<Counter, usize>,
    seconds: HashMap<Second, usize>,
    /// By what is looked for, the constant that says how soon, and the instant at which it is missing.
    sequels: HashMap<(usize, Option<Expr>, Option<i64>), usize>,
    measures: HashMap<Measure, usize>,
    channels: HashMap<Expr, usize>,
    /// By feature.
    aggregates: HashMap<usize, usize>,
    groups: HashMap<usize, usize>,
}

impl<'a> Compiler<'a> {
    fn new(program: &'a Program, refusals: &'a Refusals) -> Self {
        let out = Evaluation {
            store: Arc::clone(&program.store),
            now: program.now,
            as_of: program.as_of,
            profiles: Questions::default(),
            tables: vec![],
            leaves: vec![],
            values: vec![],
            ranks: vec![],
            rules: vec![],
            refused: vec![],
        };
        Self {
            program,
            refusals,
            out,
            leaves: HashMap::new(),
            values: HashMap::new(),
            ranks: HashMap::new(),
            tables: HashMap::new(),
            interned: vec![],
        }
    }

    fn leaf(&mut self, leaf: Leaf) -> Tree {
        let next = self.out.leaves.len();
        let at = *self.leaves.entry(leaf).or_insert(next);
        if at == next {
            self.out.leaves.push(leaf);
        }
        Tree::Leaf(at)
    }

    /// The position of an event table of the store among the tables.
    fn table(&mut self, events: usize) -> usize {
        let next = self.out.tables.len();
        let at = *self.tables.entry(events).or_insert(next);
        if at == next {
            self.out.tables.push(Table {
                events,
                questions: Questions::default(),
                atoms: vec![],
                counters: vec![],
                seconds: vec![],
                sequels: vec![],
                measures: vec![],
                channels: vec![],
                aggregates: vec![],
                groups: vec![],
            });
            self.interned.push(Interned::default());
        }
        at
    }

    fn atom(&mut self, table: usize, atom: Atom) -> usize {
        intern(&mut self.interned[table].atoms, &mut self.out.tables[table].atoms, atom)
    }

    fn counter(&mut self, table: usize, counter: Counter) -> usize {
        intern(&mut self.interned[table].counters, &mut self.out.tables[table].counters, counter)
    }

    fn measure(&mut self, table: usize, measure: Measure) -> usize {
        intern(&mut self.interned[table].measures, &mut self.out.tables[table].measures, measure)
    }

    fn channel(&mut self, table: usize, expr: &Expr) -> Result<usize, Refusal> {
        if let Some(why) = self.refusals.exprs.get(expr) {
            return Err(why.clone());
        }
        Ok(intern(&mut self.interned[table].channels, &mut self.out.tables[table].channels, expr.clone()))
    }
}

/// The position of a thing in a list without repetitions.
fn intern<T: Clone + Eq + std::hash::Hash>(
    known: &mut HashMap<T, usize>,
    all: &mut Vec<T>,
    thing: T,
) -> usize {
    *known.entry(thing).or_insert_with_key(|thing| {
        all.push(thing.clone());
        all.len() - 1
    })
}
