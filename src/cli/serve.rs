//! `coterie serve`.

use tracing_subscriber::EnvFilter;

use super::arguments::{Global, Serve};
use super::output::Sink;
use super::stop::{Stop, note};
use crate::diagnostic::Kind;
use crate::engine::{Engine, Options};
use crate::error::{Error, Result};
use crate::server::{self, Config, LogFormat, Servers, Size};

pub(super) async fn run(global: &Global, arguments: &Serve) -> Result<(), Stop> {
    let config = config(global, arguments)?;
    config.check()?;
    if arguments.print_config {
        return Sink::stdout().write(&config.to_toml()?);
    }
    start_log(config.log_format.unwrap_or_default(), global.verbose);
    let engine = Engine::open(Options {
        warehouse: config.warehouse.clone(),
        memory_limit: config.memory_limit.map(|size| size.0),
        threads: config.threads,
        now: global.now,
        query_timeout: config.query_timeout.map(|span| span.0),
    })
    .await?;
    if engine.in_memory() {
        note("without --warehouse all is in memory and gone when the server ends");
    }
    // Whoever reads an address below may send signals at once.
    let mut signals = Signals::listen()?;
    let mut servers = server::start(engine, config).await?;
    for (protocol, address) in servers.addresses() {
        note(&format!("{protocol} on {address}"));
    }
    let ended = wait(&mut servers, &mut signals).await;
    note("shutting down");
    servers.shut_down().await;
    Ok(ended?)
}

/// The file's options, then the environment's, then the flags'. clap knows the last two.
fn config(global: &Global, arguments: &Serve) -> Result<Config> {
    let said = Config {
        warehouse: global.warehouse.clone().filter(|warehouse| !warehouse.is_empty()),
        memory_limit: global.memory_limit.map(Size),
        threads: global.threads,
        ..arguments.options.clone()
    };
    let file = arguments.config.as_deref().map(Config::read).transpose()?.unwrap_or_default();
    Ok(said.or(file).or_defaults())
}

/// What statements do is told at level `info`; what they say, and what they return, is told nowhere.
fn start_log(format: LogFormat, verbose: bool) {
    let level = if verbose { "coterie=debug" } else { "coterie=info" };
    // Delta's kernel calls a table that is not there an error, and returns it besides: to look for one is no fault.
    let filter = EnvFilter::try_from_env("COTERIE_LOG")
        .unwrap_or_else(|_| EnvFilter::new(format!("warn,buoyant_kernel=off,{level}")));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // A second log of this process would be a test's.
    let _ = match format {
        LogFormat::Text => log.with_ansi(false).try_init(),
        LogFormat::Json => log.json().flatten_event(true).try_init(),
    };
}

/// Waits for the end, and reads certificates anew when told to.
async fn wait(servers: &mut Servers, signals: &mut Signals) -> Result<()> {
    loop {
        tokio::select! {
            error = servers.failed() => return Err(error),
            signal = signals.next() => match signal {
                Signal::End => return Ok(()),
                Signal::Reload => match servers.reload() {
                    Ok(()) => tracing::info!("certificates were read anew"),
                    Err(error) => tracing::error!(%error, "certificates could not be read, the old ones stay"),
                },
            },
        }
    }
}

enum Signal {
    End,
    Reload,
}

#[cfg(unix)]
struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
    hangup: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn listen() -> Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        let listen = |kind| {
            signal(kind).map_err(|cause| {
                Error::caused(Kind::Resource, format!("cannot wait for signals: {cause}"), cause)
            })
        };
        Ok(Self {
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
            hangup: listen(SignalKind::hangup())?,
        })
    }

    async fn next(&mut self) -> Signal {
        tokio::select! {
            _ = self.interrupt.recv() => Signal::End,
            _ = self.terminate.recv() => Signal::End,
            _ = self.hangup.recv() => Signal::Reload,
        }
    }
}

#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn listen() -> Result<Self> {
        Ok(Self)
    }

    async fn next(&mut self) -> Signal {
        // Without a way to wait for Ctrl-C the process is ended from outside.
        match tokio::signal::ctrl_c().await {
            Ok(()) => Signal::End,
            Err(_) => std::future::pending().await,
        }
    }
}
