//! Lists one folder: MLSD where the server has it and it works, else LIST, straight from the data connection into the
//! readers. Complete is only what a good final reply stands behind.

use std::io::Read;
use std::sync::atomic::Ordering;

use super::data::{self, Begun, Transfer};
use super::names::from_wire;
use super::refusal;
use super::reply::Reply;
use super::session::{Session, Type};
use super::sight::time_in;
use super::site::Site;
use crate::change::key::shown;
use crate::error::{Error, ErrorKind, Result};
use crate::source::directory::listing::{ListReader, MlsdReader};
use crate::source::directory::place::{Listed, Listing, Precision, Shape, join};
use crate::source::settings::{FtpListing, Names, Transfer as Meaning};

/// Read at once.
const READ_BYTES: usize = 64 * 1024;

/// A folder's listing is at most this long: some ten million entries.
const LISTING_BYTES_MAX: u64 = 1 << 30;

/// Refusals of LIST that only say that the folder is empty: z/OS, IBM i, OpenVMS, old Unix servers.
const EMPTY: &[&str] =
    &["no files found", "no data sets found", "no members found", "no file found", "file list is empty", "no files"];

/// A file that was listed with its time to the minute, to find out what MDTM means by its times.
struct Sample {
    name: Vec<u8>,
    mtime_ns: i64,
}

/// Takes entries; shorthand.
type Each<'e> = dyn FnMut(Listed<'_>) -> Result<()> + 'e;

enum Reader {
    Facts(MlsdReader),
    Lines(Box<ListReader>),
}

impl Reader {
    fn feed(&mut self, bytes: &[u8], each: &mut Each<'_>) -> Result<()> {
        match self {
            Self::Facts(reader) => reader.feed(bytes, each),
            Self::Lines(reader) => reader.feed(bytes, each),
        }
    }

    fn reply(&mut self, text: &[u8]) {
        match self {
            Self::Facts(reader) => reader.reply(text),
            Self::Lines(reader) => reader.reply(text),
        }
    }

    fn finish(self, each: &mut Each<'_>) -> Result<Listing> {
        match self {
            Self::Facts(reader) => reader.finish(each),
            Self::Lines(reader) => reader.finish(each),
        }
    }
}

impl Site {
    /// Hands every entry of `folder` to `each`.
    ///
    /// # Errors
    /// The listing was refused or did not reach its end.
    pub fn list_with(&self, session: &mut Session, folder: &[u8], each: &mut Each<'_>) -> Result<Listing> {
        match self.enter(session, folder) {
            Err(error) if error.kind() == ErrorKind::NotFound && !folder.is_empty() => return Ok(Listing::Missing),
            entered => entered?,
        }
        let ascii = self.server.settings.transfer == Meaning::Text;
        session.set_type(if ascii { Type::Ascii } else { Type::Image })?;
        if self.has_facts(session) || self.server.settings.listing == FtpListing::Mlsd {
            match data::begin(session, &self.server, b"MLSD", 0, &self.stop())? {
                Begun::Started(transfer) => {
                    let mut reader = Reader::Facts(MlsdReader::new());
                    return self.read(session, folder, transfer, &mut reader, each).and_then(|whole| match whole {
                        Whole::Yes => reader.finish(&mut self.keyed(each)),
                        Whole::No(why) => reader.finish(&mut self.keyed(each)).map(|_| Listing::Doubtful(why)),
                    });
                }
                Begun::Refused(reply) if reply.is_unknown_command() => {
                    if self.server.settings.listing == FtpListing::Mlsd {
                        let fact = format!("{} has no MLSD; set listing = \"auto\"", self.server.place());
                        return Err(refusal::refused(fact, &reply));
                    }
                    self.server.learned.no_facts.store(true, Ordering::Relaxed);
                }
                Begun::Refused(reply) => return self.not_listed(folder, &reply),
            }
        }
        self.list_lines(session, folder, each)
    }

    fn list_lines(&self, session: &mut Session, folder: &[u8], each: &mut Each<'_>) -> Result<Listing> {
        let settings = &self.server.settings;
        let transfer = match data::begin(session, &self.server, b"LIST", 0, &self.stop())? {
            Begun::Started(transfer) => transfer,
            Begun::Refused(reply) if matches!(reply.code, 450 | 550) && reply.says(EMPTY) => {
                return Ok(Listing::Complete);
            }
            Begun::Refused(reply) => return self.not_listed(folder, &reply),
        };
        let reader = ListReader::new(settings.listing, &settings.server_timezone, self.now())?;
        let mut reader = Reader::Lines(Box::new(reader));
        let mut sample: Option<Sample> = None;
        let unknown_offset = self.server.learned.clock_offset.load(Ordering::Relaxed) == i64::MIN;
        let mut sampled = |listed: Listed<'_>| {
            let fits = listed.found.shape == Shape::File && listed.found.precision <= Precision::Minute;
            if unknown_offset && sample.is_none() && fits {
                sample = Some(Sample { name: listed.name.to_vec(), mtime_ns: listed.found.tuple.mtime_ns });
            }
            each(listed)
        };
        let whole = self.read(session, folder, transfer, &mut reader, &mut sampled)?;
        let listing = reader.finish(&mut self.keyed(&mut sampled))?;
        if let Some(sample) = sample {
            self.compare_clocks(session, folder, &sample)?;
        }
        Ok(match whole {
            Whole::Yes => listing,
            Whole::No(why) => Listing::Doubtful(why),
        })
    }

    /// Reads the data connection to its end and waits for the final reply.
    fn read(
        &self,
        session: &mut Session,
        folder: &[u8],
        mut transfer: Transfer,
        reader: &mut Reader,
        each: &mut Each<'_>,
    ) -> Result<Whole> {
        let doing = || format!("list folder {}", self.shown(folder));
        let stop = self.stop();
        let mut buffer = vec![0; READ_BYTES];
        let mut taken: u64 = 0;
        let mut keyed = self.keyed(each);
        let cut = loop {
            match transfer.data.read(&mut buffer) {
                Ok(0) => break false,
                Ok(got) => {
                    taken += got as u64;
                    if taken > LISTING_BYTES_MAX {
                        let fact = format!("the listing is longer than {LISTING_BYTES_MAX} bytes");
                        return Err(Error::new(ErrorKind::Invalid, doing()).because(fact));
                    }
                    reader.feed(&buffer[..got], &mut keyed)?;
                    stop.check()?;
                }
                // TLS ended without its close_notify.
                Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => break true,
                Err(error) => {
                    session.control.break_off();
                    return Err(refusal::lost(&doing(), error));
                }
            }
        };
        let reply = data::end(session, transfer)?;
        if !reply.is_done() {
            return Err(refusal::refused(doing(), &reply));
        }
        // vsftpd: `226 Transfer done (but failed to open directory).`
        if reply.says(&["failed to open dir"]) {
            return Err(Error::new(ErrorKind::Denied, doing()).because(reply.quoted()));
        }
        reader.reply(reply.text());
        let why = "the server ended the TLS data connection without close_notify: nobody can tell whether it was cut";
        Ok(if cut { Whole::No(why.into()) } else { Whole::Yes })
    }

    /// `each`, given keys instead of the server's bytes.
    fn keyed<'a>(&self, each: &'a mut Each<'a>) -> impl FnMut(Listed<'_>) -> Result<()> + use<'a> {
        let names = self.server.settings.names;
        move |listed| match names {
            Names::Utf8 => each(listed),
            _ => each(Listed { name: &from_wire(names, listed.name), found: listed.found }),
        }
    }

    fn not_listed(&self, folder: &[u8], reply: &Reply) -> Result<Listing> {
        if refusal::is_absent(reply) && !folder.is_empty() {
            return Ok(Listing::Missing);
        }
        Err(refusal::refused(format!("list folder {}", self.shown(folder)), reply))
    }

    /// MDTM should answer in UTC, but vsftpd with `use_localtime` and others answer in the server's time. Held against
    /// the time in a listing, whose zone is configured, the difference shows.
    fn compare_clocks(&self, session: &mut Session, folder: &[u8], sample: &Sample) -> Result<()> {
        let Ok(written) = self.written(session, &join(folder, &sample.name)) else { return Ok(()) };
        let reply = session.ask("MDTM", &written)?;
        if reply.code != 213 {
            return Ok(());
        }
        let Some(told) = time_in(&reply) else { return Ok(()) };
        if let Some(offset) = offset_between(told, sample.mtime_ns.div_euclid(1_000_000_000)) {
            self.server.learned.clock_offset.store(offset, Ordering::Relaxed);
            if offset != 0 {
                let name = shown(&sample.name);
                tracing::debug!(at = %self.server.place(), offset_s = offset, file = %name, "MDTM is not in UTC here");
            }
        }
        Ok(())
    }
}

enum Whole {
    Yes,
    No(String),
}

/// How far MDTM is ahead of a listing's time that is known to the minute; `None` when they are not of the same version.
fn offset_between(told_s: i64, listed_s: i64) -> Option<i64> {
    let minutes = told_s.div_euclid(60) - listed_s.div_euclid(60);
    // Zones differ by quarters of an hour, 26 hours at most.
    (minutes % 15 == 0 && minutes.abs() <= 26 * 60).then_some(minutes * 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_zone_offsets_are_believed() {
        let listed = 1_795_428_900;
        assert_eq!(offset_between(listed + 37, listed), Some(0));
        assert_eq!(offset_between(listed + 3_600 + 5, listed), Some(3_600));
        assert_eq!(offset_between(listed - 12_600 + 59, listed), Some(-12_600));
        assert_eq!(offset_between(listed + 61, listed), None);
        assert_eq!(offset_between(listed + 100 * 3_600, listed), None);
    }
}
