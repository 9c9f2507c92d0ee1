//! Heap bytes, counted by the allocator.

use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use std::alloc::System;

#[global_allocator]
static COUNTING: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Returns how many heap bytes a value keeps, and the value.
pub(crate) fn kept<T>(make: impl FnOnce() -> T) -> (T, isize) {
    let region = Region::new(COUNTING);
    let value = make();
    let change = region.change();
    let kept = change.bytes_allocated as isize - change.bytes_deallocated as isize;
    (value, kept)
}
