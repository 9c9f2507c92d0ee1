//! This host, as a node reports it.
