//! What nodes show.

use super::{further, text};
use crate::debug::DebugNumber;
use crate::wire::{Json, JsonKind, JsonRef, Members, object_of};

/// What a node shows under itself.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum NodeStatus {
    /// Nothing any more: `{}`.
    Cleared,
    /// A mark and a text.
    Shown {
        /// The text.
        text: Option<String>,
        /// The colour of the mark: `red`, `green`, `yellow`, `blue`, `grey`, or anything else.
        fill: Option<String>,
        /// The shape of the mark: `dot` or `ring`; an editor takes `dot` where none is given.
        shape: Option<String>,
        /// Whatever else was there, and what of the three was no string. Nothing in 0.20 and later.
        further: Vec<(String, Json)>,
    },
    /// Whatever the node gave, as runtimes up to 0.19 pass it on: a string, a number, a boolean, an array.
    Free(Json),
}

impl NodeStatus {
    /// Makes a status of a mark and a text, as a runtime sends it. Empty parts are left out; without any it is
    /// [`Cleared`](Self::Cleared).
    #[must_use]
    pub fn new(text: &str, fill: &str, shape: &str) -> Self {
        let part = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
        match (part(text), part(fill), part(shape)) {
            (None, None, None) => Self::Cleared,
            (text, fill, shape) => Self::Shown { text, fill, shape, further: Vec::new() },
        }
    }

    pub(super) fn decode(data: JsonRef<'_>) -> Self {
        let Some(mut members) = Members::of(data) else { return Self::Free(data.to_json()) };
        let (text, fill, shape) = (members.text("text"), members.text("fill"), members.text("shape"));
        let further = members.rest();
        if text.is_none() && fill.is_none() && shape.is_none() && further.is_empty() {
            return Self::Cleared;
        }
        Self::Shown { text, fill, shape, further }
    }

    pub(super) fn encode(&self) -> Json {
        match self {
            Self::Cleared => Json::empty_object(),
            Self::Shown { text: label, fill, shape, further: rest } => {
                let own = [
                    ("text", text(label.as_ref())),
                    ("fill", text(fill.as_ref())),
                    ("shape", text(shape.as_ref())),
                ];
                object_of(own.into_iter().chain(further(rest)))
            }
            Self::Free(json) => json.clone(),
        }
    }

    /// Makes of what a node gave what a runtime sends (0.20 and later): text, fill and shape only, the text as a string; a
    /// string, a number or a boolean is the text. Blank becomes [`Cleared`](Self::Cleared): text, fill and shape all absent,
    /// empty, 0, false or null.
    #[must_use]
    pub fn filtered(given: JsonRef<'_>) -> Self {
        let Some(mut members) = Members::of(given) else {
            return match given.kind() {
                JsonKind::Null | JsonKind::Array => Self::Cleared,
                _ => Self::new(&as_text(given), "", ""),
            };
        };
        let [text, fill, shape] = ["text", "fill", "shape"].map(|name| members.take(name, Some));
        if ![text, fill, shape].iter().flatten().any(|part| part.is_truthy()) {
            return Self::Cleared;
        }
        let mut further = Vec::new();
        let mut part = |name: &str, value: Option<JsonRef<'_>>| {
            let value = value.filter(|value| value.kind() != JsonKind::Null)?;
            let text = value.as_str().map(Into::into);
            if text.is_none() {
                further.push((name.to_owned(), value.to_json()));
            }
            text
        };
        let (fill, shape) = (part("fill", fill), part("shape", shape));
        Self::Shown { text: text.map(as_text), fill, shape, further }
    }

    /// Whether nothing is shown any more.
    #[must_use]
    pub fn is_blank(&self) -> bool {
        self.encode().text() == "{}"
    }
}

/// Makes a value a string, as JavaScript does for the values that occur.
fn as_text(value: JsonRef<'_>) -> String {
    match value.kind() {
        JsonKind::Object => "[object Object]".into(),
        JsonKind::Number => value
            .as_f64()
            .map_or_else(|| value.text().into(), |number| DebugNumber::from(number).text().into()),
        _ => value.as_str().unwrap_or(value.text().into()).into_owned(),
    }
}
