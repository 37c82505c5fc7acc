//! The `coterie` binary.

fn main() {}
