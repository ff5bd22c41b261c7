//! Passes by row version: which rows the next one reads, by the transactions that wrote them. Pure; running one belongs to
//! `versions_pass`, asking the database to [`RowVersions`].
//!
//! X is the oldest transaction that was running when the first snapshot of a pass was taken. A row version that one of the
//! pass's snapshots did not show was written by a transaction that was running or to come, so by X or a later one; the next
//! pass reads all rows written by X or later, and misses nothing. Nothing is assumed of the watermark, of clocks or of
//! sequences.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::settling::Moment;
use super::{Edge, Row, Values};
use crate::clock::{Stop, Timestamp};
use crate::error::Result;

/// Where a window keeps passes small, everything is looked at this often.
const ALL_AGAIN: Duration = Duration::from_secs(86_400);
/// So far X runs ahead in memory alone; committing it more often would make every idle poll write.
const AHEAD_MAX: u64 = 1_000_000;
/// So long X runs ahead in memory alone.
const AHEAD_FOR: Duration = Duration::from_secs(3_600);
/// Transaction ids in rows are compared within half of their 32 bits.
const COMPARABLE: u64 = 1 << 31;

/// A database whose rows tell which transaction wrote them.
pub trait RowVersions {
    /// Where the open snapshot stands.
    fn horizon(&mut self) -> Result<Horizon>;

    /// Ends the snapshot and opens another one.
    fn renew(&mut self, stop: &Stop) -> Result<()>;

    /// Whether an index begins with the only watermark column, a point in time.
    fn has_window_index(&mut self) -> Result<bool>;

    /// Whether the order by key comes out of an index.
    fn has_key_index(&mut self) -> Result<bool>;

    /// Reads the rows of `span` in the order of the key. The number of rows, and the key of the last one.
    fn stream_versions(
        &mut self,
        span: &VersionSpan,
        stop: &Stop,
        each: &mut dyn FnMut(&Row) -> Result<()>,
    ) -> Result<(u64, Option<Values>)>;

    /// How many rows of `span` are to be told, counted up to its limit.
    fn count_versions(&mut self, span: &VersionSpan) -> Result<u64>;

    /// Who keeps X from moving, oldest first: those who run the oldest transaction.
    fn holders(&mut self) -> Result<Vec<Holder>>;

    /// Whether late commits can be waited for by [`Table::writers_before`](super::Table::writers_before), and an index begins
    /// with the watermark, so that polls by watermark may serve between two dear scans.
    fn has_fence(&mut self) -> Result<bool>;
}

/// Where a snapshot stands, in transaction ids of 64 bits.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Horizon {
    /// The oldest transaction that is still running.
    pub xmin: u64,
    /// The first one that has not begun.
    pub xmax: u64,
    /// Which file holds the table: another one means that it was rewritten.
    pub file: Option<String>,
    /// The table and those below it (partitions), by number, sorted.
    pub members: Vec<u32>,
}

/// Who keeps a cursor from moving.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// Who it is, for people: process, user, application, since when.
    pub shown: String,
    /// For how long, where this user may know.
    pub age: Option<Duration>,
}

/// Which rows to read, and how to flag them.
#[derive(Debug, Clone, Default)]
pub struct VersionSpan {
    /// Rows written by this transaction or later ones; `None` takes all.
    pub since: Option<u64>,
    /// Only rows beyond this watermark, or without one.
    pub coarse: Option<String>,
    /// Only rows beyond this watermark; those without one are left to a later look.
    pub beyond: Option<Edge>,
    /// Of these tables all rows, whenever they were written.
    pub fresh: Vec<u32>,
    /// Only rows with keys behind this one.
    pub after: Option<Values>,
    /// Rows written before this transaction are flagged as settled.
    pub settled: u64,
    /// Rows not beyond this watermark are flagged as quiet.
    pub floor: Option<Edge>,
    /// At most this many rows.
    pub limit: Option<u64>,
}

/// How far passes by row version have got.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Versions {
    /// X of the last look at everything that ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since_all: Option<u64>,
    /// X of the last pass over the window that ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since_window: Option<u64>,
    /// When the last look at everything began, milliseconds since the epoch by our wall clock.
    #[serde(default)]
    pub at_all_ms: i64,
    /// When it began by the monotonic clock, milliseconds; only within one process.
    #[serde(skip)]
    pub all_tick_ms: Option<u64>,
    /// The file that held the table.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// The table and those below it, as far as all their rows were read: another table that takes the name, or a partition
    /// that is attached, brings rows that were written long ago.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub members: Vec<u32>,
    /// The pass that is under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pass: Option<VersionsPass>,
}

/// One way through the rows, by key.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct VersionsPass {
    /// X of its first snapshot.
    pub x: u64,
    /// Rows written by this transaction or later ones; `None` reads all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<u64>,
    /// In a pass over the window: the watermark beyond which it looks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub coarse: Option<String>,
    /// Tables of which it reads all rows.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fresh: Vec<u32>,
    /// Rows not beyond this watermark are only remembered: `start = VALUE`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub floor: Option<Values>,
    /// Whether rows with just the floor's watermark are told.
    #[serde(default)]
    pub floor_ties: bool,
    /// Whether its rows are only remembered: `start = "now"`.
    #[serde(default)]
    pub silent: bool,
    /// When it began, milliseconds since the epoch by our wall clock.
    #[serde(default)]
    pub at_ms: i64,
    /// The key of the last row that was committed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position: Option<Values>,
}

/// What the next pass looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// No transaction began since the last one: there is nothing new.
    Nothing,
    /// Everything.
    All,
    /// The window.
    Window,
}

/// How far the durable cursor is, to know when the one in memory must be written.
#[derive(Debug, Clone, Default)]
pub struct Durable {
    /// The cursor's text.
    pub text: Option<String>,
    /// The transaction from which the next pass would go on.
    pub since: u64,
    /// When it was first seen, by the monotonic clock.
    pub at: Duration,
    /// Whether it says something of members that does not hold any more.
    pub is_stale: bool,
}

impl Versions {
    /// What the next pass looks at; `windowed` says whether a window serves.
    pub fn next(&self, horizon: &Horizon, windowed: bool, now: Moment) -> Next {
        let Some(since_all) = self.since_all else { return Next::All };
        let next = if windowed && !self.is_all_due(now) { Next::Window } else { Next::All };
        let since = if next == Next::Window { self.since() } else { since_all };
        // Whoever wrote a row that this snapshot shows has begun before its end.
        if horizon.xmax <= since { Next::Nothing } else { next }
    }

    /// The transaction from which a pass over the window goes on.
    pub fn since(&self) -> u64 {
        self.since_window.max(self.since_all).unwrap_or(0)
    }

    /// Drops members that are gone, so that they are noticed when they come back; whether there were any.
    pub fn drop_members(&mut self, horizon: &Horizon) -> bool {
        let before = self.members.len();
        self.members.retain(|member| horizon.members.contains(member));
        self.members.len() < before
    }

    /// Members whose rows were never read as a whole.
    pub fn fresh(&self, horizon: &Horizon) -> Vec<u32> {
        horizon.members.iter().copied().filter(|member| !self.members.contains(member)).collect()
    }

    /// Whether the cursor is beyond anything this database has done: it was restored, or is another one.
    pub fn is_beyond(&self, horizon: &Horizon) -> bool {
        let furthest = self.pass.as_ref().map(|pass| pass.x).max(self.since_all).max(self.since_window);
        furthest.is_some_and(|x| x > horizon.xmax)
    }

    /// Rows written before this transaction are never read again, by whichever pass comes after `pass`.
    pub fn settled_by(&self, pass: &VersionsPass) -> u64 {
        match pass.coarse {
            None => pass.x,
            Some(_) => self.since_all.unwrap_or(0),
        }
    }

    /// `pass` went through all its rows.
    pub fn finish(&mut self, pass: &VersionsPass, now: Moment) {
        self.pass = None;
        self.members.extend(&pass.fresh);
        self.members.sort_unstable();
        self.members.dedup();
        self.since_window = Some(pass.x);
        if pass.coarse.is_none() {
            self.since_all = Some(pass.x);
            self.at_all_ms = pass.at_ms;
            self.all_tick_ms = Some(millis(now.tick));
        }
    }

    /// Being early is harmless: a clock that was set makes it due.
    fn is_all_due(&self, now: Moment) -> bool {
        let at = Timestamp::from_millis(self.at_all_ms);
        let by_wall = at > now.wall || now.wall.since(at) >= ALL_AGAIN;
        let by_tick =
            self.all_tick_ms.is_some_and(|tick| now.tick.saturating_sub(Duration::from_millis(tick)) >= ALL_AGAIN);
        by_wall || by_tick
    }
}

impl VersionsPass {
    /// What it reads; rows before `settled` are flagged.
    pub fn span(&self, settled: u64) -> VersionSpan {
        VersionSpan {
            since: self.since,
            coarse: self.coarse.clone(),
            fresh: if self.since.is_some() { self.fresh.clone() } else { Vec::new() },
            after: self.position.clone(),
            settled,
            floor: self.floor.clone().map(|at| Edge { at, ties: self.floor_ties }),
            ..VersionSpan::default()
        }
    }
}

impl Horizon {
    /// Whether rows can be compared with this transaction by the 32 bits they keep.
    pub fn is_comparable(&self, x: u64) -> bool {
        self.xmax.saturating_sub(x) < COMPARABLE
    }
}

impl Durable {
    /// Takes note of the durable cursor.
    pub fn note(&mut self, text: Option<&str>, since: u64, now: Moment) {
        if self.text.as_deref() != text {
            *self = Self { text: text.map(str::to_owned), since, at: now.tick, is_stale: false };
        }
    }

    /// Whether the cursor in memory is so far ahead that it must be written.
    pub fn is_left_behind(&self, since: u64, now: Moment) -> bool {
        let ahead = since.saturating_sub(self.since);
        self.is_stale || ahead > AHEAD_MAX || (ahead > 0 && now.tick.saturating_sub(self.at) >= AHEAD_FOR)
    }
}

fn millis(tick: Duration) -> u64 {
    u64::try_from(tick.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: u64) -> Moment {
        let wall = Timestamp::from_millis(1_000_000_000_000 + i64::try_from(secs).expect("small") * 1_000);
        Moment { wall, tick: Duration::from_secs(secs) }
    }

    fn horizon(xmin: u64, xmax: u64) -> Horizon {
        Horizon { xmin, xmax, ..Horizon::default() }
    }

    fn looked(x: u64, coarse: Option<&str>, from: &Versions, secs: u64) -> Versions {
        let coarse = coarse.map(str::to_owned);
        let pass = VersionsPass { x, coarse, at_ms: at(secs).wall.millis(), ..VersionsPass::default() };
        let mut versions = from.clone();
        versions.finish(&pass, at(secs));
        versions
    }

    #[test]
    fn everything_comes_first_then_the_window_and_everything_once_a_day() {
        let none = Versions::default();
        assert_eq!(none.next(&horizon(5, 5), true, at(0)), Next::All);
        let all = looked(100, None, &none, 0);
        assert_eq!(all.next(&horizon(100, 101), true, at(10)), Next::Window);
        assert_eq!(all.next(&horizon(100, 101), false, at(10)), Next::All);
        let window = looked(150, Some("w"), &all, 10);
        assert_eq!((window.since(), window.since_all), (150, Some(100)));
        assert_eq!(window.next(&horizon(160, 160), true, at(86_399)), Next::Window);
        assert_eq!(window.next(&horizon(160, 160), true, at(86_400)), Next::All);
    }

    #[test]
    fn clocks_that_are_set_make_the_look_at_everything_due() {
        let all = looked(100, None, &Versions::default(), 1_000);
        let back = Moment { wall: at(0).wall, tick: at(1_001).tick };
        assert_eq!(all.next(&horizon(101, 101), true, back), Next::All);
        let stuck = Moment { wall: at(1_000).wall, tick: at(90_000).tick };
        assert_eq!(all.next(&horizon(101, 101), true, stuck), Next::All);
    }

    #[test]
    fn nothing_is_read_when_no_transaction_has_begun() {
        let all = looked(100, None, &Versions::default(), 0);
        assert_eq!(all.next(&horizon(100, 100), true, at(10)), Next::Nothing);
        assert_eq!(all.next(&horizon(90, 101), true, at(10)), Next::Window);
    }

    #[test]
    fn a_row_is_settled_only_when_no_later_pass_reads_it() {
        let all = looked(100, None, &Versions::default(), 0);
        let window = VersionsPass { x: 200, coarse: Some("w".into()), ..VersionsPass::default() };
        assert_eq!(all.settled_by(&window), 100, "the look at everything still begins there");
        assert_eq!(all.settled_by(&VersionsPass { coarse: None, ..window }), 200);
    }

    #[test]
    fn a_cursor_beyond_the_newest_transaction_is_of_another_database() {
        let mut versions = looked(100, None, &Versions::default(), 0);
        assert!(!versions.is_beyond(&horizon(90, 100)));
        assert!(versions.is_beyond(&horizon(90, 99)));
        versions.pass = Some(VersionsPass { x: 300, ..VersionsPass::default() });
        assert!(versions.is_beyond(&horizon(200, 200)));
    }

    #[test]
    fn ids_further_apart_than_half_their_range_are_not_compared() {
        let of = |xmax| horizon(0, xmax).is_comparable(1_000);
        assert!(of(1_000) && of(999 + (1 << 31)));
        assert!(!of(1_000 + (1 << 31)));
    }

    #[test]
    fn a_member_that_comes_or_comes_back_is_read_as_a_whole() {
        let of = |members: &[u32]| Horizon { members: members.to_vec(), ..Horizon::default() };
        let mut versions = Versions::default();
        let read = |versions: &mut Versions, fresh: Vec<u32>| {
            versions.finish(&VersionsPass { fresh, ..VersionsPass::default() }, at(0));
        };
        let fresh = versions.fresh(&of(&[1, 2]));
        read(&mut versions, fresh);
        assert!(versions.fresh(&of(&[1, 2])).is_empty());
        assert_eq!(versions.fresh(&of(&[1, 2, 3])), [3]);
        assert!(versions.drop_members(&of(&[1])));
        assert_eq!(versions.fresh(&of(&[1, 2])), [2]);
    }

    #[test]
    fn the_cursor_in_memory_is_written_when_it_is_far_ahead() {
        let mut durable = Durable::default();
        durable.note(Some("a"), 100, at(0));
        assert!(!durable.is_left_behind(100 + AHEAD_MAX, at(10)));
        assert!(durable.is_left_behind(101 + AHEAD_MAX, at(10)));
        assert!(durable.is_left_behind(101, at(3_600)));
        assert!(!durable.is_left_behind(100, at(9_000)), "a server that stands still is left alone");
        durable.note(Some("a"), 5_000, at(20));
        assert_eq!(durable.since, 100, "the same text is the same cursor");
    }
}
