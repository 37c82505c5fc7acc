//! Every function against a naive reference, over every road DataFusion may take, and as SQL.

mod docs;
mod roads;
mod sequence;
mod sql;
mod times;
