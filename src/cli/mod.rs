//! The command line.

mod arguments;
mod demo;
mod output;
mod stop;

use stop::Stop;
