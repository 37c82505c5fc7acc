//! Every function against a naive reference, over every road DataFusion may take, and as SQL.

mod calendar;
mod query;
