//! Recorded event streams: cut at every byte they give the same events, and each event is written again as it was.

use crate::Tally;
use anyhow::{Context as _, bail};
use nodepass_api::stream::{EventReader, Item};
use nodepass_api::wire::encode;
use std::path::Path;

const LIMIT: usize = 1 << 20;

pub(super) fn check(name: &str, file: &Path, tally: &mut Tally) -> anyhow::Result<()> {
    let bytes = std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    let body = match name.ends_with(".body.txt") {
        true => bytes,
        false => unframed(&bytes).with_context(|| format!("{} is no recording", file.display()))?,
    };
    let whole = read(&[&body]);
    round_trip(name, &body, &whole, tally);
    tally.check(format_args!("{name} byte for byte"), &whole, &read(&body.chunks(1).collect::<Vec<_>>()));
    match wrong_cut(&body, &whole) {
        Some(at) => tally.fail(format_args!("{name} cut at {at}"), "the same events", "others"),
        None => tally.pass(),
    }
    Ok(())
}

/// Returns the first place where the stream must not be cut, if there is one. What comes behind the frame that is cut is not read
/// again for each cut: the reader of the next one has read it.
fn wrong_cut(body: &[u8], whole: &[Item]) -> Option<usize> {
    let (mut reader, mut seen) = (EventReader::new(LIMIT), 0);
    for at in 0..body.len() {
        let end =
            body[at..].windows(2).position(|window| window == b"\n\n").map_or(body.len(), |end| at + end + 2);
        let (mut rest, mut items) = (reader.clone(), Vec::new());
        rest.read(&body[at..end], |item| items.push(item));
        if whole.get(seen..seen + items.len()) != Some(&items[..]) {
            return Some(at);
        }
        reader.read(&body[at..=at], |_| seen += 1);
    }
    (seen != whole.len()).then_some(body.len())
}

fn read(pieces: &[&[u8]]) -> Vec<Item> {
    let (mut reader, mut items) = (EventReader::new(LIMIT), Vec::new());
    for piece in pieces {
        reader.read(piece, |item| items.push(item));
    }
    items
}

fn round_trip(name: &str, body: &[u8], items: &[Item], tally: &mut Tally) {
    let text = String::from_utf8_lossy(body);
    let recorded = text.lines().filter_map(|line| line.strip_prefix("data: "));
    let mut written = items.iter().filter_map(|item| match item {
        Item::Event(event) => Some(String::from_utf8_lossy(&encode(event)).into_owned()),
        _ => None,
    });
    for (place, recorded) in recorded.enumerate() {
        let written = written.next().unwrap_or_default();
        tally.check(format_args!("{name} event {}", place + 1), &recorded, &written.as_str());
    }
    tally.check(format_args!("{name} events"), &None, &written.next());
}

/// Takes off the head of the response and the framing of its chunks.
fn unframed(bytes: &[u8]) -> anyhow::Result<Vec<u8>> {
    let head = b"\r\n\r\n";
    let Some(end) = bytes.windows(head.len()).position(|window| window == head) else {
        bail!("no end of a head")
    };
    let (mut rest, mut body) = (&bytes[end + head.len()..], Vec::new());
    // A recording may end in the middle of a stream.
    while let Some(end) = rest.windows(2).position(|window| window == b"\r\n") {
        let length = usize::from_str_radix(std::str::from_utf8(&rest[..end])?.trim(), 16)?;
        rest = &rest[end + 2..];
        if length == 0 {
            break;
        }
        let Some((chunk, after)) = rest.split_at_checked(length) else {
            body.extend_from_slice(rest);
            break;
        };
        body.extend_from_slice(chunk);
        rest = after.strip_prefix(b"\r\n").unwrap_or(after);
    }
    Ok(body)
}
