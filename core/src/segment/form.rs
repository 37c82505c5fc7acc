//! The short forms: what coterie adds to SQL's expressions, listed once for parsers, checks, suggestions and docs.

macro_rules! forms {
    ($($(#[doc = $doc:literal])+ $variant:ident = $name:literal $args:literal..=$most:literal $signature:literal $example:literal;)+) => {
        /// A short form about a profile's events, or about the profile among all profiles.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Form {
            $($(#[doc = $doc])+ $variant,)+
        }

        impl Form {
            /// Every form, in the order of the reference page.
            pub const ALL: &[Self] = &[$(Self::$variant,)+];

            /// The name in SQL.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }

            /// How many arguments it takes.
            pub fn arity(self) -> std::ops::RangeInclusive<usize> {
                match self { $(Self::$variant => $args..=$most,)+ }
            }

            /// Name and arguments, as help shows them.
            pub fn signature(self) -> &'static str {
                match self { $(Self::$variant => $signature,)+ }
            }

            /// What it means.
            pub fn doc(self) -> &'static str {
                match self { $(Self::$variant => concat!($($doc),+),)+ }
            }

            /// A use of it on the demo's store.
            pub fn example(self) -> &'static str {
                match self { $(Self::$variant => $example,)+ }
            }
        }
    };
}

forms! {
    /// Whether at least one event satisfies the condition, within the interval before now if one is given.
    Did = "did" 1..=2 "did(condition [, interval])"
        "did(event_type = 'purchase', INTERVAL '30 days')";
    /// How many events satisfy the condition, within the interval before now if one is given.
    Times = "times" 1..=2 "times(condition [, interval])"
        "times(event_type = 'product_view', INTERVAL '14 days') >= 5";
    /// The timestamp of the first event that satisfies the condition; NULL without one.
    FirstTime = "first_time" 1..=1 "first_time(condition)"
        "first_time(event_type = 'purchase') >= now() - INTERVAL '30 days'";
    /// The timestamp of the last event that satisfies the condition; NULL without one.
    LastTime = "last_time" 1..=1 "last_time(condition)"
        "last_time(event_type = 'purchase') < now() - INTERVAL '90 days'";
    /// The timestamp of the n-th event that satisfies the condition, from the end for a negative n; NULL without one.
    NthTime = "nth_time" 2..=2 "nth_time(condition, n)"
        "nth_time(event_type = 'purchase', 2) >= now() - INTERVAL '30 days'";
    /// Whether some event satisfies a and some strictly later event satisfies b, at most the interval later if one is given.
    DidThen = "did_then" 2..=3 "did_then(a, b [, interval])"
        "did_then(event_type = 'search', event_type = 'purchase', INTERVAL '7 days')";
    /// Whether some event satisfies a, its interval has passed, and no event strictly after it and at most the interval later satisfies b.
    DidWithout = "did_without" 3..=3 "did_without(a, b, interval)"
        "did_without(event_type = 'add_to_cart', event_type = 'purchase', INTERVAL '24 hours')";
    /// Whether the rule holds for some group of this profile's events by the key; events whose key is NULL are left out.
    AnyPer = "any_per" 2..=2 "any_per(key, rule)"
        "any_per(sku, times(event_type = 'product_view') >= 3 AND NOT did(event_type = 'purchase'))";
    /// For how many groups of this profile's events by the key the rule holds; events whose key is NULL are left out.
    CountPer = "count_per" 2..=2 "count_per(key, rule)"
        "count_per(category, did(event_type = 'purchase')) >= 3";
    /// Whether the profile is within the first p percent of all profiles by x, greatest first, then by key; profiles whose x is NULL do not count.
    TopPercent = "top_percent" 2..=2 "top_percent(x, percent)"
        "top_percent(sum(price * quantity) FILTER (WHERE event_type = 'purchase'), 5)";
    /// Whether the profile is among the first n of all profiles by x, greatest first, then by key; profiles whose x is NULL do not count.
    TopN = "top_n" 2..=2 "top_n(x, n)"
        "top_n(times(event_type = 'purchase'), 100)";
    /// Whether the profile is a member of another segment of the same store, now.
    InSegment = "in_segment" 1..=1 "in_segment('name')"
        "in_segment('big_spenders') AND email_opt_in";
}

impl Form {
    /// The form of that name, in lower case.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|form| form.name() == name)
    }

    /// Whether its conditions are about one event, as an aggregate's arguments are.
    pub fn is_aggregate(self) -> bool {
        match self {
            Self::Did
            | Self::Times
            | Self::FirstTime
            | Self::LastTime
            | Self::NthTime
            | Self::DidThen
            | Self::DidWithout => true,
            Self::AnyPer | Self::CountPer | Self::TopPercent | Self::TopN | Self::InSegment => false,
        }
    }
}
