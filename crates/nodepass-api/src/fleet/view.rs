//! The view.

use super::log::Limit;
use super::member::text_bytes;
use super::merge::Gone;
use super::{Change, Changed, Config, History, InstanceRecord, LogEntry, LogRing, Member, Moment};
use crate::wire::{EventKind, EventTime, Instance, InstanceEvent, InstanceId};
use crate::{Capability, Release};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;

/// The instances of one master, as far as is known. See the [module's page](super).
///
/// An update takes time in proportion to the logarithm of the number of instances, a list in proportion to its length.
pub struct Fleet {
    config: Config,
    release: Option<Release>,
    pub(super) members: BTreeMap<InstanceId, Box<Member>>,
    /// Names are not unique.
    aliases: BTreeSet<(Box<str>, InstanceId)>,
    pub(super) key_record: Option<KeyRecord>,
    pub(super) gone: Gone,
    /// Counts inputs, so that it is known which came first.
    input: u64,
    pub(super) stream: u64,
    pub(super) lists: u64,
    bytes: usize,
    is_full: bool,
    is_reachable: bool,
    pub(super) is_confirmed: bool,
}

pub(super) struct KeyRecord {
    pub(super) instance: Instance,
    pub(super) told: u64,
}

/// Masters make ids of 8.
const LONGEST_ID: usize = 64;

impl Fleet {
    /// Begins with nothing.
    #[must_use]
    pub fn new(config: Config) -> Self {
        Self {
            config,
            release: None,
            members: BTreeMap::new(),
            aliases: BTreeSet::new(),
            key_record: None,
            gone: Gone::default(),
            input: 0,
            stream: 0,
            lists: 0,
            bytes: 0,
            is_full: false,
            is_reachable: false,
            is_confirmed: false,
        }
    }

    /// A stream has begun: what is known is unconfirmed until the stream or a list says it again.
    pub fn begin_stream(&mut self) {
        self.stream += 1;
        self.is_confirmed = false;
        for member in self.members.values_mut() {
            member.is_confirmed = false;
        }
    }

    /// Events may have been lost: a list is wanted before the view is sure to be right.
    pub fn doubt(&mut self) {
        self.is_confirmed = false;
    }

    /// Tells which release the master is, if it is known: resets do not hold on some (§7).
    pub fn set_release(&mut self, release: Option<Release>) {
        self.release = release;
    }

    /// Tells whether the master answers. At first it does not.
    pub fn set_reachable(&mut self, is_reachable: bool, changes: &mut VecDeque<Change>) {
        if self.is_reachable != is_reachable {
            self.is_reachable = is_reachable;
            changes.push_back(if is_reachable { Change::Reachable } else { Change::Unreachable });
        }
    }

    /// Takes an event of the stream.
    pub fn apply_event(&mut self, event: InstanceEvent, at: Moment, changes: &mut VecDeque<Change>) {
        let input = self.next_input();
        if event.kind == EventKind::Shutdown {
            return changes.push_back(Change::Shutdown);
        }
        let Some(instance) = event.instance else { return };
        match event.kind {
            EventKind::Delete => return self.remove(&instance.id, input, changes),
            EventKind::Initial | EventKind::Create => self.gone.forget(&instance.id),
            _ if self.gone.has(&instance.id, self.stream) => return,
            _ => {}
        }
        let is_log = event.kind == EventKind::Log;
        let line = event.logs.filter(|_| is_log);
        let id = line.is_some().then(|| instance.id.clone());
        self.put(instance, input, at, is_log, changes);
        if let (Some(id), Some(line)) = (id, line) {
            self.log(&id, &line, &event.time, at, changes);
        }
    }

    /// Takes the answer that an instance was deleted, or that there is none of this id.
    pub fn apply_deleted(&mut self, id: &InstanceId, changes: &mut VecDeque<Change>) {
        let input = self.next_input();
        self.remove(id, input, changes);
    }

    /// Puts samples that were kept before those that there are, as far as they are older and there is room. Returns false if
    /// there is no such instance: [`Change::Added`] is the time to call this.
    pub fn import_history(&mut self, id: &str, history: &History) -> bool {
        let Some(member) = self.members.get_mut(id) else { return false };
        let (before, room) = (member.history.bytes(), self.config.max_bytes.saturating_sub(self.bytes));
        let most = member.history.most(room);
        member.history.import(history, most.min(self.config.history_samples));
        self.bytes += member.history.bytes() - before;
        true
    }

    /// Puts lines that were kept before those that there are, as [`import_history`](Self::import_history) does.
    pub fn import_log(&mut self, id: &str, log: &LogRing) -> bool {
        let mut limit = self.log_limit();
        let Some(member) = self.members.get_mut(id) else { return false };
        let before = member.log.bytes();
        limit.bytes = limit.bytes.saturating_add(before);
        member.log.import(log, limit);
        self.bytes += member.log.bytes() - before;
        true
    }

    /// Returns how many instances there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// Returns an instance.
    #[must_use]
    pub fn get(&self, id: &str) -> Option<&Member> {
        self.members.get(id).map(|member| &**member)
    }

    /// Returns all instances in the order of their ids.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Member> + ExactSizeIterator {
        self.members.values().map(|member| &**member)
    }

    /// Returns the instances of a name in the order of their ids. Names are not unique, and an empty one is none.
    pub fn find_by_alias<'a>(&'a self, alias: &'a str) -> impl Iterator<Item = &'a Member> {
        let from = (alias.into(), InstanceId::default());
        let named = self.aliases.range(from..).take_while(move |(name, _)| **name == *alias);
        named.filter_map(|(_, id)| self.get(id.as_str()))
    }

    /// Returns the instances that belong together, by the id of their service (§4). Those without one are left out.
    #[must_use]
    pub fn services(&self) -> BTreeMap<&str, Vec<&Member>> {
        let mut services = BTreeMap::<_, Vec<_>>::new();
        for member in self.iter() {
            if let Some(service) = member.service() {
                services.entry(service).or_default().push(member);
            }
        }
        services
    }

    /// Returns what it takes to make all instances again.
    pub fn records(&self) -> impl Iterator<Item = InstanceRecord> {
        self.iter().map(|member| member.instance().into())
    }

    /// Returns the record that holds the API key: its URL is the key, its alias the master's.
    #[must_use]
    pub fn key_record(&self) -> Option<&Instance> {
        self.key_record.as_ref().map(|record| &record.instance)
    }

    /// Whether the master answers.
    #[must_use]
    pub fn is_reachable(&self) -> bool {
        self.is_reachable
    }

    /// Whether a list has agreed since the stream began, and nothing is in doubt.
    #[must_use]
    pub fn is_confirmed(&self) -> bool {
        self.is_confirmed
    }

    /// Returns the bytes that all members take, roughly.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn next_input(&mut self) -> u64 {
        self.input += 1;
        self.input
    }

    /// Adds or replaces an instance, as `input` told, perhaps with a line of its log.
    pub(super) fn put(
        &mut self,
        instance: Instance,
        input: u64,
        at: Moment,
        is_log: bool,
        changes: &mut VecDeque<Change>,
    ) {
        if instance.id.is_key_record() {
            return self.put_key_record(instance, input, changes);
        }
        let reset_holds = self.release.is_some_and(|release| release.can(Capability::ResetHolds));
        let Some(member) = self.members.get_mut(&instance.id) else {
            return self.add(instance, input, at, changes);
        };
        let what = Changed::between(&member.instance, &instance);
        let (old, new) = (text_bytes(&member.instance), text_bytes(&instance));
        let bytes = self.bytes - old + new;
        if new > old && bytes > self.config.max_bytes {
            return self.tell_full(changes);
        }
        self.bytes = bytes;
        self.is_full &= new >= old;
        let before = std::mem::replace(&mut member.instance, instance);
        member.is_confirmed = true;
        member.told = input;
        let alias = member.instance.alias().filter(|_| what.alias).map(Box::from);
        let samples = member.history.bytes();
        let room = self.config.max_bytes.saturating_sub(bytes);
        let rates = member.measure(at, is_log, reset_holds, &self.config, room);
        self.bytes += member.history.bytes() - samples;
        if what.alias {
            self.unindex(&before);
            self.index(alias, &before.id);
        }
        if what.any() {
            changes.push_back(Change::Updated { id: before.id.clone(), what });
        }
        if let Some(rates) = rates {
            changes.push_back(Change::Rates { id: before.id, rates });
        }
    }

    fn add(&mut self, instance: Instance, input: u64, at: Moment, changes: &mut VecDeque<Change>) {
        let id = instance.id.clone();
        let alias = instance.alias().map(Box::from);
        let mut member = Member::new(instance);
        let bytes = self.bytes.saturating_add(member.bytes());
        let has_room = self.members.len() < self.config.max_instances && bytes <= self.config.max_bytes;
        if !has_room || id.as_str().len() > LONGEST_ID {
            return self.tell_full(changes);
        }
        self.bytes = bytes;
        member.is_confirmed = true;
        member.told = input;
        member.listed = self.lists;
        // There are no rates yet: this is what the first are counted from.
        member.measure(at, false, false, &self.config, 0);
        self.members.insert(id.clone(), Box::new(member));
        self.index(alias, &id);
        changes.push_back(Change::Added(id));
    }

    fn put_key_record(&mut self, instance: Instance, input: u64, changes: &mut VecDeque<Change>) {
        let is_new = self.key_record().is_none_or(|known| Changed::between(known, &instance).any());
        self.key_record = Some(KeyRecord { instance, told: input });
        if is_new {
            changes.push_back(Change::KeyRecord);
        }
    }

    /// Removes an instance, as `input` told.
    pub(super) fn remove(&mut self, id: &InstanceId, input: u64, changes: &mut VecDeque<Change>) {
        if id.is_key_record() || id.as_str().len() > LONGEST_ID {
            return;
        }
        self.gone.insert(id.clone(), input, self.stream);
        if let Some(member) = self.members.remove(id) {
            self.bytes -= member.bytes();
            self.is_full = false;
            self.unindex(&member.instance);
            changes.push_back(Change::Removed(id.clone()));
        }
    }

    fn log(
        &mut self,
        id: &InstanceId,
        line: &str,
        time: &EventTime,
        at: Moment,
        changes: &mut VecDeque<Change>,
    ) {
        let mut limit = self.log_limit();
        let Some(member) = self.members.get_mut(id) else { return };
        let time = time.unix_milliseconds().unwrap_or(at.unix_milliseconds);
        let entry = LogEntry::new(time, line, limit.text_bytes);
        let before = member.log.bytes();
        limit.bytes = limit.bytes.saturating_add(before);
        member.log.push(entry.clone(), limit);
        self.bytes = self.bytes - before + member.log.bytes();
        changes.push_back(Change::Logged { id: id.clone(), entry });
    }

    /// Returns the limit of a log, what it holds already left out of the last of it.
    fn log_limit(&self) -> Limit {
        let bytes = self.config.max_bytes.saturating_sub(self.bytes);
        Limit { lines: self.config.log_lines, text_bytes: self.config.log_bytes, bytes }
    }

    fn tell_full(&mut self, changes: &mut VecDeque<Change>) {
        if !std::mem::replace(&mut self.is_full, true) {
            changes.push_back(Change::Full);
        }
    }

    fn index(&mut self, alias: Option<Box<str>>, id: &InstanceId) {
        if let Some(alias) = alias {
            self.aliases.insert((alias, id.clone()));
        }
    }

    fn unindex(&mut self, instance: &Instance) {
        if let Some(alias) = instance.alias() {
            self.aliases.remove(&(alias.into(), instance.id.clone()));
        }
    }
}

impl fmt::Debug for Fleet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("Fleet");
        out.field("instances", &self.members.len()).field("bytes", &self.bytes);
        out.field("is_reachable", &self.is_reachable).field("is_confirmed", &self.is_confirmed);
        out.finish_non_exhaustive()
    }
}
