//! Behavioural SQL functions for DataFusion.
