//! Which conditions on events are looked up together.
//!
//! An automaton that reads two columns with a thousand conditions each would meet a million pairs of values. Where the
//! conditions that ask about both are few, two automata that meet a thousand values each do: one *family* of atoms each.

use std::collections::BTreeMap;

use super::bits::{Bits, small};

/// An automaton that tells apart this many combinations of values is still quick to learn.
const MAX_WEIGHT: f64 = 65_536.0;

/// What atoms ask about: literals by level.
pub(super) type Asked = BTreeMap<usize, Bits>;

/// Splits atoms into families, each positions of atoms in order. `asked` holds what each atom asks about, `together`
/// are atoms that something needs the truth of at once.
pub(super) fn families(asked: &[Asked], together: &[Vec<usize>]) -> Vec<Vec<u32>> {
    let mut families: Vec<Family> = vec![];
    let mut free = vec![true; asked.len()];
    for atoms in together {
        // What shares an atom belongs together, too.
        let shares = |family: &Family| atoms.iter().any(|atom| family.atoms.contains(atom));
        let (shared, apart): (Vec<Family>, Vec<Family>) = families.into_iter().partition(shares);
        families = apart;
        let mut joined = shared.into_iter().fold(Family::default(), Family::join);
        for &atom in atoms {
            if std::mem::replace(&mut free[atom], false) {
                joined = joined.join(Family { asked: asked[atom].clone(), atoms: vec![atom] });
            }
        }
        families.push(joined);
    }
    let mut by_levels: BTreeMap<Vec<usize>, Family> = BTreeMap::new();
    for (atom, asked) in asked.iter().enumerate().filter(|(atom, _)| free[*atom]) {
        let family = by_levels.entry(asked.keys().copied().collect()).or_default();
        let own = Family { asked: asked.clone(), atoms: vec![atom] };
        *family = std::mem::take(family).join(own);
    }
    families.extend(by_levels.into_values());
    // The two that weigh least together are joined, again and again.
    loop {
        let mut best: Option<(f64, usize, usize)> = None;
        for (at, left) in families.iter().enumerate() {
            for (other, right) in families.iter().enumerate().skip(at + 1) {
                let joined = left.weight_with(right);
                if joined <= MAX_WEIGHT && best.is_none_or(|(least, ..)| joined < least) {
                    best = Some((joined, at, other));
                }
            }
        }
        let Some((_, at, other)) = best else { break };
        let right = families.swap_remove(other);
        families[at] = std::mem::take(&mut families[at]).join(right);
    }
    let positions = |family: Family| {
        let mut atoms: Vec<u32> = family.atoms.into_iter().map(small).collect();
        atoms.sort_unstable();
        atoms
    };
    families.into_iter().map(positions).collect()
}

#[derive(Debug, Default)]
struct Family {
    asked: Asked,
    atoms: Vec<usize>,
}

impl Family {
    fn join(mut self, other: Self) -> Self {
        for (level, literals) in other.asked {
            self.asked.entry(level).or_default().extend(&literals);
        }
        self.atoms.extend(other.atoms);
        self
    }

    /// How many combinations of values the two may tell apart together: for each level as many as it has literals, and
    /// none of them.
    fn weight_with(&self, other: &Self) -> f64 {
        let own = self.asked.iter().map(|(level, literals)| match other.asked.get(level) {
            None => literals.len(),
            Some(more) => {
                let mut both = literals.clone();
                both.extend(more);
                both.len()
            }
        });
        let others = other.asked.iter().filter(|(level, _)| !self.asked.contains_key(level));
        let counts = own.chain(others.map(|(_, literals)| literals.len()));
        #[expect(clippy::cast_precision_loss, reason = "an estimate")]
        counts.map(|n| (n + 1) as f64).product()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An atom about some levels, with the literal of each.
    fn atom(literals: &[(usize, usize)]) -> Asked {
        let mut asked = Asked::new();
        for (level, literal) in literals {
            let mut own = Bits::new(literal + 1);
            own.insert(*literal);
            asked.entry(*level).or_default().extend(&own);
        }
        asked
    }

    #[test]
    fn few_values_are_looked_up_together() {
        let asked: Vec<Asked> =
            (0..20).flat_map(|at| [atom(&[(0, at)]), atom(&[(0, 0), (1, at)]), atom(&[(2, at)])]).collect();
        assert_eq!(families(&asked, &[]), [(0..60).collect::<Vec<_>>()]);
    }

    #[test]
    fn many_values_are_looked_up_apart() {
        let asked: Vec<Asked> = (0..5_000)
            .flat_map(|at| [atom(&[(0, at % 9), (1, at)]), atom(&[(0, at % 9), (2, at)])])
            .collect();
        let mut found = families(&asked, &[]);
        found.sort();
        assert_eq!(found, [0, 1].map(|first| (0..5_000).map(|at| at * 2 + first).collect::<Vec<_>>()));
    }

    #[test]
    fn what_is_needed_at_once_stays_together() {
        let asked: Vec<Asked> = (0..3_000).map(|at| atom(&[(at % 3, at)])).collect();
        let found = families(&asked, &[vec![0, 1], vec![1, 2]]);
        let of = |atom: u32| found.iter().position(|family| family.contains(&atom));
        assert!(of(0) == of(1) && of(1) == of(2));
        assert_eq!(found.iter().map(Vec::len).sum::<usize>(), 3_000);
    }
}
