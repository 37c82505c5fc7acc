//! `coterie demo`.
mod shop;
