//! Instance URLs. §6.
