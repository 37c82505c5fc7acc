//! What the rules make of the events of each atom: since when they matter, which of them, and which of their values.

use crate::compile::{Arg, Atom, EVER, Evaluation, Leaf};

use super::bits::small;
use super::channel::Channel;
use super::sieve::Matters;
use super::signature::AtomUse;

/// Which of a profile's events matter, by atom, as far as counts and aggregates are about times alone.
fn matters(evaluation: &Evaluation, at: usize, mut also: impl FnMut(usize, Matters)) {
    let table = &evaluation.tables[at];
    for leaf in &evaluation.leaves {
        match leaf {
            Leaf::Count { table: of, counter, least, .. } if *of == at => {
                let counter = table.counters[*counter];
                let any = *least == 1 && counter.distinct.is_none() && counter.sequel.is_none();
                also(counter.atom, if any { Matters::Last } else { Matters::All });
            }
            Leaf::Below { table: of, measure, .. } if *of == at => {
                also(table.measures[*measure].atom, Matters::All);
            }
            _ => {}
        }
    }
    table.seconds.iter().for_each(|second| also(second.atom, Matters::All));
    let of_groups = table.groups.iter().flat_map(|group| &group.leaves);
    of_groups.for_each(|leaf| also(table.counters[leaf.counter].atom, Matters::All));
    for aggregate in &table.aggregates {
        let matters = match (aggregate.call.name.as_str(), &aggregate.args[..]) {
            ("max", [Arg::Time]) => Matters::Last,
            // The first event since an instant need not be the first one.
            ("min", [Arg::Time]) if aggregate.since <= EVER => Matters::First,
            _ => Matters::All,
        };
        also(aggregate.atom, matters);
        for arg in &aggregate.args {
            if let Arg::Condition(atom, _) = arg {
                also(*atom, Matters::All);
            }
        }
    }
}

/// Since when each atom of a table matters, and which events and values are kept of it; and all instants since which
/// something is asked of events.
pub(super) fn atom_uses(
    evaluation: &Evaluation,
    at: usize,
    channels: &[Channel],
) -> (Vec<AtomUse>, Vec<i64>) {
    let table = &evaluation.tables[at];
    let of_atom = |atom: &Atom| AtomUse {
        since: i64::MAX,
        channels: vec![],
        valid: atom.valid.iter().map(|channel| small(*channel)).collect(),
        matters: Matters::Nothing,
    };
    let mut uses: Vec<AtomUse> = table.atoms.iter().map(of_atom).collect();
    let mut edges = vec![];
    let mut since = |atom: usize, since: i64| {
        uses[atom].since = uses[atom].since.min(since);
        edges.push(since);
    };
    for leaf in &evaluation.leaves {
        if let Leaf::Count { table: of, counter, since: from, .. } = leaf
            && *of == at
        {
            let counter = &table.counters[*counter];
            since(counter.atom, *from);
            if let Some(sequel) = counter.sequel {
                let second = table.seconds[table.sequels[sequel].second];
                since(second.atom, second.since.max(*from));
            }
        }
    }
    for leaf in &evaluation.leaves {
        if let Leaf::Below { table: of, measure, since: from, .. } = leaf
            && *of == at
        {
            since(table.measures[*measure].atom, *from);
        }
    }
    for leaf in table.groups.iter().flat_map(|group| &group.leaves) {
        since(table.counters[leaf.counter].atom, leaf.since);
    }
    for aggregate in &table.aggregates {
        if !aggregate.matching {
            since(aggregate.atom, aggregate.since);
        }
        for arg in &aggregate.args {
            if let Arg::Condition(atom, from) = arg {
                since(*atom, (*from).max(aggregate.since));
            }
        }
    }
    matters(evaluation, at, |atom, more| uses[atom].matters = uses[atom].matters.and(more));
    let mut keep = |atom: usize, channel: usize| {
        let at = small(channel);
        if !channels[channel].is_of_time && !uses[atom].channels.contains(&at) {
            uses[atom].channels.push(at);
        }
    };
    for counter in &table.counters {
        counter.distinct.into_iter().for_each(|channel| keep(counter.atom, channel));
    }
    table.measures.iter().for_each(|measure| keep(measure.atom, measure.channel));
    for group in &table.groups {
        group.leaves.iter().for_each(|leaf| keep(table.counters[leaf.counter].atom, group.key));
    }
    for aggregate in &table.aggregates {
        for arg in &aggregate.args {
            if let Arg::Channel(channel) = arg {
                keep(aggregate.atom, *channel);
            }
        }
    }
    edges.sort_unstable();
    edges.dedup();
    (uses, edges)
}
