//! `coterie demo`: the main job with nothing prepared.

mod folder;
mod overlap;
mod segments;
mod shop;

use std::path::Path;
use std::time::Instant;

use super::arguments::{self, Global};
use super::output::{Format, Output, Sink, grid};
use super::progress::{Bar, count};
use super::stop::{Stop, note};
use super::{open, script};
use crate::bug;
use crate::diagnostic::{Kind, Source};
use crate::engine::Session;
use crate::error::{Error, Result};
use crate::statement::quote_string;
use folder::Folder;
use segments::SAMPLES;

/// The tables and the profile store, as the file has them for the default folder.
const STORE: &str = include_str!("../../../queries/demo/store.sql");
const STORE_FOLDER: &str = "'coterie-demo/";

/// The rule that is shown with its SQL.
const SHOWN: &str = "forgot_sneakers";

pub(super) async fn run(global: &Global, arguments: &arguments::Demo) -> Result<(), Stop> {
    let bar = Bar::new(false);
    let folder = Folder::open(&arguments.folder)?;
    let mut sink = Sink::stdout();

    let started = Instant::now();
    let (size, reused) = match folder.finished(arguments.profiles) {
        Some(size) => (size, true),
        None => {
            folder.begin()?;
            let path = folder.path.clone();
            let (profiles, shown) = (arguments.profiles, std::sync::Arc::clone(&bar));
            // Threads of its own: nothing else is to be done meanwhile.
            let made = tokio::task::spawn_blocking(move || {
                shop::make(&path, profiles, &|done, of| {
                    shown.show("making the shop", done as u64, Some(of as u64));
                })
            });
            let size = made.await.map_err(|cause| bug!("the sample data was not made: {cause}"))??;
            folder.finish(size)?;
            (size, false)
        }
    };
    bar.clear();
    // Times go to stderr, so that what is on stdout is the same each time.
    note(&if reused {
        "the shop is there from before".to_owned()
    } else {
        took("the shop was made", started)
    });
    sink.write(&format!(
        "A shop with {} customers, {} events of a year and {} products in {}.\n",
        count(size.profiles.into()),
        count(size.events),
        size.products,
        arguments.folder.display(),
    ))?;

    let engine = open(&Global {
        warehouse: Some(folder.warehouse()),
        now: Some(crate::session::instant(shop::NOW_TEXT)?),
        ..global.clone()
    })
    .await?;
    let session = engine.session();
    session.set_progress(Some(bar.clone()));
    let mut output = Output::new(sink, Format::Table);
    declare(&session, &folder.path).await?;

    let names: Vec<String> = SAMPLES.iter().map(|sample| sample.name.to_owned()).collect();
    let started = Instant::now();
    let report = session.evaluate(&names, None, false).await?;
    bar.clear();
    note(&took("the segments were evaluated and kept", started));
    for figures in &report.runs {
        output.sink.write(&format!(
            "{} segments evaluated in one pass over {} events.\n\n",
            report.segments.len(),
            count(figures.events),
        ))?;
    }
    output.sink.write(&audiences(&report, size.profiles))?;
    output.sink.write(&overlap::table(&session).await?)?;

    let shown =
        SAMPLES.iter().find(|sample| sample.name == SHOWN).ok_or_else(|| bug!("no sample {SHOWN}"))?;
    let sql = session.segment_sql(SHOWN).await?;
    output.sink.write(&format!(
        "The rule of {SHOWN}:\n\n{}\nand the same as SQL that runs as it stands:\n\n{}\n",
        indented(shown.rule),
        indented(&sql)
    ))?;
    output.sink.write(&next(&folder.warehouse_text()))?;
    if report.has_failures() { Err(Stop::Status(1)) } else { Ok(()) }
}

/// Declares tables, store and segments; what is there from an earlier run is replaced.
async fn declare(session: &Session, folder: &Path) -> Result<(), Stop> {
    let mut nowhere = Output::new(Sink::nowhere(), Format::Csv);
    let location = quote_string(&format!("{}/", folder.display()));
    let location = location.strip_suffix('\'').unwrap_or(&location);
    let store = STORE.replace(STORE_FOLDER, location);
    script::run(session, &Source::named("queries/demo/store.sql", store), &mut nowhere).await?;
    for sample in SAMPLES {
        let source = Source::named(format!("segment {}", sample.name), sample.statement());
        script::run(session, &source, &mut nowhere).await?;
    }
    Ok(())
}

/// The audiences with their sizes.
fn audiences(report: &crate::engine::Report, profiles: u32) -> String {
    let rows = SAMPLES.iter().filter_map(|sample| {
        let outcome = report.segments.iter().find(|outcome| outcome.segment == sample.name)?;
        let members = outcome.members.unwrap_or(0);
        let share = 100.0 * members as f64 / f64::from(profiles);
        let language = sample.language.as_str().to_uppercase();
        let what = outcome.message.as_deref().unwrap_or(sample.comment);
        Some([sample.name.to_owned(), language, count(members), format!("{share:.2} %"), what.to_owned()])
    });
    grid(&["audience", "rule in", "members", "share", "who"], &[2, 3], rows)
}

/// What to type next.
fn next(warehouse: &str) -> String {
    let program = std::env::args().next().unwrap_or_else(|| "coterie".to_owned());
    let now = shop::NOW_TEXT;
    format!(
        "Next, look around at the shop's own time ({now}):\n\n  \
         {program} sql --warehouse {warehouse} --now {now}\n\n\
         and type\n\n  \
         \\d\n  \
         SELECT p.email, a.entered_at FROM audience.{SHOWN} a JOIN profiles p ON p.profile_id = a.profile_id LIMIT 5;\n  \
         CREATE SEGMENT gift_givers AS times(event_type = 'purchase' AND quantity > 1) >= 2;\n  \
         SELECT count(*) FROM segment.gift_givers;\n  \
         EVALUATE ALL SEGMENTS;\n"
    )
}

fn indented(text: &str) -> String {
    text.trim_end().lines().map(|line| format!("  {line}\n")).collect()
}

fn took(what: &str, since: Instant) -> String {
    format!("{what} in {:.1} s", since.elapsed().as_secs_f64())
}

/// Something about the demo's folder.
fn about(path: &Path, what: &str, cause: std::io::Error) -> Error {
    Error::caused(Kind::Storage, format!("cannot {what} `{}`: {cause}", path.display()), cause)
}
