//! Writing: objects member by member.

use super::object::JsonObject;

/// Writes an object.
pub(in crate::message) struct ObjectWriter<'a> {
    body: &'a mut Vec<u8>,
    is_first: bool,
}

impl ObjectWriter<'_> {
    /// Returns the text of an object whose members `write` adds.
    pub(in crate::message) fn body(write: impl FnOnce(&mut ObjectWriter<'_>)) -> Vec<u8> {
        let mut body = Vec::with_capacity(128);
        ObjectWriter::object(&mut body, write);
        body
    }

    fn object(body: &mut Vec<u8>, write: impl FnOnce(&mut ObjectWriter<'_>)) {
        body.push(b'{');
        let mut writer = ObjectWriter { body, is_first: true };
        write(&mut writer);
        body.push(b'}');
    }

    fn name(&mut self, name: &str) {
        if !std::mem::take(&mut self.is_first) {
            self.body.push(b',');
        }
        push_text(self.body, name);
        self.body.push(b':');
    }

    pub(in crate::message) fn text(&mut self, name: &str, text: &str) {
        self.name(name);
        push_text(self.body, text);
    }

    pub(in crate::message) fn optional_text(&mut self, name: &str, text: Option<&str>) {
        if let Some(text) = text {
            self.text(name, text);
        }
    }

    pub(in crate::message) fn number(&mut self, name: &str, number: impl Into<u64>) {
        self.name(name);
        push_number(self.body, number.into());
    }

    /// Writes a finite number.
    pub(in crate::message) fn float(&mut self, name: &str, number: f64) {
        self.name(name);
        serde_json::to_writer(&mut *self.body, &number).expect("a number is JSON");
    }

    pub(in crate::message) fn boolean(&mut self, name: &str, value: bool) {
        self.name(name);
        self.body.extend_from_slice(if value { b"true" } else { b"false" });
    }

    pub(in crate::message) fn null(&mut self, name: &str) {
        self.name(name);
        self.body.extend_from_slice(b"null");
    }

    pub(in crate::message) fn json(&mut self, name: &str, object: &JsonObject) {
        self.text_of_json(name, object.text());
    }

    /// Writes a member whose value is JSON already.
    pub(in crate::message) fn text_of_json(&mut self, name: &str, json: &str) {
        self.name(name);
        self.body.extend_from_slice(json.as_bytes());
    }

    /// Writes an object whose members `write` adds.
    pub(in crate::message) fn member(&mut self, name: &str, write: impl FnOnce(&mut ObjectWriter<'_>)) {
        self.name(name);
        ObjectWriter::object(self.body, write);
    }

    /// Writes a list whose items `write` adds.
    pub(in crate::message) fn list(&mut self, name: &str, write: impl FnOnce(&mut ListWriter<'_>)) {
        self.name(name);
        self.body.push(b'[');
        write(&mut ListWriter { body: self.body, is_first: true });
        self.body.push(b']');
    }
}

/// Writes a list.
pub(in crate::message) struct ListWriter<'a> {
    body: &'a mut Vec<u8>,
    is_first: bool,
}

impl ListWriter<'_> {
    fn next(&mut self) {
        if !std::mem::take(&mut self.is_first) {
            self.body.push(b',');
        }
    }

    pub(in crate::message) fn object(&mut self, write: impl FnOnce(&mut ObjectWriter<'_>)) {
        self.next();
        ObjectWriter::object(self.body, write);
    }

    pub(in crate::message) fn text(&mut self, text: &str) {
        self.next();
        push_text(self.body, text);
    }
}

fn push_text(body: &mut Vec<u8>, text: &str) {
    serde_json::to_writer(body, text).expect("a text is JSON");
}

fn push_number(body: &mut Vec<u8>, number: u64) {
    serde_json::to_writer(body, &number).expect("a number is JSON");
}
