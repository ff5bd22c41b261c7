//! Known files that no known listing leads to: rows below a folder that vanished, and rows after `cursor NAME reset`.
//! What a known listing leads to is settled with its folder.

use super::pages::PAGE_MAX;
use super::place::{Shape, join};
use super::removal::{Loss, is_mass};
use super::settle::Settling;
use crate::change::{Absence, Entry, Key, Presence, Sight};
use crate::error::Result;

/// Tells what is still known below folders that vanished: events committed before a crash kept their segment from being
/// written.
pub fn tell_vanished(settling: &mut Settling<'_>, vanished: &[Vec<u8>]) -> Result<()> {
    // What keeps entries may come back: a remote place missed it once.
    for folder in vanished.iter().filter(|folder| !settling.keeping.contains(*folder)).collect::<Vec<_>>() {
        settling.pages.flush(settling.ledger)?;
        each_missing(settling, &join(folder, b""), &mut tell_gone)?;
    }
    Ok(())
}

/// Tells what is known and not there although no segment knew it. Too much of it at once is left as it is: without
/// segments nothing says whether it was there lately.
pub fn tell_unlisted(settling: &mut Settling<'_>) -> Result<()> {
    settling.pages.flush(settling.ledger)?;
    let (mut missing, mut after, mut known) = (0, None, 0);
    loop {
        let rows = settling.ledger.known_below(b"", after.as_ref(), PAGE_MAX)?;
        let Some((last, _)) = rows.last() else { break };
        after = Some(last.clone());
        known += rows.iter().filter(|(_, row)| row.presence == Presence::Present).count() as u64;
    }
    each_missing(settling, b"", &mut |_, _| {
        missing += 1;
        Ok(())
    })?;
    let told = settling.removals.absence == Absence::Told;
    let loss = Loss { known, gone: missing };
    if missing == 0 || (told && is_mass(loss, false) && !settling.judge.look.accepted.removals) {
        return Ok(());
    }
    each_missing(settling, b"", &mut tell_gone)
}

fn tell_gone(settling: &mut Settling<'_>, key: Key) -> Result<()> {
    let entry = Entry { key, sight: Sight::Gone(settling.removals.absence) };
    settling.pages.push(vec![entry], settling.ledger)
}

/// Hands every key below `prefix` that counts as present and is not there to `each`.
fn each_missing(
    settling: &mut Settling<'_>,
    prefix: &[u8],
    each: &mut dyn FnMut(&mut Settling<'_>, Key) -> Result<()>,
) -> Result<()> {
    let mut after = None;
    loop {
        settling.judge.look.stop.check()?;
        let rows = settling.ledger.known_below(prefix, after.as_ref(), PAGE_MAX)?;
        let Some((last, _)) = rows.last() else { return Ok(()) };
        after = Some(last.clone());
        for (key, row) in rows {
            let kept = settling.removals.held || settling.judge.pairs.has(&key);
            if row.presence != Presence::Present || kept {
                continue;
            }
            let found = settling.judge.directory.look(key.as_bytes())?;
            if found.is_none_or(|found| found.shape != Shape::File) {
                each(settling, key)?;
            }
        }
    }
}
