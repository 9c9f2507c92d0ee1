//! What goes wrong, how often, and how long things take.

use std::time::Duration;

/// Chances are in per mille.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Faults {
    /// A request is lost on its way.
    pub(crate) request: u32,
    /// A reply is lost on its way.
    pub(crate) reply: u32,
    /// A request arrives twice.
    pub(crate) twice: u32,
    /// The connection is refused.
    pub(crate) refused: u32,
    /// Something between the two answers in Core's place.
    pub(crate) gateway: u32,
    /// Storing fails, or its outcome is not known; a sample does not come.
    pub(crate) store: u32,
    /// The proxies do not take a configuration.
    pub(crate) apply: u32,
    /// Nothing goes over gRPC.
    pub(crate) is_grpc_blocked: bool,
    /// The longest way.
    pub(crate) longest_delay: Duration,
    /// The longest time on the agent's disk and with its proxies.
    pub(crate) longest_disk: Duration,
    /// How long Core's transactions take.
    pub(crate) commit: Duration,
}

impl Faults {
    /// Everything goes well, and takes some milliseconds.
    pub(crate) const NONE: Self = Self {
        request: 0,
        reply: 0,
        twice: 0,
        refused: 0,
        gateway: 0,
        store: 0,
        apply: 0,
        is_grpc_blocked: false,
        longest_delay: Duration::from_millis(20),
        longest_disk: Duration::from_millis(10),
        commit: Duration::from_millis(2),
    };

    /// Everything goes wrong from time to time, more or less often.
    pub(crate) fn chaos(random: &mut fastrand::Rng) -> Self {
        let mut chance = || random.u32(..200) * random.u32(..2);
        let [request, reply, twice, refused, gateway, store, apply] = std::array::from_fn(|_| chance());
        Self {
            request,
            reply,
            twice,
            refused,
            gateway,
            store,
            apply,
            is_grpc_blocked: random.u32(..5) == 0,
            longest_delay: Duration::from_millis(random.u64(1..20_000)),
            longest_disk: Duration::from_millis(random.u64(1..3_000)),
            commit: Duration::from_millis(random.u64(1..500)),
        }
    }

    pub(crate) fn happens(&self, per_mille: u32, random: &mut fastrand::Rng) -> bool {
        random.u32(..1000) < per_mille
    }

    pub(crate) fn delay(&self, random: &mut fastrand::Rng) -> Duration {
        self.longest_delay.mul_f64(random.f64())
    }

    pub(crate) fn disk(&self, random: &mut fastrand::Rng) -> Duration {
        self.longest_disk.mul_f64(random.f64())
    }
}
