//! Counts attempts to log in: in the store that is open for writing, or beside the process that holds it. One short
//! transaction each, which SQLite's own locks keep apart, so that every process counts with the others.

use std::path::{Path, PathBuf};
use std::sync::Mutex;

use hmac::{Hmac, KeyInit, Mac};
use rusqlite::{Connection, OpenFlags, OptionalExtension, TransactionBehavior, params};
use sha2::Sha256;

use super::failure::sqlite;
use super::writer::Durability;
use super::{SqliteStore, open_connection, place, schema};
use crate::clock::{Clock, Stop, SystemClock, Timestamp};
use crate::error::{Error, ErrorKind, Result};
use crate::setting::SourceName;
use crate::store::lock::Lock;
use crate::store::logins::{LOGIN_ATTEMPTS_MAX, LOGIN_SECONDS_MAX, SECRETS_KEPT_MAX};
use crate::store::{Login, LoginBook, LoginStep, LoginTurn};

const NANOS: i64 = 1_000_000_000;

impl LoginBook for SqliteStore {
    fn login(&self, login: &Login<'_>, step: LoginStep, now: Timestamp) -> Result<LoginTurn> {
        let owned = Owned::of(login);
        self.writer.write(Durability::Power, move |connection| owned.take(connection, step, now))
    }
}

/// The store's login book for commands that don't hold the store: they open it when there is something to count. A store
/// that is not there yet is made.
#[derive(Debug)]
pub struct SqliteLogins {
    path: PathBuf,
    connection: Mutex<Option<Connection>>,
}

impl SqliteLogins {
    /// The book of the store at `path`. Nothing is opened yet.
    pub fn at(path: &Path) -> Self {
        Self { path: path.to_owned(), connection: Mutex::new(None) }
    }

    fn open(&self) -> Result<Connection> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE;
        if !place::exists(&self.path)? {
            self.bring_up_to_date()?;
        }
        let mut connection = open_connection(&self.path, flags)?;
        if schema::check(&connection)? < schema::current_version() {
            drop(connection);
            self.bring_up_to_date()?;
            connection = open_connection(&self.path, flags)?;
        }
        connection.pragma_update(None, "synchronous", "FULL").map_err(sqlite("prepare the store"))?;
        Ok(connection)
    }

    fn bring_up_to_date(&self) -> Result<()> {
        if let Some(folder) = self.path.parent() {
            std::fs::create_dir_all(folder)
                .map_err(|e| Error::io(format!("make the store's folder {}", folder.display()), e))?;
        }
        let clock = SystemClock::new();
        let _lock = Lock::take(&self.path, "login", None, &clock as &dyn Clock, &Stop::new())?;
        SqliteStore::open(&self.path).map(drop)
    }
}

impl LoginBook for SqliteLogins {
    fn login(&self, login: &Login<'_>, step: LoginStep, now: Timestamp) -> Result<LoginTurn> {
        let mut kept = self.connection.lock().expect("no holder of the connection panics");
        let connection = match &mut *kept {
            Some(connection) => connection,
            none => none.insert(self.open().map_err(|e| e.while_doing("count an attempt to log in"))?),
        };
        let doing = sqlite("count an attempt to log in");
        let step_in = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(&doing)?;
        let turn = Owned::of(login).take(&step_in, step, now)?;
        step_in.commit().map_err(&doing)?;
        Ok(turn)
    }
}

/// A login that can go to the writer's thread.
struct Owned {
    source: SourceName,
    account: String,
    secret: Vec<u8>,
}

/// What is known of one secret at one account.
struct Count {
    attempts: u32,
    refused: u32,
    at: i64,
}

impl Owned {
    fn of(login: &Login<'_>) -> Self {
        Self { source: login.source.clone(), account: login.account.to_owned(), secret: login.secret.to_owned() }
    }

    fn take(&self, connection: &Connection, step: LoginStep, now: Timestamp) -> Result<LoginTurn> {
        if step == LoginStep::Attempt {
            self.note_source(connection)?;
        }
        let digest = self.digest(connection)?;
        let count = self.load(connection, &digest)?;
        let (attempts, refused) = (count.attempts, count.refused);
        match step {
            LoginStep::Look | LoginStep::Attempt if attempts >= LOGIN_ATTEMPTS_MAX => {
                // A clock that was set back must not keep anybody waiting.
                let silent = now.nanos().saturating_sub(count.at) / NANOS;
                let is_over = refused >= LOGIN_ATTEMPTS_MAX || !(0..LOGIN_SECONDS_MAX).contains(&silent);
                if is_over {
                    self.note_source(connection)?;
                }
                return Ok(if is_over { LoginTurn::Spent } else { LoginTurn::Wait });
            }
            LoginStep::Look => {}
            LoginStep::Attempt => self.store(connection, &digest, attempts + 1, refused, now)?,
            LoginStep::Refused => {
                let refused = refused + 1;
                self.store(connection, &digest, attempts.max(refused), refused, now)?;
            }
            LoginStep::Unanswered if attempts > 1 => {
                self.store(connection, &digest, attempts - 1, refused, Timestamp::from_nanos(count.at))?;
            }
            LoginStep::Accepted | LoginStep::Unanswered => self.forget(connection, &digest)?,
        }
        Ok(LoginTurn::Go)
    }

    /// With the store's salt the digest says nothing of the secret to whoever has no copy of the store, and little to
    /// whoever has one.
    fn digest(&self, connection: &Connection) -> Result<[u8; 32]> {
        let salt: Vec<u8> = connection
            .query_row("SELECT salt FROM login_salt", [], |row| row.get(0))
            .map_err(sqlite("read the store's salt"))?;
        let mut mac = Hmac::<Sha256>::new_from_slice(&salt)
            .map_err(|e| Error::new(ErrorKind::Corrupt, "the store's salt is damaged").because(e.to_string()))?;
        mac.update(&(self.account.len() as u64).to_be_bytes());
        mac.update(self.account.as_bytes());
        mac.update(&self.secret);
        Ok(mac.finalize().into_bytes().into())
    }

    fn load(&self, connection: &Connection, digest: &[u8]) -> Result<Count> {
        let sql = "SELECT attempts, refused, at FROM login_attempts WHERE account = ?1 AND digest = ?2";
        let row = connection.query_row(sql, params![self.account, digest], |row| {
            Ok(Count { attempts: row.get(0)?, refused: row.get(1)?, at: row.get(2)? })
        });
        let row = row.optional().map_err(sqlite("read attempts to log in"))?;
        Ok(row.unwrap_or(Count { attempts: 0, refused: 0, at: 0 }))
    }

    fn store(&self, connection: &Connection, digest: &[u8], attempts: u32, refused: u32, at: Timestamp) -> Result<()> {
        let doing = sqlite("count an attempt to log in");
        let sql = "INSERT INTO login_attempts (account, digest, attempts, refused, at) VALUES (?1, ?2, ?3, ?4, ?5)
                   ON CONFLICT DO UPDATE SET attempts = ?3, refused = ?4, at = ?5";
        connection.execute(sql, params![self.account, digest, attempts, refused, at.nanos()]).map_err(&doing)?;
        let sql = "DELETE FROM login_attempts WHERE account = ?1 AND digest NOT IN
                     (SELECT digest FROM login_attempts WHERE account = ?1 ORDER BY at DESC LIMIT ?2)";
        connection.execute(sql, params![self.account, SECRETS_KEPT_MAX]).map_err(&doing)?;
        Ok(())
    }

    /// `resume` of the source must find the account, also when the source came to it after others.
    fn note_source(&self, connection: &Connection) -> Result<()> {
        let sql = "INSERT OR IGNORE INTO login_account (source, account) VALUES (?1, ?2)";
        connection.execute(sql, params![self.source.as_str(), self.account]).map_err(sqlite("note an account"))?;
        Ok(())
    }

    fn forget(&self, connection: &Connection, digest: &[u8]) -> Result<()> {
        let sql = "DELETE FROM login_attempts WHERE account = ?1 AND digest = ?2";
        connection.execute(sql, params![self.account, digest]).map_err(sqlite("forget attempts to log in"))?;
        Ok(())
    }
}

/// Lets every account be tried again that a source logs in to.
pub fn forgive(connection: &Connection, source: &str) -> Result<()> {
    let sql = "DELETE FROM login_attempts WHERE account IN (SELECT account FROM login_account WHERE source = ?1)";
    connection.execute(sql, [source]).map(drop).map_err(sqlite("let an account be tried again"))
}
