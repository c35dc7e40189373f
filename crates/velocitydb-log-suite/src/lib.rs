//! Proves that the engine's log is a Raft log, before there is a cluster: openraft's own storage
//! suite runs on it in `tests/suite.rs`.
//!
//! This crate holds no code. It is apart so that openraft is compiled for this one test and
//! named by nothing else yet. The adapter there is no sketch of the cluster's: it stores entries
//! as JSON, one at a time, and its state machine forgets everything when it is dropped.
