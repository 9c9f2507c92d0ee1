//! The objects of the API and of the event stream, both ways. §3, §4, §5.
