//! How parts of stored state are written that are messages: as their JSON text.

/// The error of a node.
pub(super) mod node_error {
    use crate::message::{HttpBody as _, NodeError};
    use serde::de::{Deserialize, Deserializer, Error as _};
    use serde::ser::{Error as _, Serialize, Serializer};
    use std::sync::Arc;

    pub(in crate::core) fn serialize<S: Serializer>(
        error: &Option<Arc<NodeError>>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let json = error.as_ref().map(|error| error.to_json()).transpose().map_err(S::Error::custom)?;
        json.as_deref().map(String::from_utf8_lossy).serialize(serializer)
    }

    pub(in crate::core) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Arc<NodeError>>, D::Error> {
        let json: Option<String> = Deserialize::deserialize(deserializer)?;
        let error = json.map(|json| NodeError::from_json(json.as_bytes())).transpose();
        Ok(error.map_err(D::Error::custom)?.map(Arc::new))
    }
}

/// A configuration.
pub(super) mod config {
    use crate::config::NodeConfig;
    use serde::de::{Deserialize, Deserializer, Error as _};
    use serde::ser::Serializer;
    use std::sync::Arc;

    pub(in crate::core) fn serialize<S: Serializer>(
        config: &Arc<NodeConfig>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&config.to_json())
    }

    pub(in crate::core) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Arc<NodeConfig>, D::Error> {
        let json = String::deserialize(deserializer)?;
        let read = NodeConfig::from_json(json.as_bytes()).map_err(D::Error::custom)?;
        Ok(Arc::new(read.config))
    }
}

/// A map as a list of its entries, since the names of a JSON object are texts only.
pub(super) mod entries {
    use serde::de::{Deserialize, Deserializer};
    use serde::ser::{Serialize, Serializer};
    use std::collections::BTreeMap;

    pub(in crate::core) fn serialize<K: Serialize, V: Serialize, S: Serializer>(
        map: &BTreeMap<K, V>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(map)
    }

    pub(in crate::core) fn deserialize<'de, K, V, D>(deserializer: D) -> Result<BTreeMap<K, V>, D::Error>
    where
        K: Deserialize<'de> + Ord,
        V: Deserialize<'de>,
        D: Deserializer<'de>,
    {
        Vec::<(K, V)>::deserialize(deserializer).map(|entries| entries.into_iter().collect())
    }
}
