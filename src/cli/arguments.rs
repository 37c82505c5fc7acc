//! The command line, as `--help` describes it.

use std::path::PathBuf;

use chrono::{DateTime, Utc};
use clap::{
    ArgAction, ArgMatches, Args, Command as ClapCommand, FromArgMatches, Parser, Subcommand, ValueEnum,
};

use super::output::Format;
use crate::engine::{Grant, Role};
use crate::server::Config;
use crate::session;

/// Customer segmentation on a data lake
///
/// Profile and event tables stay where they are: local files, S3, GCS, Azure or HTTP. Segments are rules over them,
/// written in SQL or PQL; coterie evaluates any number of them in one pass and keeps the resulting audiences.
#[derive(Debug, Parser)]
#[command(name = "coterie", version, arg_required_else_help = true, max_term_width = 100, after_help = EXAMPLES)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

const EXAMPLES: &str = "\
Examples:
  coterie demo                                       make a sample shop and evaluate ten segments of it
  coterie sql --warehouse coterie-demo/warehouse --now 2026-06-15T12:00:00Z
                                                     look around in it, at the sample's own time
  coterie evaluate --warehouse s3://lake/coterie     what a scheduler runs every night

Exit status: 0 done, 1 failed at run time, 2 wrong usage or wrong statement. Results go to stdout, all else to stderr.
Credentials of object stores are taken from AWS_*, AZURE_* and GOOGLE_* environment variables.";

#[derive(Clone, Debug, Args)]
pub(crate) struct Global {
    /// Folder or URL where tables, segments and audiences are kept; without one all is in memory
    #[arg(
        long,
        global = true,
        env = "COTERIE_WAREHOUSE",
        value_name = "URL",
        help_heading = "Global options"
    )]
    pub(crate) warehouse: Option<String>,
    /// The instant that now() means, such as 2026-06-15T12:00:00Z; the wall clock by default
    #[arg(long, global = true, value_name = "INSTANT", value_parser = instant, help_heading = "Global options")]
    pub(crate) now: Option<DateTime<Utc>>,
    /// Memory for queries, such as 4GB; what exceeds it is spilled to disk
    #[arg(long, global = true, value_name = "SIZE", value_parser = bytes, help_heading = "Global options")]
    pub(crate) memory_limit: Option<usize>,
    /// Threads to run on; by default one for each processor
    #[arg(long, global = true, value_name = "N", value_parser = threads, help_heading = "Global options")]
    pub(crate) threads: Option<usize>,
    /// Say more on stderr: times of statements, causes of failures
    #[arg(short, long, global = true, help_heading = "Global options")]
    pub(crate) verbose: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Demo(Demo),
    Sql(Sql),
    Evaluate(Evaluate),
    Translate(Translate),
    #[command(subcommand)]
    Import(Import),
    Serve(Box<Serve>),
    User(User),
}

/// Create segments from another system's definitions
#[derive(Debug, Subcommand)]
pub(crate) enum Import {
    Adobe(Adobe),
}

/// Create segments from Adobe's segment definitions
///
/// Reads JSON documents as the segment API of Adobe Experience Platform writes them: one definition, a list of them, or an
/// answer with a list in it. Name, id, description and expression are taken, pql/text or pql/json. Definitions may ask for
/// each other by id, across files. A definition that makes no segment is reported with its reason; the others are created,
/// and the exit status is 1.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  coterie import adobe --warehouse s3://lake/coterie definitions.json
  coterie import adobe --warehouse s3://lake/coterie --dry-run exported/*.json")]
pub(crate) struct Adobe {
    /// The files; - for standard input
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    /// The profile store that the segments are about; needed when the warehouse has several
    #[arg(long, value_name = "NAME")]
    pub(crate) store: Option<String>,
    /// Make new versions of segments that are there already
    #[arg(long)]
    pub(crate) replace: bool,
    /// Check all definitions, and create nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// How to write the report
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    pub(crate) format: Format,
}

/// Make a sample shop, evaluate ten segments of it and show what came out
///
/// Writes Parquet files of a year of a shop into a folder, declares them in a warehouse inside it, creates segments in
/// SQL and PQL and evaluates them in one pass. The data is the same on every machine. Run again, it uses what is there.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  coterie demo
  coterie demo /tmp/shop --profiles 1000000")]
pub(crate) struct Demo {
    /// Where to put the shop
    #[arg(default_value = "coterie-demo", value_name = "DIR")]
    pub(crate) folder: PathBuf,
    /// How many customers, each with about 20 events
    #[arg(long, value_name = "N", default_value_t = 100_000, value_parser = clap::value_parser!(u32).range(1..=50_000_000))]
    pub(crate) profiles: u32,
}

/// Run SQL: a shell, or the statements given
///
/// Without -c and -f, an interactive shell, or the statements on standard input if that is no terminal. -c and -f may be
/// repeated and mixed; they run in the order given, and the first error ends the run.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  coterie sql --warehouse coterie-demo/warehouse
  coterie sql -c \"CREATE EXTERNAL TABLE e STORED AS PARQUET LOCATION 'events/'\" -c \"SELECT count(*) FROM e\"
  coterie sql -f tables.sql -f segments.sql -c 'EVALUATE ALL SEGMENTS' --format csv
  echo 'SHOW SEGMENTS' | coterie sql --warehouse s3://lake/coterie")]
pub(crate) struct Sql {
    #[command(flatten)]
    pub(crate) inputs: Inputs,
    /// How to write results
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    pub(crate) format: Format,
}

/// Evaluate segments and keep their audiences
///
/// All segments of the warehouse without NAMEs, in one pass and one commit. A segment whose rule fails is reported and
/// keeps its previous audience; the others are stored, and the exit status is 1.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  coterie evaluate --warehouse s3://lake/coterie
  coterie evaluate forgot_sneakers win_back --as-of 2026-06-15T12:00:00Z --format json")]
pub(crate) struct Evaluate {
    /// Segments to evaluate
    #[arg(value_name = "NAME")]
    pub(crate) names: Vec<String>,
    /// Evaluate as if at this instant: events after it are not seen
    #[arg(long, value_name = "INSTANT", value_parser = instant)]
    pub(crate) as_of: Option<DateTime<Utc>>,
    /// How to write the report
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    pub(crate) format: Format,
}

/// Show a rule as SQL that runs as it stands, or in PQL
///
/// Reads one rule, in SQL or PQL, from a file or standard input. The warehouse says which tables and columns the rule is
/// about.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  coterie translate --warehouse coterie-demo/warehouse queries/segments/win_back.pql
  echo \"did(event_type = 'purchase')\" | coterie translate --warehouse coterie-demo/warehouse --from sql -
  coterie translate --warehouse coterie-demo/warehouse --to pql queries/segments/forgot_sneakers.sql
  coterie translate --warehouse coterie-demo/warehouse --emit segment queries/segments/forgot_sneakers.sql")]
pub(crate) struct Translate {
    /// The rule's language; by default what the name of the file says, or else SQL
    #[arg(long, value_enum, value_name = "LANGUAGE")]
    pub(crate) from: Option<From>,
    /// The language to print the rule in; what PQL cannot say is an error
    #[arg(long, value_enum, default_value_t, value_name = "LANGUAGE", conflicts_with = "emit")]
    pub(crate) to: To,
    /// The profile store that the rule is about; needed when the warehouse has several
    #[arg(long, value_name = "NAME")]
    pub(crate) store: Option<String>,
    /// Which stage of the translation to show
    #[arg(long, value_enum, default_value_t, value_name = "STAGE")]
    pub(crate) emit: Emit,
    /// The file, or - for standard input
    #[arg(default_value = "-", value_name = "FILE")]
    pub(crate) file: PathBuf,
}

/// Serve the warehouse to SQL clients and BI tools
///
/// Speaks Flight SQL and HTTP. Without an address all protocols listen on loopback, open to every program of
/// this machine unless there are users. SIGTERM lets running statements end; SIGHUP reads certificates anew.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  coterie serve --warehouse s3://lake/coterie
  coterie user add ana --role author --users users.toml
  coterie serve --users users.toml --tls-cert cert.pem --tls-key key.pem --flight 0.0.0.0:50051
  coterie serve --config serve.toml --print-config")]
pub(crate) struct Serve {
    /// A TOML file with the options below, dashes written as underscores; environment and flags win over it
    #[arg(long, env = "COTERIE_CONFIG", value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Print the configuration that results, as such a file, and end
    #[arg(long)]
    pub(crate) print_config: bool,
    #[command(flatten)]
    pub(crate) options: Config,
}

/// Manage the users of `coterie serve`
///
/// The file holds a hash of each password, never the password, and is readable by its owner only. A server sees changes
/// at once; who is removed or gets another password or role has to log in again.
#[derive(Debug, Args)]
pub(crate) struct User {
    #[command(subcommand)]
    pub(crate) action: UserAction,
}

#[derive(Debug, Subcommand)]
pub(crate) enum UserAction {
    /// Add a user
    Add {
        /// The user
        name: String,
        /// reader: look; author: also create, drop and evaluate; admin: also read and write files, stop others' queries
        #[arg(long, value_parser = role, value_name = "ROLE")]
        role: Role,
        /// Let the user read this only: schema:NAME or segment:NAME; may be repeated
        #[arg(long = "grant", value_parser = grant, value_name = "GRANT")]
        grants: Vec<Grant>,
        #[command(flatten)]
        file: UsersFile,
        /// Take the password from the first line of standard input instead of asking
        #[arg(long)]
        password_stdin: bool,
    },
    /// Remove a user
    Remove {
        /// The user
        name: String,
        #[command(flatten)]
        file: UsersFile,
    },
    /// List users, with what they may do
    List {
        #[command(flatten)]
        file: UsersFile,
        /// How to write the list
        #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
        format: Format,
    },
    /// Give a user another password
    Passwd {
        /// The user
        name: String,
        #[command(flatten)]
        file: UsersFile,
        /// Take the password from the first line of standard input instead of asking
        #[arg(long)]
        password_stdin: bool,
    },
}

#[derive(Debug, Args)]
pub(crate) struct UsersFile {
    /// The users file
    #[arg(long, env = "COTERIE_USERS", value_name = "FILE")]
    pub(crate) users: PathBuf,
}

fn role(text: &str) -> Result<Role, String> {
    let known = Role::ALL.iter().copied().find(|role| role.as_str() == text);
    known.ok_or_else(|| "expected reader, author or admin".to_owned())
}

fn grant(text: &str) -> Result<Grant, String> {
    text.parse().map_err(|_| "expected schema:NAME or segment:NAME".to_owned())
}

/// The language of a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum From {
    /// Profile Query Language
    Pql,
    /// One boolean SQL expression
    Sql,
}

/// The language that a rule is printed in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum To {
    /// SQL that runs as it stands
    #[default]
    Sql,
    /// Profile Query Language
    Pql,
}

/// A stage of the translation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Emit {
    /// The rule as coterie understood it, before it looks at tables
    Segment,
    /// SQL that runs as it stands
    #[default]
    Sql,
    /// The plan that runs
    Plan,
    /// All of them
    All,
}

/// What `-c` and `-f` give, in the order given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Inputs(pub(crate) Vec<Input>);

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Input {
    Text(String),
    /// `-` is standard input.
    File(PathBuf),
}

impl Args for Inputs {
    fn augment_args(command: ClapCommand) -> ClapCommand {
        let text = clap::Arg::new("text")
            .short('c')
            .long("command")
            .value_name("SQL")
            .action(ArgAction::Append)
            // A statement may begin with a comment, and so with a dash.
            .allow_hyphen_values(true)
            .help("Statements to run, separated by `;`; or one command of the shell, such as \\d");
        let file = clap::Arg::new("file")
            .short('f')
            .long("file")
            .value_name("FILE")
            .action(ArgAction::Append)
            .value_parser(clap::value_parser!(PathBuf))
            .help("A file of statements to run; - is standard input");
        command.arg(text).arg(file)
    }

    fn augment_args_for_update(command: ClapCommand) -> ClapCommand {
        Self::augment_args(command)
    }
}

impl FromArgMatches for Inputs {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let indices = |name| matches.indices_of(name).into_iter().flatten();
        let texts = matches.get_many::<String>("text").into_iter().flatten().cloned().map(Input::Text);
        let files = matches.get_many::<PathBuf>("file").into_iter().flatten().cloned().map(Input::File);
        let mut inputs: Vec<(usize, Input)> =
            indices("text").zip(texts).chain(indices("file").zip(files)).collect();
        inputs.sort_by_key(|(at, _)| *at);
        Ok(Self(inputs.into_iter().map(|(_, input)| input).collect()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

/// An instant as people write it; without a zone it is UTC.
fn instant(text: &str) -> Result<DateTime<Utc>, String> {
    session::instant(text).map_err(|_| "expected an instant such as 2026-06-15T12:00:00Z".to_owned())
}

/// A size such as `512MB`, `4GB` or `1.5GiB`, in bytes.
fn bytes(text: &str) -> Result<usize, String> {
    session::bytes(text).ok_or_else(|| "expected a size such as 512MB or 4GB".to_owned())
}

fn threads(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(n) if (1..=1024).contains(&n) => Ok(n),
        _ => Err("expected a number from 1 to 1024".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn sql(line: &[&str]) -> Vec<Input> {
        let line = ["coterie", "sql"].iter().chain(line);
        match Arguments::try_parse_from(line).unwrap().command {
            Command::Sql(sql) => sql.inputs.0,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn inputs_keep_their_order() {
        let (text, file) = (|text: &str| Input::Text(text.to_owned()), |path: &str| Input::File(path.into()));
        assert_eq!(
            sql(&["-c", "a", "-f", "b", "--format", "csv", "-c", "-- c", "-f", "-"]),
            [text("a"), file("b"), text("-- c"), file("-")]
        );
        assert_eq!(sql(&[]), []);
    }

    #[test]
    fn reads_instants_and_sizes() {
        let noon = "2026-06-15T12:00:00+00:00";
        for text in
            ["2026-06-15T12:00:00Z", "2026-06-15 12:00:00", "2026-06-15T14:00:00+02:00", "2026-06-15 12:00"]
        {
            assert_eq!(instant(text).unwrap().to_rfc3339(), noon, "{text}");
        }
        assert_eq!(instant("2026-06-15").unwrap().to_rfc3339(), "2026-06-15T00:00:00+00:00");
        assert!(instant("yesterday").is_err());
        assert_eq!(bytes("4GB"), Ok(4 << 30));
        assert_eq!(bytes("1.5 kib"), Ok(1536));
        assert_eq!(bytes("100"), Ok(100));
        for wrong in ["", "GB", "-1MB", "0", "4XB", "nan", "inf"] {
            assert!(bytes(wrong).is_err(), "{wrong}");
        }
    }
}
