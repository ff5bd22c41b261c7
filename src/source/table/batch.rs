//! Rows on their way to a page: made into entries, compared with what is known, committed together.
//! Which rows are read, and where the cursor goes, belongs to `round`.

use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hasher};

use serde_json::value::RawValue;

use super::{Position, Row};
use crate::change::{Entry, Facts, Fingerprint, Key, Known, Presence, Sight, Version};
use crate::error::Result;
use crate::source::{Hold, HoldReason, Ledger, PAGE_ENTRIES_MAX, Page};

/// So many refused rows are remembered, so that re-reading them tells nothing new.
const REFUSED_MAX: usize = 10_000;

/// A page holds no more rows than make about so many bytes together, whatever their number.
const PAGE_BYTES_MAX: usize = 8 << 20;

/// A row that is longer as JSON, in bytes, is refused.
const ROW_BYTES_MAX: usize = 64 << 20;

/// Keys are gathered up to this many; in a larger window nothing is dropped.
const GATHERED_MAX: usize = 500_000;

/// What is the same for all rows of a pass.
#[derive(Debug, Clone)]
pub struct Terms {
    /// The table's name in events.
    pub table: String,
    /// Whether known keys tell created from changed, so that they are never dropped.
    pub tracks_keys: bool,
    /// Whether rows are only remembered.
    pub silent: bool,
    /// Whether rows that are not settled are told all the same: they may have come after the snapshot in which what was there
    /// was to be remembered.
    pub tells_unsettled: bool,
    /// Whether anything may be known of a key.
    pub may_know: bool,
}

/// Rows that were read and not committed yet.
#[derive(Debug, Default)]
pub struct Batch {
    rows: Vec<(Entry, bool)>,
    bytes: usize,
    last_key: Option<Key>,
    /// The last row that was taken.
    pub last: Option<Position>,
    /// How many rows were taken in this pass.
    pub seen: u64,
    /// How many of them were settled.
    pub settled: u64,
    /// Hashes of all keys taken in this pass, where they are gathered.
    pub gathered: Option<HashSet<u64>>,
}

/// What was refused lately: key and reason, so that the same refusal is committed once.
#[derive(Debug, Default)]
pub struct Refusals(HashMap<Key, Fingerprint>);

impl Batch {
    /// Takes one row.
    pub fn take(&mut self, row: &Row, terms: &Terms) {
        let position = self.last.get_or_insert_default();
        position.watermark.clone_from(&row.position.watermark);
        position.key.clone_from(&row.position.key);
        self.seen += 1;
        if let Some(gathered) = &mut self.gathered {
            gathered.insert(hash(&row.key));
        }
        self.gathered.take_if(|gathered| gathered.len() > GATHERED_MAX);
        self.settled += u64::from(row.settled);
        self.bytes += row.row_json.len();
        self.rows.push((entry(row, terms), row.settled));
    }

    /// Whether it should be committed before it takes more.
    pub fn is_full(&self) -> bool {
        self.rows.len() >= PAGE_ENTRIES_MAX || self.bytes >= PAGE_BYTES_MAX
    }

    /// Makes a page of what is new in it; `None` when nothing is. The batch is empty afterwards.
    ///
    /// A key that comes again is noticed within a page and at its border. One that comes again further off is noticed
    /// before the first load, where no unique index forbids it; later it reads as a change of the row.
    ///
    /// # Errors
    /// Those of the ledger. `Ok(Err(hold))` when a key occurs twice.
    pub fn page(
        &mut self,
        terms: &Terms,
        refusals: &mut Refusals,
        ledger: &mut dyn Ledger,
    ) -> Result<std::result::Result<Option<Page>, Hold>> {
        if let Some(key) = self.repeated_key() {
            return Ok(Err(duplicate(&key.shown(), &terms.table)));
        }
        self.bytes = 0;
        let rows = std::mem::take(&mut self.rows);
        if let Some((entry, _)) = rows.last() {
            self.last_key = Some(entry.key.clone());
        }
        let known = if terms.may_know {
            let keys: Vec<Key> = rows.iter().map(|(entry, _)| entry.key.clone()).collect();
            ledger.known(&keys)?
        } else {
            Vec::new()
        };
        let mut page = Page::default();
        for (at, (entry, settled)) in rows.into_iter().enumerate() {
            let known = known.get(at).and_then(Option::as_ref);
            if settled && known.is_some() && !terms.tracks_keys {
                page.forget.push(entry.key.clone());
            }
            // What is only remembered and need not be is passed over.
            let needless = matches!(entry.sight, Sight::Seen(_)) && settled && !terms.tracks_keys;
            if !needless && is_news(&entry, known, terms, refusals) {
                page.entries.push(entry);
            }
        }
        Ok(Ok((!page.entries.is_empty() || !page.forget.is_empty()).then_some(page)))
    }

    fn repeated_key(&self) -> Option<&Key> {
        let mut keys: HashSet<&Key> = self.last_key.iter().collect();
        self.rows.iter().map(|(entry, _)| &entry.key).find(|key| !keys.insert(key))
    }
}

/// Drops what is known of keys that a pass over the whole window did not meet: such rows were deleted while they were
/// remembered. Two keys with one hash keep each other; that is harmless.
///
/// # Errors
/// Those of the ledger.
pub fn forget_unmet(gathered: &HashSet<u64>, ledger: &mut dyn Ledger) -> Result<()> {
    let mut after = None;
    loop {
        let known = ledger.known_below(b"", after.as_ref(), PAGE_ENTRIES_MAX)?;
        let Some((last, _)) = known.last() else { return Ok(()) };
        after = Some(last.clone());
        let unmet = known.into_iter().map(|(key, _)| key).filter(|key| !gathered.contains(&hash(key.as_bytes())));
        let forget: Vec<Key> = unmet.collect();
        if !forget.is_empty() {
            ledger.commit(Page { forget, ..Page::default() })?;
        }
    }
}

/// A hash of a key, for as long as the process lives.
pub fn hash(key: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(key);
    hasher.finish()
}

/// The hold for a key that several rows have.
pub fn duplicate(key: &str, table: &str) -> Hold {
    let detail = format!(
        "key {key} occurs more than once in {table}; name key columns that are unique (or mend the query), the next \
         poll then goes on"
    );
    Hold { reason: HoldReason::DuplicateKey, detail }
}

/// What a row says.
pub fn entry(row: &Row, terms: &Terms) -> Entry {
    let key = Key::from(row.key.as_slice());
    let silent = (terms.silent || row.quiet) && (row.settled || !terms.tells_unsettled);
    if row.problem.is_none() && row.row_json.len() > ROW_BYTES_MAX {
        let (bytes, max) = (row.row_json.len(), ROW_BYTES_MAX >> 20);
        let reason = format!("it has {bytes} bytes as JSON, more than {max} MiB; leave columns out by query");
        return Entry { key, sight: Sight::Refused { reason, tuple: None } };
    }
    let sight = match (&row.problem, version(row, terms)) {
        (None, Ok(version)) if silent => Sight::Seen(Box::new(version)),
        (None, Ok(version)) => Sight::Version(Box::new(version)),
        (Some(reason), _) => Sight::Refused { reason: reason.clone(), tuple: None },
        (None, Err(error)) => Sight::Refused { reason: format!("its values are no valid JSON: {error}"), tuple: None },
    };
    Entry { key, sight }
}

fn version(row: &Row, terms: &Terms) -> serde_json::Result<Version> {
    let raw = |json: &str| RawValue::from_string(json.to_owned());
    let note = super::json::joined(row.position.watermark.iter().map(String::as_str));
    Ok(Version {
        fingerprint: Some(Fingerprint::of(row.row_json.as_bytes())),
        facts: Facts::Row {
            table: terms.table.clone(),
            key: raw(&row.key_json)?,
            watermark: raw(&row.watermark_json)?,
            row: raw(&row.row_json)?,
        },
        content: None,
        tuple: None,
        note: note.into_bytes().into_boxed_slice(),
        settled: row.settled && !terms.tracks_keys,
        from: None,
    })
}

/// Whether that is not known yet.
pub fn is_news(entry: &Entry, known: Option<&Known>, terms: &Terms, refusals: &mut Refusals) -> bool {
    match (&entry.sight, known) {
        (Sight::Version(version) | Sight::Seen(version), Some(known)) => {
            let present = !terms.tracks_keys || known.presence == Presence::Present;
            !(present && known.fingerprint == version.fingerprint && known.note == version.note)
        }
        (Sight::Refused { reason, .. }, _) => refusals.is_new(&entry.key, reason),
        _ => true,
    }
}

impl Refusals {
    fn is_new(&mut self, key: &Key, reason: &str) -> bool {
        if self.0.len() >= REFUSED_MAX {
            self.0.clear();
        }
        let reason = Fingerprint::of(reason.as_bytes());
        self.0.insert(key.clone(), reason) != Some(reason)
    }
}
