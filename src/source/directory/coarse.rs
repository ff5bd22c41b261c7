//! Times that are not exact. Remote places tell them to the second, the minute or the day; how exact one is is kept in the
//! tuple itself, so that it is known wherever a tuple is compared later. Such places have no status change, and what stands
//! there instead is read here alone.

use super::place::{Directory, Found, Listed, Listing, OpenFile, Precision, Renamed, Shape};
use super::shift::{HOUR_NS, SHIFT_HOURS_MAX};
use crate::change::Tuple;
use crate::clock::Timestamp;
use crate::error::{Error, Result};

const MINUTE: i64 = -1;
const DAY: i64 = -2;
const NONE: i64 = -3;

const SECOND_NS: i64 = 1_000_000_000;
const MINUTE_NS: i64 = 60 * SECOND_NS;
const DAY_NS: i64 = 24 * HOUR_NS;

/// Clocks of two machines may differ by this much.
const CLOCKS_APART_NS: i64 = 2 * MINUTE_NS;

/// Time zones lie a multiple of this apart.
const ZONE_STEP_NS: i64 = HOUR_NS / 4;

/// A remote place whose tuples say how exact their times are.
pub struct Coarse<'a>(pub &'a dyn Directory);

/// How exact the time of a tuple is.
fn precision(tuple: &Tuple) -> Precision {
    match tuple.ctime_ns {
        0 => Precision::Second,
        MINUTE => Precision::Minute,
        DAY => Precision::Day,
        NONE => Precision::None,
        _ => Precision::Exact,
    }
}

fn marked(found: Found) -> Found {
    if found.shape != Shape::File {
        return found;
    }
    let ctime_ns = match found.precision {
        Precision::Exact | Precision::Second => return found,
        Precision::Minute => MINUTE,
        Precision::Day => DAY,
        Precision::None => NONE,
    };
    let mtime_ns = if found.precision == Precision::None { 0 } else { found.tuple.mtime_ns };
    Found { tuple: Tuple { ctime_ns, mtime_ns, ..found.tuple }, ..found }
}

const fn unit_ns(precision: Precision) -> i64 {
    match precision {
        Precision::Exact => 1,
        Precision::Second => SECOND_NS,
        Precision::Minute => MINUTE_NS,
        Precision::Day => DAY_NS,
        Precision::None => i64::MAX,
    }
}

/// Whether two tuples may be of one version: sizes are equal, and the times agree at the coarser of their precisions.
#[inline]
pub fn agree(one: &Tuple, other: &Tuple) -> bool {
    one == other || agree_by(one, other, |fine_behind_coarse, unit| (0..unit).contains(&fine_behind_coarse))
}

/// As [`agree`], for a listing and a look at the file alone, which may tell the time of another zone: an offset of whole
/// quarters of an hour says nothing when one of them is to the minute.
pub fn agree_across_zones(one: &Tuple, other: &Tuple) -> bool {
    agree(one, other)
        || agree_by(one, other, |behind, unit| {
            unit >= MINUTE_NS && behind.abs() <= SHIFT_HOURS_MAX * HOUR_NS && behind.rem_euclid(ZONE_STEP_NS) < unit
        })
}

fn agree_by(one: &Tuple, other: &Tuple, agrees: impl Fn(i64, i64) -> bool) -> bool {
    let numbers_differ = one.inode != other.inode && one.inode != 0 && other.inode != 0;
    if one.size != other.size || numbers_differ {
        return false;
    }
    let (of_one, of_other) = (precision(one), precision(other));
    let (coarse, fine) = if of_one > of_other { (one, other) } else { (other, one) };
    match of_one.max(of_other) {
        Precision::None => true,
        _ if of_one == of_other => one.mtime_ns == other.mtime_ns && one.ctime_ns == other.ctime_ns,
        unit => of_one.min(of_other) != Precision::Exact && agrees(fine.mtime_ns - coarse.mtime_ns, unit_ns(unit)),
    }
}

/// Whether a tuple tells the time of day.
#[inline]
pub fn tells_time(tuple: &Tuple) -> bool {
    !matches!(precision(tuple), Precision::Day | Precision::None)
}

/// Whether a tuple is exact enough to tell a version from one written a moment later.
pub fn is_exact(tuple: &Tuple) -> bool {
    precision(tuple) <= Precision::Second
}

/// The moment a tuple tells, where it tells one.
pub fn modified(tuple: &Tuple) -> Option<Timestamp> {
    (precision(tuple) != Precision::None).then(|| Timestamp::from_nanos(tuple.mtime_ns))
}

/// Whether the unit in which a file's time is told was over by `now`. Before that it can be written again without a trace.
pub fn is_unit_over(tuple: &Tuple, now: Timestamp) -> bool {
    let age = now.nanos().saturating_sub(tuple.mtime_ns);
    match precision(tuple) {
        Precision::Exact | Precision::Second | Precision::None => true,
        // A time far in the future is told by a clock that says nothing.
        told => age >= unit_ns(told) + CLOCKS_APART_NS || age < -SHIFT_HOURS_MAX * HOUR_NS,
    }
}

impl Directory for Coarse<'_> {
    fn arrive(&mut self) -> Result<String> {
        Err(Error::internal("whoever looks has arrived already"))
    }

    fn is_remote(&self) -> bool {
        self.0.is_remote()
    }

    fn fetches_in_parallel(&self) -> usize {
        self.0.fetches_in_parallel()
    }

    fn verifies_twice(&self) -> bool {
        self.0.verifies_twice()
    }

    fn lists_in_parallel(&self) -> bool {
        self.0.lists_in_parallel()
    }

    fn list(&self, folder: &[u8], each: &mut dyn FnMut(Listed<'_>) -> Result<()>) -> Result<Listing> {
        self.0.list(folder, &mut |listed| each(Listed { found: marked(listed.found), ..listed }))
    }

    fn look(&self, path: &[u8]) -> Result<Option<Found>> {
        Ok(self.0.look(path)?.map(marked))
    }

    fn open(&self, path: &[u8]) -> Result<Option<Box<dyn OpenFile>>> {
        self.0.open(path)
    }

    fn rename_new(&self, from: &[u8], to: &[u8]) -> Result<Renamed> {
        self.0.rename_new(from, to)
    }

    fn copy_new(&self, from: &[u8], to: &[u8]) -> Result<()> {
        self.0.copy_new(from, to)
    }

    fn remove(&self, path: &[u8]) -> Result<()> {
        self.0.remove(path)
    }

    fn make_folder(&self, folder: &[u8]) -> Result<()> {
        self.0.make_folder(folder)
    }

    fn sync_folder(&self, folder: &[u8]) -> Result<()> {
        self.0.sync_folder(folder)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(time: &str, precision: Precision) -> Tuple {
        let mtime_ns = Timestamp::parse_rfc3339(time).expect("a time").nanos();
        let tuple = Tuple { size: 7, mtime_ns, ctime_ns: 0, inode: 0 };
        marked(Found { shape: Shape::File, tuple, precision }).tuple
    }

    #[test]
    fn times_agree_at_the_coarser_precision() {
        let second = told("2026-05-03T14:05:33Z", Precision::Second);
        let minute = told("2026-05-03T14:05:00Z", Precision::Minute);
        let day = told("2026-05-03T00:00:00Z", Precision::Day);
        let none = told("2026-05-03T00:00:00Z", Precision::None);
        for (one, other) in [(second, minute), (minute, day), (second, day), (none, day), (none, second)] {
            assert!(agree(&one, &other) && agree(&other, &one), "{one:?} {other:?}");
        }
        assert!(!agree(&minute, &told("2026-05-03T14:06:00Z", Precision::Minute)));
        assert!(!agree(&second, &told("2026-05-03T14:06:00Z", Precision::Minute)));
        assert!(!agree(&day, &told("2026-05-04T00:00:00Z", Precision::Day)));
        assert!(!agree(&second, &told("2026-05-03T14:05:34Z", Precision::Second)));
        assert!(!agree(&Tuple { size: 8, ..none }, &day));
    }

    #[test]
    fn a_look_in_another_zone_agrees_with_a_listing_to_the_minute_alone() {
        let listed = told("2026-05-03T14:05:00Z", Precision::Minute);
        assert!(agree_across_zones(&listed, &told("2026-05-03T12:05:33Z", Precision::Second)));
        assert!(!agree_across_zones(&listed, &told("2026-05-03T12:06:33Z", Precision::Second)));
        let exact = told("2026-05-03T14:05:00Z", Precision::Second);
        assert!(!agree_across_zones(&exact, &told("2026-05-03T12:05:00Z", Precision::Second)));
    }

    #[test]
    fn a_local_tuple_agrees_with_itself_alone() {
        let local = Tuple { size: 1, mtime_ns: 5, ctime_ns: 9, inode: 3 };
        assert!(agree(&local, &local));
        for other in [Tuple { ctime_ns: 10, ..local }, Tuple { ctime_ns: 0, ..local }, Tuple { inode: 4, ..local }] {
            assert!(!agree(&local, &other));
        }
    }

    #[test]
    fn the_unit_of_a_coarse_time_is_over_once_clocks_agree_that_it_is() {
        let at = |time| Timestamp::parse_rfc3339(time).expect("a time");
        let minute = told("2026-05-03T14:05:00Z", Precision::Minute);
        assert!(
            !is_unit_over(&minute, at("2026-05-03T14:05:40Z")) && is_unit_over(&minute, at("2026-05-03T14:08:00Z"))
        );
        assert!(is_unit_over(&told("2026-05-03T14:05:00Z", Precision::Second), at("2026-05-03T14:05:00Z")));
    }
}
