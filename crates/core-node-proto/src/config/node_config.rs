//! A whole configuration, over either transport.

use super::client_map::{ClientMap, MtprotoClientMap};
use super::error::{Field, NodeConfigError, Problem, Warning};
use super::raw;
use super::services::Services;
use super::written::Written;
use crate::json::Scalar;
use crate::value::Revision;
use bytes::Bytes;
use serde_json::error::Category;
use std::borrow::Cow;
use std::fmt::{self, Write as _};

/// What Core wants a node to run (§7).
///
/// ```
/// use core_node_proto::config::NodeConfig;
///
/// let body = br#"{"revision":6,"clientMap":{"45":{"userId":12,"subscriptionId":null}},"services":{"xray":{}}}"#;
/// let read = NodeConfig::from_json(body)?;
/// assert!(read.warnings.is_empty());
/// assert_eq!(read.config.revision().get(), 6);
/// let client = read.config.client_map().get("45".parse()?);
/// assert_eq!(client.map(|client| client.user_id.get()), Some(12));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NodeConfig {
    revision: Revision,
    client_map: ClientMap,
    mtproto_client_map: MtprotoClientMap,
    services: Services,
    written: Written,
}

/// A configuration that was read, and what was odd about it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReadConfig {
    /// The configuration.
    pub config: NodeConfig,
    /// Defects that did not keep it from being taken.
    pub warnings: Vec<Warning>,
}

/// A configuration as the gRPC message carries it, the three structured parts as JSON texts (§7).
///
/// Users' keys stand in here, so its [`Debug`] shows lengths.
#[derive(Clone, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "the message has these members")]
pub struct ConfigTexts<'a> {
    /// As the message has it, in range or not.
    pub revision: i64,
    /// `clientMapJson`.
    pub client_map_json: Cow<'a, str>,
    /// `mtprotoClientMapJson`.
    pub mtproto_client_map_json: Cow<'a, str>,
    /// `servicesJson`.
    pub services_json: Cow<'a, str>,
}

impl fmt::Debug for ConfigTexts<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConfigTexts")
            .field("revision", &self.revision)
            .field("client_map_bytes", &self.client_map_json.len())
            .field("mtproto_client_map_bytes", &self.mtproto_client_map_json.len())
            .field("services_bytes", &self.services_json.len())
            .finish()
    }
}

impl NodeConfig {
    /// Puts a configuration together.
    #[must_use]
    pub fn new(
        revision: Revision,
        client_map: ClientMap,
        mtproto_client_map: MtprotoClientMap,
        services: Services,
    ) -> Self {
        let written = Written::default();
        Self { revision, client_map, mtproto_client_map, services, written }
    }

    /// Reads the HTTP object. A map or services that are absent or null are empty, unknown members are ignored, and of a
    /// repeated member the last one counts.
    ///
    /// # Errors
    /// As [`from_texts`](Self::from_texts); also if the body is no JSON object, or the revision is absent or no number.
    pub fn from_json(body: &[u8]) -> Result<ReadConfig, NodeConfigError> {
        let wrong_body = |problem| NodeConfigError::new(Field::Body, problem);
        let body = std::str::from_utf8(body).map_err(|_| wrong_body(Problem::NotUtf8))?;
        let fields = [Field::Revision, Field::ClientMap, Field::MtprotoClientMap, Field::Services];
        let members = raw::members(body, fields.map(Field::http_name));
        let [revision, client_map, mtproto_client_map, services] = members.map_err(|error| {
            wrong_body(match error.classify() {
                Category::Data => Problem::NotAnObject,
                _ => Problem::NotJson { line: error.line(), column: error.column() },
            })
        })?;
        let wrong_revision = |problem| NodeConfigError::new(Field::Revision, problem);
        let revision = revision.ok_or_else(|| wrong_revision(Problem::Missing))?;
        let revision = serde_json::from_str(revision).ok().and_then(|number: Scalar<'_>| number.whole().ok());
        Self::from_texts(&ConfigTexts {
            revision: revision.ok_or_else(|| wrong_revision(Problem::OutOfRange))?,
            client_map_json: client_map.unwrap_or_default().into(),
            mtproto_client_map_json: mtproto_client_map.unwrap_or_default().into(),
            services_json: services.unwrap_or_default().into(),
        })
    }

    /// Reads the parts of the gRPC message (§7.5). A text that is blank or `null` is an empty object. A broken
    /// `mtprotoClientMapJson` is only a warning and reads as empty.
    ///
    /// # Errors
    /// The revision is out of range, or the client map or the services are no JSON object, are nested deeper than
    /// [`MAX_JSON_DEPTH`](crate::message::MAX_JSON_DEPTH), or have a member that cannot be taken.
    pub fn from_texts(texts: &ConfigTexts<'_>) -> Result<ReadConfig, NodeConfigError> {
        let revision = Revision::new(texts.revision);
        let revision = revision.map_err(|_| NodeConfigError::new(Field::Revision, Problem::OutOfRange))?;
        let mut warnings = Vec::new();
        let client_map = raw::given(&texts.client_map_json).map(ClientMap::read).transpose();
        let client_map = client_map.map_err(|problem| NodeConfigError::new(Field::ClientMap, problem))?;
        let client_map = client_map.unwrap_or_default();
        if client_map.keys_not_ids() > 0 {
            warnings.push(Warning::KeysNotIds { count: client_map.keys_not_ids() });
        }
        let mtproto_client_map = raw::given(&texts.mtproto_client_map_json).map(MtprotoClientMap::read);
        let mtproto_client_map = mtproto_client_map.transpose().unwrap_or_else(|problem| {
            warnings.push(Warning::MtprotoClientMap(problem));
            None
        });
        let services = Services::from_json(&texts.services_json)?;
        let mtproto_client_map = mtproto_client_map.unwrap_or_default();
        let config = Self::new(revision, client_map, mtproto_client_map, services);
        Ok(ReadConfig { config, warnings })
    }

    /// Returns it as the HTTP object.
    #[must_use]
    pub fn to_json(&self) -> String {
        let mut json = String::new();
        write!(json, "{{\"revision\":{},\"clientMap\":", self.revision).expect("text grows without failing");
        self.client_map.write(&mut json);
        json.push_str(",\"mtprotoClientMap\":");
        self.mtproto_client_map.write(&mut json);
        json.push_str(",\"services\":");
        self.services.write(&mut json);
        json.push('}');
        json
    }

    /// Returns it as the HTTP object, written once.
    pub(crate) fn json_body(&self) -> Bytes {
        self.written.json.get_or_init(|| self.to_json().into()).clone()
    }

    /// Returns it as the gRPC message, written once.
    pub(crate) fn protobuf_body(&self, write: impl FnOnce() -> Vec<u8>) -> Bytes {
        self.written.protobuf.get_or_init(|| write().into()).clone()
    }

    /// Returns it as the parts of the gRPC message.
    #[must_use]
    pub fn to_texts(&self) -> ConfigTexts<'static> {
        let written = |write: &dyn Fn(&mut String)| {
            let mut json = String::new();
            write(&mut json);
            Cow::Owned(json)
        };
        ConfigTexts {
            revision: self.revision.get().into(),
            client_map_json: written(&|json| self.client_map.write(json)),
            mtproto_client_map_json: written(&|json| self.mtproto_client_map.write(json)),
            services_json: written(&|json| self.services.write(json)),
        }
    }

    /// Returns the revision.
    #[must_use]
    pub fn revision(&self) -> Revision {
        self.revision
    }

    /// Returns the client map that attributes.
    #[must_use]
    pub fn client_map(&self) -> &ClientMap {
        &self.client_map
    }

    /// Returns the map of old nodes.
    #[must_use]
    pub fn mtproto_client_map(&self) -> &MtprotoClientMap {
        &self.mtproto_client_map
    }

    /// Returns what the proxies are to run.
    #[must_use]
    pub fn services(&self) -> &Services {
        &self.services
    }
}
