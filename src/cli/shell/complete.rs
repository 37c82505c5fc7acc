//! What the word before the cursor may become.

use super::command::Command;
use super::lex::{Token, is_word, tokens};
use super::words::KEYWORDS;
use crate::engine::{Names, TableName};
use crate::session::PUBLIC;

/// Where the word begins, and what it may become, the likely ones first.
pub(super) fn complete(text: &str, cursor: usize, names: &Names) -> (usize, Vec<String>) {
    let before = text.get(..cursor).unwrap_or(text);
    if before.trim_start().starts_with('\\') {
        return command(before, names);
    }
    if matches!(tokens(before).last(), Some((Token::Text | Token::Comment, _))) {
        return (cursor, vec![]);
    }
    let start = before
        .rfind(|c: char| !(is_word(c) || c.is_ascii_digit()))
        .map_or(0, |at| at + before[at..].chars().next().map_or(1, char::len_utf8));
    let word = &before[start..];
    let mut found = Found { word, names: vec![] };
    if let Some(owner) = before[..start].strip_suffix('.') {
        let owner = owner.rsplit(|c: char| !(is_word(c) || c.is_ascii_digit())).next().unwrap_or_default();
        for table in &names.tables {
            if table.schema.eq_ignore_ascii_case(owner) {
                found.offer(&table.name);
            }
            if table.name.eq_ignore_ascii_case(owner) {
                table.columns.iter().for_each(|column| found.offer(column));
            }
        }
        return (start, found.names);
    }

    let words: Vec<String> = tokens(text)
        .into_iter()
        .filter(|(token, range)| *token == Token::Word && range.start != start)
        .map(|(_, range)| text[range].to_ascii_lowercase())
        .collect();
    let last = tokens(&before[..start])
        .into_iter()
        .rfind(|(token, _)| *token == Token::Word)
        .map(|(_, range)| before[range].to_ascii_lowercase());
    match last.as_deref() {
        Some("segment" | "segments") => {
            names.segments.iter().for_each(|name| found.offer(name));
            return (start, found.names);
        }
        Some("from" | "join" | "into" | "describe" | "events" | "profiles" | "lookup") => {
            for table in &names.tables {
                if table.schema == PUBLIC {
                    found.offer(&table.name);
                }
            }
            for table in &names.tables {
                found.offer(&format!("{}.", table.schema));
            }
            // A subquery or a list of columns may stand there too, but a table is what people want.
            if !found.names.is_empty() {
                return (start, found.names);
            }
        }
        _ => {}
    }
    if word.is_empty() {
        return (start, vec![]);
    }
    let mentioned = |table: &&TableName| words.contains(&table.name.to_ascii_lowercase());
    for table in names.tables.iter().filter(mentioned) {
        table.columns.iter().for_each(|column| found.offer(column));
    }
    // Keywords in the case that was begun.
    let lower = word.chars().all(char::is_lowercase);
    for keyword in KEYWORDS {
        if lower { found.offer(&keyword.to_ascii_lowercase()) } else { found.offer(keyword) }
    }
    for table in names.tables.iter().filter(|table| table.schema == PUBLIC) {
        found.offer(&table.name);
    }
    // A rule names columns of the profile store's tables without naming the tables.
    if words.iter().any(|word| word == "segment" || word == "did" || word == "times") {
        for table in names.tables.iter().filter(|table| table.schema == PUBLIC) {
            table.columns.iter().for_each(|column| found.offer(column));
        }
    }
    for function in &names.functions {
        found.offer(&format!("{function}("));
    }
    (start, found.names)
}

/// Names that begin with the word, in any case, each once.
struct Found<'a> {
    word: &'a str,
    names: Vec<String>,
}

impl Found<'_> {
    fn offer(&mut self, name: &str) {
        let begins = name.get(..self.word.len()).is_some_and(|start| start.eq_ignore_ascii_case(self.word));
        if begins && !self.names.iter().any(|known| known == name) {
            self.names.push(name.to_owned());
        }
    }
}

fn command(before: &str, names: &Names) -> (usize, Vec<String>) {
    let indent = before.len() - before.trim_start().len();
    let line = &before[indent..];
    let Some((name, argument)) = line.split_once(' ') else {
        let fits = Command::ALL.iter().filter(|(_, name, ..)| name.starts_with(line));
        return (indent, fits.map(|(_, name, ..)| (*name).to_owned()).collect());
    };
    let start = before.len() - argument.len();
    let from = |list: Vec<String>| list.into_iter().filter(|name| name.starts_with(argument)).collect();
    let known = super::command::parse(name).map(|(command, _)| command);
    let found = match known {
        Some(Command::Describe) => from(names.tables.iter().map(qualified).collect()),
        Some(Command::Segments) => from(names.segments.clone()),
        Some(Command::Functions) => from(names.functions.clone()),
        Some(Command::Format) => from(["table", "csv", "tsv", "json", "ndjson"].map(str::to_owned).to_vec()),
        Some(Command::Expanded | Command::Timing) => from(["on", "off"].map(str::to_owned).to_vec()),
        Some(Command::Help | Command::Limit | Command::Include | Command::Output | Command::Quit) | None => {
            vec![]
        }
    };
    (start, found)
}

/// The name as a statement has it: with its schema, unless that goes without saying.
fn qualified(table: &TableName) -> String {
    if table.schema == PUBLIC { table.name.clone() } else { format!("{}.{}", table.schema, table.name) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> Names {
        let table = |schema: &str, name: &str, columns: &[&str]| TableName {
            schema: schema.to_owned(),
            name: name.to_owned(),
            columns: columns.iter().map(|column| (*column).to_owned()).collect(),
        };
        Names {
            tables: vec![
                table("public", "events", &["event_type", "price"]),
                table("public", "profiles", &["profile_id", "points"]),
                table("segment", "win_back", &["profile_id"]),
            ],
            functions: vec!["did".to_owned(), "price_index".to_owned()],
            segments: vec!["win_back".to_owned()],
        }
    }

    /// Completes at `|`.
    fn check(text: &str) -> String {
        let cursor = text.find('|').unwrap();
        let (_, found) = complete(&text.replace('|', ""), cursor, &names());
        found.join(" ")
    }

    #[test]
    fn completes_by_what_stands_before() {
        assert_eq!(check("sel|"), "select");
        assert_eq!(check("SEL|"), "SELECT");
        assert_eq!(check("SELECT * FROM |"), "events profiles public. segment.");
        assert_eq!(check("SELECT * FROM segment.w|"), "win_back");
        assert_eq!(check("SELECT pr| FROM events"), "price preceding profile profiles price_index(");
        assert_eq!(check("SELECT events.| FROM events"), "event_type price");
        assert_eq!(check("EVALUATE SEGMENT w|"), "win_back");
        assert_eq!(check("CREATE SEGMENT x AS did(event_t|"), "event_type");
        assert_eq!(check("SELECT 'sel|"), "");
    }

    #[test]
    fn completes_commands() {
        assert_eq!(check("\\d|"), "\\d \\ds \\df");
        assert_eq!(check("\\d e|"), "events");
        assert_eq!(check("\\d segment.|"), "segment.win_back");
        assert_eq!(check("\\format n|"), "ndjson");
    }
}
