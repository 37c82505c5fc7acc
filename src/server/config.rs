//! The configuration: a TOML file, environment variables, flags; what comes later wins.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use clap::{Args, ValueEnum};
use serde::{Deserialize, Serialize};

use crate::diagnostic::Kind;
use crate::error::{Error, Result, from_io};
use crate::session;

/// Everything that can be said about the servers. The names of the fields are those of the file's keys.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, Args)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where tables, segments and audiences are kept.
    #[arg(skip)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub warehouse: Option<String>,
    /// Memory for queries, all together; 70 % of the machine's by default.
    #[arg(skip)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_limit: Option<Size>,
    /// Threads to run on.
    #[arg(skip)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub threads: Option<usize>,
    /// Listen here for Flight SQL
    #[arg(long, env = "COTERIE_FLIGHT", value_name = "ADDR")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flight: Option<SocketAddr>,
    /// Listen here for PostgreSQL's protocol: psql, drivers, BI tools
    #[arg(long, env = "COTERIE_POSTGRES", value_name = "ADDR")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub postgres: Option<SocketAddr>,
    /// Listen here for HTTP: health, metrics, SQL
    #[arg(long, env = "COTERIE_HTTP", value_name = "ADDR")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http: Option<SocketAddr>,
    /// The file of `coterie user`; without one, whoever reaches the address may do everything
    #[arg(long, env = "COTERIE_USERS", value_name = "FILE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub users: Option<PathBuf>,
    /// Certificate chain for TLS, in PEM; read again on SIGHUP
    #[arg(long, env = "COTERIE_TLS_CERT", value_name = "FILE", requires = "tls_key")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_cert: Option<PathBuf>,
    /// The certificate's private key, in PEM
    #[arg(long, env = "COTERIE_TLS_KEY", value_name = "FILE", requires = "tls_cert")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_key: Option<PathBuf>,
    /// Allow addresses other than loopback without users or without TLS
    #[arg(long)]
    #[serde(default)]
    pub insecure: bool,
    /// How long a statement may take [default: no limit]
    #[arg(long, env = "COTERIE_QUERY_TIMEOUT", value_name = "TIME")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub query_timeout: Option<Span>,
    /// How long a connection may be silent [default: 1h]
    #[arg(long, env = "COTERIE_IDLE_TIMEOUT", value_name = "TIME")]
    pub idle_timeout: Option<Span>,
    /// How long a token of a login lives [default: 12h]
    #[arg(long, env = "COTERIE_TOKEN_LIFETIME", value_name = "TIME")]
    pub token_lifetime: Option<Span>,
    /// How long running statements may go on after the process is told to end [default: 30s]
    #[arg(long, env = "COTERIE_SHUTDOWN_TIMEOUT", value_name = "TIME")]
    pub shutdown_timeout: Option<Span>,
    /// Connections at once, of all protocols together [default: 2000]
    #[arg(long, env = "COTERIE_MAX_CONNECTIONS", value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub max_connections: Option<u32>,
    /// Length of a text of SQL [default: 16MB]
    #[arg(long, env = "COTERIE_MAX_SQL", value_name = "SIZE")]
    pub max_sql: Option<Size>,
    /// Length of a message: parameters, a batch of rows to be stored [default: 64MB]
    #[arg(long, env = "COTERIE_MAX_MESSAGE", value_name = "SIZE")]
    pub max_message: Option<Size>,
    /// Size of a result, in memory [default: no limit]
    #[arg(long, env = "COTERIE_MAX_RESULT", value_name = "SIZE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_result: Option<Size>,
    /// How to write the log on stderr [default: text]
    #[arg(long, env = "COTERIE_LOG_FORMAT", value_enum, value_name = "FORMAT")]
    pub log_format: Option<LogFormat>,
}

/// How the log is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// Lines for people.
    #[default]
    Text,
    /// An object a line.
    Json,
}

impl Config {
    /// Reads a file.
    pub fn read(path: &Path) -> Result<Self> {
        let shown = path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|cause| from_io(&shown, cause))?;
        toml::from_str(&text).map_err(|error| {
            Error::new(
                Kind::Usage,
                format!("`{shown}` is no configuration: {}", error.to_string().trim_end()),
            )
        })
    }

    /// This, and where it says nothing, what another says.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self {
            warehouse: self.warehouse.or(other.warehouse),
            memory_limit: self.memory_limit.or(other.memory_limit),
            threads: self.threads.or(other.threads),
            flight: self.flight.or(other.flight),
            postgres: self.postgres.or(other.postgres),
            http: self.http.or(other.http),
            users: self.users.or(other.users),
            tls_cert: self.tls_cert.or(other.tls_cert),
            tls_key: self.tls_key.or(other.tls_key),
            insecure: self.insecure || other.insecure,
            query_timeout: self.query_timeout.or(other.query_timeout),
            idle_timeout: self.idle_timeout.or(other.idle_timeout),
            token_lifetime: self.token_lifetime.or(other.token_lifetime),
            shutdown_timeout: self.shutdown_timeout.or(other.shutdown_timeout),
            max_connections: self.max_connections.or(other.max_connections),
            max_sql: self.max_sql.or(other.max_sql),
            max_message: self.max_message.or(other.max_message),
            max_result: self.max_result.or(other.max_result),
            log_format: self.log_format.or(other.log_format),
        }
    }

    /// This with the defaults. Where no address is named, all protocols listen on loopback.
    #[must_use]
    pub fn or_defaults(self) -> Self {
        let nowhere = self.addresses().next().is_none();
        let here = |port| nowhere.then_some(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port));
        let seconds = |seconds| Some(Span(Duration::from_secs(seconds)));
        self.or(Self {
            memory_limit: available_memory().map(|bytes| Size(bytes / 10 * 7)),
            flight: here(50051),
            postgres: here(5432),
            http: here(8080),
            idle_timeout: seconds(3600),
            token_lifetime: seconds(12 * 3600),
            shutdown_timeout: seconds(30),
            max_connections: Some(2000),
            max_sql: Some(Size(16 << 20)),
            max_message: Some(Size(64 << 20)),
            log_format: Some(LogFormat::Text),
            ..Self::default()
        })
    }

    /// The addresses that are listened on.
    fn addresses(&self) -> impl Iterator<Item = SocketAddr> {
        self.flight.into_iter().chain(self.postgres).chain(self.http)
    }

    /// Refuses what would let strangers in, unless it is meant.
    pub fn check(&self) -> Result<()> {
        if self.tls_cert.is_some() != self.tls_key.is_some() {
            return Err(Error::new(Kind::Usage, "TLS takes a certificate and its key")
                .help("say both: `tls_cert` and `tls_key`"));
        }
        let Some(open) = self.addresses().find(|address| !address.ip().is_loopback()) else { return Ok(()) };
        if self.insecure {
            return Ok(());
        }
        let missing = match (&self.users, &self.tls_cert) {
            (None, _) => "users: whoever reaches it could do everything",
            (_, None) => "TLS: passwords and data could be read on the way",
            _ => return Ok(()),
        };
        Err(Error::new(Kind::Usage, format!("{open} is not a loopback address, and there are no {missing}").replace("no TLS", "no certificates for TLS"))
            .help("`coterie user add` makes a users file for `--users`; `--tls-cert` and `--tls-key` name certificates")
            .help("`--insecure` allows it, for networks where that is fine"))
    }

    /// The configuration as a file.
    pub fn to_toml(&self) -> Result<String> {
        toml::to_string(self).map_err(|error| crate::bug!("the configuration is no TOML: {error}"))
    }
}

/// A length of time as users write it: `500ms`, `30s`, `10m`, `12h`, `7d`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Span(pub Duration);

impl FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let unit = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let factor = match &text[unit..] {
            "ms" => Some(1),
            "s" => Some(1000),
            "m" | "min" => Some(60_000),
            "h" => Some(3_600_000),
            "d" => Some(86_400_000),
            _ => None,
        };
        let number: Option<u64> = text[..unit].parse().ok();
        let millis = number.zip(factor).and_then(|(number, factor)| number.checked_mul(factor));
        millis
            .filter(|millis| *millis > 0)
            .map(|millis| Self(Duration::from_millis(millis)))
            .ok_or_else(|| "expected a time such as 500ms, 30s, 10m or 12h".to_owned())
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = self.0.as_millis();
        let units = [(86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1000, "s"), (1, "ms")];
        let (factor, unit) =
            units.into_iter().find(|(factor, _)| millis.is_multiple_of(*factor)).unwrap_or((1, "ms"));
        write!(f, "{}{unit}", millis / factor)
    }
}

/// A number of bytes as users write it: `512MB`, `4GB`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Size(pub usize);

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        session::bytes(text).map(Self).ok_or_else(|| "expected a size such as 512MB or 4GB".to_owned())
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = [(30, "GB"), (20, "MB"), (10, "KB"), (0, "B")];
        let (shift, unit) =
            units.into_iter().find(|(shift, _)| self.0.is_multiple_of(1 << shift)).unwrap_or((0, "B"));
        write!(f, "{}{unit}", self.0 >> shift)
    }
}

macro_rules! as_text {
    ($($name:ident),+) => {$(
        impl TryFrom<String> for $name {
            type Error = String;

            fn try_from(text: String) -> Result<Self, String> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(value: $name) -> Self {
                value.to_string()
            }
        }
    )+};
}

as_text!(Span, Size);

/// The memory that this process may take: the machine's, or its control group's if that is less.
fn available_memory() -> Option<usize> {
    let machine = std::fs::read_to_string("/proc/meminfo").ok().and_then(|text| {
        let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
        line.trim().strip_suffix(" kB")?.trim().parse::<usize>().ok()?.checked_mul(1024)
    });
    let group = std::fs::read_to_string("/sys/fs/cgroup/memory.max");
    let group = group.ok().and_then(|text| text.trim().parse::<usize>().ok());
    machine.into_iter().chain(group).min()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_later_wins() {
        let file: Config =
            toml::from_str("flight = '127.0.0.1:1'\nquery_timeout = '10m'\nmax_sql = '1MB'").unwrap();
        let flags = Config { flight: Some("127.0.0.1:2".parse().unwrap()), ..Config::default() };
        let both = flags.or(file).or_defaults();
        assert_eq!(both.flight, Some("127.0.0.1:2".parse().unwrap()));
        assert_eq!(both.http, None);
        assert_eq!(both.query_timeout, Some(Span(Duration::from_secs(600))));
        assert_eq!(both.max_sql, Some(Size(1 << 20)));
        let again: Config = toml::from_str(&both.to_toml().unwrap()).unwrap();
        assert_eq!(again, both);
        assert!(toml::from_str::<Config>("flihgt = '127.0.0.1:1'").is_err());
    }

    #[test]
    fn strangers_are_kept_out() {
        let with =
            |text: &str| toml::from_str::<Config>(text).unwrap().check().map_err(|error| error.message());
        assert_eq!(with("flight = '127.0.0.1:1'"), Ok(()));
        assert_eq!(with("flight = '0.0.0.0:1'\ninsecure = true"), Ok(()));
        assert_eq!(
            with("flight = '0.0.0.0:1'"),
            Err("0.0.0.0:1 is not a loopback address, and there are no users: whoever reaches it could do everything".to_owned())
        );
        assert!(with("http = '[::]:1'\nusers = 'u'").unwrap_err().contains("certificates for TLS"));
        assert_eq!(with("http = '[::]:1'\nusers = 'u'\ntls_cert = 'c'\ntls_key = 'k'"), Ok(()));
        assert!(with("http = '127.0.0.1:1'\ntls_cert = 'c'").is_err());
    }

    #[test]
    fn times_and_sizes_are_written_as_they_are_read() {
        for text in ["500ms", "30s", "90s", "10m", "12h", "7d"] {
            assert_eq!(text.parse::<Span>().unwrap().to_string(), text);
        }
        for text in ["1B", "16MB", "3GB", "1000KB"] {
            assert_eq!(text.parse::<Size>().unwrap().to_string(), text);
        }
        for text in ["", "5", "s", "-1s", "0s", "1.5h", "99999999999999999999s", "3weeks"] {
            assert!(text.parse::<Span>().is_err(), "{text}");
        }
    }
}
