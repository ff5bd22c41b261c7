//! Nothing is skipped: a process that is killed again and again, a receiver that fails now and then, files and rows that
//! keep arriving; in the end everything has arrived, each change under one id, each key in order.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use fastrand::Rng;

use super::*;
use crate::support::receiver::{Answer, Fault};

const FILES: usize = 500;
const ROWS: usize = 2_000;
const KILLS: usize = 18;

/// What is done to the folder and the table, and what must have arrived in the end.
struct Stream {
    highwater: Highwater,
    receiver: Receiver,
    rng: Rng,
    /// Every version of every file, by its digest.
    versions: BTreeMap<String, Vec<String>>,
    /// The newest name of every row.
    rows: BTreeMap<usize, String>,
    updated: usize,
}

impl Stream {
    fn begin() -> Self {
        let receiver = Receiver::start();
        // Never five faults in a row: they would open the breaker, which is another story.
        receiver.answers(|_, number| match number {
            n if n % 9 == 4 => Answer::status(503),
            n if n % 23 == 7 => Answer::fault(Fault::ResetBeforeHead),
            _ => Answer::status(204),
        });
        let configuration = orders("to = [\"erp\", \"archive\"]")
            + &items("page = 100\nevery = \"50ms\"")
            + &erp(&receiver, "concurrency = 8")
            + &section("sink.archive", &[("kind", "\"http\""), ("content", "\"raw\""), ("retry", "[\"20ms\"]")], "")
            + &format!("url = \"{}\"\n", receiver.url("/raw"));
        let rng = Rng::with_seed(17);
        Self {
            highwater: plant(&configuration),
            receiver,
            rng,
            versions: BTreeMap::new(),
            rows: BTreeMap::new(),
            updated: 0,
        }
    }

    fn write_files(&mut self, numbers: std::ops::Range<usize>) {
        for number in numbers {
            let folder = number % 7;
            self.write_version(&format!("{folder}/order-{number}.csv"));
        }
    }

    /// A new version of a file; its predecessors must have arrived, as a version between two looks is not seen.
    fn write_version(&mut self, key: &str) {
        let version = self.versions.get(key).map_or(0, Vec::len);
        let size = if self.rng.u8(..) < 12 { 200 * 1024 } else { self.rng.usize(20..2_000) };
        let mut content = format!("{key};{version};").into_bytes();
        content.resize(size.max(content.len()), b'.');
        put(&self.highwater, key, &content);
        self.versions.entry(key.to_owned()).or_default().push(sha256(&content));
    }

    fn write_rows(&mut self, numbers: std::ops::Range<usize>) {
        let mut connection = table(&self.highwater);
        let transaction = connection.transaction().expect("begin");
        for id in numbers {
            // Three rows each share a watermark, also across pages.
            self.updated += usize::from(id % 3 == 0);
            let version = self.rows.get(&id).map_or(0, |name| name.len());
            let name = "n".repeat(version + 1);
            let sql = "INSERT OR REPLACE INTO items VALUES (?1, ?2, ?3)";
            transaction.execute(sql, rusqlite::params![id as i64, name, self.updated as i64]).expect("insert");
            self.rows.insert(id, name);
        }
        transaction.commit().expect("commit");
    }

    /// Changes what has arrived: some files, some rows.
    fn change_some(&mut self) {
        let arrived: BTreeSet<String> = self.events().into_iter().map(|told| told.sha256).collect();
        let newest_arrived = |versions: &Vec<String>| versions.last().is_some_and(|sha256| arrived.contains(sha256));
        let candidates: Vec<String> =
            self.versions.iter().filter(|(_, versions)| newest_arrived(versions)).map(|(key, _)| key.clone()).collect();
        for _ in 0..6.min(candidates.len()) {
            let key = candidates[self.rng.usize(..candidates.len())].clone();
            if newest_arrived(&self.versions[&key]) {
                self.write_version(&key);
            }
        }
        if !self.rows.is_empty() {
            let id = self.rng.usize(..self.rows.len());
            self.updated += 1;
            self.write_rows(id..id + 1);
        }
    }

    fn events(&self) -> Vec<Told> {
        let received = self.receiver.received();
        received.iter().filter(|received| received.target == "/in").map(|received| Told::of(&received.json())).collect()
    }

    /// Kills the process at some moment: soon after its start, or after a few more arrivals.
    fn kill_somewhere(&mut self, mut running: Running) {
        if self.rng.bool() {
            std::thread::sleep(Duration::from_millis(self.rng.u64(0..250)));
        } else {
            let target = self.receiver.received().len() + self.rng.usize(1..80);
            let highwater = &self.highwater;
            let receiver = &self.receiver;
            running.wait_for("some more arrive", |_| {
                let idle =
                    || sink_status(highwater, "erp")["pending"] == 0 && sink_status(highwater, "erp")["retrying"] == 0;
                receiver.received().len() >= target || idle()
            });
        }
        running.kill();
    }

    fn all_arrived(&self) -> bool {
        let events = self.events();
        let fingerprints: BTreeSet<&str> = events.iter().map(|told| told.sha256.as_str()).collect();
        let files = self.versions.values().flatten().all(|sha256| fingerprints.contains(sha256.as_str()));
        let open = |sink: &str| {
            let sink = sink_status(&self.highwater, sink);
            sink["pending"].as_u64().unwrap_or(1) + sink["retrying"].as_u64().unwrap_or(1)
        };
        files && self.rows_arrived() && open("erp") + open("archive") == 0
    }

    fn rows_arrived(&self) -> bool {
        let received = self.receiver.received();
        let rows: BTreeSet<(usize, String)> = received
            .iter()
            .filter(|received| received.target == "/in")
            .map(|received| received.json()["data"]["row"].clone())
            .filter(|row| row.is_object())
            .map(|row| {
                let id = row["id"].as_u64().expect("an id") as usize;
                (id, row["name"].as_str().expect("a name").to_owned())
            })
            .collect();
        self.rows.iter().all(|(id, name)| rows.contains(&(*id, name.clone())))
    }
}

#[test]
fn killed_again_and_again_nothing_is_skipped_and_each_change_keeps_its_one_id() {
    let mut stream = Stream::begin();
    for round in 0..KILLS {
        let part = |all: usize, half: usize| {
            (2 * round + half) * all / (2 * KILLS)..(2 * round + half + 1) * all / (2 * KILLS)
        };
        stream.write_files(part(FILES, 0));
        stream.write_rows(part(ROWS, 0));
        let running = stream.highwater.spawn(&["run"]);
        stream.write_files(part(FILES, 1));
        stream.write_rows(part(ROWS, 1));
        stream.change_some();
        stream.kill_somewhere(running);
    }
    let running = run(&stream.highwater);
    wait_until("everything has arrived", || stream.all_arrived());
    assert_eq!(running.terminate(), Some(0));

    let events = stream.events();
    each_change_has_one_id(&events);
    each_key_is_in_order(&events);
    raw_bytes_are_the_files(&stream);

    assert!(once(&stream.highwater, 0).contains(" 0 events, 0 delivered"), "nothing was left");
    assert_eq!(spooled(&stream.highwater), Vec::<String>::new(), "the spool is empty");
    let deliveries = deliveries(&stream.highwater, &["--sink", "erp"]);
    assert!(deliveries.iter().all(|delivery| delivery["state"] == "delivered"));
    let ids: BTreeSet<&String> = events.iter().map(|told| &told.id).collect();
    assert_eq!(deliveries.len(), ids.len());
}

/// The same content of the same key is the same change, as no content comes back in this stream.
fn each_change_has_one_id(events: &[Told]) {
    let mut by_change: BTreeMap<(&str, &str, &str), BTreeSet<&str>> = BTreeMap::new();
    let mut by_id: BTreeMap<&str, BTreeSet<(&str, &str, u64)>> = BTreeMap::new();
    for told in events {
        by_change.entry((&told.source, &told.key, &told.sha256)).or_default().insert(&told.id);
        by_id.entry(&told.id).or_default().insert((&told.key, &told.sha256, told.sequence));
    }
    let several: Vec<_> = by_change.iter().filter(|(_, ids)| ids.len() > 1).collect();
    assert!(several.is_empty(), "changes with several ids: {several:?}");
    let several: Vec<_> = by_id.iter().filter(|(_, changes)| changes.len() > 1).collect();
    assert!(several.is_empty(), "ids with several changes: {several:?}");
}

fn each_key_is_in_order(events: &[Told]) {
    let mut seen = BTreeSet::new();
    let mut last: BTreeMap<(&str, &str), u64> = BTreeMap::new();
    for told in events.iter().filter(|told| seen.insert(&told.id)) {
        let last = last.entry((&told.source, &told.key)).or_default();
        assert!(told.sequence > *last, "{} of {} came behind {last}", told.sequence, told.key);
        *last = told.sequence;
    }
}

fn raw_bytes_are_the_files(stream: &Stream) {
    let digests: BTreeMap<String, String> = stream.events().into_iter().map(|told| (told.id, told.sha256)).collect();
    let received = stream.receiver.received();
    let raw: Vec<&Received> = received.iter().filter(|received| received.target == "/raw").collect();
    let arrived: BTreeSet<String> = raw.iter().map(|received| sha256(&received.body)).collect();
    for received in &raw {
        assert_eq!(sha256(&received.body), digests[&received.id], "{}", received.id);
    }
    assert!(stream.versions.values().flatten().all(|sha256| arrived.contains(sha256)));
}

#[test]
fn a_refused_delivery_moves_nothing_past_something_unseen() {
    let receiver = Receiver::start();
    receiver.answers(|_, _| Answer::status(503));
    let highwater = plant(&(orders("") + &items("") + &erp(&receiver, "")));
    put(&highwater, "a.csv", "1");
    table(&highwater).execute_batch("INSERT INTO items VALUES (1, 'a', 1)").expect("insert");
    once(&highwater, 4);
    put(&highwater, "b.csv", "2");
    table(&highwater).execute_batch("INSERT INTO items VALUES (2, 'b', 2)").expect("insert");
    once(&highwater, 4);
    receiver.answers(|_, _| Answer::status(204));
    highwater.run(&["once", "--drain", "--deadline", "20s"]).code(0);
    let arrived: BTreeSet<String> = told(&receiver.received()).into_iter().map(|told| told.key).collect();
    assert_eq!(arrived.into_iter().collect::<Vec<_>>(), ["1", "2", "a.csv", "b.csv"]);
    assert_eq!(ids(&receiver).len(), 4, "each under one id");
}

#[test]
fn rows_with_one_watermark_across_pages_and_polls_are_all_told() {
    let receiver = Receiver::start();
    let highwater = plant(&(items("page = 3") + &erp(&receiver, "")));
    let insert = |ids: std::ops::Range<i64>| {
        for id in ids {
            let sql = "INSERT INTO items VALUES (?1, 'same', 5)";
            table(&highwater).execute(sql, [id]).expect("insert");
        }
    };
    insert(0..10);
    once(&highwater, 0);
    insert(10..17);
    once(&highwater, 0);
    assert_eq!(receiver.received().len(), 17);
    assert_eq!(ids(&receiver).len(), 17);
}
