//! Who the customers are.

use std::sync::LazyLock;

use super::random::{Random, whole};
use super::words::{
    CATEGORIES, COUNTRIES, DEVICES, FIRST_NAMES, GENDERS, INTERESTS, LAST_NAMES, MAIL_DOMAINS,
};
use super::{DAY, NOW};

/// One customer. Words are indices into the lists of [`super::words`].
pub(super) struct Person {
    pub(super) first: usize,
    pub(super) last: usize,
    pub(super) gender: Option<usize>,
    /// Days since 1970.
    pub(super) birth: Option<i32>,
    pub(super) country: usize,
    pub(super) city: usize,
    pub(super) postal_code: u64,
    pub(super) email_opt_in: bool,
    pub(super) sms_opt_in: bool,
    pub(super) store_visits: i32,
    pub(super) interests: Vec<usize>,
    pub(super) favourite: usize,
    pub(super) device: u8,
    /// Microseconds since 1970 of the first and the last day with the shop.
    pub(super) joined: i64,
    pub(super) left: i64,
    pub(super) visits: u16,
}

/// How often each category is somebody's favourite.
pub(super) fn category_weights() -> &'static [u32] {
    static WEIGHTS: LazyLock<Vec<u32>> =
        LazyLock::new(|| CATEGORIES.iter().map(|category| category.weight).collect());
    &WEIGHTS
}

/// How common each country is.
fn country_weights() -> &'static [u32] {
    static WEIGHTS: LazyLock<Vec<u32>> =
        LazyLock::new(|| COUNTRIES.iter().map(|country| country.1).collect());
    &WEIGHTS
}

impl Person {
    pub(super) fn new(random: &mut Random) -> Self {
        // The shop has grown for five years: u^1.5 makes recent customers the more common ones.
        let share = random.unit();
        let age = 1826.0 * share * share.sqrt();
        let joined = NOW - i64::try_from(whole(age * DAY as f64)).unwrap_or(0) - 1;
        let stays = random.chance(0.55);
        let life = if stays { 1.0 } else { random.unit() };
        let left = joined + i64::try_from(whole((NOW - joined) as f64 * life)).unwrap_or(0);
        // One in eight never came back after signing up; a few come every day.
        let visits =
            if random.chance(0.125) { 0.0 } else { (random.heavy() * 1.02 + random.unit()).min(400.0) };
        let country = random.weighted(country_weights());
        let known_birth = random.chance(0.9);
        // The sum of three dice is nearly a bell: ages 16 to 88, most around 41.
        let years: i64 =
            16 + (0..3).map(|_| random.between(0, 25)).sum::<i64>() * 2 / 3 + random.between(0, 10);
        let birth = NOW / DAY - years * 365 - random.between(0, 365);
        let mut interests: Vec<usize> =
            (0..random.weighted(&[14, 24, 28, 20, 10, 4])).map(|_| random.popular(INTERESTS.len())).collect();
        interests.sort_unstable();
        interests.dedup();
        Self {
            first: random.index(FIRST_NAMES.len()),
            last: random.index(LAST_NAMES.len()),
            gender: random.chance(0.92).then(|| random.weighted(&[50, 47, 3]) % GENDERS.len()),
            birth: known_birth.then(|| i32::try_from(birth).unwrap_or(0)),
            country,
            city: random.popular(COUNTRIES[country].3.len()),
            postal_code: 10_000 + random.below(89_999),
            email_opt_in: random.chance(0.62),
            sms_opt_in: random.chance(0.25),
            store_visits: i32::try_from(whole(random.heavy() - random.unit() * 1.2)).unwrap_or(0).min(60),
            interests,
            favourite: random.weighted(category_weights()),
            device: u8::try_from(random.weighted(&[58, 34, 8]) % DEVICES.len()).unwrap_or(0),
            joined,
            left,
            visits: u16::try_from(whole(visits)).unwrap_or(0),
        }
    }

    pub(super) fn email(&self, number: u32) -> String {
        let first = FIRST_NAMES[self.first].to_lowercase();
        let last = LAST_NAMES[self.last].to_lowercase().replace([' ', '\''], "");
        format!("{first}.{last}{number}@{}", MAIL_DOMAINS[self.last % MAIL_DOMAINS.len()])
    }

    /// Loyalty tier and points of somebody who spent so many cents in the year; most never joined the programme.
    pub(super) fn loyalty(&self, random: &mut Random, cents: u64) -> Option<(usize, i32)> {
        let joins = if cents > 0 { 0.72 } else { 0.28 };
        if !random.chance(joins) {
            return None;
        }
        let tier = match cents / 100 {
            0..150 => 0,
            150..450 => 1,
            450..1500 => 2,
            _ => 3,
        };
        let points = cents / 100 + 25 * random.below(8);
        Some((tier, i32::try_from(points).unwrap_or(i32::MAX)))
    }
}
