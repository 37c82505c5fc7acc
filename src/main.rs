//! The `coterie` binary.

use std::process::ExitCode;

/// Evaluations and queries allocate from all threads at once, which the system's allocator is slow at.
#[global_allocator]
static GLOBAL: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    coterie::cli::run()
}
