//! The demo's segments: rules kept in `queries/segments`, one of each kind.

use crate::segment::Language;
use crate::statement::quote_string;

/// A segment of the demo.
pub(super) struct Sample {
    pub(super) name: &'static str,
    pub(super) comment: &'static str,
    pub(super) language: Language,
    pub(super) rule: &'static str,
}

macro_rules! samples {
    ($($name:literal $language:ident $file:literal $comment:literal;)+) => {
        /// All of them; one that another names comes before it.
        pub(super) const SAMPLES: &[Sample] = &[$(Sample {
            name: $name,
            comment: $comment,
            language: Language::$language,
            rule: include_str!(concat!("../../../queries/segments/", $file)),
        },)+];
    };
}

samples! {
    "forgot_sneakers" Sql "forgot_sneakers.sql" "searched for running shoes in the last 30 days and did not buy";
    "abandoned_carts" Sql "abandoned_carts.sql" "put something into the cart and bought nothing within a day";
    "undecided" Sql "undecided.sql" "looked at one product three times and never bought it";
    "big_spenders" Sql "big_spenders.sql" "spent more than 1,000 in a year";
    "newsletter_buyers" Sql "newsletter_buyers.sql" "clicked in an email and bought within 7 days";
    "velora_fans" Sql "velora_fans.sql" "bought products of the brand Velora twice";
    "win_back" Pql "win_back.pql" "bought three times, but not in the last 90 days";
    "birthday_runners" Pql "birthday_runners.pql" "runners whose birthday is within 30 days and who take emails";
    "top_customers" Sql "top_customers.sql" "the 5 percent of buyers who spent most";
    "vip_at_risk" Sql "vip_at_risk.sql" "top customers of the club who have gone quiet";
}

impl Sample {
    /// The statement that creates it.
    pub(super) fn statement(&self) -> String {
        let rule = self.rule.trim_end();
        let rule = match self.language {
            Language::Sql => format!("AS\n{rule}"),
            Language::Pql | Language::PqlJson => format!("USING PQL AS $${rule}$$"),
        };
        format!(
            "CREATE OR REPLACE SEGMENT {} IN shop COMMENT {}\n{rule}",
            self.name,
            quote_string(self.comment)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_in_the_folder_is_in_the_list() {
        let folder = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/queries/segments")).unwrap();
        let mut files: Vec<String> =
            folder.map(|file| file.unwrap().path().file_stem().unwrap().display().to_string()).collect();
        files.sort();
        let mut names: Vec<&str> = SAMPLES.iter().map(|sample| sample.name).collect();
        names.sort_unstable();
        assert_eq!(files, names);
    }

    #[test]
    fn statements_parse() {
        for sample in SAMPLES {
            let source = crate::diagnostic::Source::typed(sample.statement());
            let all = 0..source.text.len();
            assert!(crate::statement::parse(&source, all).is_ok(), "{}", sample.name);
        }
    }
}
