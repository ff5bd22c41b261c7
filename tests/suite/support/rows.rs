//! Questions to the rows of known entries that ledgers in memory keep.

use std::collections::BTreeMap;

use highwater::change::{Key, Known};

/// What is known of each of these keys.
pub fn of(rows: &BTreeMap<Key, Known>, keys: &[Key]) -> Vec<Option<Known>> {
    keys.iter().map(|key| rows.get(key).cloned()).collect()
}

/// The rows whose key begins with `prefix`, in order, behind `after`.
pub fn below(rows: &BTreeMap<Key, Known>, prefix: &[u8], after: Option<&Key>, limit: usize) -> Vec<(Key, Known)> {
    let fits = |key: &Key| key.as_bytes().starts_with(prefix) && after.is_none_or(|after| key > after);
    rows.iter().filter(|(key, _)| fits(key)).take(limit).map(|(key, known)| (key.clone(), known.clone())).collect()
}
