//! What waits for a connection, and the frames it becomes.

use bytes::Bytes;
use std::collections::VecDeque;

/// A message that was serialised once, for all who get it.
#[derive(Clone)]
pub(super) struct Serialized {
    /// Messages with numbers that follow each other were published one after the other, so that connections with the
    /// same first and last one have the same in between.
    number: u64,
    text: Bytes,
}

impl Serialized {
    pub(super) fn new(number: u64, text: String) -> Self {
        Self { number, text: text.into() }
    }

    pub(super) fn text(&self) -> &Bytes {
        &self.text
    }
}

/// Messages that wait.
#[derive(Default)]
pub(super) struct Queue {
    messages: VecDeque<Serialized>,
    bytes: usize,
}

impl Queue {
    pub(super) fn push(&mut self, message: Serialized) {
        self.bytes += message.text.len();
        self.messages.push_back(message);
    }

    pub(super) fn drop_oldest(&mut self) {
        if let Some(message) = self.messages.pop_front() {
            self.bytes -= message.text.len();
        }
    }

    pub(super) fn len(&self) -> usize {
        self.messages.len()
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    /// Takes at most so many messages and makes a frame of them.
    pub(super) fn take(&mut self, most: usize, frames: &mut Frames) -> Bytes {
        let count = self.messages.len().min(most);
        let frame = frames.of(self.messages.iter().take(count));
        self.messages.drain(..count).for_each(|message| self.bytes -= message.text.len());
        if self.messages.is_empty() && self.messages.capacity() > KEPT {
            // An idle connection keeps no memory for a burst.
            self.messages = VecDeque::new();
        }
        frame
    }
}

/// How many places for messages an idle connection keeps.
const KEPT: usize = 4;

/// The last frame that was made: connections that have been listening for as long get the same ones.
#[derive(Default)]
pub(super) struct Frames {
    numbers: Option<(u64, u64)>,
    frame: Bytes,
}

impl Frames {
    fn of<'a>(
        &mut self,
        messages: impl ExactSizeIterator<Item = &'a Serialized> + DoubleEndedIterator + Clone,
    ) -> Bytes {
        let (first, last) = (messages.clone().next(), messages.clone().next_back());
        let ends = first.zip(last).map(|(first, last)| (first.number, last.number));
        // Retained messages may stand twice or out of their order.
        let mut neighbours = messages.clone().zip(messages.clone().skip(1));
        let is_run =
            ends.is_some() && neighbours.all(|(one, next)| one.number.checked_add(1) == Some(next.number));
        if is_run && self.numbers == ends {
            return self.frame.clone();
        }
        let mut frame =
            Vec::with_capacity(2 + messages.clone().map(|message| message.text.len() + 1).sum::<usize>());
        frame.push(b'[');
        for (place, message) in messages.enumerate() {
            if place > 0 {
                frame.push(b',');
            }
            frame.extend_from_slice(&message.text);
        }
        frame.push(b']');
        let frame = Bytes::from(frame);
        if is_run {
            (self.numbers, self.frame) = (ends, frame.clone());
        }
        frame
    }
}
