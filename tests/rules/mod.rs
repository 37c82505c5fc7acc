//! Random rules over random data, with the members that a naive interpreter finds for them.
//!
//! ```text
//! let case = Case::random(seed, 10);             // a world and ten rules about it
//! run(&session, &case.declare(folder)).await;    // its tables as Parquet files, its store, its segments r0 … r9
//! case.members("r3", None);                      // who is in r3 now
//! case.members("r3", Some(instant));             // AS OF an instant
//! ```
//!
//! Whatever evaluates rules is to find the same members. [`shrink`] makes a failure small, [`generator::SIMPLEST`]
//! says how; `corpus.txt` keeps what failed once.

pub(crate) mod bytes;
pub(crate) mod data;
pub(crate) mod generator;
pub(crate) mod interpreter;
pub(crate) mod random;
pub(crate) mod shrink;
mod value;

use std::collections::BTreeMap;
use std::path::Path;

use chrono::{DateTime, Utc};
use coterie::segment::Expr;
use coterie::statement::parse_rule;

use data::World;
use interpreter::Interpreter;

/// A world and rules about it.
pub(crate) struct Case {
    pub(crate) world: World,
    /// The rules by name, with marked parts; each may ask for those before it.
    pub(crate) rules: Vec<(String, String)>,
    parsed: BTreeMap<String, Expr>,
}

impl Case {
    pub(crate) fn random(seed: u64, n_rules: usize) -> Self {
        let mut case = Self::of(seed, &[]);
        for at in 0..n_rules {
            let known: Vec<String> = case.rules.iter().map(|(name, _)| name.clone()).collect();
            let rule = generator::rule(seed.wrapping_mul(1000) + at as u64, &case.world, &known);
            case.add(format!("r{at}"), rule);
        }
        case
    }

    /// The world of a seed with given rules.
    pub(crate) fn of(seed: u64, rules: &[&str]) -> Self {
        let mut case = Self { world: World::random(seed), rules: vec![], parsed: BTreeMap::new() };
        for (at, rule) in rules.iter().enumerate() {
            case.add(format!("r{at}"), (*rule).to_owned());
        }
        case
    }

    fn add(&mut self, name: String, rule: String) {
        let text = shrink::plain(&rule);
        let parsed = parse_rule(&text).unwrap_or_else(|fault| panic!("{text}\n{fault}"));
        self.parsed.insert(name.clone(), parsed);
        self.rules.push((name, rule));
    }

    /// Whether a rule, or one that it asks for, ranks the profiles.
    pub(crate) fn has_window(&self, name: &str) -> bool {
        let rule = self.rule(name);
        let asked = self.rules.iter().filter(|(other, _)| rule.contains(&format!("in_segment('{other}')")));
        ["OVER", "top_n", "top_percent"].iter().any(|word| rule.contains(word))
            || asked.into_iter().any(|(other, _)| self.has_window(other))
    }

    /// The instant that the world's times lie around, as `--now` takes it.
    pub(crate) fn now(&self) -> DateTime<Utc> {
        self.world.now.and_utc()
    }

    /// The rule of a name as text.
    pub(crate) fn rule(&self, name: &str) -> String {
        let found = self.rules.iter().find(|(known, _)| known == name);
        shrink::plain(&found.unwrap().1)
    }

    /// The statements that declare the tables, which are written into a folder, the store `world` and the segments.
    pub(crate) fn declare(&self, folder: &Path) -> String {
        let mut sql = self.world.declare(folder);
        for (name, rule) in &self.rules {
            sql += &format!("CREATE SEGMENT {name} AS {};\n", shrink::plain(rule));
        }
        sql
    }

    /// The keys of the members of a rule that the case does not hold.
    pub(crate) fn try_rule(&self, rule: &str) -> Vec<String> {
        let now = self.now().naive_utc();
        let interpreter = Interpreter { world: &self.world, now, as_of: false, segments: &self.parsed };
        interpreter.members(&parse_rule(rule).unwrap_or_else(|fault| panic!("{rule}\n{fault}")))
    }

    /// The keys of a rule's members as sorted texts: now, all events being seen, or as of an instant, later ones hidden.
    pub(crate) fn members(&self, name: &str, as_of: Option<DateTime<Utc>>) -> Vec<String> {
        let now = as_of.unwrap_or(self.now()).naive_utc();
        let interpreter =
            Interpreter { world: &self.world, now, as_of: as_of.is_some(), segments: &self.parsed };
        interpreter.members(&self.parsed[name])
    }
}
