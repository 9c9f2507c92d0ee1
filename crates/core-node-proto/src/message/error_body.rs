//! The body of a refusal over HTTP. §4.5.

use super::json::ObjectWriter;

/// Why Core refuses a request over HTTP. It is written only: an agent goes by the status of the response.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "messages are written as struct literals")]
pub struct ErrorBody {
    /// The status of the response.
    pub status_code: u16,
    /// What the status means.
    pub error: Option<String>,
    /// What is wrong. A single text is written as a text, otherwise they are a list.
    pub messages: Vec<String>,
}

impl ErrorBody {
    /// Writes the body.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        ObjectWriter::body(|object| {
            match &*self.messages {
                [message] => object.text("message", message),
                messages => {
                    object.list("message", |list| messages.iter().for_each(|message| list.text(message)))
                }
            }
            object.optional_text("error", self.error.as_deref());
            object.number("statusCode", self.status_code);
        })
    }
}
