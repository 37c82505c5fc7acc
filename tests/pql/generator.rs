//! Random well-typed PQL about the fixture, with marked parts: see [`crate::shrink`].

use crate::random::Random;
use crate::shrink::mark;

/// What a context or variable is.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Profile,
    Event,
    Order,
    Item,
}

#[derive(Clone, Copy)]
enum Class {
    Text,
    Integer,
    Double,
    Time,
    Boolean,
}

fn fields(kind: Kind, class: Class) -> &'static [&'static str] {
    match (kind, class) {
        (Kind::Profile, Class::Text) => {
            &["homeAddress.city", "loyalty.tier", "person.name.firstName", "homeAddress.countryCode"]
        }
        (Kind::Profile, Class::Integer) => &["loyalty.points", "person.birthYear", "person.birthDay"],
        (Kind::Profile, Class::Double) => &["loyalty.lifetimeSpend", "loyalty.rate", "scores.get(\"churn\")"],
        (Kind::Profile, Class::Time) => &["person.birthDate", "loyalty.joinDate", "loyalty.lastActivity"],
        (Kind::Profile, Class::Boolean) => &["_acme.vip", "testProfile"],
        (Kind::Event, Class::Text) => {
            &["eventType", "channel", "placeContext.geo.city", "web.webPageDetails.name", "_acme.sessionId"]
        }
        (Kind::Event, Class::Integer) => &["_acme.score", "siteSearch.results"],
        (Kind::Event, Class::Double) => &["commerce.order.priceTotal"],
        (Kind::Event, Class::Time) => &["timestamp", "_acme.expiresAt"],
        (Kind::Event, Class::Boolean) => &["web.webPageDetails.isHomePage"],
        (Kind::Order, Class::Text) => &["storeId", "orderId"],
        (Kind::Order, Class::Integer) => &["quantity"],
        (Kind::Order, Class::Double) => &["price"],
        (Kind::Order, Class::Time) => &["placedAt"],
        (Kind::Item, Class::Text) => &["SKU", "category"],
        (Kind::Item, Class::Integer) => &["quantity"],
        (Kind::Item, Class::Double) => &["priceTotal"],
        (Kind::Order | Kind::Item, Class::Boolean) | (Kind::Item, Class::Time) => &[],
    }
}

pub(crate) struct Generator {
    random: Random,
    contexts: Vec<Kind>,
    variables: Vec<(String, Kind)>,
    next: usize,
}

/// The plainest text of each kind of part.
pub(crate) const SIMPLEST: &[(char, &str)] = &[('b', "true"), ('b', "false"), ('n', "1")];

/// A random query, with marks.
pub(crate) fn query(seed: u64) -> String {
    let random = Random::new(seed);
    Generator { random, contexts: vec![Kind::Profile], variables: vec![], next: 0 }.condition(3)
}

impl Generator {
    /// A way to name something known, with what it is.
    fn reference(&mut self) -> (String, Kind) {
        let depth = self.contexts.len();
        let vars = self.variables.len();
        match self.random.below(6) {
            0 | 1 if vars > 0 => {
                let (name, kind) = self.variables[self.random.below(vars)].clone();
                (format!("{name}."), kind)
            }
            2 if depth > 1 => {
                let up = 1 + self.random.below(depth - 1);
                (format!("{}.", "^".repeat(up)), self.contexts[depth - 1 - up])
            }
            3 if depth > 1 => ("$1.".into(), Kind::Profile),
            _ => (String::new(), self.contexts[depth - 1]),
        }
    }

    fn field(&mut self, class: Class) -> String {
        for _ in 0..4 {
            let (prefix, kind) = self.reference();
            let fields = fields(kind, class);
            if !fields.is_empty() {
                return format!("{prefix}{}", self.random.of(fields));
            }
        }
        format!("$1.{}", self.random.of(fields(Kind::Profile, class)))
    }

    fn number(&mut self, depth: usize) -> String {
        let text = self.bare_number(depth);
        mark('n', &text)
    }

    fn bare_number(&mut self, depth: usize) -> String {
        match self.random.below(9) {
            0 => self.random.of(&["0", "1", "2", "5", "100", "2.5", "-1"]).to_owned(),
            1 | 2 => self.field(Class::Integer),
            3 => self.field(Class::Double),
            4 if depth > 0 => {
                let op = self.random.of(&["+", "-", "*", "/", "%"]);
                format!("({} {op} {})", self.number(depth - 1), self.number(depth - 1))
            }
            5 if depth > 0 => {
                let (source, _) = self.array(depth - 1);
                format!("{source}.count()")
            }
            6 if depth > 0 => {
                let (source, kind) = self.array(depth - 1);
                let function = self.random.of(&["sum", "average", "min", "max"]);
                let body = self.within(kind, |g| g.number(0));
                format!("{source}.{function}({body})")
            }
            7 if depth > 0 => {
                let condition = self.condition(depth - 1);
                format!("if({condition}, {}, {})", self.number(0), self.number(0))
            }
            8 if depth > 0 => {
                let (source, kind) = self.array(depth - 1);
                let name = self.name();
                self.variables.push((name.clone(), kind));
                let condition = self.condition(depth - 1);
                let class = if self.random.chance(1, 2) { Class::Integer } else { Class::Double };
                let value = fields(kind, class)[0];
                self.variables.pop();
                let function = self.random.of(&["sum", "average", "min", "max", "count"]);
                format!("({function} {name}.{value} over {name} from {source} where {condition})")
            }
            _ => self.field(Class::Integer),
        }
    }

    fn name(&mut self) -> String {
        self.next += 1;
        format!("V{}", self.next)
    }

    /// Something about an element: the element is the context.
    fn within<T>(&mut self, kind: Kind, body: impl FnOnce(&mut Self) -> T) -> T {
        self.contexts.push(kind);
        let result = body(self);
        self.contexts.pop();
        result
    }

    fn array(&mut self, depth: usize) -> (String, Kind) {
        let (prefix, kind) = self.reference();
        let (source, kind) = match kind {
            Kind::Event => (format!("{prefix}productListItems"), Kind::Item),
            Kind::Profile if self.random.below(3) == 0 => (format!("{prefix}orders"), Kind::Order),
            Kind::Profile => (format!("{prefix}xEvent"), Kind::Event),
            Kind::Order | Kind::Item => ("$1.xEvent".into(), Kind::Event),
        };
        if depth == 0 {
            return (source, kind);
        }
        match self.random.below(6) {
            0 | 1 => {
                let condition = self.within(kind, |g| g.condition(depth - 1));
                (format!("{source}[{condition}]"), kind)
            }
            2 => {
                let name = self.name();
                self.variables.push((name.clone(), kind));
                let condition = self.within(kind, |g| g.condition(depth - 1));
                self.variables.pop();
                (format!("{source}.filter({name} => {condition})"), kind)
            }
            3 => {
                let name = self.name();
                self.variables.push((name.clone(), kind));
                let condition = self.condition(depth - 1);
                self.variables.pop();
                (format!("(select {name} from {source} where {condition})"), kind)
            }
            4 => {
                let key = self.within(kind, |g| g.field(Class::Text));
                let function = self.random.of(&["topN", "bottomN"]);
                (format!("{source}.{function}({key}, {})", self.random.below(4)), kind)
            }
            5 if kind == Kind::Event => (format!("{source}.productListItems"), Kind::Item),
            _ => (source, kind),
        }
    }

    fn text(&mut self) -> String {
        let texts = [
            "\"commerce.purchases\"",
            "\"PS\"",
            "\"gold\"",
            "\"London\"",
            "\"web\"",
            "\"s1\"",
            "\"e\"",
            "\"\"",
        ];
        match self.random.below(3) {
            0 => self.random.of(&texts).to_owned(),
            _ => self.field(Class::Text),
        }
    }

    fn constraint(&mut self) -> String {
        let unit = self.random.of(&["hours", "days", "weeks", "months", "years"]);
        let anchor = match self.random.below(5) {
            0 => "now".to_owned(),
            1 => "today".to_owned(),
            2 => format!("{} month", self.random.of(&["this", "last"])),
            3 => "date(2026, 2, 28)".to_owned(),
            _ => self.field(Class::Time),
        };
        let number = self.random.below(40);
        match self.random.below(5) {
            0 => format!("{} {anchor}", self.random.of(&["before", "after", "from", "on"])),
            1 => format!("between {number} {unit} before {anchor} and {anchor}"),
            2 => format!("<= {number} {unit} after {anchor} ignoreYear"),
            _ => {
                let op = self.random.of(&["=", "!=", "<", "<=", ">", ">="]);
                format!("{op} {number} {unit} {} {anchor}", self.random.of(&["before", "after", "from"]))
            }
        }
    }

    fn condition(&mut self, depth: usize) -> String {
        let text = self.bare_condition(depth);
        mark('b', &text)
    }

    fn bare_condition(&mut self, depth: usize) -> String {
        let compare = ["=", "!=", "<", "<=", ">", ">="];
        let choice = self.random.below(if depth == 0 { 7 } else { 19 });
        match choice {
            0 | 1 => {
                let op = self.random.of(&compare);
                format!("{} {op} {}", self.number(depth.min(1)), self.number(depth.min(1)))
            }
            2 => {
                let op = self.random.of(&["=", "!=", "<", ">=", "like", "="]);
                format!("{} {op} {}", self.text(), self.text())
            }
            3 => format!("{}.{}()", self.field(Class::Text), self.random.of(&["isNull", "isNotNull"])),
            4 => {
                let test = self.random.of(&[
                    "startsWith",
                    "doesNotContain",
                    "contains",
                    "equals",
                    "notEqualTo",
                    "endsWith",
                ]);
                let flag = self.random.of(&["", ", false"]);
                format!("{}.{test}({}{flag})", self.field(Class::Text), self.text())
            }
            5 => format!("{} occurs {}", self.field(Class::Time), self.constraint()),
            6 => {
                let op = self.random.of(&["in", "notIn"]);
                format!("{} {op} [{}, {}]", self.field(Class::Text), self.text(), self.text())
            }
            7 => format!("not ({})", self.condition(depth - 1)),
            8 => format!("({} and {})", self.condition(depth - 1), self.condition(depth - 1)),
            9 => format!("({} or {})", self.condition(depth - 1), self.condition(depth - 1)),
            10 => self.field(Class::Boolean),
            11 => self.array(depth).0,
            12 | 13 => {
                let (source, kind) = self.array(depth - 1);
                let function = self.random.of(&["exists", "forall"]);
                let condition = self.within(kind, |g| g.condition(depth - 1));
                format!("{source}.{function}({condition})")
            }
            14 | 15 => {
                let (source, kind) = self.array(depth - 1);
                let name = self.name();
                let quantifier = self.random.of(&["exists", "forall", "exists"]);
                self.variables.push((name.clone(), kind));
                let condition = self.condition(depth - 1);
                let mut text = format!("{quantifier} {name} from {source} where {condition}");
                if self.random.below(3) == 0 {
                    let (source, kind) = self.array(0);
                    let name = self.name();
                    self.variables.push((name.clone(), kind));
                    let condition = self.condition(depth - 1);
                    text += &format!(", {name} from {source} where {condition}");
                    self.variables.pop();
                }
                self.variables.pop();
                format!("({text})")
            }
            16 => self.chain(depth),
            17 => {
                let (source, kind) = self.array(depth - 1);
                let field = self.random.of(fields(kind, Class::Text));
                match self.random.below(4) {
                    0 => format!("{source}.{field}.includes({})", self.text()),
                    1 => format!("{source}.{field} {} {}", self.random.of(&compare), self.text()),
                    2 => format!("{source}.{field}.distinct().count() > {}", self.random.below(3)),
                    _ => format!(
                        "{source}.groupBy({field}).map((K, G) => mapEntry(K, G.count())).values().max() > 1"
                    ),
                }
            }
            _ => {
                let value = self.number(depth - 1);
                let name = self.name();
                format!("(let {name} = {value} in {name} > 1 or {name}.isNull())")
            }
        }
    }

    /// How far from one of the labels since `before`, most often the last.
    fn limit(&mut self, before: usize) -> String {
        let labels = self.variables.len() - before;
        let label = match self.random.below(3) {
            0 => before + self.random.below(labels),
            _ => before + labels - 1,
        };
        let label = self.variables[label].0.clone();
        let time = self.random.of(&["", ".timestamp"]);
        let op = self.random.of(&["<=", "<=", "<", ">"]);
        let length =
            self.random.of(&["0 days", "9 days", "3 hours", "2 weeks", "1 month", "90000 milliseconds"]);
        let direction = self.random.of(&["after", "after", "from"]);
        format!("{op} {length} {direction} {label}{time}")
    }

    fn chain(&mut self, depth: usize) -> String {
        let mut steps = vec![];
        let mut labels = 0;
        let before = self.variables.len();
        for _ in 0..=self.random.below(3) {
            let label = self.name();
            let what = self.within(Kind::Event, |g| g.condition(depth - 1));
            let mut step = format!("{label}: what({what})");
            if self.random.below(3) == 0 {
                let when = match labels {
                    0 => self.within(Kind::Event, Self::constraint),
                    _ => self.limit(before),
                };
                step += &format!(" when({when})");
            }
            if self.random.below(4) == 0 {
                step += &format!(" count({})", 1 + self.random.below(2));
            } else if self.random.below(2) == 0 {
                self.variables.push((label, Kind::Event));
                labels += 1;
            }
            steps.push(step);
        }
        self.variables.truncate(before);
        format!("chain($1.xEvent, timestamp, [{}])", steps.join(", "))
    }
}
