//! Registration. §3.

use super::json::{HttpBody, ObjectWriter, body, members, optional, required};
use super::{FieldError, MAX_TEXT_CHARACTERS};
use crate::Secret;
use crate::json::Scalar;
use crate::value::{Address, NodeId, ValueError, check_auth_key};
use std::num::NonZeroU16;

/// A node's request to be known.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "messages are written as struct literals")]
pub struct Register {
    /// The code that admits it, 1 to 256 characters.
    pub code: Secret,
    /// Its name, 1 to 256 characters.
    pub name: String,
    /// Its address.
    pub ip: Address,
    /// The port of its own HTTP server.
    pub port: NonZeroU16,
    /// Where it is, 1 to 256 characters.
    pub region: String,
    /// Its domain, 1 to 256 characters.
    pub domain: Option<String>,
}

members! {
    struct RegisterMembers<'a> {
        "code" code: Scalar<'a>,
        "name" name: Scalar<'a>,
        "ip" ip: Scalar<'a>,
        "port" port: Scalar<'a>,
        "region" region: Scalar<'a>,
        "domain" domain: Scalar<'a>,
    }
}

impl Register {
    /// Checks the rules that the types do not hold.
    ///
    /// # Errors
    /// The first field that breaks one.
    pub fn check(&self) -> Result<(), FieldError> {
        check_text("code", self.code.expose())?;
        check_text("name", &self.name)?;
        check_text("region", &self.region)?;
        self.domain.as_ref().map_or(Ok(()), |domain| check_text("domain", domain))
    }
}

fn check_text(name: &str, text: &str) -> Result<(), FieldError> {
    ValueError::check_length(text, 1, MAX_TEXT_CHARACTERS).map_err(|error| FieldError::new(name, error))
}

fn port(number: i64) -> Result<NonZeroU16, ValueError> {
    let port = u16::try_from(number).ok().and_then(NonZeroU16::new);
    port.ok_or(ValueError::OutOfRange { least: 1, most: u16::MAX.into() })
}

impl HttpBody for Register {
    fn from_json(json: &[u8]) -> Result<Self, FieldError> {
        let members: RegisterMembers<'_> = body(json)?;
        let register = Self {
            code: required("code", &members.code, |code| code.text().map(Secret::new))?,
            name: required("name", &members.name, |name| name.text().map(str::to_owned))?,
            ip: required("ip", &members.ip, |ip| ip.text()?.parse())?,
            port: required("port", &members.port, |number| port(number.whole()?))?,
            region: required("region", &members.region, |region| region.text().map(str::to_owned))?,
            domain: optional("domain", &members.domain, |domain| domain.text().map(str::to_owned))?,
        };
        register.check()?;
        Ok(register)
    }

    fn to_json(&self) -> Result<Vec<u8>, FieldError> {
        self.check()?;
        Ok(ObjectWriter::body(|object| {
            object.text("code", self.code.expose());
            object.text("name", &self.name);
            object.text("ip", &self.ip.to_string());
            object.number("port", self.port.get());
            object.text("region", &self.region);
            object.optional_text("domain", self.domain.as_deref());
        }))
    }
}

/// Core's reply to [`Register`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "messages are written as struct literals")]
pub struct Registered {
    /// The key for all later calls, 1 to 1024 characters of printable ASCII without spaces.
    pub auth_key: Secret,
    /// The node's id.
    pub node_id: NodeId,
}

members! {
    struct RegisteredMembers<'a> {
        "authKey" auth_key: Scalar<'a>,
        "nodeId" node_id: Scalar<'a>,
    }
}

impl Registered {
    /// Checks the rule of keys.
    ///
    /// # Errors
    /// That of `authKey`.
    pub fn check(&self) -> Result<(), FieldError> {
        check_auth_key(&self.auth_key).map_err(|error| FieldError::new("authKey", error))
    }
}

impl HttpBody for Registered {
    fn from_json(json: &[u8]) -> Result<Self, FieldError> {
        let members: RegisteredMembers<'_> = body(json)?;
        let registered = Self {
            auth_key: required("authKey", &members.auth_key, |key| key.text().map(Secret::new))?,
            node_id: required("nodeId", &members.node_id, |id| match id {
                Scalar::Text(text) => NodeId::from_text(text),
                other => NodeId::new(other.whole()?),
            })?,
        };
        registered.check()?;
        Ok(registered)
    }

    fn to_json(&self) -> Result<Vec<u8>, FieldError> {
        self.check()?;
        Ok(ObjectWriter::body(|object| {
            object.text("authKey", self.auth_key.expose());
            match self.node_id.number() {
                Some(number) => object.number("nodeId", number),
                None => object.text("nodeId", &self.node_id.to_string()),
            }
        }))
    }
}
