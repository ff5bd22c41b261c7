//! Every listing of fixtures/listings, held against the values beside it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::*;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/listings")
}

/// How a listing is read, and what must come of it.
struct Fixture {
    name: String,
    bytes: Vec<u8>,
    listing: String,
    zone: String,
    now: Timestamp,
    expected: String,
}

impl Fixture {
    fn load(path: &Path) -> Self {
        let text =
            std::fs::read_to_string(path.with_extension("expected")).expect("expected values beside the listing");
        let mut lines = text.splitn(4, '\n');
        let mut value = |key: &str| {
            let line = lines.next().unwrap_or_default();
            line.strip_prefix(key).unwrap_or_else(|| panic!("{}: {key} is missing", path.display())).trim().to_owned()
        };
        let (listing, zone, now) = (value("listing"), value("zone"), at(&value("now")));
        let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
        let bytes = std::fs::read(path).expect("the listing");
        Self { name, bytes, listing, zone, now, expected: lines.next().unwrap_or_default().to_owned() }
    }

    fn all() -> Vec<Self> {
        let entries = std::fs::read_dir(folder()).expect("the fixtures").map(|entry| entry.expect("an entry").path());
        let paths: BTreeSet<PathBuf> =
            entries.filter(|path| path.extension().is_some_and(|extension| extension == "txt")).collect();
        paths.iter().map(|path| Self::load(path)).collect()
    }

    fn is_mlsd(&self) -> bool {
        self.name.starts_with("mlsd-")
    }

    fn read(&self, format: FtpListing, piece: usize) -> Seen {
        let pieces = self.bytes.chunks(piece);
        if self.is_mlsd() { mlsd(pieces) } else { list(format, &self.zone, self.now, pieces) }
    }

    /// As the expected values are written.
    fn came_out(&self, seen: &Seen) -> String {
        let end = match &seen.end {
            Listing::Complete => "complete".into(),
            Listing::Doubtful(text) => format!("doubtful: {text}"),
            Listing::Missing => "missing".into(),
        };
        let rows: Vec<String> = seen.rows.iter().map(shown).collect();
        format!("{end}\n{}\n", rows.join("\n"))
    }
}

fn format(word: &str) -> FtpListing {
    match word {
        "auto" | "mlsd" => FtpListing::Auto,
        "unix" => FtpListing::Unix,
        "dos" => FtpListing::Dos,
        "ibm_i" => FtpListing::IbmI,
        "mvs" => FtpListing::Mvs,
        "vms" => FtpListing::Vms,
        "netware" => FtpListing::Netware,
        "eplf" => FtpListing::Eplf,
        other => panic!("there is no format {other}"),
    }
}

#[test]
fn every_listing_comes_out_as_written_beside_it() {
    let all = Fixture::all();
    assert!(all.len() > 30, "the fixtures are not there");
    for fixture in all {
        let seen = fixture.read(format(&fixture.listing), usize::MAX);
        let out = fixture.came_out(&seen);
        assert_eq!(out, fixture.expected, "{}", fixture.name);
    }
}

#[test]
fn a_format_that_is_set_reads_what_the_vote_would() {
    for fixture in Fixture::all().into_iter().filter(|fixture| !fixture.is_mlsd() && fixture.listing == "auto") {
        if fixture.name == "unix-banner" {
            continue;
        }
        let voted = fixture.read(FtpListing::Auto, usize::MAX);
        let word = fixture.name.split('-').next().expect("a format");
        let set = fixture.read(format(word), usize::MAX);
        assert_eq!(voted.rows, set.rows, "{}", fixture.name);
    }
}

#[test]
fn a_listing_in_pieces_is_the_same_listing() {
    for fixture in Fixture::all() {
        let whole = fixture.read(format(&fixture.listing), usize::MAX);
        for piece in [1, 7, 100] {
            let Seen { rows, end, .. } = fixture.read(format(&fixture.listing), piece);
            assert_eq!((&rows, &end), (&whole.rows, &whole.end), "{} in pieces of {piece}", fixture.name);
        }
    }
}
