//! The shell's own commands, listed once: the parser, completion and `\?` read the list.

macro_rules! commands {
    ($($variant:ident $name:literal $argument:literal $doc:literal;)+) => {
        /// A command of the shell.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Command { $(#[doc = $doc] $variant,)+ }

        impl Command {
            /// Name, argument and what it does.
            pub(crate) const ALL: &[(Self, &str, &str, &str)] =
                &[$((Self::$variant, $name, $argument, $doc),)+];
        }
    };
}

commands! {
    Help "\\?" "" "this list";
    Describe "\\d" "[NAME]" "tables, or the columns of one";
    Segments "\\ds" "[NAME]" "segments, or one and its rule";
    Functions "\\df" "[TEXT]" "functions whose name contains the text";
    Format "\\format" "[FORMAT]" "how results are written: table, csv, tsv, json, ndjson";
    Expanded "\\x" "[on|off]" "one value a line";
    Limit "\\limit" "[N]" "rows of a table; the usual number without N";
    Timing "\\timing" "[on|off]" "the time that statements take";
    Include "\\i" "FILE" "run a file of statements";
    Output "\\o" "[FILE]" "write results to a file; back to the screen without one";
    Quit "\\q" "" "leave, as Ctrl-D does";
}

/// The command of a line and its argument, which may be empty; `None` when there is no such command.
pub(crate) fn parse(line: &str) -> Option<(Command, &str)> {
    let line = line.trim().trim_end_matches(';').trim_end();
    let (name, argument) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    let (command, ..) = Command::ALL.iter().find(|(_, known, ..)| *known == name)?;
    Some((*command, argument.trim()))
}

/// What `\?` shows.
pub(crate) fn help() -> String {
    let mut text = String::from("Statements end with `;`. Commands:\n");
    for (_, name, argument, doc) in Command::ALL {
        text.push_str(&format!("  {:<20} {doc}\n", format!("{name} {argument}")));
    }
    text.push_str(
        "\n\
         CREATE SEGMENT name AS rule;     a rule is a boolean expression about one profile\n\
         SELECT * FROM segment.name;      its members, now\n\
         EVALUATE ALL SEGMENTS;           keep the members of all segments as audiences\n\
         SELECT * FROM audience.name;     the audience as of its last evaluation\n\
         EXPLAIN SEGMENT name;            the rule as SQL",
    );
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_commands() {
        assert_eq!(parse("\\d"), Some((Command::Describe, "")));
        assert_eq!(parse("\\d  events ;"), Some((Command::Describe, "events")));
        assert_eq!(parse("\\i a b.sql"), Some((Command::Include, "a b.sql")));
        assert_eq!(parse("\\dz"), None);
    }
}
