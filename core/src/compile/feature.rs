//! Features as counts where counts say all, else as aggregates whose values are needed.

use crate::resolve::Feature;
use crate::segment::{BinaryOp, Call, Expr, Node, Value, walk};

use super::certain::is_number;
use super::condition::Condition;
use super::constant::{float_key, number, tick};
use super::question::whole;
use super::truth::{Tree, Want, truth};
use super::{
    Aggregate, Arg, Atom, Compiler, Counter, EVER, Group, GroupLeaf, Leaf, Measure, Number, Refusal,
};

/// The greatest count that is compared with: the walk over a profile's events has a row for each.
const MAX_LEAST: i64 = 4096;

/// The most counts of a group rule: which of them an event is one of is a word.
const MAX_GROUP_LEAVES: usize = 64;

/// Aggregates for which events where none of their conditions holds make no difference.
const MATCHING: [&str; 4] = ["did_then", "did_without", "sequence_steps", "sequence_linked"];

/// Aggregates whose arguments that are boolean are conditions on events.
const CONDITIONED: [&str; 10] = [
    "did_then",
    "did_without",
    "window_funnel",
    "sequence_match",
    "sequence_count",
    "sequence_match_events",
    "retention",
    "sequence_steps",
    "sequence_linked",
    "steps_in_order",
];

impl Compiler<'_> {
    /// A feature compared with a constant, where counts say it; `None` where they do not.
    pub(super) fn compared(
        &mut self,
        feature: usize,
        op: BinaryOp,
        constant: &Expr,
        want: Want,
    ) -> Result<Option<Tree>, Refusal> {
        if let Some(why) = self.refusals.features.get(&feature) {
            return Err(why.clone());
        }
        let Some(table) = self.feature_table(feature) else { return Ok(None) };
        match self.feature(feature)? {
            Feature::Groups { .. } => {
                let Some(value) = whole(constant) else { return Ok(None) };
                let group = self.group(table, feature)?;
                Ok(thresholds(op, value, want.is_positive(), &mut |least| {
                    self.leaf(Leaf::Groups { table, group, least })
                }))
            }
            Feature::Aggregate { per: Some(_), .. } => Err("a group's aggregate outside of its group".into()),
            Feature::Aggregate { call, .. } => {
                if let Some(tree) = self.compared_measure(table, &call, op, constant, want)? {
                    return Ok(Some(tree));
                }
                let mut leaves = vec![];
                let tree = self.compared_call(table, &call, op, constant, want, &mut leaves)?;
                Ok(tree.map(|tree| self.placed(table, &tree, &leaves)))
            }
        }
    }

    /// A sum or mean compared with a number; `None` where it is something else.
    fn compared_measure(
        &mut self,
        table: usize,
        call: &Call,
        op: BinaryOp,
        constant: &Expr,
        want: Want,
    ) -> Result<Option<Tree>, Refusal> {
        let mean = match call.name.as_str() {
            "sum" => false,
            "avg" | "mean" => true,
            _ => return Ok(None),
        };
        let home = crate::segment::Relation::Events(self.out.tables[table].events);
        let ([argument], Some(text), false) = (&call.args[..], number(constant), call.distinct) else {
            return Ok(None);
        };
        if !plain(call) || !is_number(argument, home, &self.program.store) {
            return Ok(None);
        }
        let Ok(float) = text.parse::<f64>() else { return Ok(None) };
        let bound = Number { whole: text.parse().ok(), float: float_key(float) };
        let (or_equal, flip) = match op {
            BinaryOp::Lt => (false, false),
            BinaryOp::LtEq => (true, false),
            BinaryOp::GtEq => (false, true),
            BinaryOp::Gt => (true, true),
            _ => return Ok(None),
        };
        let channel = self.channel(table, argument)?;
        let filters: Vec<&Expr> = call.filter.as_deref().into_iter().collect();
        let Condition { atom, since } = self.condition(table, &filters, &[channel])?;
        let counter = self.counter(table, Counter::of(atom));
        let measure = self.measure(table, Measure { atom, channel, mean });
        let known = self.leaf(Leaf::Count { table, counter, since, least: 1 });
        let below = self.leaf(Leaf::Below { table, measure, since, bound, or_equal });
        Ok(Some(compared(known, below, if flip { want.flipped() } else { want })))
    }

    /// Whether a feature is not NULL.
    pub(super) fn is_known(&mut self, feature: usize) -> Result<Option<Tree>, Refusal> {
        let Some(table) = self.feature_table(feature) else { return Ok(None) };
        let Feature::Aggregate { per: None, call, .. } = self.feature(feature)? else { return Ok(None) };
        let mut leaves = vec![];
        let tree = self.known_call(table, &call, &mut leaves)?;
        Ok(tree.map(|tree| self.placed(table, &tree, &leaves)))
    }

    /// A tree over counts as a tree over the program's leaves.
    fn placed(&mut self, table: usize, tree: &Tree, counts: &[GroupLeaf]) -> Tree {
        match tree {
            Tree::Constant(value) => Tree::Constant(*value),
            Tree::Leaf(at) => {
                let GroupLeaf { counter, since, least } = counts[*at];
                self.leaf(Leaf::Count { table, counter, since, least })
            }
            Tree::Not(at) => self.placed(table, &Tree::Leaf(*at), counts).negated(),
            Tree::All(parts) => Tree::all(parts.iter().map(|part| self.placed(table, part, counts))),
            Tree::Any(parts) => Tree::any(parts.iter().map(|part| self.placed(table, part, counts))),
        }
    }

    /// An aggregate compared with a constant as a tree over counts, which are added to `counts`.
    fn compared_call(
        &mut self,
        table: usize,
        call: &Call,
        op: BinaryOp,
        constant: &Expr,
        want: Want,
        counts: &mut Vec<GroupLeaf>,
    ) -> Result<Option<Tree>, Refusal> {
        if !plain(call) {
            return Ok(None);
        }
        if call.name == "count" {
            let Some(value) = whole(constant) else { return Ok(None) };
            let Some((counter, since)) = self.counted(table, call)? else { return Ok(None) };
            // A count is never NULL.
            return Ok(thresholds(op, value, want.is_positive(), &mut |least| {
                interned(counts, GroupLeaf { counter, since, least })
            }));
        }
        let Some((condition, nth)) = self.timed(table, call)? else { return Ok(None) };
        let Some(data_type) = self.timestamp_type(table).cloned() else { return Ok(None) };
        let Some(tick) = tick(constant, &data_type) else { return Ok(None) };
        let bound = tick.floor;
        // The time is below the constant, or also equal to it.
        let (or_equal, flip, equal) = match op {
            BinaryOp::Lt => (!tick.exact, false, false),
            BinaryOp::LtEq => (true, false, false),
            BinaryOp::GtEq => (!tick.exact, true, false),
            BinaryOp::Gt => (true, true, false),
            BinaryOp::Eq => (true, false, true),
            BinaryOp::NotEq => (true, true, true),
            _ => return Ok(None),
        };
        if equal && !tick.exact {
            return Ok(None);
        }
        let known = self.nth_known(table, condition, nth, counts);
        let below = self.nth_below(table, condition, nth, bound, or_equal, counts);
        let below = if equal {
            let strictly = self.nth_below(table, condition, nth, bound, false, counts);
            Tree::all([below, strictly.negated()])
        } else {
            below
        };
        let want = if flip { want.flipped() } else { want };
        Ok(Some(compared(known, below, want)))
    }

    /// Whether an aggregate is not NULL, as a tree over counts.
    fn known_call(
        &mut self,
        table: usize,
        call: &Call,
        counts: &mut Vec<GroupLeaf>,
    ) -> Result<Option<Tree>, Refusal> {
        if !plain(call) {
            return Ok(None);
        }
        if let Some((condition, nth)) = self.timed(table, call)? {
            return Ok(Some(self.nth_known(table, condition, nth, counts)));
        }
        if matches!(call.name.as_str(), "sum" | "avg" | "min" | "max") && !call.distinct {
            let [argument] = &call.args[..] else { return Ok(None) };
            let channel = self.channel(table, argument)?;
            let filters: Vec<&Expr> = call.filter.as_deref().into_iter().collect();
            let Condition { atom, since } = self.condition(table, &filters, &[channel])?;
            let counter = self.counter(table, Counter::of(atom));
            return Ok(Some(interned(counts, GroupLeaf { counter, since, least: 1 })));
        }
        Ok(None)
    }

    /// What a `count` counts.
    fn counted(&mut self, table: usize, call: &Call) -> Result<Option<(usize, i64)>, Refusal> {
        let filters: Vec<&Expr> = call.filter.as_deref().into_iter().collect();
        let argument = match &call.args[..] {
            [] => None,
            [Expr { node: Node::Literal(value), .. }] if *value != Value::Null => None,
            [argument] => Some(argument),
            _ => return Ok(None),
        };
        let channel = argument.map(|argument| self.channel(table, argument)).transpose()?;
        if call.distinct && channel.is_none() {
            return Ok(None);
        }
        // What is made from the time of an event is looked at when it is counted; NULL is seen to be no value then.
        let of_time = call.distinct && argument.is_some_and(|argument| self.is_of_time(table, argument));
        let valid: Vec<usize> = channel.filter(|_| !of_time).into_iter().collect();
        let Condition { atom, since } = self.condition(table, &filters, &valid)?;
        let distinct = channel.filter(|_| call.distinct);
        Ok(Some((self.counter(table, Counter { distinct, ..Counter::of(atom) }), since)))
    }

    /// The events of an aggregate that is the time of one of them, and which it is: 1 is the first, -1 the last.
    fn timed(&mut self, table: usize, call: &Call) -> Result<Option<(Condition, i64)>, Refusal> {
        if !call.args.first().is_some_and(|time| self.is_timestamp(table, time)) {
            return Ok(None);
        }
        let nth = match (call.name.as_str(), &call.args[..]) {
            ("min", [_]) => 1,
            ("max", [_]) => -1,
            ("nth_time", [_, nth]) => match number(nth).and_then(|text| text.parse::<i64>().ok()) {
                Some(nth) if nth != 0 && nth.unsigned_abs() <= MAX_LEAST.unsigned_abs() => nth,
                _ => return Ok(None),
            },
            _ => return Ok(None),
        };
        if call.distinct {
            return Ok(None);
        }
        let filters: Vec<&Expr> = call.filter.as_deref().into_iter().collect();
        let condition = self.condition(table, &filters, &[])?;
        // An event without a time is none of them.
        Ok(Some((Condition { since: condition.since.max(EVER), ..condition }, nth)))
    }

    fn nth_known(
        &mut self,
        table: usize,
        condition: Condition,
        nth: i64,
        counts: &mut Vec<GroupLeaf>,
    ) -> Tree {
        let counter = self.counter(table, Counter::of(condition.atom));
        interned(counts, GroupLeaf { counter, since: condition.since, least: least(nth) })
    }

    /// Whether the n-th event, known to exist, is before an instant.
    fn nth_below(
        &mut self,
        table: usize,
        condition: Condition,
        nth: i64,
        bound: i64,
        or_equal: bool,
        counts: &mut Vec<GroupLeaf>,
    ) -> Tree {
        if nth < 0 {
            // The n-th last is at or after an instant where there are n events since.
            let from = if or_equal { bound.checked_add(1) } else { Some(bound) };
            let Some(from) = from else { return Tree::Constant(true) };
            let counter = self.counter(table, Counter::of(condition.atom));
            let since = from.max(condition.since);
            return interned(counts, GroupLeaf { counter, since, least: least(nth) }).negated();
        }
        let before = self.before(table, condition, bound, or_equal);
        let counter = self.counter(table, Counter::of(before.atom));
        interned(counts, GroupLeaf { counter, since: before.since, least: least(nth) })
    }

    /// The group rule of a feature.
    fn group(&mut self, table: usize, feature: usize) -> Result<usize, Refusal> {
        if let Some(&known) = self.interned[table].groups.get(&feature) {
            return Ok(known);
        }
        let Feature::Groups { per, rule } = self.feature(feature)? else {
            return Err("a group that is none".into());
        };
        let key = self.program.keys.get(per).map(|(_, key)| key.clone());
        let key = self.channel(table, &key.ok_or("a group without a key")?)?;
        let mut leaves = vec![];
        let rule =
            truth(&rule, Want::True, &mut |expr, want| self.group_fact(table, key, expr, want, &mut leaves))?;
        // A group that no count is about exists all the same.
        let rule = if rule.holds(&|_| false) {
            let atom = self.atom(table, Atom { terms: vec![vec![]], valid: vec![key] });
            let counter = self.counter(table, Counter::of(atom));
            let exists = interned(&mut leaves, GroupLeaf { counter, since: i64::MIN, least: 1 });
            Tree::all([exists, rule])
        } else {
            rule
        };
        if leaves.len() > MAX_GROUP_LEAVES {
            return Err(format!("its condition on groups counts more than {MAX_GROUP_LEAVES} things"));
        }
        let at = self.out.tables[table].groups.len();
        self.out.tables[table].groups.push(Group { feature, key, leaves, rule });
        self.interned[table].groups.insert(feature, at);
        Ok(at)
    }

    /// A condition on a group that no boolean operator stands above.
    fn group_fact(
        &mut self,
        table: usize,
        key: usize,
        expr: &Expr,
        want: Want,
        leaves: &mut Vec<GroupLeaf>,
    ) -> Result<Tree, Refusal> {
        let refused = || "its condition on groups is more than counts of a group's events".to_owned();
        let (feature, compared) = match &expr.node {
            Node::Binary { op, left, right } => match (&left.node, &right.node) {
                (Node::Feature(at), _) => (*at, Some((*op, right))),
                (_, Node::Feature(at)) => {
                    (*at, Some((super::constant::mirrored(*op).ok_or_else(refused)?, left)))
                }
                _ => return Err(refused()),
            },
            _ => return Err(refused()),
        };
        let Feature::Aggregate { call, .. } = self.feature(feature)? else { return Err(refused()) };
        if call.distinct {
            return Err(refused());
        }
        let Some((op, constant)) = compared else { return Err(refused()) };
        let mut counts = vec![];
        let tree = self.compared_call(table, &call, op, constant, want, &mut counts)?;
        // Only events with a key are in a group.
        for count in &mut counts {
            let counter = self.out.tables[table].counters[count.counter];
            let mut atom = self.out.tables[table].atoms[counter.atom].clone();
            atom.valid.push(key);
            atom.valid.sort_unstable();
            atom.valid.dedup();
            let atom = self.atom(table, atom);
            count.counter = self.counter(table, Counter { atom, ..counter });
        }
        let tree = tree.ok_or_else(refused)?;
        Ok(moved(&tree, &counts, leaves))
    }

    /// Has a feature's value computed.
    pub(super) fn value_feature(&mut self, feature: usize) -> Result<(), Refusal> {
        if let Some(why) = self.refusals.features.get(&feature) {
            return Err(why.clone());
        }
        let Some(table) = self.feature_table(feature) else {
            return Err("it is about an unknown feature".into());
        };
        if self.interned[table].aggregates.contains_key(&feature) {
            return Ok(());
        }
        let call = match self.feature(feature)? {
            Feature::Aggregate { per: None, call, .. } => call,
            Feature::Aggregate { .. } => return Err("a group's aggregate outside of its group".into()),
            Feature::Groups { .. } => {
                return Err("a count of groups is compared with more than a constant".into());
            }
        };
        if !call.order_by.is_empty() || !call.within_group.is_empty() || call.ignore_nulls || call.distinct {
            return Err(format!("`{}` with DISTINCT or ORDER BY is computed by the general plan", call.name));
        }
        let filters: Vec<&Expr> = call.filter.as_deref().into_iter().collect();
        let Condition { atom, since } = self.condition(table, &filters, &[])?;
        let conditioned = CONDITIONED.contains(&call.name.as_str());
        let mut args = vec![];
        for arg in &call.args {
            args.push(self.argument(table, arg, conditioned)?);
        }
        if MATCHING.contains(&call.name.as_str())
            && let [_, Arg::Condition(_, first), Arg::Condition(_, second), ..] = &mut args[..]
        {
            // What comes before every first step follows none.
            *second = (*second).max(*first);
        }
        // The mode of a funnel is a string; some modes end it at events that match nothing.
        let has_mode = call.args.iter().any(|arg| matches!(&arg.node, Node::Literal(Value::String(_))));
        let matching = MATCHING.contains(&call.name.as_str()) || (call.name == "window_funnel" && !has_mode);
        // A value that is known with its event alone may be a condition; what steps are linked by is none.
        let linked_by = (call.name == "sequence_linked").then_some(3);
        let may_hold = |(at, arg): (usize, &Arg)| matches!(arg, Arg::Channel(_)) && Some(at) != linked_by;
        let matching = matching && !args.iter().enumerate().any(may_hold);
        let call = Call { filter: None, ..call };
        let aggregates = &mut self.out.tables[table].aggregates;
        aggregates.push(Aggregate { feature, atom, since, call, args, matching });
        self.interned[table].aggregates.insert(feature, aggregates.len() - 1);
        Ok(())
    }

    /// Whether an expression about an event is about its timestamp alone.
    fn is_of_time(&self, table: usize, expr: &Expr) -> bool {
        let mut of_time = true;
        walk(expr, &mut |part| {
            of_time &= !matches!(part.node, Node::Attribute { .. }) || self.is_timestamp(table, part);
            true
        });
        of_time
    }

    fn argument(&mut self, table: usize, arg: &Expr, conditioned: bool) -> Result<Arg, Refusal> {
        if self.is_timestamp(table, arg) {
            return Ok(Arg::Time);
        }
        let mut about_rows = false;
        walk(arg, &mut |part| {
            about_rows |= matches!(&part.node, Node::Attribute { .. });
            true
        });
        if conditioned && is_condition(arg) {
            let Condition { atom, since } = self.condition(table, &[arg], &[])?;
            return Ok(Arg::Condition(atom, since));
        }
        if !about_rows {
            return Ok(Arg::Constant);
        }
        Ok(Arg::Channel(self.channel(table, arg)?))
    }
}

/// Whether an expression is certainly boolean.
fn is_condition(expr: &Expr) -> bool {
    match &expr.node {
        Node::Literal(Value::Boolean(_))
        | Node::Is { .. }
        | Node::In { .. }
        | Node::Between { .. }
        | Node::Like { .. }
        | Node::Unary { op: crate::segment::UnaryOp::Not, .. } => true,
        Node::Binary { op, .. } => op.precedence() <= BinaryOp::Eq.precedence() || op.as_str().contains('~'),
        Node::Call(call) => call.name == "coalesce" && call.args.first().is_some_and(is_condition),
        _ => false,
    }
}

/// Whether a call has nothing that counts do not know.
pub(super) fn plain(call: &Call) -> bool {
    call.order_by.is_empty() && call.within_group.is_empty() && !call.ignore_nulls && call.over.is_none()
}

/// A comparison of a value that may be NULL.
fn compared(known: Tree, below: Tree, want: Want) -> Tree {
    match want {
        Want::True => Tree::all([known, below]),
        Want::NotTrue => Tree::any([known.negated(), below.negated()]),
        Want::False => Tree::all([known, below.negated()]),
        Want::NotFalse => Tree::any([known.negated(), below]),
    }
}

fn least(nth: i64) -> u32 {
    u32::try_from(nth.unsigned_abs()).unwrap_or(u32::MAX)
}

/// A comparison of a count with a constant, given its floor and whether it is whole; `None` where it is too great.
fn thresholds(
    op: BinaryOp,
    (floor, exact): (i64, bool),
    positive: bool,
    at_least: &mut impl FnMut(u32) -> Tree,
) -> Option<Tree> {
    let above = floor.checked_add(1)?;
    if above > MAX_LEAST {
        return None;
    }
    let mut least = |least: i64| match u32::try_from(least) {
        Ok(least) if least > 0 => at_least(least),
        // There are never less than none.
        _ => Tree::Constant(true),
    };
    let ceiling = if exact { floor } else { above };
    let tree = match op {
        BinaryOp::GtEq => least(ceiling),
        BinaryOp::Gt => least(above),
        BinaryOp::Lt => least(ceiling).negated(),
        BinaryOp::LtEq => least(above).negated(),
        BinaryOp::Eq | BinaryOp::NotEq => {
            let equal = if exact && floor >= 0 {
                Tree::all([least(floor), least(above).negated()])
            } else {
                Tree::Constant(false)
            };
            if op == BinaryOp::Eq { equal } else { equal.negated() }
        }
        _ => return None,
    };
    Some(if positive { tree } else { tree.negated() })
}

fn interned(counts: &mut Vec<GroupLeaf>, leaf: GroupLeaf) -> Tree {
    let at = counts.iter().position(|known| *known == leaf).unwrap_or_else(|| {
        counts.push(leaf);
        counts.len() - 1
    });
    Tree::Leaf(at)
}

/// A tree over `from` as a tree over `to`.
fn moved(tree: &Tree, from: &[GroupLeaf], to: &mut Vec<GroupLeaf>) -> Tree {
    match tree {
        Tree::Constant(value) => Tree::Constant(*value),
        Tree::Leaf(at) => interned(to, from[*at]),
        Tree::Not(at) => interned(to, from[*at]).negated(),
        Tree::All(parts) => Tree::all(parts.iter().map(|part| moved(part, from, to))),
        Tree::Any(parts) => Tree::any(parts.iter().map(|part| moved(part, from, to))),
    }
}
