//! Writers that do to a poller what applications do: numbers drawn first and used later, transactions that read, wait and
//! write, savepoints, two-phase commits, rollbacks. They keep what they committed. Databases and verdicts belong to others.

use std::collections::HashSet;
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// A session that SQL can be said to, one statement at a time.
pub trait Hand: Send {
    /// The rows of one statement, every value as a text, NULL as an empty one.
    fn ask(&mut self, sql: &str) -> Result<Vec<Vec<String>>, String>;
}

/// How one database says what writers do to its table `item (id, version, ...)`.
#[derive(Clone, Copy)]
pub struct Dialect {
    /// Ways to begin a transaction.
    pub begin: &'static [&'static str],
    /// Draws an id, in any transaction or none.
    pub draw_id: Option<&'static str>,
    /// Draws a watermark, in the transaction that will use it.
    pub draw_mark: Option<&'static str>,
    /// Inserts this version with what was drawn, and returns the id.
    pub insert: fn(id: Option<&str>, mark: Option<&str>, version: &str) -> String,
    /// Replaces the version of a row, with a new watermark.
    pub update: fn(id: &str, mark: Option<&str>, version: &str) -> String,
    /// Of a thousand pauses so many are longer than several polls, and so many take seconds.
    pub long_pauses: (u16, u16),
    /// Commits in two phases, where the database can.
    pub two_phase: Option<TwoPhase>,
}

/// The statements of a two-phase commit under a name.
#[derive(Clone, Copy)]
pub struct TwoPhase {
    pub begin: fn(name: &str) -> String,
    /// Up to the point from which nothing but the second phase is possible.
    pub prepare: fn(name: &str) -> Vec<String>,
    pub commit: fn(name: &str) -> String,
    pub rollback: fn(name: &str) -> String,
    /// From wherever it is, errors aside.
    pub undo: fn(name: &str) -> Vec<String>,
}

/// What all writers have committed.
#[derive(Default)]
pub struct Committed {
    /// Key and version, also of versions that were replaced later.
    pub versions: HashSet<(String, String)>,
    /// The keys, for those who update.
    pub ids: Vec<String>,
    /// Transactions that were rolled back on purpose, and those the database refused.
    pub rolled_back: (u32, u32),
}

/// One writer.
pub struct Writer<'a> {
    hand: Box<dyn Hand>,
    dialect: Dialect,
    random: fastrand::Rng,
    name: String,
    deadline: Instant,
    committed: &'a Mutex<Committed>,
    /// What the open transaction has written, and a watermark it has drawn.
    written: Vec<(String, String)>,
    mark: Option<String>,
    count: u32,
}

impl<'a> Writer<'a> {
    pub fn new(
        hand: Box<dyn Hand>,
        dialect: Dialect,
        (name, seed): (String, u64),
        deadline: Instant,
        committed: &'a Mutex<Committed>,
    ) -> Self {
        let random = fastrand::Rng::with_seed(seed);
        Self { hand, dialect, random, name, deadline, committed, written: Vec::new(), mark: None, count: 0 }
    }

    /// Writes until the deadline.
    pub fn run(mut self) {
        while Instant::now() < self.deadline {
            let done = match self.random.u8(0..100) {
                0..25 => self.alone(Self::insert),
                25..40 => self.alone(Self::update),
                40..55 => self.drawn_first(),
                55..70 => self.read_wait_write(),
                70..82 => self.savepoints(),
                82..92 if self.dialect.two_phase.is_some() => self.in_two_phases(),
                _ => self.several(),
            };
            if done.is_err() {
                // Deadlocks, timeouts and busy databases: whatever was begun is undone.
                let _ = self.hand.ask("ROLLBACK");
                if let Some(two_phase) = self.dialect.two_phase {
                    let name = self.transaction();
                    (two_phase.undo)(&name).iter().for_each(|sql| drop(self.hand.ask(sql)));
                }
                self.written.clear();
                self.mark = None;
                self.lock().rolled_back.1 += 1;
            }
            self.think();
        }
    }

    /// One statement, which is its own transaction.
    fn alone(&mut self, write: fn(&mut Self) -> Result<(), String>) -> Result<(), String> {
        write(self)?;
        self.keep();
        Ok(())
    }

    /// As some frameworks do: the id, or the watermark, is drawn long before the row is written.
    fn drawn_first(&mut self) -> Result<(), String> {
        let outside = self.random.bool();
        let mut id = None;
        if outside {
            id = self.draw(self.dialect.draw_id)?;
            self.think();
        }
        self.begin()?;
        if !outside {
            id = self.draw(self.dialect.draw_id)?;
            self.mark = self.draw(self.dialect.draw_mark)?;
            self.think();
        }
        self.insert_as(id.as_deref())?;
        self.end()
    }

    fn read_wait_write(&mut self) -> Result<(), String> {
        self.begin()?;
        self.hand.ask("SELECT max(version) FROM item")?;
        self.think();
        if self.random.bool() {
            self.insert()?
        } else {
            self.update()?
        }
        self.think();
        self.end()
    }

    fn savepoints(&mut self) -> Result<(), String> {
        self.begin()?;
        self.insert()?;
        self.hand.ask("SAVEPOINT one")?;
        let kept = self.written.len();
        if self.random.bool() {
            self.insert()?
        } else {
            self.update()?
        }
        self.think();
        if self.random.bool() {
            self.hand.ask("ROLLBACK TO SAVEPOINT one")?;
            self.written.truncate(kept);
        }
        self.hand.ask("SAVEPOINT two")?;
        self.insert()?;
        self.hand.ask("RELEASE SAVEPOINT two")?;
        self.think();
        self.end()
    }

    fn several(&mut self) -> Result<(), String> {
        self.begin()?;
        for _ in 0..self.random.u8(2..5) {
            if self.random.bool() {
                self.insert()?
            } else {
                self.update()?
            }
            self.think();
        }
        self.end()
    }

    fn in_two_phases(&mut self) -> Result<(), String> {
        let two_phase = self.dialect.two_phase.ok_or("only where it can")?;
        let name = self.transaction();
        self.hand.ask(&(two_phase.begin)(&name))?;
        self.insert()?;
        if self.random.bool() {
            self.update()?;
        }
        self.think();
        for sql in (two_phase.prepare)(&name) {
            self.hand.ask(&sql)?;
        }
        self.think();
        self.end_with(&(two_phase.commit)(&name), &(two_phase.rollback)(&name))
    }

    fn begin(&mut self) -> Result<(), String> {
        let begin = self.random.choice(self.dialect.begin).ok_or("a way to begin")?;
        self.hand.ask(begin).map(drop)
    }

    fn draw(&mut self, sql: Option<&str>) -> Result<Option<String>, String> {
        let Some(sql) = sql else { return Ok(None) };
        Ok(self.hand.ask(sql)?.into_iter().flatten().next())
    }

    fn insert(&mut self) -> Result<(), String> {
        self.insert_as(None)
    }

    fn insert_as(&mut self, id: Option<&str>) -> Result<(), String> {
        let version = self.version();
        let sql = (self.dialect.insert)(id, self.mark.as_deref(), &version);
        let id = self.hand.ask(&sql)?.into_iter().flatten().next().ok_or("no id came back")?;
        self.written.push((id, version));
        Ok(())
    }

    fn update(&mut self) -> Result<(), String> {
        let id = {
            let committed = self.lock();
            let recent = if self.random.bool() { committed.ids.len().saturating_sub(200) } else { 0 };
            self.random.choice(&committed.ids[recent..]).cloned()
        };
        let Some(id) = id else { return self.insert() };
        let version = self.version();
        self.hand.ask(&(self.dialect.update)(&id, self.mark.as_deref(), &version))?;
        self.written.push((id, version));
        Ok(())
    }

    fn end(&mut self) -> Result<(), String> {
        self.end_with("COMMIT", "ROLLBACK")
    }

    /// Six of a hundred are rolled back.
    fn end_with(&mut self, commit: &str, rollback: &str) -> Result<(), String> {
        if self.random.u8(0..100) < 6 {
            self.hand.ask(rollback)?;
            self.written.clear();
            self.mark = None;
            self.lock().rolled_back.0 += 1;
        } else {
            self.hand.ask(commit)?;
            self.keep();
        }
        Ok(())
    }

    /// What was written is committed: of each row the last version.
    fn keep(&mut self) {
        self.mark = None;
        let written = std::mem::take(&mut self.written);
        let mut committed = self.lock();
        for (at, (id, version)) in written.iter().enumerate() {
            if written[at + 1..].iter().all(|(later, _)| later != id) {
                committed.versions.insert((id.clone(), version.clone()));
                committed.ids.push(id.clone());
            }
        }
    }

    /// Mostly a moment, at times longer than several polls, now and then seconds; none after the deadline.
    fn think(&mut self) {
        let (longer, longest) = self.dialect.long_pauses;
        let millis = match self.random.u16(0..1_000) {
            dice if dice < longest => self.random.u64(1_500..4_000),
            dice if dice < longest + longer => self.random.u64(200..1_000),
            _ => self.random.u64(5..35),
        };
        let left = self.deadline.saturating_duration_since(Instant::now());
        std::thread::sleep(Duration::from_millis(millis).min(left));
    }

    fn version(&mut self) -> String {
        self.count += 1;
        format!("{}-{}", self.name, self.count)
    }

    /// The name of the transaction that is prepared next, or was last.
    fn transaction(&self) -> String {
        format!("tx-{}", self.name)
    }

    fn lock(&self) -> std::sync::MutexGuard<'a, Committed> {
        self.committed.lock().expect("no writer panics while it holds it")
    }
}

/// A poller as most are: whatever is beyond the largest value it has seen.
pub struct Naive {
    hand: Box<dyn Hand>,
    column: &'static str,
    last: String,
    /// What it read.
    pub seen: HashSet<(String, String)>,
}

impl Naive {
    pub fn new(hand: Box<dyn Hand>, column: &'static str, first: &str) -> Self {
        Self { hand, column, last: first.to_owned(), seen: HashSet::new() }
    }

    pub fn poll(&mut self) {
        let (column, last) = (self.column, &self.last);
        let sql = format!("SELECT id, version, {column} FROM item WHERE {column} > '{last}' ORDER BY {column}");
        for row in self.hand.ask(&sql).expect("a naive poller reads") {
            let [id, version, at] = row.try_into().expect("three columns");
            self.last = at;
            self.seen.insert((id, version));
        }
    }

    /// How many of these rows it never read, in any version and in the last one.
    pub fn lost(&self, rows: &[(String, String)]) -> (usize, usize) {
        let ids: HashSet<&String> = self.seen.iter().map(|(id, _)| id).collect();
        let never = rows.iter().filter(|(id, _)| !ids.contains(id)).count();
        (never, rows.iter().filter(|row| !self.seen.contains(*row)).count())
    }
}
