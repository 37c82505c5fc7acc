//! Days and dates of the proleptic Gregorian calendar, for all of `i32` days from 1970-01-01.

/// A year, a month from 1 and a day from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Date {
    /// Astronomical: 0 is the year before 1.
    pub year: i64,
    /// 1 to 12.
    pub month: i64,
    /// 1 to 31.
    pub day: i64,
}

/// Days of 400 years: after them, calendar and weekdays repeat.
const ERA: i64 = 146_097;

impl Date {
    /// The date `days` after 1970-01-01.
    ///
    /// Years are counted from March, so that the leap day is the last of its year and needs no case
    /// of its own (Howard Hinnant, "chrono-compatible low-level date algorithms").
    pub fn from_days(days: i64) -> Self {
        let days = days + 719_468;
        let era = days.div_euclid(ERA);
        let of_era = days.rem_euclid(ERA);
        let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let from_march = (5 * of_year + 2) / 153;
        let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
        let year = era * 400 + year_of_era + i64::from(month <= 2);
        Self { year, month, day: of_year - (153 * from_march + 2) / 5 + 1 }
    }

    /// Days from 1970-01-01. A day past the end of the month counts on into the next.
    pub fn to_days(self) -> i64 {
        let year = self.year - i64::from(self.month <= 2);
        let from_march = (self.month + 9) % 12;
        let year_of_era = year.rem_euclid(400);
        let of_year = (153 * from_march + 2) / 5 + self.day - 1;
        let of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + of_year;
        year.div_euclid(400) * ERA + of_era - 719_468
    }

    /// The day on which `self` is celebrated in `year`: the same month and day, and 28 February
    /// for 29 February where `year` has none.
    pub fn anniversary(self, year: i64) -> i64 {
        let missing = self.month == 2 && self.day == 29 && !is_leap(year);
        Date { year, day: self.day - i64::from(missing), ..self }.to_days()
    }
}

/// Whether `year` has a 29 February.
pub fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

/// Whether an anniversary of `date`, in whatever year, is one of the days `from` to `to`, both
/// included. Days count from 1970-01-01.
pub fn anniversary_in(date: i32, from: i32, to: i32) -> bool {
    let (from, to) = (i64::from(from), i64::from(to));
    if from > to {
        return false;
    }
    let date = Date::from_days(i64::from(date));
    let year = Date::from_days(from).year;
    let this_year = date.anniversary(year);
    let next = if this_year >= from { this_year } else { date.anniversary(year + 1) };
    next <= to
}

/// The days of the year with an anniversary in some days: what [`anniversary_in`] says of many dates, each looked up.
#[derive(Debug, Clone)]
pub struct Celebrated([bool; DAYS]);

/// Twelve months of as many days as the longest.
const DAYS: usize = 12 * 31;

impl Celebrated {
    /// Those in the days `from` to `to`, both included.
    pub fn new(from: i32, to: i32) -> Self {
        let mut days = [false; DAYS];
        for (at, is_celebrated) in (0_i32..).zip(&mut days) {
            // In a leap year all dates are there; who asks for 30 February is told of another day, and nobody does.
            let date = Date { year: 2000, month: i64::from(at / 31) + 1, day: i64::from(at % 31) + 1 };
            *is_celebrated = i32::try_from(date.to_days()).is_ok_and(|date| anniversary_in(date, from, to));
        }
        Self(days)
    }

    /// Whether an anniversary of `date` is one of the days.
    pub fn includes(&self, date: i32) -> bool {
        let Date { month, day, .. } = Date::from_days(i64::from(date));
        usize::try_from((month - 1) * 31 + day - 1).is_ok_and(|at| self.0.get(at) == Some(&true))
    }
}

#[cfg(test)]
mod tests {
    use chrono::{Datelike, NaiveDate};
    use proptest::prelude::*;

    use super::*;

    fn day(year: i64, month: i64, day: i64) -> i32 {
        i32::try_from(Date { year, month, day }.to_days()).unwrap()
    }

    #[test]
    fn days_and_dates_are_inverse() {
        for days in (-800_000..800_000).step_by(7).chain([i64::from(i32::MIN), i64::from(i32::MAX)]) {
            assert_eq!(Date::from_days(days).to_days(), days);
        }
    }

    #[test]
    fn leap_day_is_celebrated_on_28_february_of_common_years() {
        let born = day(2000, 2, 29);
        assert!(anniversary_in(born, day(2025, 2, 28), day(2025, 2, 28)));
        assert!(!anniversary_in(born, day(2025, 3, 1), day(2025, 3, 1)));
        assert!(anniversary_in(born, day(2024, 2, 29), day(2024, 2, 29)));
        assert!(!anniversary_in(born, day(2024, 2, 28), day(2024, 2, 28)));
        assert!(anniversary_in(born, day(1900, 2, 28), day(1900, 2, 28)));
        assert!(!anniversary_in(day(1999, 2, 28), day(2024, 2, 29), day(2024, 2, 29)));
    }

    #[test]
    fn ranges_cross_the_year_and_may_be_long_or_backward() {
        let born = day(1990, 1, 2);
        assert!(anniversary_in(born, day(2025, 12, 28), day(2026, 1, 2)));
        assert!(!anniversary_in(born, day(2025, 12, 28), day(2026, 1, 1)));
        assert!(anniversary_in(born, day(2026, 1, 3), day(2027, 1, 2)));
        assert!(!anniversary_in(born, day(2026, 1, 3), day(2026, 1, 1)));
        assert!(anniversary_in(born, i32::MIN, i32::MAX));
    }

    #[test]
    fn days_of_the_year_say_what_dates_do() {
        let leap_day = day(2024, 2, 29);
        for (from, to) in [
            (day(2026, 6, 15), day(2026, 6, 22)),
            (day(2026, 12, 30), day(2027, 1, 3)),
            (day(2027, 2, 20), day(2027, 2, 28)),
            (day(2027, 3, 1), day(2027, 3, 1)),
            (leap_day, leap_day),
            (day(2023, 3, 1), day(2024, 2, 28)),
            (10, 9),
            (i32::MIN, i32::MAX),
        ] {
            let celebrated = Celebrated::new(from, to);
            for date in (-3_000..12_000).chain([i32::MIN, i32::MAX]) {
                assert_eq!(
                    celebrated.includes(date),
                    anniversary_in(date, from, to),
                    "{date} in {from} to {to}"
                );
            }
        }
    }

    proptest! {
        #[test]
        fn agrees_with_looking_at_every_day(date in -40_000i32..40_000, from in -1_000i32..1_000, len in -3i32..500) {
            let civil = |days: i32| {
                NaiveDate::from_ymd_opt(1970, 1, 1).unwrap() + chrono::Duration::days(i64::from(days))
            };
            let born = civil(date);
            let celebrated = (from..=from + len).any(|today| {
                let today = civil(today);
                let own = (today.month(), today.day()) == (born.month(), born.day());
                let shifted = (born.month(), born.day()) == (2, 29)
                    && (today.month(), today.day()) == (2, 28)
                    && !today.leap_year();
                own || shifted
            });
            prop_assert_eq!(anniversary_in(date, from, from + len), celebrated);
        }
    }
}
