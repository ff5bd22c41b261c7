//! The one writer thread. Whoever wants to write hands in a step; steps that arrive together share one commit, each in
//! a savepoint of its own, so that a failing one takes nobody with it. The caller gets its answer after the commit.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use rusqlite::Connection;

use super::failure::sqlite;
use crate::error::{Error, ErrorKind, Result};

/// Steps that may wait for the writer before their callers are slowed down.
const STEPS_WAITING_MAX: usize = 256;
/// Steps that share one commit at most.
const GROUP_STEPS_MAX: usize = 64;

/// Whether a commit must survive a power cut, or only a crash of the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Durability {
    /// The next synced commit carries it: claims and outcomes, which are told again in the worst case.
    Process,
    /// Synced before it is answered: cursors, and what a 200 or a deletion relies on.
    Power,
}

/// What a step leaves to be done once the fate of the commit is known.
type Finish = Box<dyn FnOnce(Option<&Error>) + Send>;
/// Tells the caller of a step that was never run why.
type Refuse = Box<dyn FnOnce(&Error) + Send>;
type Step = Box<dyn FnOnce(&Connection) -> (Fate, Finish) + Send>;

/// How a step ended before the commit.
enum Fate {
    Keep,
    /// For this reason.
    RollBack(Error),
}

struct Submitted {
    durability: Durability,
    step: Step,
    refuse: Refuse,
}

impl Submitted {
    /// A step, and where its caller is told what came of it.
    fn new<T, F>(durability: Durability, step: F) -> (Self, Receiver<Result<T>>)
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T> + Send + 'static,
    {
        let (answer, answered) = sync_channel::<Result<T>>(1);
        let refused = answer.clone();
        let refuse: Refuse = Box::new(move |error| {
            let _ = refused.send(Err(same(error)));
        });
        let step: Step = Box::new(move |connection| {
            let outcome = step(connection);
            let fate = outcome.as_ref().map_or_else(|error| Fate::RollBack(same(error)), |_| Fate::Keep);
            let finish: Finish = Box::new(move |failed| {
                let told = match (outcome, failed) {
                    (Ok(_), Some(error)) => Err(same(error)),
                    (outcome, _) => outcome,
                };
                // A caller that is gone (a panicking thread) has nobody to be told.
                let _ = answer.send(told);
            });
            (fate, finish)
        });
        (Self { durability, step, refuse }, answered)
    }
}

/// Hands steps to the writer thread, which ends when this is dropped.
pub struct Writer {
    store: PathBuf,
    steps: Option<SyncSender<Submitted>>,
    thread: Option<JoinHandle<()>>,
}

/// A step that the thread has, or has carried out.
pub struct UnderWay<T> {
    answered: Receiver<Result<T>>,
    store: PathBuf,
}

impl Writer {
    /// Starts the thread on its own connection to the store at `store`.
    pub fn start(connection: Connection, store: &Path) -> Result<Self> {
        let (steps, submitted) = sync_channel(STEPS_WAITING_MAX);
        let thread = std::thread::Builder::new()
            .name("store-writer".into())
            .spawn(move || write_until_closed(&connection, &submitted))
            .map_err(|e| Error::io("start the store's writer thread", e))?;
        Ok(Self { store: store.to_owned(), steps: Some(steps), thread: Some(thread) })
    }

    /// Runs `step` in a transaction and returns what it returned once that is committed.
    ///
    /// # Errors
    /// The step's own error, in which case nothing of it is kept, or the commit's.
    pub fn write<T, F>(&self, durability: Durability, step: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T> + Send + 'static,
    {
        self.submit(durability, step)?.wait()
    }

    /// Hands `step` in; steps are committed in the order in which they are.
    ///
    /// # Errors
    /// The thread has ended.
    pub fn submit<T, F>(&self, durability: Durability, step: F) -> Result<UnderWay<T>>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T> + Send + 'static,
    {
        let (submitted, answered) = Submitted::new(durability, step);
        let steps = self.steps.as_ref().expect("the channel is closed by drop alone");
        steps.send(submitted).map_err(|_| Error::internal("the store's writer thread has ended"))?;
        Ok(UnderWay { answered, store: self.store.clone() })
    }
}

impl<T> UnderWay<T> {
    /// What the step returned, once it is committed.
    ///
    /// # Errors
    /// The step's own error, in which case nothing of it is kept, or the commit's.
    pub fn wait(self) -> Result<T> {
        let lost = |_| Error::internal("the store's writer thread ended before it answered");
        self.answered.recv().map_err(lost)?.map_err(|error| {
            // What is wrong with the file is said with its path.
            let is_the_file =
                matches!(error.kind(), ErrorKind::Full | ErrorKind::ReadOnly | ErrorKind::Denied | ErrorKind::Corrupt);
            if is_the_file { error.while_doing(format!("write store {}", self.store.display())) } else { error }
        })
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.steps = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn write_until_closed(connection: &Connection, submitted: &Receiver<Submitted>) {
    let mut synced = None;
    while let Ok(first) = submitted.recv() {
        let mut group = vec![first];
        while group.len() < GROUP_STEPS_MAX {
            match submitted.try_recv() {
                Ok(next) => group.push(next),
                Err(_) => break,
            }
        }
        commit_group(connection, group, &mut synced);
    }
}

fn commit_group(connection: &Connection, group: Vec<Submitted>, synced: &mut Option<Durability>) {
    let durability = group.iter().map(|s| s.durability).max().unwrap_or(Durability::Power);
    let alone = group.len() == 1;
    let mut finishes = Vec::with_capacity(group.len());
    let mut steps = group.into_iter();
    let result = (|| -> Result<()> {
        if *synced != Some(durability) {
            let mode = if durability == Durability::Power { "FULL" } else { "NORMAL" };
            connection.pragma_update(None, "synchronous", mode).map_err(sqlite("set the store's durability"))?;
            *synced = Some(durability);
        }
        connection.execute_batch("BEGIN IMMEDIATE").map_err(sqlite("begin a commit of the store"))?;
        for submitted in steps.by_ref() {
            if alone {
                if let Fate::RollBack(_) = run_alone(connection, submitted, &mut finishes)? {
                    return connection.execute_batch("ROLLBACK").map_err(sqlite("roll a step of the store back"));
                }
            } else {
                run_step(connection, submitted, &mut finishes)?;
            }
        }
        connection.execute_batch("COMMIT").map_err(sqlite("commit to the store"))
    })();
    if result.is_err() && !connection.is_autocommit() {
        // The error is told below; a rollback that fails as well leaves the transaction to the next BEGIN's error.
        let _ = connection.execute_batch("ROLLBACK");
    }
    let failed = result.err();
    for finish in finishes {
        finish(failed.as_ref());
    }
    if let Some(error) = failed {
        steps.for_each(|submitted| (submitted.refuse)(&error));
    }
}

/// An error for one more caller.
fn same(error: &Error) -> Error {
    Error::new(error.kind(), error.to_string())
}

/// A step that shares its commit with nobody needs no savepoint, which would keep a copy of every page it writes.
fn run_alone(connection: &Connection, submitted: Submitted, finishes: &mut Vec<Finish>) -> Result<Fate> {
    let (fate, finish) = (submitted.step)(connection);
    finishes.push(finish);
    check_open(connection, &fate)?;
    Ok(fate)
}

/// Some failures (a full disk) make SQLite roll the whole transaction back by itself.
fn check_open(connection: &Connection, fate: &Fate) -> Result<()> {
    if !connection.is_autocommit() {
        return Ok(());
    }
    let doing = "the store rolled a commit back by itself";
    Err(match fate {
        Fate::RollBack(cause) => same(cause).while_doing(doing),
        Fate::Keep => Error::new(ErrorKind::Full, format!("{doing}; is the disk full?")),
    })
}

fn run_step(connection: &Connection, submitted: Submitted, finishes: &mut Vec<Finish>) -> Result<()> {
    let savepoint = |sql: &str| {
        connection.prepare_cached(sql).and_then(|mut s| s.execute([])).map_err(sqlite("mark a step of a commit"))
    };
    if let Err(error) = savepoint("SAVEPOINT step") {
        (submitted.refuse)(&error);
        return Err(error);
    }
    let (fate, finish) = (submitted.step)(connection);
    finishes.push(finish);
    check_open(connection, &fate)?;
    if matches!(fate, Fate::RollBack(_)) {
        savepoint("ROLLBACK TO step")?;
    }
    savepoint("RELEASE step")?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn writer(folder: &std::path::Path) -> (Writer, Connection) {
        let path = folder.join("test.db");
        let connection = Connection::open(&path).expect("open");
        connection.pragma_update(None, "journal_mode", "WAL").expect("WAL");
        connection.busy_timeout(std::time::Duration::ZERO).expect("no patience");
        connection.execute_batch("CREATE TABLE t (x INTEGER PRIMARY KEY)").expect("table");
        let reader = Connection::open(&path).expect("open");
        (Writer::start(connection, &path).expect("start"), reader)
    }

    fn insert(x: i64) -> impl FnOnce(&Connection) -> Result<i64> + Send + 'static {
        move |c| {
            c.execute("INSERT INTO t VALUES (?1)", [x]).map_err(sqlite("insert"))?;
            if x < 0 { Err(Error::new(ErrorKind::Invalid, "negative")) } else { Ok(x) }
        }
    }

    #[test]
    fn a_failing_step_takes_nobody_of_its_group_with_it() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (writer, reader) = writer(folder.path());
        let writer = std::sync::Arc::new(writer);
        let callers: Vec<_> = [1, -2, 3, -4, 5]
            .map(|x| {
                let writer = writer.clone();
                std::thread::spawn(move || writer.write(Durability::Power, insert(x)).is_ok())
            })
            .into_iter()
            .collect();
        let kept: Vec<bool> = callers.into_iter().map(|c| c.join().expect("no panic")).collect();
        assert_eq!(kept, [true, false, true, false, true]);
        let sum: i64 = reader.query_row("SELECT sum(x) FROM t", [], |r| r.get(0)).expect("sum");
        assert_eq!(sum, 9);
    }

    #[test]
    fn a_failing_step_on_its_own_leaves_nothing() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (writer, reader) = writer(folder.path());
        let error = writer.write(Durability::Power, insert(-1)).expect_err("negative");
        assert_eq!(error.kind(), ErrorKind::Invalid);
        writer.write(Durability::Power, insert(1)).expect("the next one begins afresh");
        let sum: i64 = reader.query_row("SELECT sum(x) FROM t", [], |r| r.get(0)).expect("sum");
        assert_eq!(sum, 1);
    }

    #[test]
    fn everybody_is_told_why_a_commit_could_not_begin() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (writer, reader) = writer(folder.path());
        reader.execute_batch("BEGIN IMMEDIATE").expect("begin");
        let error = writer.write(Durability::Power, insert(1)).expect_err("busy");
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert!(error.to_string().contains("locked"), "{error}");
        reader.execute_batch("ROLLBACK").expect("rollback");
        writer.write(Durability::Power, insert(1)).expect("free again");
    }

    type TestStep = Box<dyn FnOnce(&Connection) -> Result<()> + Send>;

    /// Runs these steps in one commit; returns what each caller is told.
    fn told(steps: Vec<TestStep>) -> Vec<Result<()>> {
        let connection = Connection::open_in_memory().expect("open");
        let mut answers = Vec::new();
        let group = steps.into_iter().map(|step| {
            let (submitted, answered) = Submitted::new(Durability::Process, step);
            answers.push(answered);
            submitted
        });
        let group: Vec<Submitted> = group.collect();
        commit_group(&connection, group, &mut None);
        answers.into_iter().map(|answered| answered.recv().expect("everybody is told")).collect()
    }

    fn kinds(told: &[Result<()>]) -> Vec<Option<ErrorKind>> {
        told.iter().map(|one| one.as_ref().err().map(Error::kind)).collect()
    }

    #[test]
    fn what_makes_the_store_roll_back_by_itself_is_told_to_the_whole_group_with_its_kind() {
        for kind in [ErrorKind::ReadOnly, ErrorKind::Full, ErrorKind::Corrupt] {
            let told = told(vec![
                Box::new(|_| Ok(())),
                Box::new(move |connection| {
                    connection.execute_batch("ROLLBACK").expect("as SQLite does by itself");
                    Err(Error::new(kind, "the disk says so"))
                }),
                Box::new(|_| Ok(())),
            ]);
            assert_eq!(kinds(&told), [Some(kind); 3]);
            assert!(told[2].as_ref().expect_err("refused").to_string().contains("the disk says so"));
        }
    }

    #[test]
    fn who_comes_to_a_commit_that_can_not_go_on_is_told_why() {
        let told = told(vec![
            Box::new(|connection| {
                // No statement is prepared any more: as good as a disk that fails between two steps.
                connection.set_limit(rusqlite::limits::Limit::SQLITE_LIMIT_SQL_LENGTH, 8).expect("a limit");
                connection.flush_prepared_statement_cache();
                Ok(())
            }),
            Box::new(|_| Ok(())),
        ]);
        assert_eq!(kinds(&told), [Some(ErrorKind::Internal); 2]);
        assert!(told[1].as_ref().expect_err("refused").to_string().contains("mark a step of a commit"), "{told:?}");
    }

    #[test]
    fn an_answered_step_is_visible_to_readers() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (writer, reader) = writer(folder.path());
        for x in 1..=20 {
            writer.write(Durability::Process, insert(x)).expect("write");
            let count: i64 = reader.query_row("SELECT count(*) FROM t", [], |r| r.get(0)).expect("count");
            assert_eq!(count, x);
        }
    }
}
