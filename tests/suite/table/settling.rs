//! Nothing is skipped because it committed late: two sessions driven by hand against a source with an overlap.

use std::collections::BTreeMap;
use std::time::Duration;

use highwater::setting::Interval;
use highwater::source::settings::{Settle, TableSettings};

use super::conformance::Place;
use super::{Bench, table};
use crate::support::postgres::{Client, Database, database};

fn place(kind: &str) -> Database {
    let place = database();
    place.run(&format!("CREATE TABLE item (id int PRIMARY KEY, at {kind}, name text); CREATE INDEX ON item (at, id)"));
    place
}

fn overlap(seconds: u64) -> TableSettings {
    let settle = Settle::Overlap(Interval::from_millis(seconds * 1_000));
    TableSettings { settle, ..table("item", &["at"], &["id"]) }
}

#[test]
fn a_row_that_commits_late_is_told_within_the_overlap() {
    for kind in ["timestamptz", "timestamp", "timestamptz(0)", "date", "bigint"] {
        let place = place(kind);
        let now = if kind == "bigint" { "extract(epoch FROM now())::bigint" } else { "now()" };
        let early = place.connect();
        early.run(&format!("BEGIN; INSERT INTO item VALUES (1, {now}, 'late')"));
        place.run(&format!("INSERT INTO item VALUES (2, {now}, 'b')"));
        let mut bench = Bench::new(Place::source(&place, &overlap(60)));
        assert_eq!(bench.told_by_a_poll(), ["2"], "{kind}");
        bench.wait(30);
        assert!(bench.told_by_a_poll().is_empty(), "{kind}");
        bench.restart(Place::source(&place, &overlap(60)));
        bench.wait(20);
        place.run(&format!("INSERT INTO item VALUES (3, {now}, 'c')"));
        assert_eq!(bench.told_by_a_poll(), ["3"], "{kind}: an open transaction delays nobody");
        early.run("COMMIT");
        assert_eq!(bench.told_by_a_poll(), ["1"], "{kind}");
        for _ in 0..3 {
            bench.wait(100_000);
            assert!(bench.told_by_a_poll().is_empty(), "{kind}");
        }
        assert_eq!(bench.ledger.repeated, 0, "{kind}");
    }
}

#[test]
fn a_late_commit_with_imported_times_is_told_too() {
    let place = place("timestamp");
    let early = place.connect();
    early.run("BEGIN; INSERT INTO item VALUES (1, '2020-01-01 10:00:00', 'late')");
    place.run("INSERT INTO item VALUES (2, '2020-01-01 10:00:01', 'b'), (0, '2019-01-01 10:00:00', 'old')");
    let mut bench = Bench::new(Place::source(&place, &overlap(60)));
    assert_eq!(bench.told_by_a_poll(), ["0", "2"]);
    assert_eq!(bench.ledger.known.len(), 1, "what is far behind the newest need not be remembered");
    early.run("COMMIT");
    assert_eq!(bench.told_by_a_poll(), ["1"]);
}

#[test]
fn old_rows_are_not_read_again_once_they_are_settled() {
    let place = place("timestamptz");
    place.run(
        "INSERT INTO item SELECT i, now() - interval '1 day' - i * interval '1 s', 'x' FROM generate_series(1, 2500) i",
    );
    let mut bench = Bench::new(Place::source(&place, &overlap(60)));
    assert_eq!(bench.poll().seen, 2_500);
    assert!(bench.ledger.known.len() < 100, "{} rows are remembered", bench.ledger.known.len());
    assert!(bench.poll().seen < 100);
    bench.wait(70);
    bench.poll();
    bench.wait(10);
    assert_eq!(bench.poll().seen, 0);
    assert!(bench.ledger.known.is_empty());
}

#[test]
fn a_row_from_the_future_does_not_hide_those_of_today() {
    for kind in ["timestamptz", "date", "timestamp"] {
        let place = place(kind);
        place.run("INSERT INTO item VALUES (1, '9999-12-31', 'for ever'), (2, now(), 'b')");
        let mut bench = Bench::new(Place::source(&place, &overlap(60)));
        assert_eq!(bench.told_by_a_poll(), ["1", "2"], "{kind}");
        for id in 3..6 {
            bench.wait(100);
            assert!(bench.told_by_a_poll().is_empty());
            place.run(&format!("INSERT INTO item VALUES ({id}, now(), 'c')"));
            assert_eq!(bench.told_by_a_poll(), [id.to_string()], "{kind}");
        }
        assert_eq!(bench.ledger.repeated, 0, "{kind}");
    }
}

#[test]
fn a_wall_clock_that_is_set_forward_settles_nothing_early() {
    let place = place("timestamptz");
    let early = place.connect();
    early.run("BEGIN; INSERT INTO item VALUES (1, now(), 'late')");
    place.run("INSERT INTO item VALUES (2, now(), 'b')");
    let mut bench = Bench::new(Place::source(&place, &overlap(60)));
    bench.poll();
    let forward = highwater::clock::Clock::now(&*bench.clock).plus(Duration::from_secs(86_400));
    bench.clock.step_to(forward);
    bench.poll();
    bench.poll();
    early.run("COMMIT");
    bench.ledger.told.clear();
    assert_eq!(bench.told_by_a_poll(), ["1"]);
}

/// Writers that hold their transactions open, roll back, update and delete, between polls, kills and restarts.
pub struct Play {
    pub place: Database,
    sessions: Vec<Session>,
    random: fastrand::Rng,
    seconds: u64,
    kind: &'static str,
    next_id: u32,
    committed: BTreeMap<u32, u32>,
}

/// A writer's session and what its open transaction has written, as id and version.
struct Session {
    client: Client,
    began: Option<u64>,
    written: Vec<(u32, u32)>,
}

impl Play {
    pub fn new(kind: &'static str, seed: u64) -> Self {
        let place = place(kind);
        let session = |_| Session { client: place.connect(), began: None, written: Vec::new() };
        let sessions = (0..5).map(session).collect();
        let random = fastrand::Rng::with_seed(seed);
        Self { place, sessions, random, seconds: 1_000, kind, next_id: 1, committed: BTreeMap::new() }
    }

    /// A watermark drawn now.
    fn watermark(&self) -> String {
        match self.kind {
            "bigint" => self.seconds.to_string(),
            _ => format!("timestamp '2026-01-01' + interval '{} s'", self.seconds),
        }
    }

    fn write(&mut self, at: usize) {
        let watermark = self.watermark();
        let busy: Vec<u32> = self.sessions.iter().flat_map(|s| s.written.iter().map(|(id, _)| *id)).collect();
        let free: Vec<(u32, u32)> =
            self.committed.iter().map(|(id, version)| (*id, *version)).filter(|(id, _)| !busy.contains(id)).collect();
        let (id, version) = match self.random.choice(&free) {
            Some((id, version)) if self.random.u8(..) < 100 => (*id, version + 1),
            _ => {
                self.next_id += 1;
                (self.next_id, 0)
            }
        };
        let session = &mut self.sessions[at];
        if session.began.is_none() {
            session.client.run("BEGIN");
            session.began = Some(self.seconds);
        }
        session.client.run(&format!(
            "INSERT INTO item VALUES ({id}, {watermark}, '{version}') \
             ON CONFLICT (id) DO UPDATE SET at = excluded.at, name = excluded.name"
        ));
        session.written.push((id, version));
    }

    fn end(&mut self, at: usize) {
        let session = &mut self.sessions[at];
        if session.began.take().is_none() {
            return;
        }
        let written = std::mem::take(&mut session.written);
        if self.random.u8(..) < 25 {
            return session.client.run("ROLLBACK");
        }
        session.client.run("COMMIT");
        self.committed.extend(written);
    }

    /// Steps until every transaction has ended; none stays open for longer than 55 s.
    pub fn run(&mut self, steps: u32, bench: &mut Bench, settings: &TableSettings) {
        for _ in 0..steps {
            let pause = self.random.u64(0..8);
            self.seconds += pause;
            bench.wait(pause);
            for at in 0..self.sessions.len() {
                if self.sessions[at].began.is_some_and(|began| self.seconds - began > 45) {
                    self.end(at);
                }
            }
            let at = self.random.usize(0..self.sessions.len());
            match self.random.u8(0..20) {
                0..=9 => self.write(at),
                10..=13 => self.end(at),
                14 => bench.restart(Place::source(&self.place, settings)),
                15 => {
                    bench.ledger.fail_at = Some(0);
                    // It fails only when there was something to commit.
                    let _ = bench.try_poll();
                    bench.ledger.fail_at = None;
                    bench.restart(Place::source(&self.place, settings));
                }
                _ => drop(bench.poll()),
            }
        }
        (0..self.sessions.len()).for_each(|at| self.end(at));
        for _ in 0..3 {
            bench.poll();
            bench.wait(200);
        }
    }

    /// Committed rows whose last version was never told.
    pub fn lost(&self, bench: &Bench) -> usize {
        let told = |id: u32, version: u32| {
            let (id, version) = (id.to_string(), version.to_string());
            bench.ledger.told.iter().any(|told| told.key == id && told.row["name"] == version.as_str())
        };
        self.committed.iter().filter(|(id, version)| !told(**id, **version)).count()
    }
}

#[test]
fn random_writers_and_kills_lose_nothing_and_repeat_nothing() {
    for (seed, kind) in [(1, "bigint"), (2, "timestamp"), (3, "bigint"), (4, "timestamp")] {
        let mut play = Play::new(kind, seed);
        let settings = overlap(60);
        let mut bench = Bench::new(Place::source(&play.place, &settings));
        play.run(400, &mut bench, &settings);
        assert!(bench.ledger.told.len() > 100, "the play is a lively one");
        assert_eq!((play.lost(&bench), bench.ledger.repeated), (0, 0), "seed {seed}, {kind}");
    }
}

#[test]
fn without_an_overlap_the_same_writers_are_lost() {
    let lost: usize = (1..4)
        .map(|seed| {
            let mut play = Play::new("bigint", seed);
            let settings = overlap(0);
            let mut bench = Bench::new(Place::source(&play.place, &settings));
            play.run(400, &mut bench, &settings);
            play.lost(&bench)
        })
        .sum();
    assert!(lost > 0, "a play in which nothing can be lost shows nothing");
}

#[test]
fn deleting_the_newest_row_moves_nothing_back() {
    let place = place("bigint");
    place.run("INSERT INTO item VALUES (1, 1, 'a'), (2, 2, 'b'), (3, 3, 'c')");
    let mut bench = Bench::new(Place::source(&place, &overlap(60)));
    bench.poll();
    bench.wait(100);
    bench.poll();
    place.run("DELETE FROM item WHERE id = 3; INSERT INTO item VALUES (4, 4, 'd')");
    bench.ledger.told.clear();
    assert_eq!(bench.told_by_a_poll(), ["4"]);
    place.run("DELETE FROM item WHERE id = 4");
    for _ in 0..4 {
        bench.wait(100);
        assert!(bench.told_by_a_poll().is_empty());
    }
    assert_eq!(bench.ledger.repeated, 0);
}
