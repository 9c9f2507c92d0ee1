//! JSON that no good peer sends.

/// Arrays in arrays.
pub(crate) fn deep(levels: usize) -> String {
    format!("{}{}", "[".repeat(levels), "]".repeat(levels))
}

/// An object of so many members.
pub(crate) fn map(members: usize) -> String {
    let members: Vec<String> = (0..members).map(|number| format!("\"m{number}\":{number}")).collect();
    format!("{{{}}}", members.join(","))
}

/// A number beyond every type.
pub(crate) fn huge() -> String {
    "9".repeat(5000)
}

/// A text that is none in UTF-8.
pub(crate) const NO_UTF8: &[u8] = b"{\"a\":\"\xff\xfe\xc0\xaf\xed\xa0\x80\"}";
