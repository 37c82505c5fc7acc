//! Patterns over sequences of events: `(?1).*(?t<=3600)(?2)`.
//!
//! | part | matches |
//! | --- | --- |
//! | `(?N)` | an event where condition N holds |
//! | `.` | any one event |
//! | `.*` | any number of events |
//! | `(?t<=60)` | the next event is at most 60 after the one before; also `<`, `>=`, `>`, `==` |
//!
//! A pattern may begin anywhere. Without times it is a set of states that moves over the rows, one
//! shift per row. With times, and where the events are asked for, the order in which ClickHouse tries
//! decides what is found: `walk`.

mod walk;

use std::fmt;

use self::walk::Walk;
use super::span::{Scale, Span};

/// The most events a pattern without times may have: they are bits of a word.
const MAX_STATES: usize = 64;

/// A pattern ready to run.
#[derive(Debug, Clone)]
pub struct Pattern {
    walk: Walk,
    /// Set when the pattern has no times.
    automaton: Option<Automaton>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    /// As the bit of a mask.
    Condition(u32),
    Any,
    Star,
    Time(Compare, i64),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Compare {
    AtMost,
    Less,
    AtLeast,
    More,
    Equal,
}

/// Where a pattern is wrong, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PatternError {
    /// The character, from 1.
    pub position: usize,
    /// What is there.
    pub message: String,
}

impl fmt::Display for PatternError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at character {}: {}", self.position, self.message)
    }
}

impl Pattern {
    /// Reads a pattern over `n_conditions` conditions; times count as the column of `scale` does.
    pub fn parse(text: &str, n_conditions: usize, scale: &Scale) -> Result<Self, PatternError> {
        let mut parser = Parser { text, at: 0 };
        // A pattern may begin anywhere: as if it began with `.*`.
        let mut parts = vec![Part::Star];
        while parser.at < text.len() {
            parts.push(parser.part(n_conditions, scale, parts.last())?);
        }
        let timed = parts.iter().any(|part| matches!(part, Part::Time(..)));
        let automaton = if timed {
            None
        } else {
            let events = parts.iter().filter(|part| **part != Part::Star).count();
            if events >= MAX_STATES {
                return Err(PatternError {
                    position: 1,
                    message: format!("{events} events, a pattern has at most {}", MAX_STATES - 1),
                });
            }
            Some(Automaton::new(&parts))
        };
        Ok(Self { walk: Walk::new(&parts), automaton })
    }

    /// Whether the pattern occurs.
    pub fn occurs(&self, ticks: &[i64], masks: &[u32]) -> bool {
        match &self.automaton {
            Some(automaton) => automaton.accepts(masks),
            None => self.walk.occurs(ticks, masks),
        }
    }

    /// How many times the pattern occurs, one occurrence after the other.
    pub fn count(&self, ticks: &[i64], masks: &[u32]) -> i64 {
        match &self.automaton {
            Some(automaton) => automaton.count(masks),
            None => self.walk.count(ticks, masks),
        }
    }

    /// Appends to `out` the times of the events that met the conditions of the first occurrence;
    /// without one, of the attempt that met most.
    pub fn events(&self, ticks: &[i64], masks: &[u32], out: &mut Vec<i64>) {
        self.walk.events(ticks, masks, out);
    }
}

/// The states a pattern without times can be in, as bits: bit `i` is set when the first `i`
/// events of the pattern are matched.
#[derive(Debug, Clone)]
struct Automaton {
    /// States that go on with any event.
    any: u64,
    /// States that stay where they are with any event.
    star: u64,
    /// States that go on with an event of each condition.
    condition: [u64; 32],
    accepting: u64,
}

impl Automaton {
    fn new(parts: &[Part]) -> Self {
        let mut automaton = Self { any: 0, star: 0, condition: [0; 32], accepting: 1 };
        for part in parts {
            let state = automaton.accepting;
            match part {
                Part::Star => automaton.star |= state,
                Part::Any => automaton.any |= state,
                Part::Condition(bit) => automaton.condition[bit.trailing_zeros() as usize] |= state,
                Part::Time(..) => continue,
            }
            if *part != Part::Star {
                automaton.accepting <<= 1;
            }
        }
        automaton
    }

    /// The states after an event.
    #[inline]
    fn step(&self, active: u64, mask: u32) -> u64 {
        let mut go = self.any;
        let mut left = mask;
        while left != 0 {
            go |= self.condition[left.trailing_zeros() as usize];
            left &= left - 1;
        }
        (active & go) << 1 | active & self.star
    }

    fn accepts(&self, masks: &[u32]) -> bool {
        let mut active = 1_u64;
        for mask in masks {
            if active & self.accepting != 0 {
                return true;
            }
            active = self.step(active, *mask);
        }
        active & self.accepting != 0
    }

    /// Parts between two `.*` match where they first can, so the earliest end is the one that the
    /// order of trying finds.
    fn count(&self, masks: &[u32]) -> i64 {
        let (mut count, mut active) = (0, 1);
        for mask in masks {
            active = self.step(active, *mask);
            if active & self.accepting != 0 {
                count += 1;
                active = 1;
            }
        }
        count
    }
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
}

impl Parser<'_> {
    fn part(
        &mut self,
        n_conditions: usize,
        scale: &Scale,
        before: Option<&Part>,
    ) -> Result<Part, PatternError> {
        let start = self.at;
        if self.take(".*") {
            return Ok(Part::Star);
        }
        if self.take(".") {
            return Ok(Part::Any);
        }
        if !self.take("(?") {
            return Err(self.expected("`(?N)`, `(?t…)`, `.` or `.*`"));
        }
        let part = if self.take("t") {
            let compare = [
                ("<=", Compare::AtMost),
                ("<", Compare::Less),
                (">=", Compare::AtLeast),
                (">", Compare::More),
                ("==", Compare::Equal),
            ];
            let compare = compare.into_iter().find(|(sign, _)| self.take(sign));
            let (_, compare) = compare.ok_or_else(|| self.expected("`<=`, `<`, `>=`, `>` or `==`"))?;
            let number = self.number()?;
            if matches!(before, Some(Part::Time(..))) {
                return Err(Self::wrong_at(self.text, start, "a time condition right after another".into()));
            }
            let distance = Span::from_number(number, scale).map_or(i64::MAX, |span| span.reach(0));
            Part::Time(compare, distance)
        } else {
            let digits = self.at;
            let number = self.number()?;
            match u32::try_from(number) {
                Ok(number) if number >= 1 && number as usize <= n_conditions => {
                    Part::Condition(1 << (number - 1))
                }
                _ => {
                    let message = format!("no condition {number}, there are {n_conditions}");
                    return Err(Self::wrong_at(self.text, digits, message));
                }
            }
        };
        if self.take(")") { Ok(part) } else { Err(self.expected("`)`")) }
    }

    fn take(&mut self, token: &str) -> bool {
        let found = self.text[self.at..].starts_with(token);
        if found {
            self.at += token.len();
        }
        found
    }

    fn number(&mut self) -> Result<i64, PatternError> {
        let rest = &self.text[self.at..];
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let number = rest[..digits].parse().map_err(|_| self.expected("a number"))?;
        self.at += digits;
        Ok(number)
    }

    fn expected(&self, what: &str) -> PatternError {
        let found = match self.text[self.at..].chars().next() {
            Some(found) => format!("`{found}`"),
            None => "the end".into(),
        };
        Self::wrong_at(self.text, self.at, format!("expected {what}, found {found}"))
    }

    fn wrong_at(text: &str, byte: usize, message: String) -> PatternError {
        PatternError { position: text[..byte].chars().count() + 1, message }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(text: &str) -> Pattern {
        Pattern::parse(text, 3, &Scale::Second).unwrap()
    }

    const ROWS: [(i64, u32); 5] = [(1, 1), (3, 4), (5, 1), (6, 2), (8, 2)];

    fn occurs(text: &str) -> bool {
        let (ticks, masks): (Vec<_>, Vec<_>) = ROWS.into_iter().unzip();
        let pattern = pattern(text);
        let occurs = pattern.occurs(&ticks, &masks);
        // Both ways of matching agree.
        let walked = Pattern { automaton: None, ..pattern.clone() };
        assert_eq!(occurs, walked.occurs(&ticks, &masks), "{text}");
        assert_eq!(pattern.count(&ticks, &masks), walked.count(&ticks, &masks), "{text}");
        occurs
    }

    #[test]
    fn events_in_sequence() {
        assert!(occurs("(?1)(?2)") && occurs("(?1).(?1)") && occurs("(?3).*(?2)") && occurs("(?2)(?2)"));
        assert!(!occurs("(?2)(?1)") && !occurs("(?3)(?2)") && !occurs("(?2).(?2)"));
        assert!(occurs("") && occurs(".....") && !occurs("......"));
    }

    #[test]
    fn times() {
        assert!(occurs("(?1)(?t<=1)(?2)") && !occurs("(?1)(?t<1)(?2)"));
        assert!(occurs("(?1)(?t>2)(?2)") && occurs("(?1)(?t==3)(?2)") && !occurs("(?1)(?t>7)(?2)"));
        // A time condition lets rows pass.
        assert!(occurs("(?3)(?t<=5)(?2)") && !occurs("(?3)(?2)"));
    }

    #[test]
    fn counts_and_events() {
        let (ticks, masks): (Vec<_>, Vec<_>) = ROWS.into_iter().unzip();
        assert_eq!(pattern("(?1)").count(&ticks, &masks), 2);
        assert_eq!(pattern("(?1).*(?2)").count(&ticks, &masks), 1);
        assert_eq!(pattern("").count(&[], &[]), 0);
        let mut out = vec![7];
        pattern("(?1).(?2)").events(&ticks, &masks, &mut out);
        pattern("(?1)(?2)(?3)").events(&ticks, &masks, &mut out);
        assert_eq!(out, [7, 5, 8, 5, 6]);
    }

    #[test]
    fn errors_say_where() {
        let error = |text: &str| Pattern::parse(text, 3, &Scale::Second).unwrap_err().to_string();
        assert_eq!(error("(?1)x"), "at character 5: expected `(?N)`, `(?t…)`, `.` or `.*`, found `x`");
        assert_eq!(error("(?4)"), "at character 3: no condition 4, there are 3");
        assert_eq!(error("(?0)"), "at character 3: no condition 0, there are 3");
        assert_eq!(error("(?1"), "at character 4: expected `)`, found the end");
        assert_eq!(error("(?t=5)"), "at character 4: expected `<=`, `<`, `>=`, `>` or `==`, found `=`");
        assert_eq!(error("(?t<=a)"), "at character 6: expected a number, found `a`");
        assert_eq!(error("(?1)(?t<5)(?t>1)"), "at character 11: a time condition right after another");
    }
}
