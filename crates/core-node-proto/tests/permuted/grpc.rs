//! The conversions of the crate over the code of the other schema.

#[path = "../../src/grpc/convert.rs"]
mod convert;
#[path = "../../src/grpc/fields.rs"]
pub(crate) mod fields;

use crate::call::{Call, Failure, Reply};
use crate::message::FieldError;
use crate::{Method, Secret};

pub(crate) fn write_call(call: &Call, key: Option<&Secret>) -> Option<Vec<u8>> {
    convert::write_call(call, key)
}

pub(crate) fn read_call(method: Method, bytes: &[u8]) -> Result<(Call, Option<Secret>), FieldError> {
    convert::read_call(method, bytes)
}

pub(crate) fn write_reply(method: Method, reply: &Reply) -> Vec<u8> {
    convert::write_reply(method, reply)
}

pub(crate) fn read_reply(method: Method, bytes: &[u8]) -> Result<Reply, Failure> {
    convert::read_reply(method, bytes)
}
