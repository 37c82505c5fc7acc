//! The `coterie` binary.

use std::process::ExitCode;

fn main() -> ExitCode {
    coterie::cli::run()
}
