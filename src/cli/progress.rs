//! How an evaluation gets on, shown on a terminal.

use std::io::IsTerminal;
use std::sync::{Arc, Mutex, PoisonError};

use indicatif::{ProgressBar, ProgressStyle};

use super::stop::note;
use crate::engine::{Figures, Progress};

/// A bar on stderr.
pub(crate) struct Bar {
    shown: Mutex<Option<ProgressBar>>,
    /// Whether the figures are said when a pass is over.
    figures: bool,
}

impl Bar {
    /// A bar, if a person looks at stderr or wants to know more.
    pub(crate) fn on_terminal(verbose: bool) -> Option<Arc<Self>> {
        (verbose || std::io::stderr().is_terminal()).then(|| Self::new(true))
    }

    pub(crate) fn new(figures: bool) -> Arc<Self> {
        Arc::new(Self { shown: Mutex::new(None), figures })
    }

    /// Shows so many steps of so many.
    pub(crate) fn show(&self, what: &str, done: u64, of: Option<u64>) {
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        let bar = shown.get_or_insert_with(|| {
            let bar = ProgressBar::new(of.unwrap_or(0)).with_message(what.to_owned());
            if let Ok(style) = ProgressStyle::with_template(template(of.is_some())) {
                bar.set_style(style);
            }
            bar
        });
        if let Some(of) = of {
            bar.set_length(of);
        }
        bar.set_position(of.map_or(done, |of| done.min(of)));
    }

    /// Takes the bar away.
    pub(crate) fn clear(&self) {
        if let Some(bar) = self.shown.lock().unwrap_or_else(PoisonError::into_inner).take() {
            bar.finish_and_clear();
        }
    }
}

fn template(has_end: bool) -> &'static str {
    if has_end {
        "{msg} {wide_bar} {human_pos}/{human_len} {elapsed}"
    } else {
        "{msg} {spinner} {human_pos} {elapsed}"
    }
}

impl Progress for Bar {
    fn read(&self, events: u64, of: Option<u64>) {
        self.show("events read", events, of);
    }

    fn finished(&self, figures: &Figures) {
        self.clear();
        if self.figures {
            note(&summary(figures));
        }
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.clear();
    }
}

/// The figures of a pass as a sentence.
pub(crate) fn summary(figures: &Figures) -> String {
    let mut text = format!(
        "{}: {} events of {} profiles read in {:.2} s",
        figures.store,
        count(figures.events),
        count(figures.profiles),
        figures.seconds
    );
    if let Some(orphans @ 1..) = figures.orphan_events {
        text.push_str(&format!("; {} events are of no profile", count(orphans)));
    }
    if figures.null_keys > 0 {
        text.push_str(&format!("; {} profiles without a key were skipped", count(figures.null_keys)));
    }
    text
}

/// A number as people write it: `2,015,705`.
pub(crate) fn count(number: u64) -> String {
    indicatif::HumanCount(number).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_a_sentence() {
        let mut figures = Figures { store: "shop".to_owned(), profiles: 100_000, ..Figures::default() };
        (figures.events, figures.seconds) = (2_015_705, 1.234);
        assert_eq!(summary(&figures), "shop: 2,015,705 events of 100,000 profiles read in 1.23 s");
        (figures.orphan_events, figures.null_keys) = (Some(5), 1);
        assert!(
            summary(&figures)
                .ends_with("; 5 events are of no profile; 1 profiles without a key were skipped")
        );
    }
}
