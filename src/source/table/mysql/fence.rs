//! How far everything is settled, by dirty reads: rows that transactions in flight have written show before they commit.
//! What SAFE does with it belongs to the parts all tables share.
//!
//! `D` is what READ UNCOMMITTED shows at or beyond SAFE before the snapshot, `R` the same inside the snapshot. A row that
//! appears later, with a watermark at or below the bound, was
//! - either there when `D` was read: then it is in `R`, or it is in flight (`D` without `R`), which the bound stays below;
//! - or not there yet: then the statement that writes it was running when the clock was read, which was before `D`, or began
//!   after it. Began after it: its watermark is not below the clock. Was running: the bound stays below its start where
//!   PROCESS shows it, and in any case `guard` below the clock.
//!
//! What must hold for that:
//! - the server, or the transaction, draws the watermark (`NOW()`, `ON UPDATE CURRENT_TIMESTAMP`, AUTO_INCREMENT), not a
//!   program with a clock of its own; `NOW()` is the time a statement began;
//! - without PROCESS no statement takes longer than `guard` between its start and its first write, and none uses a time that
//!   an earlier statement drew; with PROCESS both may, as open transactions count from their start;
//! - the rows are InnoDB's: other engines show nothing in flight, and `catalog` knows them;
//! - a number has no clock: what was the largest one in `D` a guard ago counts, as whoever drew a smaller one drew it before.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, Instant};

use super::cell::Cell;
use super::holders::HeldAt;
use super::layout::Layout;
use super::pause;
use super::session::{DIRTY, SNAPSHOTS, Server, Session};
use crate::clock::Stop;
use crate::error::{Error, ErrorKind, Result};
use crate::source::table::calendar::{Style, Zone, push_moment};
use crate::source::table::settling::{Resolution, guard};
use crate::source::table::statement::{Shape, Statement};
use crate::source::table::{Edge, Values};

/// So many of the newest rows beyond SAFE are kept one by one; of those below only a checksum is.
const EXACT_MAX: u64 = 200_000;
/// So many past maxima of a number are kept; more are thinned out, which only delays SAFE.
const MAXIMA_MAX: usize = 64;
/// How often the server's copy of its list of transactions is tried, and how long it must be left alone in between.
const COPY_TURNS: u32 = 4;
const COPY_AGE: Duration = Duration::from_millis(120);
/// From 1970-01-01 to 2000-01-01.
const MICROS_TO_2000: i64 = 946_684_800_000_000;

/// What was read before the snapshot.
pub struct Fence {
    clock: Clock,
    safe: Option<Values>,
    /// The largest watermark that was there, committed or not.
    newest: Option<Values>,
    /// The newest rows: what tells them apart, and their watermark, newest first.
    rows: Vec<(Mark, Values)>,
    /// The largest watermark that is not among `rows`.
    floor: Option<Values>,
    /// Count and checksums of the rows up to `floor`.
    below: Option<Vec<Option<String>>>,
    hashes: Hashes,
    /// The smallest watermark in flight, as found by the bound.
    in_flight: std::cell::OnceCell<Values>,
}

type Mark = (u64, u64);

/// The server's clocks, in microseconds since 1970.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    /// Now.
    pub now: i64,
    /// When the oldest statement or transaction of others began that is not over, as far as this user may know.
    pub running: Option<i64>,
    /// What to add for the earliest and the latest clock that a column without a zone may follow.
    pub offsets: (i64, i64),
}

/// The largest numbers that were there, with the time: by the server's clock, and by one that nobody sets.
#[derive(Default)]
pub struct Maxima(Vec<(i64, Instant, Values)>);

impl Clock {
    /// Reads the clocks; `zone` is what columns without a zone hold: the settings' one, else perhaps the server's.
    pub fn read(
        session: &mut Session,
        server: &Server,
        given: Option<&str>,
        processes: bool,
        stop: &Stop,
    ) -> Result<Self> {
        // After the repeated hour of autumn local times begin again an hour earlier; the bound must be below that before.
        let zone = match given.unwrap_or(&server.zone) {
            // Known by name only where the server's time zone tables are loaded.
            "UTC" | "Etc/UTC" | "GMT" | "Etc/GMT" | "Z" => "+00:00",
            zone => zone,
        };
        let sql = "SELECT CAST(UNIX_TIMESTAMP(NOW(6)) * 1000000 AS SIGNED), \
                   TIMESTAMPDIFF(MICROSECOND, NOW(6), CONVERT_TZ(NOW(6), '+00:00', ?)), \
                   TIMESTAMPDIFF(MICROSECOND, NOW(6), CONVERT_TZ(NOW(6) + INTERVAL 1 HOUR, '+00:00', ?) - INTERVAL 1 HOUR)";
        let row = session.ask(sql, &[zone, zone], stop)?.into_iter().next().unwrap_or_default();
        let number = |at: usize| row.get(at).cloned().flatten().and_then(|text| text.parse::<i64>().ok());
        let (Some(now), Some(offset), Some(later)) = (number(0), number(1), number(2)) else {
            let fact = format!("the server does not know the time zone {zone}");
            let remedy = "load its time zone tables (mysql_tzinfo_to_sql)";
            return Err(Error::new(ErrorKind::Config, format!("{fact}; {remedy}")));
        };
        // Without word from the settings such a column may as well hold UTC.
        let utc = if given.is_some() { offset } else { 0 };
        let offsets = (offset.min(later).min(utc), offset.max(utc));
        let running = if processes { running(session, server, now, stop)? } else { None };
        Ok(Self { now, running, offsets })
    }

    /// The earliest clock a column may follow, less `by`, as the column's text.
    pub fn text(&self, cell: Cell, at: i64, offset: i64, by: Duration) -> String {
        let offset = if cell == Cell::Instant { 0 } else { offset };
        let by = i64::try_from(by.as_micros()).unwrap_or(i64::MAX);
        let mut text = String::new();
        push_moment(&mut text, at.saturating_sub(by) + offset - MICROS_TO_2000, Zone::Absent, Style::Database);
        if cell == Cell::Date {
            text.truncate(10);
        }
        text
    }

    /// Now, or when the oldest began that is still at work.
    fn earliest(&self) -> i64 {
        self.running.map_or(self.now, |running| running.min(self.now))
    }
}

/// When the oldest statement or writing transaction of others began; 0 where the server can't be brought to say.
fn running(session: &mut Session, server: &Server, now: i64, stop: &Stop) -> Result<Option<i64>> {
    let micros = if server.is_mariadb { "CEIL(TIME_MS) * 1000" } else { "(TIME + 1) * 1000000" };
    let sql = format!(
        "SELECT CAST(MAX({micros}) AS SIGNED) FROM information_schema.processlist \
         WHERE id <> CONNECTION_ID() AND command IN ('Query', 'Execute', 'Connect') AND user <> 'system user'"
    );
    let statement = session.first(&sql, stop)?.and_then(|text| text.parse::<i64>().ok()).map(|age| now - age);
    // Versions differ in whether the start is in the session's time or the system's; so both are the same. The transaction is
    // there to be seen by the query itself.
    session.run("SET SESSION time_zone = 'SYSTEM'", stop)?;
    session.run("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY", stop)?;
    let began = transactions(session, stop);
    session.run("COMMIT", stop)?;
    session.run("SET SESSION time_zone = '+00:00'", stop)?;
    Ok(statement.into_iter().chain(began?).min())
}

/// When the oldest writing transaction of others began. `innodb_trx` is a copy that the server renews only when nobody has read
/// it for 0.1 s (`trx_i_s_possibly_fetch_data_into_cache`), so that somebody who watches it more often keeps it old for ever:
/// it counts when it shows this very query at work.
fn transactions(session: &mut Session, stop: &Stop) -> Result<Option<i64>> {
    let nonce = RandomState::new();
    for turn in 0..COPY_TURNS {
        let nonce = nonce.hash_one(turn);
        let sql = format!(
            "SELECT CAST(UNIX_TIMESTAMP(MIN(IF(trx_mysql_thread_id <> CONNECTION_ID() AND trx_is_read_only = 0, trx_started, \
             NULL))) * 1000000 AS SIGNED), \
             SUM(trx_mysql_thread_id = CONNECTION_ID() AND trx_query LIKE '%{nonce}%') FROM information_schema.innodb_trx"
        );
        let row = session.ask(&sql, &[], stop)?.into_iter().next().unwrap_or_default();
        let mut numbers = row.into_iter().map(|cell| cell.and_then(|text| text.parse::<i64>().ok()));
        let (began, shown) = (numbers.next().flatten(), numbers.next().flatten());
        if shown.is_some_and(|shown| shown > 0) {
            return Ok(began);
        }
        pause(COPY_AGE, stop)?;
    }
    tracing::debug!("the server's list of transactions was not renewed; nothing settles in this poll");
    Ok(Some(0))
}

impl Fence {
    /// Reads `D`, before the snapshot; `clock` was read before.
    pub fn read(
        session: &mut Session,
        layout: &Layout,
        clock: Clock,
        safe: Option<&Values>,
        stop: &Stop,
    ) -> Result<Self> {
        session.run(DIRTY, stop)?;
        let shape = &layout.shape;
        let from = safe.map(|at| Edge { at: at.clone(), ties: true });
        let statement = shape.between(&position(shape), from.as_ref(), None, Some(EXACT_MAX + 1));
        let hashes = Hashes(RandomState::new(), RandomState::new());
        let width = shape.watermark.len();
        let mut rows: Vec<(Mark, Values)> = Vec::new();
        visit(session, &statement, stop, &mut |row| {
            let mark = hashes.mark(&row);
            rows.push((mark, row.into_iter().take(width).collect()));
        })?;
        let newest = rows.first().map(|(_, watermark)| watermark.clone());
        let full = rows.len() as u64 > EXACT_MAX;
        let floor = if full { rows.last().map(|(_, watermark)| watermark.clone()) } else { None };
        let mut below = None;
        if let Some(floor) = &floor {
            rows.retain(|(_, watermark)| watermark != floor);
            below = Some(checksum(session, shape, from.as_ref(), floor, stop)?);
        }
        session.run(SNAPSHOTS, stop)?;
        Ok(Self {
            clock,
            safe: safe.cloned(),
            newest,
            rows,
            floor,
            below,
            hashes,
            in_flight: std::cell::OnceCell::new(),
        })
    }
}

impl Fence {
    /// Whether there was more than is kept one by one.
    pub fn is_long(&self) -> bool {
        self.floor.is_some()
    }

    /// The largest watermark at or below which nothing can appear any more; inside the snapshot. `shown` is the largest one
    /// there.
    pub fn bound(
        &self,
        session: &mut Session,
        layout: &Layout,
        maxima: &mut Maxima,
        shown: &Values,
        stop: &Stop,
    ) -> Result<Option<Values>> {
        let shape = &layout.shape;
        let Some(newest) = self.newest.clone() else { return Ok(None) };
        let from = self.safe.as_ref().map(|at| Edge { at: at.clone(), ties: true });
        if let (Some(floor), Some(below)) = (&self.floor, &self.below)
            && checksum(session, shape, from.as_ref(), floor, stop)? != *below
        {
            // Something is in flight down there; what exactly is not known.
            return Ok(None);
        }
        let mut bound = match layout.clock {
            Some(cell) => {
                let guard = guard(shown, Resolution::Clock);
                let clock = vec![self.clock.text(cell, self.clock.earliest(), self.clock.offsets.0, guard)];
                smaller(session, shape, newest, clock, stop)?
            }
            None => match maxima.settled(&self.clock, guard(shown, Resolution::Unknown)) {
                Some(settled) => smaller(session, shape, newest, settled, stop)?,
                None => return Ok(None),
            },
        };
        if let Some(watermark) = self.oldest_in_flight(session, shape, from, stop)? {
            let _ = self.in_flight.set(watermark.clone());
            let below = match layout.clock {
                Some(cell) => tick_before(session, &watermark, cell, stop)?,
                // Rows with just this number are read again.
                None => watermark,
            };
            bound = smaller(session, shape, bound, below, stop)?;
        }
        Ok(Some(bound))
    }

    /// What keeps the bound below the rows that are shown: a row in flight, or whoever is at work for a second or longer.
    pub fn held_at(&self) -> Option<HeldAt> {
        if let Some(watermark) = self.in_flight.get() {
            return Some(HeldAt::Row(watermark.clone()));
        }
        let age = self.clock.running.map(|running| self.clock.now.saturating_sub(running) / 1_000_000);
        age.and_then(|seconds| u64::try_from(seconds).ok()).filter(|seconds| *seconds > 0).map(|_| HeldAt::AtWork)
    }

    /// What is to be remembered of this poll for the next ones, where the watermark is a number.
    pub fn note(&self, maxima: &mut Maxima) {
        if let Some(newest) = &self.newest {
            maxima.push(self.clock.now, newest.clone());
        }
    }

    /// The smallest watermark of `D` without `R`.
    fn oldest_in_flight(
        &self,
        session: &mut Session,
        shape: &Shape,
        from: Option<Edge>,
        stop: &Stop,
    ) -> Result<Option<Values>> {
        if self.rows.is_empty() {
            return Ok(None);
        }
        let from = match &self.floor {
            Some(floor) => Some(Edge { at: floor.clone(), ties: false }),
            None => from,
        };
        let statement = shape.between(&position(shape), from.as_ref(), None, None);
        let mut shown: HashSet<Mark> = HashSet::with_capacity(self.rows.len());
        let known: HashSet<Mark> = self.rows.iter().map(|(mark, _)| *mark).collect();
        visit(session, &statement, stop, &mut |row| {
            // What came after `D` need not be kept.
            let mark = self.hashes.mark(&row);
            if known.contains(&mark) {
                shown.insert(mark);
            }
        })?;
        let oldest = self.rows.iter().rev().find(|(mark, _)| !shown.contains(mark));
        Ok(oldest.map(|(_, watermark)| watermark.clone()))
    }
}

/// Tells rows apart by key and watermark without keeping either.
struct Hashes(RandomState, RandomState);

impl Hashes {
    fn mark(&self, row: &[String]) -> Mark {
        (self.0.hash_one(row), self.1.hash_one(row))
    }
}

impl Maxima {
    fn push(&mut self, at: i64, newest: Values) {
        if self.0.last().is_some_and(|(_, _, last)| *last == newest) {
            return;
        }
        self.0.push((at, Instant::now(), newest));
        if self.0.len() > MAXIMA_MAX {
            self.0.remove(MAXIMA_MAX / 2);
        }
    }

    /// The newest one that is older than the guard and than everything still at work; older ones are forgotten.
    fn settled(&mut self, clock: &Clock, guard: Duration) -> Option<Values> {
        let margin = i64::try_from(guard.as_micros()).unwrap_or(i64::MAX);
        let is_old = |(at, tick, _): &(i64, Instant, Values)| {
            at.saturating_add(margin) <= clock.now
                && clock.running.is_none_or(|running| *at < running)
                && tick.elapsed() >= guard
        };
        let found = self.0.iter().rposition(is_old)?;
        self.0.drain(..found);
        self.0.first().map(|(_, _, newest)| newest.clone())
    }
}

fn position(shape: &Shape) -> String {
    shape.order().map(|column| column.as_text.clone()).collect::<Vec<_>>().join(", ")
}

fn visit(session: &mut Session, statement: &Statement, stop: &Stop, each: &mut dyn FnMut(Vec<String>)) -> Result<()> {
    session.stream(&statement.sql, &statement.parameters, stop, &mut |row| {
        each(super::session::texts(row)?.into_iter().map(Option::unwrap_or_default).collect());
        Ok(())
    })
}

fn checksum(
    session: &mut Session,
    shape: &Shape,
    from: Option<&Edge>,
    to: &Values,
    stop: &Stop,
) -> Result<Vec<Option<String>>> {
    // A checksum of checksums: columns of several character sets can't be put into one text.
    let each: Vec<String> = shape.order().map(|column| format!("CRC32({})", column.sql)).collect();
    let hash = format!("CRC32(CONCAT_WS(',', {}))", each.join(", "));
    let selected = format!("COUNT(*), BIT_XOR({hash}), SUM({hash})");
    let statement = shape.between(&selected, from, Some(to), None);
    let parameters: Vec<&str> = statement.parameters.iter().map(String::as_str).collect();
    Ok(session.ask(&statement.sql, &parameters, stop)?.into_iter().next().unwrap_or_default())
}

/// The smaller of two watermarks, as the database compares them.
pub fn smaller(session: &mut Session, shape: &Shape, one: Values, other: Values, stop: &Stop) -> Result<Values> {
    let statement = shape.is_later(&one, &other);
    let parameters: Vec<&str> = statement.parameters.iter().map(String::as_str).collect();
    let answer = session.ask(&statement.sql, &parameters, stop)?.into_iter().flatten().flatten().next();
    Ok(if answer.as_deref() == Some("1") { other } else { one })
}

fn tick_before(session: &mut Session, watermark: &Values, cell: Cell, stop: &Stop) -> Result<Values> {
    let parameters: Vec<&str> = watermark.iter().map(String::as_str).collect();
    let sql = match cell {
        Cell::Date => "SELECT CAST(? AS DATE) - INTERVAL 1 DAY",
        _ => "SELECT CAST(? AS DATETIME(6)) - INTERVAL 1 MICROSECOND",
    };
    let answer = session.ask(sql, &parameters, stop)?;
    Ok(answer.into_iter().next().map(|row| row.into_iter().flatten().collect()).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_settles_when_it_is_older_than_the_guard_and_than_all_that_is_at_work() {
        let clock = |now: i64, running| Clock { now: now * 1_000_000, running, offsets: (0, 0) };
        let mut maxima = Maxima::default();
        maxima.push(0, vec!["1".into()]);
        maxima.push(10_000_000, vec!["2".into()]);
        let settled = |maxima: &mut Maxima, clock| maxima.settled(&clock, Duration::ZERO);
        assert_eq!(settled(&mut maxima, clock(20, Some(0))), None);
        assert_eq!(settled(&mut maxima, clock(20, Some(5_000_000))), Some(vec!["1".into()]));
        assert_eq!(settled(&mut maxima, clock(5, None)), Some(vec!["1".into()]));
        assert_eq!(settled(&mut maxima, clock(20, None)), Some(vec!["2".into()]));
        assert_eq!(maxima.settled(&clock(20, None), Duration::from_secs(3_600)), None, "no clock alone is believed");
    }

    #[test]
    fn a_clock_is_written_as_its_column_is() {
        let clock = Clock { now: 1_795_428_900_500_000, running: None, offsets: (-3_600_000_000, 0) };
        let text = |cell, by| clock.text(cell, clock.now, clock.offsets.0, Duration::from_secs(by));
        assert_eq!(text(Cell::Instant, 0), "2026-11-23 10:15:00.5");
        assert_eq!(text(Cell::Moment, 5), "2026-11-23 09:14:55.5");
        assert_eq!(text(Cell::Date, 86_400), "2026-11-22");
    }
}
