//! The command line: `coterie demo`, `sql`, `evaluate`, `translate`, `import`, `serve`, `user`.
//!
//! Arguments in, text and an exit status out. Everything that is done is done by [`crate::engine`].

mod arguments;
mod demo;
mod evaluate;
mod import;
mod output;
mod progress;
mod script;
mod serve;
mod shell;
mod sql;
mod stop;
mod translate;
mod tree;
mod user;

use std::sync::Arc;

use clap::Parser;
use clap::error::ErrorKind;

use arguments::{Arguments, Command, Global, Import};
use stop::{Stop, note};

use crate::engine::{Engine, Options};
use crate::error::{Error, Result};

/// Deep plans recurse: each of our threads has the stack that the main thread has.
const STACK: usize = 8 << 20;

/// Runs the command line of this process; returns its exit status.
pub fn run() -> u8 {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(wrong) => return usage(&wrong),
    };
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    runtime.enable_all().thread_stack_size(STACK);
    if let Some(threads) = arguments.global.threads {
        runtime.worker_threads(threads);
    }
    let runtime = match runtime.build() {
        Ok(runtime) => runtime,
        Err(cause) => {
            let error = Error::caused(
                crate::diagnostic::Kind::Resource,
                format!("cannot start threads: {cause}"),
                cause,
            );
            return Stop::from(error).report(false);
        }
    };
    let done = runtime.block_on(Box::pin(dispatch(&arguments)));
    // Reads that nobody waits for any more shall not keep the process.
    runtime.shutdown_background();
    match done {
        Ok(()) => 0,
        Err(stop) => stop.report(arguments.global.verbose),
    }
}

async fn dispatch(arguments: &Arguments) -> Result<(), Stop> {
    let global = &arguments.global;
    match &arguments.command {
        Command::Demo(demo) => demo::run(global, demo).await,
        Command::Sql(sql) => sql::run(global, sql).await,
        Command::Evaluate(evaluate) => evaluate::run(global, evaluate).await,
        Command::Translate(translate) => translate::run(global, translate).await,
        Command::Import(Import::Adobe(adobe)) => import::run(global, adobe).await,
        Command::Serve(serve) => serve::run(global, serve).await,
        Command::User(user) => user::run(user).await,
    }
}

/// Says what is wrong with the command line, or prints the help that was asked for.
fn usage(wrong: &clap::Error) -> u8 {
    if matches!(wrong.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
        // A closed pipe is the reader's affair.
        let _ = wrong.print();
        return 0;
    }
    let text = wrong.render().to_string();
    match text.strip_prefix("error: ") {
        Some(message) => note(&format!("error[usage]: {}", message.trim_end())),
        None => note(text.trim_end()),
    }
    2
}

/// Opens the warehouse that the global options name.
async fn open(global: &Global) -> Result<Arc<Engine>> {
    let options = Options {
        warehouse: global.warehouse.clone().filter(|warehouse| !warehouse.is_empty()),
        memory_limit: global.memory_limit,
        threads: global.threads,
        now: global.now,
        query_timeout: None,
    };
    Engine::open(options).await
}
