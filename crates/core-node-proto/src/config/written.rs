//! Bodies of a configuration, written once however many nodes fetch it.

use bytes::Bytes;
use std::fmt;
use std::sync::OnceLock;

/// A configuration as it was written for each transport, which is not part of its value: a copy has nothing of it.
#[derive(Default)]
pub(super) struct Written {
    pub(super) json: OnceLock<Bytes>,
    pub(super) protobuf: OnceLock<Bytes>,
}

impl Clone for Written {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl PartialEq for Written {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Written {}

impl fmt::Debug for Written {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let length = |body: &OnceLock<Bytes>| body.get().map(Bytes::len);
        f.debug_struct("Written")
            .field("json", &length(&self.json))
            .field("protobuf", &length(&self.protobuf))
            .finish()
    }
}
