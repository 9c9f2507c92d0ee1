//! Reading bodies: where the bindings are used.

use crate::Method;
use crate::Secret;
use crate::call::Call;
use crate::message::{FieldError, HttpBody as _};
use crate::value::ValueError;

pub(super) fn json(method: Method, body: &[u8]) -> Result<Call, FieldError> {
    use crate::message as m;
    Ok(match method {
        Method::Register => Call::Register(m::Register::from_json(body)?),
        Method::Heartbeat => Call::Heartbeat(m::Heartbeat::from_json(body)?),
        Method::ReportUsage => Call::ReportUsage(m::Usage::from_json(body)?),
        Method::ReportOutboundUsage => Call::ReportOutboundUsage(m::OutboundUsage::from_json(body)?),
        Method::ReportSessionEvents => Call::ReportSessionEvents(m::SessionEvents::from_json(body)?),
        Method::GetLatestConfig => Call::GetLatestConfig,
        Method::ConfirmConfigApplied => Call::ConfirmConfigApplied(m::ConfigApplied::from_json(body)?),
        Method::ReportError => Call::ReportError(m::NodeError::from_json(body)?),
        _ => return Err(FieldError::of_message(ValueError::NotJson)),
    })
}

pub(super) fn protobuf(_method: Method, _message: &[u8]) -> Result<(Call, Option<Secret>), FieldError> {
    Err(FieldError::of_message(ValueError::NotJson))
}
