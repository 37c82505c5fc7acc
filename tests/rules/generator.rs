//! Random rules about the random world, well typed, as text with marked parts (see [`super::shrink`]).

use super::data::World;
use super::random::Random;
use super::shrink::mark;

/// What a condition is about.
#[derive(Clone, Copy, PartialEq)]
enum About {
    Profile,
    /// One event of a table.
    Event(usize),
    /// One group of a profile's events of a table.
    Group(usize),
}

pub(crate) struct Generator<'a> {
    random: Random,
    n_tables: usize,
    /// The segments that a rule may ask for.
    known: &'a [String],
    /// The key of the groups that a condition is about.
    group: String,
    /// Whether the rule may not have a window any more.
    has_window: bool,
}

/// The plainest text of each kind of part.
pub(crate) const SIMPLEST: &[(char, &str)] = &[('b', "true"), ('n', "1"), ('t', "'DE'"), ('i', "now()")];

/// A random rule, which may ask for segments that are known.
///
/// It has one window, or that of a segment that it asks for: two windows with one sort key trip an assertion that
/// DataFusion's debug builds have and its release builds lack.
pub(crate) fn rule(seed: u64, world: &World, known: &[String]) -> String {
    let (random, n_tables) = (Random::new(seed), world.events.len());
    let mut generator = Generator { random, n_tables, known, group: String::new(), has_window: false };
    generator.condition(About::Profile, 3)
}

impl Generator<'_> {
    fn chance(&mut self, n: usize, of: usize) -> bool {
        self.random.chance(n, of)
    }

    fn condition(&mut self, about: About, depth: usize) -> String {
        let text = match self.random.below(if depth == 0 { 1 } else { 8 }) {
            1 | 2 => {
                let parts = [self.condition(about, depth - 1), self.condition(about, depth - 1)];
                format!("({} {} {})", parts[0], self.random.of(&["AND", "AND", "OR"]), parts[1])
            }
            3 => format!("NOT ({})", self.condition(about, depth - 1)),
            4 if self.chance(1, 3) => {
                let test =
                    self.random.of(&["TRUE", "NOT TRUE", "FALSE", "NOT FALSE", "UNKNOWN", "NOT UNKNOWN"]);
                format!("({}) IS {test}", self.condition(about, depth - 1))
            }
            5 if self.chance(1, 3) => {
                let (when, then) = (self.condition(about, depth - 1), self.condition(about, depth - 1));
                let otherwise =
                    self.chance(2, 3).then(|| format!(" ELSE {}", self.condition(about, depth - 1)));
                format!("CASE WHEN {when} THEN {then}{} END", otherwise.unwrap_or_default())
            }
            _ => match about {
                About::Profile => self.about_profile(depth),
                About::Event(table) => self.about_event(table, depth),
                About::Group(table) => self.about_group(table, depth),
            },
        };
        mark('b', &text)
    }

    fn about_profile(&mut self, depth: usize) -> String {
        let table = self.table();
        match self.random.below(22) {
            0..=3 => self.comparison(About::Profile, depth),
            4..=6 => self.did(table, depth),
            7 | 8 => self.then(table, depth),
            9 => self.time_of(table, depth),
            10 | 11 if table == 0 => {
                self.group =
                    self.random.of(&["sku", "country", "products.category", "lower(kind)"]).to_owned();
                let rule = self.condition(About::Group(table), depth.min(2));
                let group = self.group.clone();
                match self.chance(1, 2) {
                    true => format!("any_per({group}, {rule})"),
                    false => {
                        format!("count_per({group}, {rule}) {} {}", self.operator(), self.random.below(3))
                    }
                }
            }
            12..=16 if self.has_window => self.common(About::Profile, depth),
            12 => {
                self.has_window = true;
                let percent = self.random.of(&["0", "5", "12.5", "50", "100"]);
                format!("top_percent({}, {percent})", self.number(About::Profile, 1))
            }
            13 => {
                self.has_window = true;
                format!("top_n({}, {})", self.number(About::Profile, 1), self.random.below(12))
            }
            14 | 15 => {
                self.has_window = true;
                self.window()
            }
            16 if !self.known.is_empty() => {
                self.has_window = true;
                format!("in_segment('{}')", self.known[self.random.below(self.known.len())])
            }
            17 => format!("plans.tier {} 'high'", self.random.of(&["=", "<>"])),
            18 => self.aggregate_condition(table, depth),
            _ => self.common(About::Profile, depth),
        }
    }

    /// Conditions that mean something about a profile and about an event.
    fn common(&mut self, about: About, depth: usize) -> String {
        let country = self.text(about);
        match self.random.below(14) {
            0 => format!("{country} = {}", self.text(about)),
            1 => format!("{country} <> {}", self.text(about)),
            2 => {
                let not = self.random.of(&["", "NOT "]);
                let list =
                    self.random.of(&["'DE', 'FR'", "'purchase', NULL", "'US'", "'card', 'A-1', 'É4', 'DE'"]);
                format!("{country} {not}IN ({list})")
            }
            3 | 4 => {
                let not = self.random.of(&["", "NOT "]);
                let like = self.random.of(&["LIKE", "ILIKE"]);
                let pattern =
                    self.random.of(&["'%e'", "'_E'", "'p%'", "'%\\_%'", "'%'", "''", "'é%'", "'C\\%3'"]);
                format!("{country} {not}{like} {pattern}")
            }
            5 => format!("{country} IS {}NULL", self.random.of(&["", "NOT "])),
            6 => {
                let not = self.random.of(&["", "NOT "]);
                let (value, low) = (self.number(about, depth.min(1)), self.random.below(30));
                format!("{value} {not}BETWEEN {low} AND {}", low + self.random.below(60))
            }
            7 => self.column(about, &["vip"], &[]),
            8 => format!("{} IS NOT TRUE", self.column(about, &["vip"], &[])),
            9 => {
                let tags = self.column(about, &["tags"], &["tags"]);
                format!("array_has({tags}, {})", self.random.of(&["'sale'", "'DE'", "'日本'", "'none'"]))
            }
            10 => {
                let (tags, own) = (
                    self.column(about, &["tags"], &["tags"]),
                    self.column(about, &["country"], &["country"]),
                );
                let body = match self.random.below(3) {
                    0 => format!("x = {own}"),
                    1 => "x LIKE '%e%' OR x = 'DE'".to_owned(),
                    _ => "length(x) > 3".to_owned(),
                };
                format!("array_any_match({tags}, x -> {body})")
            }
            11 => {
                let column = self.column(about, &["address"], &["device"]);
                match (about, self.chance(1, 2)) {
                    (About::Event(0), true) => format!("{column}.os = 'ios'"),
                    (About::Event(0), false) => format!("{column}.width > 3"),
                    (_, true) => format!("{column}.city = 'Bonn'"),
                    (_, false) => format!("{column}.floor >= 1"),
                }
            }
            _ => self.comparison(about, depth),
        }
    }

    fn about_event(&mut self, table: usize, depth: usize) -> String {
        let about = About::Event(table);
        let time = ["at", "paid_at"][table];
        match (self.random.below(14), table) {
            (0..=3, 0) => {
                format!("kind = {}", self.random.of(&["'search'", "'view'", "'cart'", "'purchase'"]))
            }
            (0..=3, _) => "method = 'card'".to_owned(),
            (4, 0) => format!("products.brand = {}", self.random.of(&["'Acme'", "'Brisk'"])),
            (5, 0) => "events.country <> people.country".to_owned(),
            (6, 0) => "events.price > products.cost".to_owned(),
            (7, _) => format!("{time} {} {}", self.operator(), self.instant()),
            (8, _) => format!(
                "extract({} FROM {time}) {} {}",
                self.random.of(&["hour", "month", "day"]),
                self.operator(),
                self.random.below(13)
            ),
            (9, _) => format!("{time} BETWEEN {} AND {}", self.instant(), self.instant()),
            (10, _) => "plans.tier = 'low'".to_owned(),
            _ => self.common(about, depth),
        }
    }

    fn about_group(&mut self, table: usize, depth: usize) -> String {
        match self.random.below(9) {
            0..=3 => self.did(table, depth),
            4 => self.then(table, depth),
            5 => format!("{} = {}", self.group, self.random.of(&["'A-1'", "'DE'", "'shoes'", "'view'"])),
            6 => self.common(About::Profile, 0),
            _ => self.aggregate_condition(table, depth),
        }
    }

    fn table(&mut self) -> usize {
        if self.n_tables > 1 && self.chance(1, 3) { 1 } else { 0 }
    }

    fn operator(&mut self) -> &'static str {
        self.random.of(&["=", "<>", "<", "<=", ">", ">=", ">="])
    }

    /// A condition on an event that names a column of its table, so that the table is known.
    fn of_event(&mut self, table: usize, depth: usize) -> String {
        if self.n_tables == 1 && self.chance(1, 10) {
            return mark('b', "true");
        }
        let condition = self.condition(About::Event(table), depth.min(2));
        if self.n_tables == 1 {
            return condition;
        }
        let own = match (table, self.chance(1, 2)) {
            (0, true) => "kind = 'purchase'",
            (0, false) => "events._id IS NOT NULL",
            (_, true) => "method <> 'cash'",
            (_, false) => "payments.amount > 0",
        };
        format!("({own} AND {condition})")
    }

    fn did(&mut self, table: usize, depth: usize) -> String {
        let condition = self.of_event(table, depth.saturating_sub(1));
        let window = match self.chance(2, 3) {
            true => format!(", {}", self.interval()),
            false => String::new(),
        };
        match self.chance(1, 2) {
            true => format!("did({condition}{window})"),
            false => format!("times({condition}{window}) {} {}", self.operator(), self.random.below(4)),
        }
    }

    fn then(&mut self, table: usize, depth: usize) -> String {
        let depth = depth.saturating_sub(1).min(1);
        let (a, b) = (self.of_event(table, depth), self.of_event(table, depth));
        match self.random.below(3) {
            0 => format!("did_then({a}, {b})"),
            1 => format!("did_then({a}, {b}, {})", self.interval()),
            _ => format!("did_without({a}, {b}, {})", self.interval()),
        }
    }

    fn time_of(&mut self, table: usize, depth: usize) -> String {
        let condition = self.of_event(table, depth.saturating_sub(1));
        let time = match self.random.below(3) {
            0 => format!("first_time({condition})"),
            1 => format!("last_time({condition})"),
            _ => format!("nth_time({condition}, {})", self.random.of(&["1", "2", "3", "-1", "-2"])),
        };
        match self.chance(1, 5) {
            true => format!("{time} IS NULL"),
            false => format!("{time} {} {}", self.operator(), self.instant()),
        }
    }

    fn interval(&mut self) -> String {
        let text = self.random.of(&[
            "7 days",
            "7 days",
            "14 days",
            "30 days",
            "1 hour",
            "36 hours",
            "1 month",
            "90 days",
            "1 day 12 hours",
            "0 days",
        ]);
        format!("INTERVAL '{text}'")
    }

    fn instant(&mut self) -> String {
        let text = match self.random.below(5) {
            0 => "now()".to_owned(),
            1 => format!("TIMESTAMP '2026-0{}-1{} 12:00:00'", 3 + self.random.below(4), self.random.below(8)),
            2 => "joined".to_owned(),
            _ => format!("now() - {}", self.interval()),
        };
        mark('i', &text)
    }

    /// A column of an event, or of the profile where the table has none of these.
    fn column(&mut self, about: About, of_profile: &[&'static str], of_event: &[&'static str]) -> String {
        match about {
            About::Event(0) if !of_event.is_empty() => {
                let column = self.random.of(of_event);
                if self.chance(1, 2) { format!("events.{column}") } else { column.to_owned() }
            }
            // What an event has too would be the event's.
            About::Event(_) => format!("people.{}", self.random.of(of_profile)),
            About::Profile | About::Group(_) => self.random.of(of_profile).to_owned(),
        }
    }

    fn text(&mut self, about: About) -> String {
        let text = match self.random.below(6) {
            0 => self.random.of(&["'DE'", "'FR'", "'purchase'", "''", "'d''5'"]).to_owned(),
            1 => format!("lower({})", self.column(about, &["country", "plan"], &["country", "kind", "sku"])),
            2 => format!("coalesce({}, 'DE')", self.column(about, &["country"], &["country", "sku"])),
            3 => format!("({} || '5')", self.column(about, &["country"], &["sku"])),
            _ => self.column(about, &["country", "plan"], &["country", "kind", "sku"]),
        };
        mark('t', &text)
    }

    fn comparison(&mut self, about: About, depth: usize) -> String {
        format!(
            "{} {} {}",
            self.number(about, depth.min(2)),
            self.operator(),
            self.number(about, depth.min(1))
        )
    }

    fn number(&mut self, about: About, depth: usize) -> String {
        let text = match self.random.below(if depth == 0 { 4 } else { 8 }) {
            0 => self.random.of(&["0", "1", "2", "5", "20", "2.5", "-1"]).to_owned(),
            1 | 2 if about == About::Event(1) => "amount".to_owned(),
            1 => self.column(about, &["points"], &["quantity"]),
            2 => self.column(about, &["score"], &["price"]),
            3 => match about {
                About::Event(0) => "products.cost".to_owned(),
                _ => "plans.fee".to_owned(),
            },
            4 => {
                let (a, b) = (self.number(about, depth - 1), self.number(about, depth - 1));
                format!("({a} {} {b})", self.random.of(&["+", "-", "*"]))
            }
            5 => format!("coalesce({}, {})", self.number(about, depth - 1), self.random.below(4)),
            6 => format!("abs({})", self.number(about, depth - 1)),
            _ => match about {
                About::Profile => {
                    let table = self.table();
                    self.aggregate(table, depth - 1)
                }
                About::Group(table) => self.aggregate(table, depth - 1),
                About::Event(_) => self.column(about, &["points"], &["quantity", "price"]),
            },
        };
        mark('n', &text)
    }

    /// An aggregate that is a number.
    fn aggregate(&mut self, table: usize, depth: usize) -> String {
        let value = match table {
            0 => self.random.of(&[
                "events.quantity",
                "events.price",
                "price * quantity",
                "price + score",
                "quantity * points",
            ]),
            _ => self.random.of(&["amount", "amount * points", "payments.amount + 1"]),
        };
        let call = match self.random.below(8) {
            0 if self.n_tables == 1 => "count(*)".to_owned(),
            0 | 1 => format!("count({value})"),
            2 => format!("count(DISTINCT {})", ["sku", "method"][table]),
            3 => format!("sum(DISTINCT {})", ["quantity", "amount"][table]),
            4 => format!("avg({value})"),
            5 => format!("min({value})"),
            6 => format!("max({value})"),
            _ => format!("sum({value})"),
        };
        if self.chance(1, 2) {
            return call;
        }
        format!("{call} FILTER (WHERE {})", self.of_event(table, depth))
    }

    fn aggregate_condition(&mut self, table: usize, depth: usize) -> String {
        let filter = match self.chance(1, 2) {
            true => format!(" FILTER (WHERE {})", self.of_event(table, depth.saturating_sub(1))),
            false => String::new(),
        };
        match (self.random.below(6), table) {
            (0, 0) => {
                let order =
                    self.random.of(&["at, _id", "at DESC, _id", "price DESC NULLS LAST, _id", "_id DESC"]);
                let name = self.random.of(&["first_value", "last_value"]);
                format!("{name}(sku ORDER BY {order}){filter} = 'A-1'")
            }
            (1, 0) => format!("cardinality(array_agg(sku ORDER BY _id){filter}) {} 2", self.operator()),
            (2, 0) => format!("array_has(array_agg(events.country ORDER BY _id){filter}, 'DE')"),
            (3, 0) => format!("{}(kind = 'view'){filter}", self.random.of(&["bool_or", "bool_and"])),
            (4, 0) => format!("max(sku){filter} {} 'B_2'", self.operator()),
            _ => format!(
                "{} {} {}",
                self.aggregate(table, depth.saturating_sub(1)),
                self.operator(),
                self.random.below(30)
            ),
        }
    }

    fn window(&mut self) -> String {
        let value = self.number(About::Profile, 1);
        let direction = self.random.of(&["", " DESC", " NULLS FIRST", " DESC NULLS LAST"]);
        let partition = self.random.of(&["", "PARTITION BY country ", "PARTITION BY vip "]);
        let order = format!("{partition}ORDER BY {value}{direction}");
        let n = 1 + self.random.below(5);
        match self.random.below(7) {
            0 => format!("ntile({n}) OVER ({order}, id) = 1"),
            1 => format!("row_number() OVER ({order}, id) <= {n}"),
            2 => format!("rank() OVER ({order}) <= {n}"),
            3 => format!("dense_rank() OVER ({order}) {} {n}", self.operator()),
            4 => format!("count({value}) OVER ({partition}) > {n}"),
            5 => format!("{value} > avg(points) OVER ({partition})"),
            _ => format!("sum({value}) OVER ({partition}) {} {}", self.operator(), 10 * n),
        }
    }
}
