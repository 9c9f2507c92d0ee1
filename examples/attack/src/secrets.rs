//! Looking for the secrets of programs in what they say.

use crate::pair::KEY;
use anyhow::{Context as _, ensure};
use serde_json::Value;
use std::path::Path;
use testkit::secrets::find;

/// What a client has in the place of its key when it is to be refused.
const WRONG: &str = "wr0ng-4tt4ck-key";

/// Puts a wrong key where a client looks for its own, and takes away what it has kept. Returns all secrets, those that were
/// made meanwhile, too.
pub(crate) fn prepare_refusal(folder: &Path) -> anyhow::Result<Vec<String>> {
    let (key, state) = (folder.join("key"), folder.join("state"));
    let mut secrets =
        vec![KEY.to_owned(), WRONG.to_owned(), std::fs::read_to_string(&key)?.trim().to_owned()];
    if let Ok(kept) = std::fs::read(&state) {
        let kept: Value = serde_json::from_slice(&kept)?;
        secrets.push(kept["authKey"].as_str().context("a node keeps its key")?.to_owned());
        std::fs::remove_file(&state)?;
    }
    std::fs::write(&key, WRONG)?;
    Ok(secrets)
}

/// Looks into all that was printed and logged.
pub(crate) fn search(folder: &Path, secrets: &[String]) -> anyhow::Result<()> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "stdout" || extension == "stderr") {
            let said = String::from_utf8_lossy(&std::fs::read(&path)?).into_owned();
            bytes += said.len();
            for line in said.lines() {
                let found = secrets.iter().find_map(|secret| find(line, secret));
                ensure!(
                    found.is_none(),
                    "{} holds a secret as {}: {line}",
                    path.display(),
                    found.unwrap_or("")
                );
            }
            ensure!(!said.contains("panicked"), "{} tells a panic", path.display());
        }
    }
    ensure!(bytes > 0, "nothing was said");
    Ok(())
}
