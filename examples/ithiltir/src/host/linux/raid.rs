//! RAID arrays: `/proc/mdstat`.

use crate::host::disk::device_path;
use ithiltir_proto::wire::{Health, MemberState, RaidArray, RaidMember, StaticRaidArray, StaticRaidMember};

const SYNCHRONISATIONS: [&str; 5] = ["recovery", "resync", "reshape", "check", "repair"];

/// An array as `/proc/mdstat` describes it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Array {
    pub(super) name: String,
    status: String,
    level: String,
    /// Sorted by name.
    members: Vec<Member>,
    /// How many members there should be and how many are in use; levels without redundancy do not tell.
    size: Option<(usize, usize)>,
    /// `U` for each place in use and `_` for each other.
    places: String,
    /// What a synchronisation does and how far it is.
    synchronisation: Option<(String, String)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Member {
    name: String,
    number: usize,
    failed: bool,
    spare: bool,
}

/// Reads `/proc/mdstat`. Returns the arrays sorted by name.
pub(super) fn parse(text: &str) -> Vec<Array> {
    let mut arrays: Vec<Array> = Vec::new();
    for line in text.lines() {
        if !line.starts_with(char::is_whitespace) {
            arrays.extend(Array::parse_head(line));
        } else if let Some(array) = arrays.last_mut() {
            array.read_detail(line);
        }
    }
    arrays.sort_by(|one, other| one.name.cmp(&other.name));
    arrays
}

impl Array {
    /// Reads a line such as `md0 : active (read-only) raid1 sdb1[1] sda1[0](F)`; inactive arrays have no level.
    fn parse_head(line: &str) -> Option<Self> {
        let (name, rest) = line.split_once(" : ").filter(|(name, _)| name.starts_with("md"))?;
        let (members, words): (Vec<&str>, Vec<&str>) =
            rest.split_whitespace().partition(|word| word.contains('['));
        let mut words = words.into_iter().filter(|word| !word.starts_with('('));
        let mut members: Vec<_> = members.into_iter().filter_map(Member::parse).collect();
        members.sort_by(|one, other| one.name.cmp(&other.name));
        Some(Self {
            name: name.trim().to_owned(),
            status: words.next()?.to_owned(),
            level: words.next().unwrap_or_default().to_owned(),
            members,
            ..Self::default()
        })
    }

    /// Reads one of the lines below, such as `1048512 blocks super 1.2 [2/1] [_U]`.
    fn read_detail(&mut self, line: &str) {
        let bracketed = line
            .split_whitespace()
            .filter_map(|word| word.strip_prefix('[').and_then(|word| word.strip_suffix(']')));
        for word in bracketed {
            if let Some((all, active)) = word.split_once('/') {
                self.size = all.parse().ok().zip(active.parse().ok()).or(self.size);
            } else if !word.is_empty() && word.bytes().all(|byte| matches!(byte, b'U' | b'_')) {
                word.clone_into(&mut self.places);
            }
        }
        self.synchronisation = parse_synchronisation(line).or(self.synchronisation.take());
    }

    fn failed(&self) -> usize {
        self.members.iter().filter(|member| member.failed).count()
    }

    /// Returns how many failed members and how many places without any member there are.
    fn failed_or_gone(&self) -> usize {
        let gone = self.size.map_or(0, |(all, _)| all.saturating_sub(self.members.len()));
        self.failed() + gone
    }

    fn is_active(&self) -> bool {
        self.status.starts_with("active")
    }

    pub(super) fn health(&self) -> Health {
        let short = self.size.is_some_and(|(all, active)| active < all);
        match self {
            array if !array.is_active() => Health::Unknown,
            array if short || array.failed() > 0 || array.places.contains('_') => Health::Degraded,
            _ => Health::Healthy,
        }
    }

    fn state(&self, member: &Member) -> MemberState {
        if member.failed {
            return MemberState::Down;
        }
        // The number of a member that replaced another is no place, unless every place is in use.
        let place =
            if self.places.contains('_') { self.places.as_bytes().get(member.number) } else { Some(&b'U') };
        match place {
            Some(b'U') if self.is_active() && !member.spare => MemberState::Up,
            Some(b'_') if !member.spare && self.synchronisation.is_none() => MemberState::Down,
            _ => MemberState::Unknown,
        }
    }

    pub(super) fn report(&self) -> RaidArray {
        let working = self.members.len() - self.failed();
        let in_use = if self.is_active() { working } else { 0 };
        let (sync_status, sync_progress) = self.synchronisation.clone().unwrap_or_default();
        let member = |member: &Member| RaidMember { name: member.name.clone(), state: self.state(member) };
        RaidArray {
            name: self.name.clone(),
            status: self.status.clone(),
            active: self.size.map_or(in_use, |(_, active)| active) as i64,
            working: working as i64,
            failed: self.failed_or_gone() as i64,
            health: self.health(),
            members: self.members.iter().map(member).collect(),
            sync_status,
            sync_progress,
        }
    }

    pub(super) fn statics(&self) -> StaticRaidArray {
        StaticRaidArray {
            name: self.name.clone(),
            level: self.level.clone(),
            devices: self.size.map_or(self.members.len(), |(all, _)| all) as i64,
            members: self
                .members
                .iter()
                .map(|member| StaticRaidMember { name: member.name.clone() })
                .collect(),
        }
    }

    pub(super) fn device_paths(&self) -> Vec<String> {
        self.members.iter().map(|member| device_path(&member.name)).collect()
    }
}

impl Member {
    /// Reads a word such as `sda1[0](F)`.
    fn parse(word: &str) -> Option<Self> {
        let (name, rest) = word.split_once('[').filter(|(name, _)| !name.is_empty())?;
        let (number, flags) = rest.split_once(']')?;
        Some(Self {
            name: name.to_owned(),
            number: number.parse().ok()?,
            failed: flags.contains("(F)"),
            spare: flags.contains("(S)"),
        })
    }
}

/// Reads a line such as `[==>...]  recovery = 12.6% (37043392/292945152) finish=127.5min` or `resync=DELAYED`.
fn parse_synchronisation(line: &str) -> Option<(String, String)> {
    SYNCHRONISATIONS.iter().find_map(|kind| {
        let (_, rest) = line.split_once(kind)?;
        let progress = rest.trim_start().strip_prefix('=')?.split_whitespace().next()?;
        Some(((*kind).to_owned(), progress.to_owned()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn only(text: &str) -> RaidArray {
        parse(text).first().expect("an array").report()
    }

    fn states(array: &RaidArray) -> Vec<(&str, &str)> {
        array.members.iter().map(|member| (member.name.as_str(), member.state.as_str())).collect()
    }

    #[test]
    fn healthy_arrays_are_sorted_by_name() {
        let arrays = parse(
            "Personalities : [raid1] [raid0] [raid6] [raid5] [raid4]\n\
             md1 : active raid0 sdd1[1] sdc1[0]\n      2096128 blocks super 1.2 512k chunks\n      \n\
             md0 : active (auto-read-only) raid1 sdb1[2] sda1[0] sdc2[3](S)\n\
             \x20     1048512 blocks super 1.2 [2/2] [UU]\n      bitmap: 0/1 pages [0KB], 65536KB chunk\n\n\
             unused devices: <none>\n",
        );
        let reports: Vec<_> = arrays.iter().map(Array::report).collect();
        assert_eq!((reports[0].name.as_str(), reports[0].status.as_str()), ("md0", "active"));
        assert_eq!((reports[0].active, reports[0].working, reports[0].failed), (2, 3, 0));
        assert_eq!(states(&reports[0]), [("sda1", "up"), ("sdb1", "up"), ("sdc2", "unknown")]);
        assert_eq!((reports[1].active, &reports[1].health), (2, &Health::Healthy));
        let statics = arrays[0].statics();
        assert_eq!((statics.level.as_str(), statics.devices, statics.members.len()), ("raid1", 2, 3));
    }

    #[test]
    fn a_failed_member_degrades_an_array() {
        let array = only(
            "md0 : active raid5 sdc1[2](F) sdb1[1] sda1[0]\n      8 blocks level 5, 64k chunk, algorithm 2 [3/2] [UU_]\n",
        );
        assert_eq!((array.active, array.working, array.failed), (2, 2, 1));
        assert_eq!(array.health, Health::Degraded);
        assert_eq!(states(&array), [("sda1", "up"), ("sdb1", "up"), ("sdc1", "down")]);
        assert_eq!((array.sync_status.as_str(), array.sync_progress.as_str()), ("", ""));
    }

    #[test]
    fn a_recovery_tells_how_far_it_is() {
        let array = only(
            "md0 : active raid5 sdd1[3] sdb1[1] sda1[0]\n      8 blocks level 5 [3/2] [UU_]\n\
             \x20     [==>..................]  recovery = 12.6% (37043392/292945152) finish=127.5min speed=33440K/sec\n",
        );
        assert_eq!((array.sync_status.as_str(), array.sync_progress.as_str()), ("recovery", "12.6%"));
        assert_eq!((array.failed, &array.health), (0, &Health::Degraded));
        assert_eq!(states(&array), [("sda1", "up"), ("sdb1", "up"), ("sdd1", "unknown")]);
    }

    #[test]
    fn a_removed_member_counts_as_failed() {
        let array = only("md0 : active raid1 sda1[0]\n      8 blocks [2/1] [U_]\n");
        assert_eq!((array.active, array.working, array.failed), (1, 1, 1));
    }

    #[test]
    fn waiting_and_finished_synchronisations_are_read() {
        assert_eq!(parse_synchronisation("      resync=DELAYED"), Some(("resync".into(), "DELAYED".into())));
        assert_eq!(
            parse_synchronisation("  [=>] check =100.0% (1/1)"),
            Some(("check".into(), "100.0%".into()))
        );
        assert_eq!(
            parse_synchronisation("  [=>] recovery =  0.3% (1/9)"),
            Some(("recovery".into(), "0.3%".into()))
        );
        assert_eq!(parse_synchronisation("  resync"), None);
    }

    #[test]
    fn odd_content_gives_what_can_be_read() {
        assert_eq!(parse(""), []);
        assert_eq!(parse("  [2/2] [UU]\nmd0 :\nmd1 : \nunused devices: <none>\n"), []);
        let array = only("md127 : inactive sdc[2](S) [x] sd[y] z]\n      [a/b] [] [U/] []\n");
        assert_eq!((array.status.as_str(), &array.health, array.active), ("inactive", &Health::Unknown, 0));
        assert_eq!(states(&array), [("sdc", "unknown")]);
    }
}
