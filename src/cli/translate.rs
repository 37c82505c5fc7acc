//! `coterie translate`: a rule in, the stages of its translation out.

use std::path::Path;

use super::arguments::{Emit, From, Global, To, Translate};
use super::output::Sink;
use super::stop::Stop;
use super::{open, script, tree};
use crate::diagnostic::Span;
use crate::segment::Language;

pub(super) async fn run(global: &Global, arguments: &Translate) -> Result<(), Stop> {
    let source = script::read(&arguments.file)?;
    let language = language(arguments.from, &arguments.file, &source.text);
    let engine = open(global).await?;
    let session = engine.session();
    let place = Span::new(0, source.text.len());
    if arguments.to == To::Pql {
        let pql = session
            .translate_to_pql(&source, language, arguments.store.as_deref())
            .await
            .map_err(|error| Stop::from(error).at(&source, place))?;
        return Sink::stdout().write(&format!("{pql}\n"));
    }
    let stages = session
        .translate(&source, language, arguments.store.as_deref())
        .await
        .map_err(|error| Stop::from(error).at(&source, place))?;
    let mut sink = Sink::stdout();
    let rule = tree::render(&stages.rule);
    let text = match arguments.emit {
        Emit::Segment => rule,
        Emit::Sql => format!("{};", stages.sql),
        Emit::Plan => stages.plan,
        Emit::All => {
            format!("-- segment\n{rule}\n\n-- sql\n{};\n\n-- plan\n{}", stages.sql, stages.plan)
        }
    };
    sink.write(&format!("{}\n", text.trim_end()))
}

fn language(from: Option<From>, file: &Path, text: &str) -> Language {
    let is_pql = match from {
        Some(From::Pql) => true,
        Some(From::Sql) => false,
        None => file.extension().is_some_and(|extension| extension == "pql"),
    };
    match is_pql {
        // No rule in PQL's text form begins with a brace: that is the JSON form.
        true if text.trim_start().starts_with('{') => Language::PqlJson,
        true => Language::Pql,
        false => Language::Sql,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_language_is_said_or_seen() {
        let check = |from, file: &str, text| language(from, Path::new(file), text);
        assert_eq!(check(None, "-", "true"), Language::Sql);
        assert_eq!(check(None, "a.pql", "true"), Language::Pql);
        assert_eq!(check(Some(From::Sql), "a.pql", "true"), Language::Sql);
        assert_eq!(check(Some(From::Pql), "-", " {\"nodeType\": 1}"), Language::PqlJson);
    }
}
