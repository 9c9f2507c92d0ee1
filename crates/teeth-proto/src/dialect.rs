//! Which of the two ways of the protocol is spoken.

/// What is sent where document and original program part. Both spellings are understood under both.
///
/// | | [`Document`](Self::Document) | [`Original`](Self::Original) |
/// | --- | --- | --- |
/// | commands for images | `standbye.*` | `standby.*` |
/// | `decom.*` | served and sent | not known |
/// | `ping` | served by both roles | not served by the agent, so that a server must not send it |
/// | result with nothing in it | `{}` | `null` |
/// | `error` | an object with `msg` | a string |
/// | image ids | UUIDs | any JSON value |
/// | `run_image` without config drive settings | an error | accepted |
/// | `task_status` | sent by the agent | not sent |
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "the document's way and the original's")]
pub enum Dialect {
    /// As the document promises.
    #[default]
    Document,
    /// As the original program, teeth-agent b3ee1d8, speaks.
    Original,
}
