//! When a file is ready, decided from what was seen of it and when, and the room in which unready ones wait. The room is
//! bounded and in memory: what is lost with it is seen as different by the next poll.

use std::collections::BTreeMap;
use std::time::Duration;

use super::coarse::agree;
use super::filter::Filters;
use super::pairing::Missing;
use crate::change::{Key, Tuple};
use crate::clock::Timestamp;
use crate::source::Waiting;

/// At most this many files wait by name; when more differ at once, the poll itself waits.
pub const WAITING_MAX: usize = 4_096;

/// `ends_with` looks at this many last bytes.
pub const ENDING_BYTES_MAX: usize = 4_096;

/// Why a file is not ready.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Why {
    /// It was not seen for long enough.
    Settling,
    /// It was another version at the last look.
    Changing,
    /// It has 0 bytes, and `empty = "wait"`.
    Empty,
    /// It may be a missing file of a remote place under a new name.
    Renaming,
    /// Its marker is missing, used or older; the text says which.
    Marker(String),
    /// Its checksum file is missing or does not fit; read again when either changes.
    Checksum {
        /// What is wrong.
        text: String,
        /// What the checksum file was when the content was read in vain.
        read_with: Option<Tuple>,
    },
    /// An earlier version that was not told yet lies where it is to be claimed to.
    Occupied(Key),
    /// It does not end as it must; read again when it changes.
    Ending(String),
    /// It can't be read. It is refused, and tried again by every poll.
    Unreadable(String),
}

impl Why {
    /// For people.
    pub fn text(&self, stable_for: Duration) -> String {
        match self {
            Self::Settling => format!("must stand still for {}", crate::setting::Interval::from(stable_for)),
            Self::Changing => "still changing".into(),
            Self::Renaming => "may be a renamed file; the next complete listing decides".into(),
            Self::Empty => "has 0 bytes, and empty = \"wait\"".into(),
            Self::Marker(text) | Self::Checksum { text, .. } | Self::Ending(text) => text.clone(),
            Self::Occupied(place) => format!("an earlier version that was not told yet lies at {}", place.shown()),
            Self::Unreadable(reason) => format!("cannot be read: {reason}"),
        }
    }

    /// Whether time alone can end the waiting.
    pub fn is_timed(&self) -> bool {
        matches!(self, Self::Settling | Self::Changing)
    }
}

/// A file that changes for so long is more than a slow upload.
const HINT_AFTER: Duration = Duration::from_secs(60);

/// What may be done about such a file.
const HINT: &str = "it is told once it stands still; exclude it if it is a log, or let its writer use a temporary name, or ask \
                    for a marker";

/// A file that waits.
#[derive(Debug, Clone)]
pub struct Waits {
    /// The version that waits.
    pub tuple: Tuple,
    /// When this version was first seen, on the monotonic clock.
    pub first_tick: Duration,
    /// When the file began to wait, on the wall clock.
    pub since: Timestamp,
    /// Why.
    pub why: Why,
    /// A missing file that it may be under a new name.
    pub from: Option<Missing>,
    /// What was remembered of it (`start = "now"`), when it has no row; of a claimed file, what was when it was claimed.
    pub remembered: Option<Tuple>,
    round: u64,
}

impl Waits {
    /// Why it waits, for people; with a hint where that lasts at `now`.
    pub fn text(&self, stable_for: Duration, now: Timestamp) -> String {
        let text = self.why.text(stable_for);
        let lasts = now.since(self.since) >= HINT_AFTER.max(stable_for.saturating_mul(10));
        if self.why == Why::Changing && lasts { format!("{text}; {HINT}") } else { text }
    }
}

/// Whether a version stood still for long enough.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It did.
    Still,
    /// It was first seen at this tick and must be looked at again.
    Since(Duration),
}

/// Decides whether `tuple`, looked at `looked`, stood still for `stable_for` when it is looked at again `now`.
pub fn standing(
    waits: Option<&Waits>,
    tuple: &Tuple,
    looked: Duration,
    now: Duration,
    stable_for: Duration,
) -> Standing {
    let first = waits.filter(|waits| agree(&waits.tuple, tuple)).map_or(looked, |waits| waits.first_tick);
    if now.saturating_sub(first) >= stable_for { Standing::Still } else { Standing::Since(first) }
}

/// Whether content that ends with `ending` ends as `pattern` asks: trailing white space ignored, `*` for any text.
pub fn ends_with(ending: &[u8], pattern: &str) -> bool {
    let ending = ending.trim_ascii_end();
    let mut parts = pattern.trim_end().as_bytes().split(|byte| *byte == b'*').rev();
    let Some(mut rest) = parts.next().and_then(|last| ending.strip_suffix(last)) else { return false };
    for part in parts.filter(|part| !part.is_empty()) {
        match rest.windows(part.len()).rposition(|window| window == part) {
            Some(at) => rest = &rest[..at],
            None => return false,
        }
    }
    true
}

/// Files that wait, by key.
#[derive(Debug, Default)]
pub struct WaitingRoom {
    files: BTreeMap<Key, Waits>,
    round: u64,
}

impl WaitingRoom {
    /// Begins a new round of looks.
    pub fn begin(&mut self) {
        self.round += 1;
    }

    /// What is known of a waiting file.
    pub fn get(&self, key: &Key) -> Option<&Waits> {
        self.files.get(key)
    }

    /// Every waiting file.
    pub fn iter(&self) -> impl Iterator<Item = (&Key, &Waits)> {
        self.files.iter()
    }

    /// How many wait; unreadable ones are refused instead.
    pub fn count(&self) -> u64 {
        self.files.values().filter(|waits| !matches!(waits.why, Why::Unreadable(_))).count() as u64
    }

    /// Lets a file wait, or go on waiting. Returns whether there was room.
    pub fn wait(&mut self, key: &Key, tuple: Tuple, first_tick: Duration, now: Timestamp, why: Why) -> bool {
        let round = self.round;
        if let Some(waits) = self.files.get_mut(key) {
            (waits.tuple, waits.first_tick, waits.why, waits.round) = (tuple, first_tick, why, round);
            return true;
        }
        if self.files.len() >= WAITING_MAX {
            return false;
        }
        self.files
            .insert(key.clone(), Waits { tuple, first_tick, since: now, why, from: None, remembered: None, round });
        true
    }

    /// Notes which missing file a waiting one may be, and what was remembered of it.
    pub fn note(&mut self, key: &Key, from: Option<Missing>, remembered: Option<Tuple>) {
        if let Some(waits) = self.files.get_mut(key) {
            waits.from = from.or(waits.from.take());
            waits.remembered = remembered.or(waits.remembered.take());
        }
    }

    /// Lets a file go.
    pub fn leave(&mut self, key: &Key) {
        self.files.remove(key);
    }

    /// Lets all files go that were not seen in this round, of those that `looked_at` says were looked for, and those
    /// that filters take out by now.
    pub fn end(&mut self, filters: &Filters, looked_at: impl Fn(&Key) -> bool) {
        let round = self.round;
        let out = |key: &Key| filters.why_not_file(key.as_bytes()).is_some();
        self.files.retain(|key, waits| waits.round == round || !(looked_at(key) || out(key)));
    }

    /// When the first file that waits for time alone is due, counted from `now`.
    pub fn due_in(&self, now: Duration, stable_for: Duration) -> Option<Duration> {
        let timed = self.files.values().filter(|waits| waits.why.is_timed());
        let due = timed.map(|waits| (waits.first_tick + stable_for).saturating_sub(now)).min()?;
        Some(due.max(Duration::from_millis(1)))
    }

    /// For people, at most `limit`.
    pub fn shown(&self, limit: usize, now: Duration, wall: Timestamp, stable_for: Duration) -> Vec<Waiting> {
        let waiting = self.files.iter().filter(|(_, waits)| !matches!(waits.why, Why::Unreadable(_)));
        let shown = waiting.map(|(key, waits)| Waiting {
            key: key.clone(),
            reason: waits.text(stable_for, wall),
            since: waits.since,
            until: (waits.why.is_timed()).then(|| wall.plus((waits.first_tick + stable_for).saturating_sub(now))),
        });
        shown.take(limit).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const STABLE: Duration = Duration::from_secs(2);

    fn tuple(size: u64) -> Tuple {
        Tuple { size, ..Tuple::default() }
    }

    #[test]
    fn a_version_must_be_seen_twice_and_stable_for_apart() {
        let mut room = WaitingRoom::default();
        let key = Key::from("a");
        let at = Duration::from_secs;
        let standing = |room: &WaitingRoom, size, now| standing(room.get(&key), &tuple(size), at(now), at(now), STABLE);
        assert_eq!(standing(&room, 1, 10), Standing::Since(at(10)));
        room.wait(&key, tuple(1), at(10), Timestamp::default(), Why::Settling);
        assert_eq!(standing(&room, 1, 11), Standing::Since(at(10)));
        assert_eq!(standing(&room, 2, 12), Standing::Since(at(12)));
        assert_eq!(standing(&room, 1, 12), Standing::Still);
    }

    #[test]
    fn the_ending_ignores_white_space_and_takes_any_text_for_a_star() {
        assert!(ends_with(b"...\nIEA*1*00001~\r\n", "IEA*"));
        assert!(ends_with(b"<a></a>\n\n", "</a>") && ends_with(b"x END", "E*D "));
        assert!(!ends_with(b"ISA*00*", "IEA*") && !ends_with(b"</a> more", "</a>") && !ends_with(b"", "x"));
        assert!(!ends_with(b"abc", "c*b*c"));
    }

    #[test]
    fn the_room_is_bounded_and_forgets_who_was_not_seen_again() {
        let mut room = WaitingRoom::default();
        room.begin();
        for n in 0..WAITING_MAX {
            let key = Key::from(format!("{n}").as_str());
            assert!(room.wait(&key, tuple(1), Duration::ZERO, Timestamp::default(), Why::Settling));
        }
        let late = Key::from("late");
        assert!(!room.wait(&late, tuple(1), Duration::ZERO, Timestamp::default(), Why::Settling));
        room.begin();
        room.wait(&Key::from("7"), tuple(1), Duration::ZERO, Timestamp::default(), Why::Empty);
        let filters = Filters::new(&crate::source::directory::testing::settings(), None).expect("valid");
        room.end(&filters, |key| key.as_bytes() != b"8");
        assert_eq!(room.count(), 2);
    }

    #[test]
    fn a_file_that_changes_for_long_comes_with_a_hint() {
        let mut room = WaitingRoom::default();
        let (slow, quick) = (Key::from("a.log"), Key::from("b.csv"));
        room.wait(&slow, tuple(1), Duration::ZERO, Timestamp::default(), Why::Settling);
        room.wait(&slow, tuple(2), Duration::from_secs(59), Timestamp::default(), Why::Changing);
        let shown = |room: &WaitingRoom, seconds| {
            let at = Duration::from_secs(seconds);
            room.shown(9, at, Timestamp::default().plus(at), STABLE).into_iter().map(|w| w.reason).collect::<Vec<_>>()
        };
        assert_eq!(shown(&room, 59), ["still changing"]);
        room.wait(&quick, tuple(1), Duration::from_secs(60), Timestamp::default(), Why::Empty);
        let later = shown(&room, 60);
        assert!(later[0].starts_with("still changing; it is told once it stands still; exclude it"), "{later:?}");
        assert_eq!(later[1], "has 0 bytes, and empty = \"wait\"");
    }

    proptest! {
        #[test]
        fn what_stands_still_is_ready_however_long_one_waits(first in 0u64..100, wait in 0u64..9, more in 0u64..9) {
            let mut room = WaitingRoom::default();
            let key = Key::from("a");
            room.wait(&key, tuple(1), Duration::from_secs(first), Timestamp::default(), Why::Settling);
            let at = |s| standing(room.get(&key), &tuple(1), Duration::from_secs(s), Duration::from_secs(s), STABLE);
            if at(first + wait) == Standing::Still {
                prop_assert_eq!(at(first + wait + more), Standing::Still);
            }
        }
    }
}
