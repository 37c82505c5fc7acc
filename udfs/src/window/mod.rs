//! Functions that exist only with `OVER`, one per file.

pub mod rfm_score;
pub mod sessionize;
