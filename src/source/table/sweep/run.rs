//! One sweep: count, compare, read what differs, tell. When it is due belongs to `state`.

use super::digest::{KEY_DIGITS, Parts, ROW_DIGITS, Tally, bucket_count, of_position, parsed};
use super::gone::Gone;
use super::late::{Teller, each_unmet};
use super::{Part, Reach, Swept};
use crate::clock::Stop;
use crate::error::Result;
use crate::source::table::batch::Terms;
use crate::source::table::cursor::Cursor;
use crate::source::table::plan::too_many;
use crate::source::table::round::Memory;
use crate::source::table::settling::{Moment, Settling};
use crate::source::table::{Row, Table, TableSource};
use crate::source::{Hold, Ledger, Look, Looked, Page, Patience, Settled};

/// So many differing buckets are read in one go: hashes of their keys, some 16 MB at most, are kept meanwhile.
const GROUP_BUCKETS: usize = 512;

/// Which buckets there are, and how keys find theirs.
struct Buckets {
    count: u64,
    /// SQL for the number that decides the bucket, where the database computes it.
    key: Option<String>,
    parts: Parts,
}

impl<T: Table> TableSource<T> {
    /// Whether this poll sweeps when its pass is over.
    pub(in crate::source::table) fn is_sweep_due(&self, cursor: &Cursor, look: &Look<'_>, now: Moment) -> bool {
        let Some(every) = self.settings.sweep.filter(|_| look.patience == Patience::Return) else { return false };
        look.filters_changed
            || cursor.sweep.as_ref().is_none_or(|swept| swept.is_due(every.duration(), now, look.accepted))
    }

    /// Remembers that the filters were edited until a sweep has ended: the binding is taken over when this poll ends, also if
    /// the sweep does not come to it.
    pub(in crate::source::table) fn note_filters(
        &self,
        cursor: &mut Cursor,
        look: &Look<'_>,
        ledger: &mut dyn Ledger,
    ) -> Result<()> {
        if self.settings.sweep.is_none() || !look.filters_changed || look.patience != Patience::Return {
            return Ok(());
        }
        let swept = cursor.sweep.get_or_insert_default();
        if std::mem::replace(&mut swept.refiltered, true) || ledger.cursor().is_none() {
            return Ok(());
        }
        ledger.commit(Page { cursor: Some(cursor.to_text()), ..Page::default() })
    }

    /// Adds to `looked` what sweeps have to say.
    pub(in crate::source::table) fn with_sweeps(&self, looked: Looked) -> Looked {
        let swept = self.memory.as_ref().and_then(|memory| memory.cursor.sweep.as_ref());
        let Some(swept) = swept.filter(|_| self.settings.sweep.is_some()) else { return looked };
        let late = late_text(swept, self.table.shape().settling);
        let degraded: Vec<String> = looked.degraded.into_iter().chain(late).collect();
        let degraded = (!degraded.is_empty()).then(|| degraded.join("; "));
        let settled = Settled { late_found: swept.late_found, ..looked.settled.unwrap_or_default() };
        let hold = looked.hold.or_else(|| swept.standing_hold());
        Looked { degraded, hold, settled: Some(settled), ..looked }
    }

    /// Sweeps, behind a pass that saw everything within `reach`, in its snapshot. What is found and held is in the cursor.
    ///
    /// # Errors
    /// Those of the database and the ledger; what was committed stays.
    pub(in crate::source::table) fn sweep(
        &mut self,
        reach: Reach,
        look: &Look<'_>,
        ledger: &mut dyn Ledger,
        now: Moment,
    ) -> Result<()> {
        let Some(memory) = self.memory.as_ref() else { return Ok(()) };
        let mut cursor = memory.cursor.clone();
        let found_before = cursor.sweep.get_or_insert_default().late_found;
        cursor.sweep.get_or_insert_default().late_last = 0;
        let held = self.compare(&mut cursor, reach, look, ledger)?;
        let swept = cursor.sweep.get_or_insert_default();
        let late = swept.late_found - found_before;
        if late > 0 {
            tracing::warn!(source = %self.name, rows = late, "a sweep found rows that polls had missed");
            if let Settling::Overlap(overlap) = self.table.shape().settling
                && let Some(wider) = swept.widen(overlap)
            {
                tracing::warn!(source = %self.name, seconds = wider.as_secs(), "the overlap was too small and is widened");
            }
        }
        let ended = Moment { wall: look.clock.now(), tick: look.clock.tick() };
        let mut page = Page::default();
        match held {
            Found::Held(hold) => swept.hold(&hold, now),
            Found::Told(segment) => {
                swept.end(ended);
                page.segments.extend(segment);
            }
        }
        let durable = Some(cursor.to_text());
        page.cursor.clone_from(&durable);
        ledger.commit(page)?;
        self.take_overlap(&cursor);
        self.memory = Some(Memory { durable, cursor });
        Ok(())
    }

    fn compare(
        &mut self,
        cursor: &mut Cursor,
        reach: Reach,
        look: &Look<'_>,
        ledger: &mut dyn Ledger,
    ) -> Result<Found> {
        let swept = cursor.sweep.clone().unwrap_or_default();
        let (buckets, there) = self.count_rows(look.stop)?;
        let known = Tally::of_known(ledger, buckets.parts, buckets.count, look.stop)?;
        let differing = there.differing(&known);
        let accepted = look.accepted;
        let silent = swept.is_first() || accepted.silent_new;
        if let Some(max) = look.max_new.filter(|_| !silent && !accepted.new_entries)
            && there.surplus(&known) > max
        {
            return Ok(Found::Held(too_many(max, self.name.as_str())));
        }
        let replica = !differing.is_empty() && self.table.is_replica()?;
        let mut gone = Gone::new(known.total, swept.refiltered, accepted, replica, ledger)?;
        let terms = Terms {
            table: self.table_word(),
            tracks_keys: true,
            silent: false,
            tells_unsettled: false,
            may_know: true,
        };
        for group in differing.chunks(GROUP_BUCKETS) {
            let all = group.len() as u64 == buckets.count;
            let wanted = |key: &String| self.table.shape().in_buckets(key, buckets.count, group);
            let condition = buckets.key.as_ref().filter(|_| !all).map(wanted);
            // What the database can't leave out is left out here.
            let sifts = buckets.key.is_none() && !all;
            let part = Part { condition, settled: reach.clone() };
            let mut teller = Teller::new(&terms, silent, !swept.refiltered, cursor, &mut self.refusals);
            self.table.scan(&part, look.stop, &mut |row: &Row| {
                let is_wanted = !sifts || group.binary_search(&buckets.parts.bucket(&row.key, buckets.count)).is_ok();
                if is_wanted && teller.take(row) {
                    look.progress.advance(0, teller.flush(ledger)?, 0);
                }
                look.stop.check()
            })?;
            look.progress.advance(0, teller.flush(ledger)?, 0);
            let mut met = teller.met;
            met.sort_unstable();
            let own = (buckets.parts, buckets.count);
            let few = each_unmet(ledger, own, group, &met, look.stop, &mut |ledger, keys| gone.take(keys, ledger))?;
            if !few {
                return Ok(Found::Held(gone.hold(self.name.as_str())));
            }
        }
        gone.tell(ledger)?;
        Ok(Found::Told(gone.kept()))
    }

    /// What is there, per bucket.
    fn count_rows(&mut self, stop: &Stop) -> Result<(Buckets, Tally)> {
        let statement = self.table.shape().rows();
        let count = bucket_count(self.number(&statement)?);
        let shape = self.table.shape();
        let parts = Parts { keys: shape.key.len() > 1, watermarks: shape.watermark.len() > 1 };
        let digests = (self.table.digest(false, KEY_DIGITS), self.table.digest(true, ROW_DIGITS));
        let mut tally = Tally::new(count);
        let (Some(key), Some(row)) = digests else {
            self.table.positions(stop, &mut |position| {
                let (bucket, sum) = of_position(position, count);
                tally.add(bucket, 1, sum.into())
            })?;
            return Ok((Buckets { count, key: None, parts }, tally));
        };
        let statement = self.table.shape().bucket_sums(&key, &row, count);
        for answer in self.ask(&statement)? {
            let number = |at: usize| parsed(answer.get(at));
            let whole = |number: u128| u64::try_from(number).unwrap_or(u64::MAX);
            tally.add(whole(number(0)?), whole(number(1)?), number(2)?)?;
        }
        Ok((Buckets { count, key: Some(key), parts }, tally))
    }

    /// From now on the overlap is what sweeps made of it.
    pub(in crate::source::table) fn take_overlap(&mut self, cursor: &Cursor) {
        self.overlap_s = cursor.sweep.as_ref().and_then(|swept| swept.overlap_s);
    }
}

/// What became of a sweep.
enum Found {
    /// Everything was told; what a replica keeps for the next one.
    Told(Option<crate::source::SegmentWrite>),
    /// It waits for an operator.
    Held(Hold),
}

fn late_text(swept: &Swept, settling: Settling) -> Option<String> {
    let rows = |count: u64| if count == 1 { "1 row".to_owned() } else { format!("{count} rows") };
    let last = (swept.late_last > 0).then(|| rows(swept.late_last))?;
    let remedy = match settling {
        Settling::Overlap(overlap) => {
            let widened = swept.overlap(overlap).as_secs();
            format!("the overlap is {widened} s now; set settle to the longest time a commit takes")
        }
        _ => "something writes watermarks below those that are there already, or changes them backwards".to_owned(),
    };
    Some(format!(
        "the last sweep found {last} that polls had missed, and told them ({} since the cursor began); {remedy}",
        swept.late_found
    ))
}
