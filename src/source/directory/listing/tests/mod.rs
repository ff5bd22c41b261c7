//! Whole listings, and bytes that are none.

mod fixtures;
mod hostile;
mod voting;
mod years;

use crate::clock::Timestamp;
use crate::error::Result;
use crate::source::directory::place::{Found, Listed, Listing, Precision, Shape};
use crate::source::settings::FtpListing;

use super::{ListReader, MlsdReader};

/// What was read of a listing.
#[derive(Debug, PartialEq)]
struct Seen {
    rows: Vec<(Vec<u8>, Found)>,
    end: Listing,
    format: Option<FtpListing>,
}

/// The time of most tests.
fn now() -> Timestamp {
    at("2026-11-23T10:15:00Z")
}

fn at(time: &str) -> Timestamp {
    Timestamp::parse_rfc3339(time).expect("a time")
}

/// Reads a LIST answer that arrives in these pieces.
fn list<'a>(format: FtpListing, zone: &str, now: Timestamp, pieces: impl IntoIterator<Item = &'a [u8]>) -> Seen {
    let mut rows = Vec::new();
    let mut each = |listed: Listed<'_>| -> Result<()> {
        rows.push((listed.name.to_vec(), listed.found));
        Ok(())
    };
    let mut reader = ListReader::new(format, zone, now).expect("a zone");
    for piece in pieces {
        reader.feed(piece, &mut each).expect("each takes all");
    }
    let voted = reader.format();
    let end = reader.finish(&mut each).expect("each takes all");
    Seen { rows, end, format: voted }
}

/// Reads an MLSD answer that arrives in these pieces.
fn mlsd<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Seen {
    let mut rows = Vec::new();
    let mut each = |listed: Listed<'_>| -> Result<()> {
        rows.push((listed.name.to_vec(), listed.found));
        Ok(())
    };
    let mut reader = MlsdReader::new();
    for piece in pieces {
        reader.feed(piece, &mut each).expect("each takes all");
    }
    let end = reader.finish(&mut each).expect("each takes all");
    Seen { rows, end, format: None }
}

/// Names alone.
fn names(seen: &Seen) -> Vec<String> {
    seen.rows.iter().map(|(name, _)| name.escape_ascii().to_string()).collect()
}

/// One row as the `.expected` files have it.
fn shown((name, found): &(Vec<u8>, Found)) -> String {
    let shape = match found.shape {
        Shape::File => "file",
        Shape::Folder => "folder",
        Shape::Other => "other",
    };
    let time = match (found.shape, found.precision) {
        (Shape::File, Precision::None) => "-\tnone".into(),
        (Shape::File, precision) => {
            let word = format!("{precision:?}").to_lowercase();
            format!("{}\t{word}", Timestamp::from_nanos(found.tuple.mtime_ns))
        }
        _ => "-\t-".into(),
    };
    let size = if found.shape == Shape::File { found.tuple.size.to_string() } else { "-".into() };
    let number = if found.tuple.inode == 0 { "-".into() } else { format!("{:016x}", found.tuple.inode) };
    format!("{shape}\t{size}\t{time}\t{number}\t{}", name.escape_ascii())
}
