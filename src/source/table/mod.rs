//! Table sources: keyset paging over a watermark, and how far behind the cursor stays.
//!
//! [`Table`] is what one kind of database can do; [`TableSource`] makes a [`Source`](super::Source) of it. Which rows are
//! new is decided by `change`, where they are kept by the ledger.
//!
//! - `cursor`: what is remembered between polls; `settling`: when SAFE may advance (pure)
//! - `statement`: the SQL all databases share, `dialect`: how each writes it; `json`, `calendar`: exact values
//! - `local`: watermarks that are local times
//! - `round`: one poll; `plan`: which pass it makes; `pass`: running it; `batch`: rows on their way to a page
//! - `versions`: which pass by row version comes next (pure); `versions_pass`: running it
//! - `pace`: how often a dear look may run (pure); `between`: what polls do between two of them
//! - `sweep`: rows that were removed, and rows that polls missed
//! - `explaining`: what `explain` says; `doctor`: what `doctor` and `check` try; `settled`: how far SAFE has come
//! - `kept`, `login`, `waiting`: what the adapters to servers share; `sqlite`, `postgres`, `mysql`, `odbc`: the adapters

mod batch;
mod between;
mod calendar;
mod cursor;
mod dialect;
mod doctor;
mod explaining;
mod json;
mod kept;
mod local;
mod login;
pub mod mysql;
pub mod odbc;
mod pace;
mod pass;
mod plan;
pub mod postgres;
mod round;
mod settled;
mod settling;
pub mod sqlite;
mod statement;
mod sweep;
mod versions;
mod versions_pass;
mod waiting;

use std::sync::Arc;
use std::time::Duration;

pub use mysql::MysqlSource;
pub use odbc::OdbcSource;
pub use postgres::PostgresSource;
pub use round::TableSource;
pub use sqlite::SqliteSource;

use crate::clock::Stop;
use crate::error::{Error, Result};
use crate::source::{Finding, Wake};
use statement::Shape;
use sweep::Part;
use versions::RowVersions;

/// One value per column, each as the database's own text; none is NULL.
pub type Values = Vec<String>;

/// What one kind of database can do. Blocking; every call but [`Table::begin`] happens inside its snapshot.
pub trait Table: Send {
    /// Connects where needed, learns the columns, gathers what must be read before the snapshot (see [`Table::writers_before`],
    /// [`Table::bound`]), and opens a read-only snapshot.
    fn begin(&mut self, stop: &Stop, opening: &Opening<'_>) -> Result<Begun>;

    /// The columns and names of this snapshot.
    ///
    /// # Panics
    /// Before the first successful [`Table::begin`].
    fn shape(&self) -> &Shape;

    /// Runs one small query whose columns are all texts, or values that have one.
    fn ask(&mut self, sql: &str, parameters: &[&str]) -> Result<Vec<Vec<Option<String>>>>;

    /// Reads the rows of `span` in the order of (watermark, key), one at a time.
    fn stream(&mut self, span: &Span, stop: &Stop, each: &mut dyn FnMut(&Row) -> Result<()>) -> Result<()>;

    /// Reads the rows of `part`, in any order, one at a time.
    fn scan(&mut self, part: &Part, stop: &Stop, each: &mut dyn FnMut(&Row) -> Result<()>) -> Result<()> {
        let _ = (part, stop, each);
        Err(Error::internal("this database has no sweep and is asked for one"))
    }

    /// Hands watermark and key of every row that can be told to `each`, in any order: for sweeps where there is no
    /// [`Table::digest`].
    fn positions(&mut self, stop: &Stop, each: &mut dyn FnMut(&Position) -> Result<()>) -> Result<()> {
        let _ = (stop, each);
        Err(Error::internal("this database has no sweep and is asked for one"))
    }

    /// SQL for the first `digits` hexadecimal digits, as a number, of the MD5 over the texts of the key columns, and
    /// behind them those of the watermark columns if `watermark` says so, joined by line feeds. The texts are those of
    /// [`Row::key`] and [`Row::position`]. `None` where the database can't: [`Table::positions`] are read then.
    fn digest(&self, watermark: bool, digits: u32) -> Option<String> {
        let _ = (watermark, digits);
        None
    }

    /// Whether what is missing here may only be late, as on a replica, or was overlooked, as without snapshots: it is gone
    /// when two sweeps in a row miss it.
    fn is_replica(&mut self) -> Result<bool> {
        Ok(false)
    }

    /// The smaller of `newest` and the database's clock, less `by`; `None` where the watermark is no point in time.
    fn behind(&mut self, newest: &Values, by: Duration) -> Result<Option<Values>> {
        let _ = (newest, by);
        Ok(None)
    }

    /// The largest watermark that is not beyond the database's clock, where `newest` is: a row from the future must not
    /// carry SAFE past rows that are still to come.
    fn capped(&mut self, newest: Values) -> Result<Values> {
        Ok(newest)
    }

    /// The largest watermark at or below `newest` that is not drawn again when the clock is set back a little; for databases
    /// that are not asked how far everything is settled.
    fn before_steps(&mut self, newest: Values) -> Result<Values> {
        Ok(newest)
    }

    /// A watermark as people write it (`start`), as the database's own text; `newest` is one that is there.
    fn written_value(&mut self, values: Values, newest: Option<&Values>) -> Result<Values> {
        let _ = newest;
        Ok(values)
    }

    /// A watermark as people read it.
    fn shown(&self, values: &Values) -> String {
        values.join(", ")
    }

    /// A key as people write it, as the database's own text.
    fn written_key(&self, values: Values) -> Values {
        values
    }

    /// Who might still commit a row at or below a watermark that was visible earlier, as read before this snapshot was
    /// opened: a mark is closed when none of those it was made with is left.
    fn writers_before(&self) -> &[Writer] {
        &[]
    }

    /// The same, read now, behind the snapshot: what a mark of this snapshot has to wait for.
    fn writers_now(&mut self) -> Result<Vec<Writer>> {
        Ok(Vec::new())
    }

    /// The largest watermark at or below which nothing can appear any more that this snapshot does not show, by what was read
    /// before it was opened; `None` where that is not known. `newest` is the largest one that the snapshot shows.
    fn bound(&mut self, newest: &Values) -> Result<Option<Values>> {
        let _ = newest;
        Ok(None)
    }

    /// What rows tell of the transactions that wrote them; `None` where they don't.
    fn versions(&mut self) -> Option<&mut dyn RowVersions> {
        None
    }

    /// The largest watermark at or below `newest` that is not drawn any more: by the database's clock, where the watermark
    /// is a point in time.
    fn drawn(&mut self, newest: Values) -> Result<Values> {
        Ok(newest)
    }

    /// How far `safe` is behind the database's clock; `None` where the watermark is no point in time.
    fn lag(&mut self, safe: &Values) -> Result<Option<Duration>> {
        let _ = safe;
        Ok(None)
    }

    /// Who keeps SAFE from moving, a line each, where the database says how far it may go (see [`Table::bound`]).
    fn holders(&mut self) -> Result<Vec<String>> {
        Ok(Vec::new())
    }

    /// Why rows could be lost with the way to settle that is in use, one line; `None` where nothing speaks for it.
    fn hazard(&self) -> Option<String> {
        None
    }

    /// Begins to watch for hints that it is worth looking now, until what is returned is dropped.
    fn watch(&self, wake: Arc<dyn Wake>) -> Option<Box<dyn Send>> {
        let _ = wake;
        None
    }

    /// What `settle` calls it where SAFE follows [`Table::bound`].
    fn bound_word(&self) -> &'static str {
        "bound"
    }

    /// What is to be said of this kind of database in particular, for `doctor` and `check`.
    fn examine(&mut self) -> Result<Vec<Finding>> {
        Ok(Vec::new())
    }

    /// Whether the order of a pass comes out of an index.
    fn is_indexed(&mut self) -> Result<bool>;

    /// Who answers, for people: `PostgreSQL 15.18`.
    fn server(&mut self) -> Result<String>;

    /// Ends the snapshot. After `Broken` the next poll connects afresh.
    fn end(&mut self, end: End);
}

/// What a snapshot is opened with.
#[derive(Debug, Clone, Copy, Default)]
pub struct Opening<'a> {
    /// Whether none need be opened if the database itself can say that nothing was committed since the last one that ended
    /// well.
    pub may_skip: bool,
    /// SAFE, where the cursor has one: what is in flight matters beyond it.
    pub safe: Option<&'a Values>,
    /// Whether this is the first look of all: it may take longer, to begin with a SAFE.
    pub first: bool,
    /// The writers that the cursor's marks wait for.
    pub awaited: &'a [String],
    /// Whether rows may be read by watermark though they have versions: then the writers are wanted, too.
    pub between: bool,
    /// Whether a poll follows, which may ask for [`Table::bound`]; else only questions do.
    pub polls: bool,
}

/// A transaction, or a session, that may still commit rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Writer {
    /// What tells it from all others, also later ones.
    pub id: String,
    /// Who it is, for people: process, user, application, since when.
    pub shown: String,
}

/// Whether there is anything to look at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Begun {
    /// A snapshot is open.
    Snapshot,
    /// The database itself says that nothing was committed since the last snapshot; none was opened.
    Unchanged,
}

/// How a snapshot ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// Looked at to the end.
    Well,
    /// Something failed in between.
    Broken,
}

/// Which rows to read.
#[derive(Debug, Clone, Default)]
pub struct Span {
    /// Rows from here on; `None` takes all.
    pub floor: Option<Edge>,
    /// Only rows behind this one, where an interrupted pass goes on.
    pub after: Option<Position>,
    /// Rows up to here are flagged as settled.
    pub settled: Option<Edge>,
}

/// A watermark as the border of a range.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edge {
    /// The watermark.
    pub at: Values,
    /// Whether more rows with just this watermark may come, so that they belong to the open side.
    pub ties: bool,
}

/// Where a row stands in the order of a pass.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Position {
    /// Its watermark columns.
    pub watermark: Values,
    /// Its key columns.
    pub key: Values,
}

/// One row, in buffers that are used again for the next one.
#[derive(Debug, Default)]
pub struct Row {
    /// Where it stands.
    pub position: Position,
    /// The bytes that identify it.
    pub key: Vec<u8>,
    /// JSON object of the key columns.
    pub key_json: String,
    /// JSON object of the watermark columns.
    pub watermark_json: String,
    /// JSON object of all columns.
    pub row_json: String,
    /// Whether it lies at or below the next SAFE.
    pub settled: bool,
    /// Whether it is only to be remembered.
    pub quiet: bool,
    /// Why it can't become an event.
    pub problem: Option<String>,
}

impl Row {
    /// Makes room for the next row.
    pub fn clear(&mut self) {
        self.key.clear();
        self.key_json.clear();
        self.watermark_json.clear();
        self.row_json.clear();
        self.settled = false;
        self.quiet = false;
        self.problem = None;
    }
}
