//! What a table source remembers between polls, as versioned JSON. When SAFE may advance belongs to `settling`.

use serde::{Deserialize, Serialize};

use super::statement::{Column, Shape};
use super::versions::Versions;
use super::{Edge, Position, Values};
use crate::error::{Error, ErrorKind, Result};
use crate::setting::SourceName;

/// The version of the format; a cursor of another one is refused, never guessed at.
const VERSION: u32 = 2;
/// The oldest version that is read: the next one only added to it.
const VERSION_MIN: u32 = 1;

/// Where a table source has got to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Cursor {
    /// The format.
    #[serde(rename = "v")]
    pub version: u32,
    /// Which database this is about, as far as it tells.
    pub identity: String,
    /// Name and type of the watermark columns, then of the key columns.
    pub columns: Vec<(String, String)>,
    /// Every row up to here has been seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub safe: Option<Values>,
    /// Whether rows with just this watermark may still come.
    #[serde(default)]
    pub ties: bool,
    /// How far earlier polls saw.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub marks: Vec<Mark>,
    /// The pass that is under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pass: Option<Pass>,
    /// How far passes by row version have got.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub versions: Option<Versions>,
}

/// The largest watermark that one poll saw.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Mark {
    /// When that poll began, milliseconds since the epoch by our wall clock.
    pub at_ms: i64,
    /// When it began by the monotonic clock, milliseconds; only within one process.
    #[serde(skip)]
    pub tick_ms: Option<u64>,
    /// The watermark.
    pub watermark: Values,
    /// Who could still commit rows at or below it when it was made; only where the database tells.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub writers: Vec<String>,
}

/// One way through the rows, from SAFE to the newest.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Pass {
    /// Where it begins; `None` takes all rows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub floor: Option<Values>,
    /// Whether rows with just the floor's watermark belong to it.
    #[serde(default)]
    pub floor_ties: bool,
    /// SAFE when it is over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<Values>,
    /// Whether rows with just that watermark may still come.
    #[serde(default)]
    pub next_ties: bool,
    /// Whether its rows are only remembered: `start = "now"`.
    #[serde(default)]
    pub silent: bool,
    /// The last row that was committed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position: Option<Position>,
}

impl Cursor {
    /// A cursor that has seen nothing.
    pub fn new(shape: &Shape) -> Self {
        Self {
            version: VERSION,
            identity: shape.identity.clone(),
            columns: named_types(shape),
            safe: None,
            ties: false,
            marks: Vec::new(),
            pass: None,
            versions: None,
        }
    }

    /// Reads what was stored.
    ///
    /// # Errors
    /// `Corrupt` when it is not a cursor of this version: an unreadable cursor never means "from the start".
    pub fn parse(text: &str, name: &SourceName) -> Result<Self> {
        let remedy = format!("begin again with \"highwater cursor {name} reset\"");
        let mut cursor: Self = serde_json::from_str(text).map_err(|e| {
            Error::new(ErrorKind::Corrupt, format!("the cursor of source {name} can't be read; {remedy}")).because(e)
        })?;
        if !(VERSION_MIN..=VERSION).contains(&cursor.version) {
            let fact = format!("the cursor of source {name} has format {}, this program {VERSION}", cursor.version);
            return Err(Error::new(ErrorKind::Corrupt, format!("{fact}; {remedy}")));
        }
        cursor.version = VERSION;
        Ok(cursor)
    }

    /// As it is stored.
    pub fn to_text(&self) -> String {
        serde_json::to_string(self).expect("a cursor is made of strings and numbers")
    }

    /// Makes sure that the columns are those the cursor was made with.
    ///
    /// # Errors
    /// `Invalid`, naming the first column that differs.
    pub fn check_columns(&self, shape: &Shape, name: &SourceName) -> Result<()> {
        let now = named_types(shape);
        if self.columns == now {
            return Ok(());
        }
        let shown = |columns: &[(String, String)]| {
            let each: Vec<String> = columns.iter().map(|(name, kind)| format!("{name} {kind}")).collect();
            each.join(", ")
        };
        let fact = format!(
            "watermark and key of source {name} are now ({}), the cursor was made with ({})",
            shown(&now),
            shown(&self.columns)
        );
        let remedy = format!("put the columns back, or begin again with \"highwater cursor {name} reset\"");
        Err(Error::new(ErrorKind::Invalid, format!("{fact}; {remedy}")))
    }

    /// Whether rows beyond SAFE are all there is to look for.
    pub fn is_settled(&self) -> bool {
        self.safe.is_some() && !self.ties && self.marks.is_empty()
    }

    /// The largest watermark seen so far, as far as it is remembered.
    pub fn seen(&self) -> Option<&Values> {
        self.marks.last().map(|mark| &mark.watermark).or(self.safe.as_ref())
    }
}

impl Pass {
    /// Where it begins, as the border of a range.
    pub fn floor_edge(&self) -> Option<Edge> {
        self.floor.clone().map(|at| Edge { at, ties: self.floor_ties })
    }

    /// SAFE afterwards, as the border of a range.
    pub fn next_edge(&self) -> Option<Edge> {
        self.next.clone().map(|at| Edge { at, ties: self.next_ties })
    }
}

fn named_types(shape: &Shape) -> Vec<(String, String)> {
    let named = |column: &Column| (column.name.clone(), column.type_name.clone());
    shape.watermark.iter().chain(&shape.key).map(named).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape() -> Shape {
        let column = |name: &str, kind: &str| Column::plain(name, kind);
        Shape { watermark: vec![column("at", "text")], key: vec![column("id", "integer")], ..Shape::default() }
    }

    #[test]
    fn a_cursor_reads_back_and_an_unreadable_one_is_never_the_start() {
        let name = SourceName::new("erp");
        let mut cursor = Cursor::new(&shape());
        cursor.safe = Some(vec!["0".into()]);
        cursor.marks.push(Mark {
            at_ms: 7,
            tick_ms: None,
            watermark: vec![String::new()],
            writers: vec!["3/7".into()],
        });
        cursor.pass = Some(Pass { next: Some(vec!["-1".into()]), ..Pass::default() });
        assert_eq!(Cursor::parse(&cursor.to_text(), &name).expect("valid"), cursor);
        for bad in ["", "{}", "{\"v\":3,\"identity\":\"\",\"columns\":[]}"] {
            assert_eq!(Cursor::parse(bad, &name).expect_err(bad).kind(), ErrorKind::Corrupt);
        }
    }

    #[test]
    fn another_type_of_the_watermark_is_refused_by_name() {
        let name = SourceName::new("erp");
        let cursor = Cursor::new(&shape());
        let mut other = shape();
        other.watermark[0].type_name = "integer".into();
        let error = cursor.check_columns(&other, &name).expect_err("the type differs").to_string();
        assert!(error.contains("at integer") && error.contains("at text"), "{error}");
    }
}
