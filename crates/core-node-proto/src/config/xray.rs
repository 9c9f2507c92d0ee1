//! The few members of services that a node may need itself. What is inside is not laid down anywhere (§7.4), so whatever is
//! not as expected reads as absent.

use super::raw;
use crate::json::Scalar;
use std::fmt;

/// What Xray is to run: the object `services.xray`. Each method reads its text anew.
///
/// Its [`Debug`] shows its length.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Xray<'a>(&'a str);

impl<'a> Xray<'a> {
    pub(super) fn new(json: &'a str) -> Self {
        Self(json)
    }

    /// Returns the object as it was written, keys of users included.
    #[must_use]
    pub fn json(self) -> &'a str {
        self.0
    }

    /// Returns the inbounds, in order. Elements that are no objects are left out.
    #[must_use]
    pub fn inbounds(self) -> Vec<XrayInbound> {
        objects(self.0, "inbounds").filter_map(XrayInbound::read).collect()
    }

    /// Returns the tags of the outbounds, in order. Those without a tag are left out.
    #[must_use]
    pub fn outbound_tags(self) -> Vec<String> {
        tags(self.0, "outbounds")
    }

    /// Returns the routing object as it was written.
    #[must_use]
    pub fn routing(self) -> Option<&'a str> {
        member(self.0, "routing").filter(|routing| raw::is_object(routing))
    }
}

impl fmt::Debug for Xray<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Xray({} bytes)", self.0.len())
    }
}

/// What a node may need to know of an inbound of Xray.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct XrayInbound {
    /// Its tag, which counters carry.
    pub tag: Option<String>,
    /// Its port, if it is a single one, given as a number or as digits.
    pub port: Option<u16>,
    /// Its protocol, as `vless`.
    pub protocol: Option<String>,
    /// The e-mails of its clients, in order. Clients without one are left out.
    pub client_emails: Vec<String>,
}

impl XrayInbound {
    fn read(json: &str) -> Option<Self> {
        let names = ["tag", "port", "protocol", "settings"];
        let [tag, port, protocol, settings] = raw::members(json, names).ok()?;
        let emails = settings.into_iter().flat_map(|settings| objects(settings, "clients"));
        let emails = emails.filter_map(|client| raw::text(member(client, "email")?));
        Some(Self {
            tag: tag.and_then(raw::text),
            port: port.and_then(read_port),
            protocol: protocol.and_then(raw::text),
            client_emails: emails.collect(),
        })
    }
}

/// What telemt is to run: the object `services.mtproto`. Each method reads its text anew.
///
/// Its [`Debug`] shows its length.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Mtproto<'a>(&'a str);

impl<'a> Mtproto<'a> {
    pub(super) fn new(json: &'a str) -> Self {
        Self(json)
    }

    /// Returns the object as it was written, keys of users included.
    #[must_use]
    pub fn json(self) -> &'a str {
        self.0
    }

    /// Returns the tags of the inbounds, in order. Those without a tag are left out.
    #[must_use]
    pub fn inbound_tags(self) -> Vec<String> {
        tags(self.0, "inbounds")
    }
}

impl fmt::Debug for Mtproto<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Mtproto({} bytes)", self.0.len())
    }
}

fn member<'a>(json: &'a str, name: &str) -> Option<&'a str> {
    let [member] = raw::members(json, [name]).ok()?;
    member
}

fn objects<'a>(json: &'a str, name: &str) -> impl Iterator<Item = &'a str> + use<'a> {
    let elements = member(json, name).map(raw::elements).unwrap_or_default();
    elements.into_iter().filter(|element| raw::is_object(element))
}

fn tags(json: &str, name: &str) -> Vec<String> {
    objects(json, name).filter_map(|object| raw::text(member(object, "tag")?)).collect()
}

fn read_port(json: &str) -> Option<u16> {
    let port: Scalar<'_> = serde_json::from_str(json).ok()?;
    let port = match &port {
        Scalar::Text(digits) => digits.parse().ok(),
        number => u16::try_from(number.whole().ok()?).ok(),
    };
    port.filter(|port| *port != 0)
}
