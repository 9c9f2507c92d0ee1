//! Answers, and what was told since they were asked for.

use super::{Change, Changed, Fleet, Moment};
use crate::wire::{Instance, InstanceId};
use std::collections::{BTreeMap, VecDeque};

/// When something was asked for. See [`Fleet::begin_request`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticket {
    pub(super) input: u64,
    pub(super) stream: u64,
}

/// What became of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Merge {
    /// Whether it agrees with all that was told since it was asked for: which instances there are, and their status, URL,
    /// alias, policy and labels. If not, or if a stream began meanwhile, a list is wanted to settle it.
    pub settled: bool,
}

impl Fleet {
    /// Takes note that a list or an instance is about to be asked for. What is told from now on may be newer than the answer.
    #[must_use]
    pub fn begin_request(&mut self) -> Ticket {
        Ticket { input: self.next_input(), stream: self.stream }
    }

    /// Merges a list: all instances, and the record that holds the API key.
    ///
    /// What was told since the ticket stands. Of the rest, instances that the list lacks are removed and the others are as the
    /// list has them.
    pub fn apply_list(
        &mut self,
        ticket: Ticket,
        list: Vec<Instance>,
        at: Moment,
        changes: &mut VecDeque<Change>,
    ) -> Merge {
        self.lists += 1;
        let mut settled = self.knows_all_since(ticket);
        let mut has_key_record = false;
        for instance in list {
            if instance.id.is_key_record() {
                has_key_record = true;
            } else if let Some(member) = self.members.get_mut(&instance.id) {
                member.listed = self.lists;
            }
            settled &= self.answer(ticket, instance, at, changes);
        }
        if !has_key_record && let Some(record) = &self.key_record {
            if record.told > ticket.input {
                settled = false;
            } else {
                self.key_record = None;
                changes.push_back(Change::KeyRecord);
            }
        }
        settled &= self.remove_unlisted(ticket, changes);
        self.is_confirmed = settled;
        Merge { settled }
    }

    /// Takes the answer of a request about one instance, or about the record that holds the API key. What was told since the
    /// ticket stands: an answer to `start` says `stopped`, and may come behind the event that says `running`.
    pub fn apply_instance(
        &mut self,
        ticket: Ticket,
        instance: Instance,
        at: Moment,
        changes: &mut VecDeque<Change>,
    ) -> Merge {
        let settled = self.answer(ticket, instance, at, changes) && self.knows_all_since(ticket);
        self.is_confirmed &= settled;
        Merge { settled }
    }

    fn knows_all_since(&self, ticket: Ticket) -> bool {
        ticket.stream == self.stream && self.gone.knows_all_since(ticket.input)
    }

    /// Takes what an answer says of one instance, unless something newer was told. Returns whether that agrees.
    fn answer(
        &mut self,
        ticket: Ticket,
        instance: Instance,
        at: Moment,
        changes: &mut VecDeque<Change>,
    ) -> bool {
        let known = match &self.key_record {
            Some(record) if instance.id.is_key_record() => Some((record.told, &record.instance)),
            _ => self.members.get(&instance.id).map(|member| (member.told, &member.instance)),
        };
        match known {
            Some((told, known)) if told > ticket.input => return agree(known, &instance),
            None if self.gone.told(&instance.id) > Some(ticket.input) => return false,
            _ => self.gone.forget(&instance.id),
        }
        self.put(instance, ticket.input, at, false, changes);
        true
    }

    fn remove_unlisted(&mut self, ticket: Ticket, changes: &mut VecDeque<Change>) -> bool {
        let unlisted = self.members.values().filter(|member| member.listed != self.lists);
        let (newer, gone): (Vec<_>, Vec<_>) = unlisted
            .map(|member| (member.id().clone(), member.told))
            .partition(|&(_, told)| told > ticket.input);
        for (id, _) in gone {
            self.remove(&id, ticket.input, changes);
        }
        newer.is_empty()
    }
}

/// Whether two states differ in figures at most.
fn agree(one: &Instance, other: &Instance) -> bool {
    let Changed { status, url, alias, restart, meta, .. } = Changed::between(one, other);
    !(status || url || alias || restart || meta)
}

/// Ids that were told to be gone. Frames about them may still be under way.
#[derive(Default)]
pub(super) struct Gone {
    ids: BTreeMap<InstanceId, Told>,
    /// The same in order, and some that are out of date.
    order: VecDeque<(u64, InstanceId)>,
    /// The last input of those that were forgotten for want of room.
    forgotten: u64,
}

struct Told {
    input: u64,
    stream: u64,
}

/// Late frames come within seconds.
const MOST_GONE: usize = 4_096;

impl Gone {
    pub(super) fn insert(&mut self, id: InstanceId, input: u64, stream: u64) {
        self.ids.insert(id.clone(), Told { input, stream });
        self.order.push_back((input, id));
        if self.order.len() > MOST_GONE
            && let Some((input, id)) = self.order.pop_front()
            && self.told(&id) == Some(input)
        {
            self.ids.remove(&id);
            self.forgotten = self.forgotten.max(input);
        }
    }

    pub(super) fn forget(&mut self, id: &InstanceId) {
        self.ids.remove(id);
    }

    /// Returns the input that told that this one is gone.
    fn told(&self, id: &InstanceId) -> Option<u64> {
        self.ids.get(id).map(|told| told.input)
    }

    /// Whether this one went in this stream.
    pub(super) fn has(&self, id: &InstanceId, stream: u64) -> bool {
        self.ids.get(id).is_some_and(|told| told.stream == stream)
    }

    fn knows_all_since(&self, input: u64) -> bool {
        self.forgotten <= input
    }
}
