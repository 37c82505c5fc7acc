//! What one customer did in the shop's year: visits, purchases, newsletters, returns.

use super::catalog::{Catalog, Page};
use super::person::Person;
use super::random::{Random, whole};
use super::words::{DEVICES, EVERGREEN, HOURS, SEASONS};
use super::{DAY, NOW, SECOND, START};

macro_rules! kinds {
    ($($variant:ident = $name:literal,)+) => {
        /// The sort of an event.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub(super) enum Kind { $($variant,)+ }

        impl Kind {
            /// The values of `event_type`, in the order of the variants.
            pub(super) const NAMES: &[&str] = &[$($name,)+];
        }
    };
}

kinds! {
    PageView = "page_view",
    ProductView = "product_view",
    Search = "search",
    AddToCart = "add_to_cart",
    Checkout = "checkout",
    Purchase = "purchase",
    EmailOpen = "email_open",
    EmailClick = "email_click",
    Refund = "refund",
    SupportTicket = "support_ticket",
}

/// No product, term, campaign or address.
pub(super) const NONE: u16 = u16::MAX;

/// One event, as small as it gets: a million of them are sorted at a time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Event {
    /// Microseconds since 1970.
    pub(super) at: i64,
    pub(super) profile: u32,
    pub(super) cents: u32,
    /// The number of the profile's visit, from 1; 0 for what happened outside the shop.
    pub(super) session: u16,
    pub(super) product: u16,
    pub(super) term: u16,
    pub(super) campaign: u16,
    pub(super) url: u16,
    pub(super) kind: Kind,
    pub(super) device: u8,
    pub(super) quantity: u8,
}

/// An index as it is kept in an event.
fn code(index: usize) -> u16 {
    u16::try_from(index).unwrap_or(NONE)
}

/// The index that stands for the campaign of the month of `at`.
fn season(at: i64) -> u16 {
    let month = chrono::DateTime::from_timestamp_micros(at).map_or(0, |time| chrono::Datelike::month0(&time));
    u16::try_from(month).unwrap_or(0)
}

/// The campaigns that [`Event::campaign`] points into: those of the months, then those of all year.
pub(super) fn campaigns() -> impl Iterator<Item = &'static str> {
    SEASONS.iter().chain(EVERGREEN).copied()
}

const NEWSLETTER: usize = 0;

/// One customer's year.
pub(super) struct Life<'a> {
    catalog: &'a Catalog,
    random: Random,
    person: &'a Person,
    profile: u32,
    /// What the customer comes back to look at.
    wish: usize,
    sessions: u16,
    events: &'a mut Vec<Event>,
}

impl<'a> Life<'a> {
    /// Appends the events of the customer, in no particular order.
    pub(super) fn live(
        catalog: &'a Catalog,
        mut random: Random,
        person: &'a Person,
        profile: u32,
        events: &'a mut Vec<Event>,
    ) {
        if person.left <= START {
            return;
        }
        let wish = catalog.product(&mut random, person.favourite);
        let mut life = Self { catalog, random, person, profile, wish, sessions: 0, events };
        for _ in 0..person.visits {
            let start = life.moment();
            let campaign = life.campaign(start);
            life.visit(start, campaign);
        }
        if person.email_opt_in {
            life.newsletters();
        }
    }

    /// Some time while the customer is active, more often lately, at the hours when people shop.
    fn moment(&mut self) -> i64 {
        let from = self.person.joined.max(START);
        let active = (self.person.left - from).max(SECOND);
        let unit = self.random.unit();
        let share = if self.random.chance(0.5) { unit } else { unit.sqrt() };
        let at = from + i64::try_from(whole(share * active as f64)).unwrap_or(0);
        let hour = i64::try_from(self.random.weighted(HOURS)).unwrap_or(0);
        let time = hour * 3600 * SECOND + self.random.between(0, 3600 * SECOND);
        let at = at - at.rem_euclid(DAY) + time;
        // The hour may have moved it into the future, or before the customer's first day.
        if at >= NOW {
            at - DAY
        } else if at < from {
            from + time / 24
        } else {
            at
        }
    }

    fn campaign(&mut self, at: i64) -> u16 {
        if self.random.chance(0.72) {
            NONE
        } else if self.random.chance(0.6) {
            season(at)
        } else {
            code(SEASONS.len() + 1 + self.random.index(EVERGREEN.len() - 1))
        }
    }

    /// One visit: a walk from page to page that ends somewhere, at times with a purchase.
    fn visit(&mut self, start: i64, campaign: u16) {
        self.sessions = self.sessions.saturating_add(1);
        let device = match self.random.chance(0.8) {
            true => self.person.device,
            false => u8::try_from(self.random.index(DEVICES.len())).unwrap_or(0),
        };
        let mut category = self.person.favourite;
        if self.random.chance(0.4) {
            category = self.random.weighted(super::person::category_weights());
        }
        let mut step = Step { session: self.sessions, campaign, device, ..Step::default() };
        let mut product = self.wish;
        let mut kind = [Kind::PageView, Kind::Search, Kind::ProductView][self.random.weighted(&[48, 30, 22])];
        let mut at = start;
        for _ in 0..60 {
            step.term = NONE;
            step.product = code(product);
            match kind {
                Kind::PageView => {
                    step.product = NONE;
                    let home = self.random.chance(0.55);
                    step.url = if home {
                        Catalog::home_url(&mut self.random)
                    } else {
                        Catalog::category_url(category)
                    };
                }
                Kind::Search => {
                    let term = self.catalog.term(&mut self.random, category);
                    (step.product, step.term, step.url) = (NONE, code(term), Catalog::term_url(term));
                }
                Kind::ProductView => {
                    product = match self.random.chance(0.18) {
                        true => self.wish,
                        false => self.catalog.product(&mut self.random, category),
                    };
                    if self.random.chance(0.08) {
                        self.wish = product;
                    }
                    let off = if campaign != NONE && self.random.chance(0.5) { 10 } else { 0 };
                    step.cents = self.catalog.products[product].cents * (100 - off) / 100;
                    (step.product, step.url) = (code(product), self.catalog.product_url(product));
                }
                Kind::AddToCart => {
                    step.quantity = [1, 2, 3, 4][self.random.weighted(&[82, 13, 3, 2])];
                    step.url = Page::Cart as usize;
                }
                Kind::Checkout => step.url = Page::Checkout as usize,
                Kind::Purchase => step.url = Page::Complete as usize,
                // The walk has no other steps.
                _ => break,
            }
            self.record(at, kind, &step);
            if kind == Kind::Purchase {
                self.after_purchase(at, &step);
            }
            if self.random.chance(0.155) {
                break;
            }
            kind = self.next(kind);
            at += 4 * SECOND + self.random.between(0, 70 * SECOND);
            if self.random.chance(0.06) {
                at += self.random.between(0, 1500 * SECOND);
            }
        }
        if self.random.chance(0.012) {
            let ask = Step { product: NONE, term: NONE, url: Page::Support as usize, ..step };
            self.record(at + 90 * SECOND, Kind::SupportTicket, &ask);
        }
    }

    fn next(&mut self, kind: Kind) -> Kind {
        use Kind::{AddToCart, Checkout, PageView, ProductView, Purchase, Search};
        let choices: &[(Kind, u32)] = match kind {
            Search => &[(ProductView, 60), (Search, 20), (PageView, 20)],
            ProductView => &[(ProductView, 40), (PageView, 20), (Search, 14), (AddToCart, 26)],
            AddToCart => &[(Checkout, 48), (ProductView, 28), (PageView, 16), (Search, 8)],
            Checkout => &[(Purchase, 74), (PageView, 16), (ProductView, 10)],
            _ => &[(PageView, 36), (ProductView, 40), (Search, 24)],
        };
        let mut left = self.random.below(100);
        for (kind, weight) in choices {
            match left.checked_sub(u64::from(*weight)) {
                Some(rest) => left = rest,
                None => return *kind,
            }
        }
        PageView
    }

    /// Some goods come back, some customers complain first.
    fn after_purchase(&mut self, at: i64, bought: &Step) {
        if !self.random.chance(0.06) {
            return;
        }
        let outside = Step { session: 0, campaign: NONE, ..*bought };
        let back = at + self.random.between(2 * DAY, 21 * DAY);
        if self.random.chance(0.45) {
            let url = Page::Support as usize;
            let ask = Step { product: NONE, quantity: 0, cents: 0, url, ..outside };
            let asked = back - self.random.between(DAY / 8, DAY);
            self.record(asked, Kind::SupportTicket, &ask);
        }
        self.record(back, Kind::Refund, &Step { url: Page::Returns as usize, ..outside });
    }

    /// Newsletters that the customer opened; some lead back into the shop.
    fn newsletters(&mut self) {
        let opened = self.random.below(u64::from(self.person.visits) + 3);
        for _ in 0..opened {
            let at = self.moment();
            let campaign = match self.random.chance(0.6) {
                true => code(SEASONS.len() + NEWSLETTER),
                false => season(at),
            };
            let letter = Step { campaign, device: self.person.device, ..Step::default() };
            self.record(at, Kind::EmailOpen, &letter);
            if self.random.chance(0.22) {
                let at = at + 5 * SECOND + self.random.between(0, 600 * SECOND);
                self.record(at, Kind::EmailClick, &letter);
                if self.random.chance(0.6) {
                    self.visit(at + 2 * SECOND, campaign);
                }
            }
        }
    }

    fn record(&mut self, at: i64, kind: Kind, step: &Step) {
        if !(START..NOW).contains(&at) {
            return;
        }
        let priced = step.product != NONE;
        let counted = matches!(kind, Kind::AddToCart | Kind::Checkout | Kind::Purchase | Kind::Refund);
        self.events.push(Event {
            at,
            profile: self.profile,
            cents: if priced { step.cents } else { 0 },
            session: step.session,
            product: step.product,
            term: step.term,
            campaign: step.campaign,
            url: if step.session == 0 && !counted && kind != Kind::SupportTicket {
                NONE
            } else {
                code(step.url)
            },
            kind,
            device: step.device,
            quantity: if counted { step.quantity.max(1) } else { 0 },
        });
    }
}

/// Where a visit stands.
#[derive(Clone, Copy)]
struct Step {
    session: u16,
    product: u16,
    term: u16,
    campaign: u16,
    url: usize,
    device: u8,
    quantity: u8,
    cents: u32,
}

impl Default for Step {
    fn default() -> Self {
        Self {
            session: 0,
            product: NONE,
            term: NONE,
            campaign: NONE,
            url: 0,
            device: 0,
            quantity: 0,
            cents: 0,
        }
    }
}
