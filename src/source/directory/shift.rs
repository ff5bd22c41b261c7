//! Tells a server whose clock or time zone moved from one whose files were written again: by the times of one folder. What
//! follows from it is `settle`'s.

use crate::change::Tuple;

/// Time zones lie at most this far apart.
pub const SHIFT_HOURS_MAX: i64 = 26;

/// One hour.
pub const HOUR_NS: i64 = 3_600_000_000_000;

/// Whether every time moved by the same number of hours: then the server's clock or zone did.
#[derive(Debug, Default)]
pub struct Shifting {
    /// Files that moved.
    moved: u64,
    by_ns: i64,
    /// Whether a file changed in another way.
    differs: bool,
    /// Whether a file that tells the time of day is as it was.
    pub stands: bool,
}

impl Shifting {
    /// Notes a file whose tuple differs.
    pub fn changed(&mut self, known: &Tuple, found: &Tuple) {
        let by_ns = found.mtime_ns.saturating_sub(known.mtime_ns);
        let whole = by_ns % HOUR_NS == 0 && by_ns.abs() <= SHIFT_HOURS_MAX * HOUR_NS;
        let alike = Tuple { mtime_ns: known.mtime_ns, ..*found } == *known;
        self.differs |= !(whole && alike && (self.moved == 0 || self.by_ns == by_ns));
        (self.moved, self.by_ns) = (self.moved + 1, by_ns);
    }

    /// By how much all of them moved, if nothing else can explain it.
    ///
    /// One file alone says nothing: it may have been written again.
    pub fn by_ns(&self) -> Option<i64> {
        (self.moved >= 2 && !self.differs && !self.stands).then_some(self.by_ns)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tuple(size: u64, hours: i64, seconds: i64) -> Tuple {
        Tuple { size, mtime_ns: hours * HOUR_NS + seconds * 1_000_000_000, ..Tuple::default() }
    }

    fn moved(changes: &[(Tuple, Tuple)]) -> Option<i64> {
        let mut shifting = Shifting::default();
        changes.iter().for_each(|(known, found)| shifting.changed(known, found));
        shifting.by_ns()
    }

    #[test]
    fn the_same_whole_hours_of_all_files_are_a_clock_and_anything_else_is_a_change() {
        let hour = (tuple(1, 5, 7), tuple(1, 6, 7));
        assert_eq!(moved(&[hour, (tuple(2, 900, 0), tuple(2, 901, 0))]), Some(HOUR_NS));
        assert_eq!(moved(&[(hour.1, hour.0), (hour.1, hour.0)]), Some(-HOUR_NS));
        assert_eq!(moved(&[hour]), None, "one file may have been written again");
        for other in [tuple(2, 6, 7), tuple(1, 7, 7), tuple(1, 6, 8)] {
            assert_eq!(moved(&[hour, (tuple(1, 5, 7), other)]), None, "{other:?}");
        }
        assert_eq!(moved(&[(tuple(1, 0, 0), tuple(1, 27, 0)); 2]), None);
        let mut shifting = Shifting { stands: true, ..Shifting::default() };
        (0..2).for_each(|_| shifting.changed(&hour.0, &hour.1));
        assert_eq!(shifting.by_ns(), None, "a file that stands shows that the clock does");
    }
}
