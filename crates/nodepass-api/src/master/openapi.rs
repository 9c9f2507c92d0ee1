//! The document that describes the API. §3, §4.

use serde_json::{Map, Value, json};

/// As 1.14 has it, with an address to be filled in.
const DOCUMENT: &str = include_str!("openapi.json");
/// What 1.6 has otherwise, as a merge patch (RFC 7396).
const DIFFERENCES_OF_1_6: &str = include_str!("openapi_1_6.json");

/// What the document has otherwise than 1.6, likewise.
const DIFFERENCES_OF_DOCUMENT: &str = include_str!("openapi_document.json");

/// Whose objects a document describes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Objects {
    /// Those of 1.6, with the refusals of 1.14.
    Document,
    /// Without `config`, `meta` and the master's alias; free memory.
    V1_6,
    /// With them; used memory.
    V1_14,
}

/// Returns an OpenAPI 3.1.1 document of a master that is served below a base path, such as `/api/v1`.
///
/// `refuses` is said of one that takes nothing without a word. The same arguments give the same text.
pub(crate) fn openapi(base: &str, objects: Objects, refuses: bool) -> String {
    let mut document: Value = serde_json::from_str(DOCUMENT).expect("the document is JSON");
    let patches: &[&str] = match objects {
        Objects::Document => &[DIFFERENCES_OF_1_6, DIFFERENCES_OF_DOCUMENT],
        Objects::V1_6 => &[DIFFERENCES_OF_1_6],
        Objects::V1_14 => &[],
    };
    for patch in patches {
        merge(&mut document, serde_json::from_str(patch).expect("the patch is JSON"));
    }
    if refuses {
        let responses = &mut document["paths"]["/instances/{id}"]["patch"]["responses"];
        responses["403"] = json!({ "$ref": "#/components/responses/KeyRecord" });
        if responses["400"].is_null() {
            responses["400"] = json!({ "$ref": "#/components/responses/BadInstance" });
        }
    }
    document["servers"][0]["url"] = json!(base);
    format!("{document:#}\n")
}

/// Applies a merge patch: objects are merged, `null` removes a member, anything else replaces what is there.
fn merge(target: &mut Value, patch: Value) {
    let Value::Object(patch) = patch else {
        *target = patch;
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let members = target.as_object_mut().expect("made an object above");
    for (name, change) in patch {
        if change.is_null() {
            members.remove(&name);
        } else {
            merge(members.entry(name).or_insert(Value::Null), change);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    const LEVELS: [Objects; 3] = [Objects::Document, Objects::V1_6, Objects::V1_14];
    const METHODS: [&str; 8] = ["get", "put", "post", "delete", "options", "head", "patch", "trace"];

    #[test]
    fn the_document_names_its_version_and_where_it_is_served() {
        for objects in LEVELS {
            let document = document(objects);
            assert_eq!(document["openapi"], "3.1.1");
            assert_eq!(document["servers"], json!([{ "url": "/admin/v1", "description": "This master" }]));
            let scheme = &document["components"]["securitySchemes"]["ApiKeyAuth"];
            assert_eq!((&scheme["in"], &scheme["name"]), (&json!("header"), &json!("X-API-Key")));
            assert_eq!(openapi("/admin/v1", objects, false), openapi("/admin/v1", objects, false));
        }
        assert_ne!(openapi("/api/v1", Objects::V1_6, false), openapi("/api/v1", Objects::V1_14, false));
    }

    #[test]
    fn every_endpoint_has_its_methods_and_statuses() {
        let expected = [
            ("get /docs", "200"),
            ("get /events", "200 401 503"),
            ("get /info", "200 401 503"),
            ("post /info", "200 400 401 413 503"),
            ("get /instances", "200 401"),
            ("post /instances", "201 400 401 409 413 503"),
            ("delete /instances/{id}", "204 401 403 404 503"),
            ("get /instances/{id}", "200 401 404"),
            ("patch /instances/{id}", "200 400 401 404 413"),
            ("put /instances/{id}", "200 400 401 403 404 409 413 503"),
            ("get /openapi.json", "200"),
            ("get /tcping", "200 400 401 503"),
        ];
        let all = expected.map(|(name, statuses)| (name.to_owned(), statuses.to_owned()));
        assert_eq!(statuses(&document(Objects::V1_14)), all);
        let of_1_6: Vec<_> = (all.into_iter())
            .filter(|(name, _)| name != "post /info")
            .map(|(name, statuses)| match name.starts_with("patch") {
                true => (name, "200 401 404 413".to_owned()),
                false => (name, statuses),
            })
            .collect();
        assert_eq!(statuses(&document(Objects::V1_6)), of_1_6);
        let patch = |objects, refuses| {
            let document = serde_json::from_str(&openapi("/api/v1", objects, refuses)).expect("it is JSON");
            statuses(&document)
                .into_iter()
                .find(|(name, _)| name.starts_with("patch"))
                .expect("it is there")
                .1
        };
        assert_eq!(patch(Objects::Document, false), "200 400 401 404 413");
        for objects in LEVELS {
            assert_eq!(patch(objects, true), "200 400 401 403 404 413");
        }
    }

    #[test]
    fn only_the_documentation_needs_no_key() {
        for objects in LEVELS {
            let document = document(objects);
            assert_eq!(document["security"], json!([{ "ApiKeyAuth": [] }]));
            for (path, method, operation) in operations(&document) {
                let open = operation["security"] == json!([]);
                let documentation = path == "/docs" || path == "/openapi.json";
                assert_eq!(open, documentation, "{method} {path}");
                let others = &document["paths"][path]["x-other-methods"];
                assert_eq!(others.is_object(), !documentation, "{path}: other methods get 405");
            }
        }
    }

    #[test]
    fn every_reference_leads_somewhere_and_every_component_is_used() {
        for objects in LEVELS {
            let document = document(objects);
            let mut found = BTreeSet::new();
            references(&document, &mut found);
            for reference in &found {
                assert!(document.pointer(reference).is_some(), "{objects:?}: {reference}");
            }
            let components = document["components"].as_object().expect("components");
            for (kind, members) in components.iter().filter(|(kind, _)| *kind != "securitySchemes") {
                for name in members.as_object().expect("an object").keys() {
                    let used = found.contains(&format!("/components/{kind}/{name}"));
                    assert!(used, "{objects:?}: {kind}/{name} is used nowhere");
                }
            }
        }
    }

    #[test]
    fn every_parameter_body_and_answer_has_an_example() {
        for objects in LEVELS {
            let document = document(objects);
            for (path, method, operation) in operations(&document) {
                let shared = document["paths"][path]["parameters"].as_array();
                let own = operation["parameters"].as_array();
                for parameter in shared.into_iter().chain(own).flatten() {
                    assert!(has_example(&document, parameter), "{method} {path}: parameters");
                }
                let body = operation.get("requestBody");
                for (status, answer) in operation["responses"].as_object().expect("responses") {
                    let content = &resolve(&document, answer)["content"];
                    assert_eq!(content.is_null(), status == "204", "{method} {path} {status}");
                    assert!(
                        content.is_null() || with_examples(&document, content),
                        "{method} {path} {status}"
                    );
                }
                assert!(
                    body.is_none_or(|body| with_examples(&document, &body["content"])),
                    "{method} {path}"
                );
            }
        }
    }

    #[test]
    fn examples_have_exactly_the_members_of_their_schemas() {
        for objects in LEVELS {
            let document = document(objects);
            let components = &document["components"];
            let instance = components["examples"]["Instance"]["value"].clone();
            let listed = components["examples"]["InstanceList"]["value"][0].clone();
            let info = components["examples"]["Info"]["value"].clone();
            for (name, example) in [("Instance", instance), ("Instance", listed), ("Info", info)] {
                let schema = &components["schemas"][name];
                let members: BTreeSet<_> = keys(&example).collect();
                assert_eq!(members, keys(&schema["properties"]).collect(), "{objects:?} {name}");
                let required = schema["required"].as_array().expect("required").iter();
                assert_eq!(members, required.filter_map(Value::as_str).collect(), "{objects:?} {name}");
            }
        }
    }

    #[test]
    fn the_differences_touch_only_what_is_there() {
        fn check(target: &Value, patch: &Value, place: &str) {
            for (name, change) in patch.as_object().into_iter().flatten() {
                match target.get(name) {
                    Some(there) => check(there, change, &format!("{place}/{name}")),
                    None => assert!(["mem_free", "swap_free"].contains(&name.as_str()), "{place}/{name}"),
                }
            }
        }
        let [document, patch] =
            [DOCUMENT, DIFFERENCES_OF_1_6].map(|text| serde_json::from_str::<Value>(text).unwrap());
        check(&document, &patch, "");
    }

    fn document(objects: Objects) -> Value {
        serde_json::from_str(&openapi("/admin/v1", objects, false)).unwrap()
    }

    fn operations(document: &Value) -> Vec<(&str, &str, &Value)> {
        let mut operations = Vec::new();
        for (path, item) in document["paths"].as_object().expect("paths") {
            let methods = item.as_object().expect("a path item").iter();
            let methods = methods.filter(|(method, _)| METHODS.contains(&method.as_str()));
            operations.extend(methods.map(|(method, operation)| (path.as_str(), method.as_str(), operation)));
        }
        operations
    }

    fn statuses(document: &Value) -> Vec<(String, String)> {
        let mut operations = operations(document);
        operations.sort_by_key(|&(path, method, _)| (path, method));
        let of = |operation: &Value| keys(&operation["responses"]).collect::<Vec<_>>().join(" ");
        operations
            .iter()
            .map(|(path, method, operation)| (format!("{method} {path}"), of(operation)))
            .collect()
    }

    fn references(value: &Value, found: &mut BTreeSet<String>) {
        match value {
            Value::Object(members) => {
                if let Some(reference) = members.get("$ref").and_then(Value::as_str) {
                    found.insert(reference.strip_prefix('#').expect("a local reference").to_owned());
                }
                members.values().for_each(|member| references(member, found));
            }
            Value::Array(items) => items.iter().for_each(|item| references(item, found)),
            _ => {}
        }
    }

    fn resolve<'a>(document: &'a Value, value: &'a Value) -> &'a Value {
        match value["$ref"].as_str() {
            Some(reference) => document.pointer(&reference[1..]).expect("a reference that leads somewhere"),
            None => value,
        }
    }

    fn with_examples(document: &Value, content: &Value) -> bool {
        content.as_object().is_some_and(|types| types.values().all(|media| has_example(document, media)))
    }

    fn has_example(document: &Value, place: &Value) -> bool {
        let examples = resolve(document, place)["examples"].as_object();
        examples.is_some_and(|examples| {
            !examples.is_empty()
                && examples.values().all(|example| !resolve(document, example)["value"].is_null())
        })
    }

    fn keys(value: &Value) -> impl Iterator<Item = &str> {
        value.as_object().into_iter().flat_map(|members| members.keys().map(String::as_str))
    }
}
