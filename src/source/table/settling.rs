//! When SAFE may advance: pure rules over marks and time. Rows above SAFE are read again; nothing below it is.
//!
//! A mark says: at this time the largest visible watermark was M. Whoever commits a row at or below M after that had
//! drawn its watermark before, or draws M itself within the column's resolution. Once the mark is older than the overlap
//! (how long a commit may take) and the guard (how long M itself may be drawn), a pass that begins now sees all of them.

use std::time::Duration;

use super::cursor::Mark;
use super::{Values, Writer};
use crate::clock::Timestamp;
use crate::source::settings::Settle;

/// At most this many marks are kept; more are thinned out, which only delays SAFE.
pub const MARKS_MAX: usize = 64;
/// Ties are waited for at least this long: columns of whole seconds, and clocks that are corrected a little.
const GUARD_MIN: Duration = Duration::from_secs(5);
const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(86_400);

/// How SAFE follows what was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Settling {
    /// SAFE is the largest watermark seen, and rows with just that one are read again: one writer at a time.
    #[default]
    Inclusive,
    /// SAFE is the largest watermark that was seen this long ago.
    Overlap(Duration),
    /// Rows are found by the transaction that wrote them; there is no SAFE.
    RowVersion,
    /// SAFE is the largest watermark whose mark has none of its writers left.
    Fence,
    /// SAFE is what the database says by [`Table::bound`](super::Table::bound).
    Bound,
}

/// What the watermark is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Resolution {
    /// Nobody knows when the same value is drawn for the last time: numbers, texts.
    #[default]
    Unknown,
    /// A point in time; the value shows how coarse it is.
    Clock,
}

/// Now, on both clocks.
#[derive(Debug, Clone, Copy)]
pub struct Moment {
    /// The wall clock.
    pub wall: Timestamp,
    /// The monotonic clock.
    pub tick: Duration,
}

impl Settling {
    /// What `settle` means for a database that prefers `auto`.
    pub fn of(setting: Settle, auto: Self) -> Self {
        match setting {
            Settle::Auto => auto,
            Settle::RowVersion => Self::RowVersion,
            Settle::Fence => Self::Fence,
            Settle::DirtyRead | Settle::ActiveRowversion => Self::Bound,
            Settle::Inclusive => Self::Inclusive,
            Settle::Overlap(overlap) => Self::Overlap(overlap.duration()),
        }
    }
}

/// Whether rows with just SAFE's watermark may still come once it has settled.
pub fn ties_remain(settling: Settling, resolution: Resolution) -> bool {
    settling == Settling::Inclusive || resolution == Resolution::Unknown
}

/// How long rows with just this watermark may still be drawn: a day for dates and for times at midnight, an hour for full
/// minutes, else five seconds.
pub fn guard(watermark: &Values, resolution: Resolution) -> Duration {
    if resolution == Resolution::Unknown {
        return GUARD_MIN;
    }
    let coarsest = |text: &String| match text.get(10..).map(|rest| rest.trim_end_matches("+00")) {
        None | Some("") | Some(" 00:00:00") => DAY,
        Some(time) if time.len() == 9 && time.ends_with(":00") => HOUR,
        Some(_) => GUARD_MIN,
    };
    // Of a tuple the finest column decides: rows are ties only when all of them are equal.
    watermark.iter().map(coarsest).min().unwrap_or(GUARD_MIN)
}

/// The newest mark that is old enough to become SAFE, as its place in `marks`.
pub fn settled_mark(marks: &[Mark], overlap: Duration, resolution: Resolution, now: Moment) -> Option<usize> {
    marks.iter().rposition(|mark| is_old_enough(mark, overlap + guard(&mark.watermark, resolution), now))
}

/// The newest mark of whose writers none is left, as its place in `marks`.
pub fn closed_mark(marks: &[Mark], writers: &[Writer]) -> Option<usize> {
    let is_left = |id: &String| writers.iter().any(|writer| writer.id == *id);
    marks.iter().rposition(|mark| mark.fenced && !mark.writers.iter().any(is_left))
}

fn is_old_enough(mark: &Mark, wait: Duration, now: Moment) -> bool {
    let by_wall = now.wall.since(Timestamp::from_millis(mark.at_ms)) >= wait;
    // Within one process the wall clock alone is not believed: it may have been set forward.
    let by_tick = mark.tick_ms.is_none_or(|tick| now.tick.saturating_sub(Duration::from_millis(tick)) >= wait);
    by_wall && by_tick
}

/// Marks from the future (the wall clock went back) count from now on.
pub fn pull_in(marks: &mut [Mark], now: Moment) {
    for mark in marks.iter_mut().filter(|mark| mark.at_ms > now.wall.millis()) {
        let (watermark, writers) = (std::mem::take(&mut mark.watermark), std::mem::take(&mut mark.writers));
        *mark = Mark { writers, fenced: mark.fenced, ..mark_at(now, watermark) };
    }
}

/// A mark made now.
pub fn mark_at(now: Moment, watermark: Values) -> Mark {
    let tick_ms = u64::try_from(now.tick.as_millis()).unwrap_or(u64::MAX);
    Mark { at_ms: now.wall.millis(), tick_ms: Some(tick_ms), watermark, writers: Vec::new(), fenced: false }
}

/// Adds a mark; beyond [`MARKS_MAX`] every second one goes, never the newest.
pub fn push_mark(marks: &mut Vec<Mark>, mark: Mark) {
    marks.push(mark);
    if marks.len() > MARKS_MAX {
        let odd = (marks.len() - 1) % 2;
        let mut at = 0;
        marks.retain(|_| {
            at += 1;
            (at - 1) % 2 == odd
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn moment(secs: i64, tick: u64) -> Moment {
        Moment { wall: Timestamp::from_millis(secs * 1_000), tick: Duration::from_secs(tick) }
    }

    fn mark(secs: i64, tick: Option<u64>, watermark: &str) -> Mark {
        Mark {
            at_ms: secs * 1_000,
            tick_ms: tick.map(|t| t * 1_000),
            watermark: vec![watermark.into()],
            writers: Vec::new(),
            fenced: false,
        }
    }

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn the_newest_mark_older_than_overlap_and_guard_settles() {
        let marks = [mark(0, Some(0), "1"), mark(10, Some(10), "2"), mark(60, Some(60), "3")];
        assert_eq!(settled_mark(&marks, MINUTE, Resolution::Unknown, moment(64, 64)), None);
        assert_eq!(settled_mark(&marks, MINUTE, Resolution::Unknown, moment(65, 65)), Some(0));
        assert_eq!(settled_mark(&marks, MINUTE, Resolution::Unknown, moment(80, 80)), Some(1));
    }

    #[test]
    fn a_wall_clock_that_jumps_never_settles_early() {
        let marks = [mark(1_000, Some(0), "1")];
        assert_eq!(settled_mark(&marks, MINUTE, Resolution::Unknown, moment(90_000, 3)), None);
        assert_eq!(settled_mark(&marks, MINUTE, Resolution::Unknown, moment(0, 300)), None);
        let mut marks = vec![mark(1_000, None, "1")];
        pull_in(&mut marks, moment(10, 5));
        assert_eq!(settled_mark(&marks, MINUTE, Resolution::Unknown, moment(60, 55)), None);
        assert_eq!(settled_mark(&marks, MINUTE, Resolution::Unknown, moment(75, 70)), Some(0));
    }

    #[test]
    fn coarse_times_are_guarded_longer() {
        let of = |text: &str| guard(&vec![text.to_owned()], Resolution::Clock);
        assert_eq!(of("2026-11-23"), DAY);
        assert_eq!(of("2026-11-23 00:00:00+00"), DAY);
        assert_eq!(of("2026-11-23 00:00:00"), DAY);
        assert_eq!(of("2026-11-23 10:15:00+00"), HOUR);
        assert_eq!(of("2026-11-23 10:15:01"), GUARD_MIN);
        assert_eq!(of("2026-11-23 10:15:00.123456+00"), GUARD_MIN);
        assert_eq!(guard(&vec!["20261123".into()], Resolution::Unknown), GUARD_MIN);
    }

    #[test]
    fn the_newest_mark_without_writers_left_closes() {
        let of = |watermark, writers: &[&str]| Mark {
            writers: writers.iter().map(|id| (*id).to_owned()).collect(),
            fenced: true,
            ..mark(0, None, watermark)
        };
        let marks = [of("1", &["3/7"]), of("2", &["3/7", "4/1"]), of("3", &["5/2"])];
        let left =
            |ids: &[&str]| ids.iter().map(|id| Writer { id: (*id).into(), shown: String::new() }).collect::<Vec<_>>();
        assert_eq!(closed_mark(&marks, &left(&["3/7", "4/1", "5/2"])), None);
        assert_eq!(closed_mark(&marks, &left(&["4/1", "5/2", "6/1"])), Some(0));
        assert_eq!(closed_mark(&marks, &left(&["5/2"])), Some(1));
        assert_eq!(closed_mark(&marks, &left(&["3/8"])), Some(2));
        assert_eq!(closed_mark(&[mark(0, None, "1")], &[]), None, "nobody asked who could still commit");
    }

    proptest! {
        #[test]
        fn marks_stay_few_and_keep_the_newest(count in 1usize..400) {
            let mut marks = Vec::new();
            for at in 0..count {
                push_mark(&mut marks, mark(at as i64, None, &at.to_string()));
            }
            prop_assert!(marks.len() <= MARKS_MAX);
            prop_assert_eq!(&marks.last().expect("one").watermark[0], &(count - 1).to_string());
            prop_assert!(marks.is_sorted_by_key(|mark| mark.at_ms));
        }
    }
}
