//! What the tests of every protocol crate share.
