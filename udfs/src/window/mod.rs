//! Functions that exist only with `OVER`, one per file.
