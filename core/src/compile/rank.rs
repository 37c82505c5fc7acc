//! Conditions on the order of all profiles by a value: `top_n`, `top_percent`.

use crate::resolve::ranked;
use crate::segment::{Expr, Node};

use super::constant::number;
use super::{Compiler, Leaf, Refusal, Tree};

/// So many ranks in one rule: it is looked at for each way in which they may turn out.
const MAX_RANKS: usize = 4;

/// Profiles in the order of a value, greatest first, those without one last; of equals those with the lesser key first.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Rank {
    /// The value.
    pub by: Expr,
    /// Whether only profiles with events have one.
    pub of_events: bool,
    /// How many of the first are asked for.
    pub most: Most,
}

/// How many of the first profiles are asked for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Most {
    /// So many.
    Profiles(u64),
    /// So many percent of those that have a value: a number as it is written.
    Percent(String),
}

impl Most {
    /// How many these are, given how many have a value.
    pub fn of(&self, n_known: u64) -> u64 {
        let percent = match self {
            Self::Profiles(n) => return *n,
            Self::Percent(percent) => percent,
        };
        // A profile is one of them if a hundred times those before it are less than this.
        match percent.parse::<u64>() {
            Ok(percent) => {
                let all = u128::from(percent) * u128::from(n_known);
                u64::try_from(all.div_ceil(100)).unwrap_or(u64::MAX)
            }
            // As SQL compares them.
            #[expect(clippy::cast_precision_loss, reason = "profiles are fewer than 2³²")]
            Err(_) => {
                let all = percent.parse::<f64>().unwrap_or_default() * n_known as f64;
                let (mut first, mut end) = (0, n_known);
                while first < end {
                    let middle = first.midpoint(end);
                    if (middle * 100) as f64 >= all { end = middle } else { first = middle + 1 }
                }
                first
            }
        }
    }
}

/// A rule as trees over facts.
#[derive(Clone, Debug)]
pub struct Rule {
    /// Its position in the resolved program.
    pub at: usize,
    /// The ranks that it asks about, which are known only when all profiles have been looked at.
    pub ranks: Vec<usize>,
    /// Its condition for each way in which these may turn out: the `i`-th one holds where bit `i` of the position is set.
    pub trees: Vec<Tree>,
}

impl Compiler<'_> {
    /// The leaf of a condition on the order of profiles, if it is one that the program knows.
    pub(super) fn rank_fact(&mut self, expr: &Expr) -> Result<Option<Tree>, Refusal> {
        let Some((by, limit, is_percentage)) = ranked(expr, self.program) else { return Ok(None) };
        let Some(limit) = number(limit) else { return Ok(None) };
        let most = match (is_percentage, limit.parse()) {
            (true, _) => Most::Percent(limit),
            (false, Ok(n)) => Most::Profiles(n),
            (false, Err(_)) => return Ok(None),
        };
        if let Some(why) = self.refusals.exprs.get(by) {
            return Err(why.clone());
        }
        for feature in self.features(by)? {
            self.value_feature(feature)?;
        }
        let of_events = match by.node {
            Node::Feature(at) => self.feature(at)?.empty().is_none(),
            _ => false,
        };
        let rank = Rank { by: by.clone(), of_events, most };
        let rank = super::intern(&mut self.ranks, &mut self.out.ranks, rank);
        Ok(Some(self.leaf(Leaf::Rank(rank))))
    }

    /// A rule, given its condition.
    pub(super) fn ranked_rule(&self, at: usize, tree: Tree) -> Result<Rule, Refusal> {
        let mut leaves = vec![];
        tree.visit(&mut |leaf| {
            if let Leaf::Rank(rank) = self.out.leaves[leaf]
                && !leaves.contains(&(leaf, rank))
            {
                leaves.push((leaf, rank));
            }
        });
        if leaves.len() > MAX_RANKS {
            return Err(format!("it asks about more than {MAX_RANKS} orders of all profiles"));
        }
        let trees = if leaves.is_empty() {
            vec![tree]
        } else {
            let way = |way: usize| {
                tree.given(&|leaf| {
                    leaves.iter().position(|(known, _)| *known == leaf).map(|bit| way >> bit & 1 == 1)
                })
            };
            (0..1 << leaves.len()).map(way).collect()
        };
        Ok(Rule { at, ranks: leaves.into_iter().map(|(_, rank)| rank).collect(), trees })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentage_is_of_those_with_a_value() {
        let of = |percent: &str, n| Most::Percent(percent.to_owned()).of(n);
        assert_eq!([of("0", 10), of("100", 10), of("100.0", 10), of("5", 0)], [0, 10, 10, 0]);
        // The first is within the first percent, however few there are.
        assert_eq!([of("1", 3), of("0.1", 3), of("33", 3), of("34", 3), of("33.4", 3)], [1, 1, 1, 2, 2]);
        for n in 0..300 {
            for percent in 0..=100_u32 {
                let below = |before: u64| before * 100 < u64::from(percent) * n;
                let expected = (0..n).filter(|before| below(*before)).count() as u64;
                assert_eq!([of(&percent.to_string(), n), of(&format!("{percent}.0"), n)], [expected; 2]);
            }
        }
    }
}
