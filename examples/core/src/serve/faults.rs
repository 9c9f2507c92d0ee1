//! Calls that fail on purpose, for tests of agents: before Core sees them, or after it has taken them.

use core_node_proto::call::GrpcCode;
use http::StatusCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// How many may wait. Further ones are refused.
const MOST: usize = 10_000;

/// The faults that wait for their calls. Each hits one call.
#[derive(Debug, Default)]
pub struct Faults {
    /// So that calls need no lock where there are none.
    waiting: AtomicUsize,
    faults: Mutex<Vec<Fault>>,
}

/// One call that fails.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Which call: `Heartbeat`, or `/node/heartbeat`.
    pub call: Box<str>,
    /// What it is answered with.
    pub answer: FaultAnswer,
    /// Whether Core takes the call first, so that its outcome is ambiguous for the agent.
    pub after: bool,
}

/// The answer to a call that fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultAnswer {
    /// Over gRPC.
    Grpc(GrpcCode),
    /// Over HTTP.
    Http(StatusCode),
}

impl Faults {
    /// Adds a fault; returns whether there was room.
    pub fn add(&self, fault: Fault) -> bool {
        let mut faults = self.faults.lock().unwrap_or_else(PoisonError::into_inner);
        if faults.len() >= MOST {
            return false;
        }
        faults.push(fault);
        self.waiting.store(faults.len(), Ordering::Release);
        true
    }

    /// Drops all of them.
    pub fn clear(&self) {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner).clear();
        self.waiting.store(0, Ordering::Release);
    }

    /// Returns the oldest fault of a call over gRPC.
    pub(crate) fn of_method(&self, name: &str) -> Option<(GrpcCode, bool)> {
        self.take(name, |answer| match answer {
            FaultAnswer::Grpc(code) => Some(code),
            FaultAnswer::Http(_) => None,
        })
    }

    /// Returns the oldest fault of a call over HTTP.
    pub(crate) fn of_path(&self, path: &str) -> Option<(StatusCode, bool)> {
        self.take(path, |answer| match answer {
            FaultAnswer::Http(status) => Some(status),
            FaultAnswer::Grpc(_) => None,
        })
    }

    fn take<T>(&self, call: &str, read: impl Fn(FaultAnswer) -> Option<T>) -> Option<(T, bool)> {
        if self.waiting.load(Ordering::Acquire) == 0 {
            return None;
        }
        let mut faults = self.faults.lock().unwrap_or_else(PoisonError::into_inner);
        let place = faults.iter().position(|fault| &*fault.call == call && read(fault.answer).is_some())?;
        let fault = faults.remove(place);
        self.waiting.store(faults.len(), Ordering::Release);
        read(fault.answer).map(|answer| (answer, fault.after))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_hits_one_call_of_its_transport() {
        let faults = Faults::default();
        assert_eq!(faults.of_method("Heartbeat"), None);
        let fault = |call: &str, answer, after| Fault { call: call.into(), answer, after };
        faults.add(fault("Heartbeat", FaultAnswer::Grpc(GrpcCode::Unknown), false));
        faults.add(fault("Heartbeat", FaultAnswer::Grpc(GrpcCode::Internal), true));
        faults.add(fault("/node/usage", FaultAnswer::Http(StatusCode::BAD_GATEWAY), false));
        assert_eq!(faults.of_method("ReportUsage"), None);
        assert_eq!(faults.of_path("Heartbeat"), None);
        assert_eq!(faults.of_method("Heartbeat"), Some((GrpcCode::Unknown, false)));
        assert_eq!(faults.of_method("Heartbeat"), Some((GrpcCode::Internal, true)));
        assert_eq!(faults.of_method("Heartbeat"), None);
        faults.clear();
        assert_eq!(faults.of_path("/node/usage"), None);
    }
}
