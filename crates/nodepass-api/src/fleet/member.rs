//! One instance of the view.

use super::history::{History, Rates, Sample};
use super::log::LogRing;
use super::meter::{Meter, Reading};
use super::{Config, Moment};
use crate::wire::{Extra, Instance, InstanceId, Meta, Status, Tag};
use std::fmt;

/// An instance, and what is known of it over time.
pub struct Member {
    pub(super) instance: Instance,
    pub(super) is_confirmed: bool,
    /// The input that last said something of it.
    pub(super) told: u64,
    /// The last list that had it.
    pub(super) listed: u64,
    pub(super) meter: Meter,
    pub(super) rates: Rates,
    pub(super) history: History,
    pub(super) log: LogRing,
}

impl Member {
    pub(super) fn new(instance: Instance) -> Self {
        Self {
            instance,
            is_confirmed: false,
            told: 0,
            listed: 0,
            meter: Meter::default(),
            rates: Rates::default(),
            history: History::default(),
            log: LogRing::default(),
        }
    }

    /// Returns its id.
    #[must_use]
    pub fn id(&self) -> &InstanceId {
        &self.instance.id
    }

    /// Returns it as it was last told, figures and all.
    #[must_use]
    pub fn instance(&self) -> &Instance {
        &self.instance
    }

    /// Whether it was told of since the stream began, by an event, a list or an answer. If not it may be gone.
    #[must_use]
    pub fn is_confirmed(&self) -> bool {
        self.is_confirmed
    }

    /// Returns the rates of the last sample; zero before the first.
    #[must_use]
    pub fn rates(&self) -> Rates {
        self.rates
    }

    /// Returns the rates over time.
    #[must_use]
    pub fn history(&self) -> &History {
        &self.history
    }

    /// Returns its last lines.
    #[must_use]
    pub fn log(&self) -> &LogRing {
        &self.log
    }

    /// Returns the id of the service that it is a part of, if it says one (§4).
    #[must_use]
    pub fn service(&self) -> Option<&str> {
        let sid = self.instance.meta.as_ref()?.peer.as_ref()?.sid.as_deref()?;
        Some(sid).filter(|sid| !sid.is_empty())
    }

    /// Takes figures that have come in, perhaps with a line of a log; returns rates if there is a new sample of them. `room`
    /// is by how many bytes the history may grow.
    pub(super) fn measure(
        &mut self,
        at: Moment,
        is_log: bool,
        reset_holds: bool,
        config: &Config,
        room: usize,
    ) -> Option<Rates> {
        let is_running = self.instance.status == Status::Running;
        let reading = Reading {
            is_running,
            reset_holds,
            now: at.now,
            is_log,
            interval: config.rate_interval,
            silence: config.rate_silence,
        };
        let rates = self.meter.read(self.instance.traffic(), reading)?;
        let most = self.history.most(room);
        self.rates = rates;
        self.history.push(Sample::new(at.unix_milliseconds, rates), most.min(config.history_samples));
        Some(rates)
    }

    pub(super) fn bytes(&self) -> usize {
        OWN_BYTES + text_bytes(&self.instance) + self.history.bytes() + self.log.bytes()
    }
}

impl fmt::Debug for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("Member");
        out.field("instance", &self.instance).field("is_confirmed", &self.is_confirmed);
        out.field("rates", &self.rates).field("samples", &self.history.len()).field("log", &self.log).finish()
    }
}

/// A member without texts, and its entries in the maps.
const OWN_BYTES: usize = size_of::<Member>() + 2 * size_of::<(InstanceId, usize)>();

/// Returns the bytes that the parts of an instance take that have no fixed size.
pub(super) fn text_bytes(instance: &Instance) -> usize {
    let Instance { id, alias, kind, status, url, config, tags, meta, extra, .. } = instance;
    let texts = [id.as_str(), kind.as_str(), status.as_str(), url];
    let texts: usize = texts.into_iter().map(str::len).sum();
    // The alias is in the index of aliases, too.
    texts
        + 2 * length(alias)
        + length(config)
        + tags.iter().flatten().map(tag_bytes).sum::<usize>()
        + meta.as_ref().map_or(0, meta_bytes)
        + extra_bytes(extra)
}

fn length(text: &Option<Box<str>>) -> usize {
    text.as_ref().map_or(0, |text| text.len())
}

fn tag_bytes(tag: &Tag) -> usize {
    size_of::<Tag>() + tag.key.len() + tag.value.len() + extra_bytes(&tag.extra)
}

fn meta_bytes(meta: &Meta) -> usize {
    let peer = meta.peer.as_ref().map_or(0, |peer| {
        length(&peer.sid) + length(&peer.kind) + length(&peer.alias) + extra_bytes(&peer.extra)
    });
    let tags = meta.tags.iter().flatten().map(|(name, value)| entry_bytes(name, value));
    peer + tags.sum::<usize>() + extra_bytes(&meta.extra)
}

fn extra_bytes(extra: &Extra) -> usize {
    extra.iter().map(|(name, value)| entry_bytes(name, value)).sum()
}

fn entry_bytes(name: &str, value: &str) -> usize {
    2 * size_of::<Box<str>>() + name.len() + value.len()
}
