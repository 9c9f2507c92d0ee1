//! The page that shows the API's document and carries out its calls.

/// What `GET /docs` answers: one page that is whole in itself, and reads the document beside it.
pub(crate) const DOCS_PAGE: &str = include_str!("docs.html");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_asks_nobody_but_its_own_master() {
        let page = DOCS_PAGE.replace("new URL(", "").to_ascii_lowercase();
        for outside in ["http://", "https://", "src=", "<link", "@import", "url(", "websocket", "sendbeacon"]
        {
            assert!(!page.contains(outside), "{outside}");
        }
        assert!(page.contains("openapi.json"));
    }

    #[test]
    fn the_page_shows_texts_as_texts() {
        for unsafe_way in
            ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "Function("]
        {
            assert!(!DOCS_PAGE.contains(unsafe_way), "{unsafe_way}");
        }
    }

    #[test]
    fn the_page_keeps_the_key_in_memory_only() {
        for place in ["localStorage", "sessionStorage", "indexedDB", "document.cookie", "history."] {
            assert!(!DOCS_PAGE.contains(place), "{place}");
        }
        assert!(DOCS_PAGE.contains("type=\"password\""));
    }
}
