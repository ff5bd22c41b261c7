//! Time that passes at a server whose LIST says no seconds, no year, or no zone: summer time, New Year and the six months
//! after which a time of day becomes a year are no events.

use std::sync::Arc;
use std::time::Duration;

use highwater::clock::{Clock, ManualClock, Timestamp};
use highwater::setting::SourceName;
use highwater::source::directory::ftp::FtpSource;
use jiff::tz::TimeZone;

use crate::support::ftp::Counting;
use crate::support::ftp::faulty::{FaultyServer, OLD};
use crate::support::watched::FileLedger;

const ZONE: &str = "Europe/Berlin";

/// Names and times of change, UTC.
const FILES: [(&str, &str); 5] = [
    ("old", "2025-02-28T23:59:00Z"),
    ("spring", "2026-04-30T22:30:00Z"),
    ("summer", "2026-07-01T09:05:00Z"),
    ("before", "2026-10-24T23:30:00Z"),
    ("fresh", "2026-10-25T00:30:00Z"),
];

/// How a server writes times.
#[derive(Debug, Clone, Copy)]
enum Writes {
    /// As `ls -l`: each time in the zone's offset of its own day; a year in place of the time after half a year.
    Unix,
    /// As IIS on old file systems: all times in the offset of today.
    Dos,
}

fn line(writes: Writes, name: &str, at: jiff::Timestamp, now: jiff::Timestamp) -> String {
    let zone = TimeZone::get(ZONE).expect("a zone");
    match writes {
        Writes::Unix => {
            let recent = now.duration_since(at).as_hours() < 182 * 24;
            let format = if recent { "%b %e %H:%M" } else { "%b %e  %Y" };
            let time = jiff::fmt::strtime::format(format, &at.to_zoned(zone)).expect("formatted");
            format!("-rw-r--r--   1 u g        4 {time} {name}\r\n")
        }
        Writes::Dos => {
            let time = zone.to_offset(now).to_datetime(at);
            format!("{}                    4 {name}\r\n", time.strftime("%m-%d-%y  %I:%M%p"))
        }
    }
}

fn jiff_time(time: Timestamp) -> jiff::Timestamp {
    jiff::Timestamp::from_second(time.seconds()).expect("in range")
}

/// A server that lists as `writes` says and looks at its clock; MDTM is UTC to the second.
fn server(writes: Writes, clock: &Arc<ManualClock>) -> FaultyServer {
    let contents = FILES.map(|(name, _)| (name, &b"same"[..]));
    let clock = Arc::clone(clock);
    FaultyServer::start(OLD, &contents, move |talk, verb, argument| {
        let at = |name: &str| FILES.iter().find(|file| name.ends_with(file.0)).map(|file| file.1.parse());
        match verb {
            "LIST" => {
                let now = jiff_time(clock.now());
                let lines = FILES.map(|(name, time)| line(writes, name, time.parse().expect("a time"), now));
                talk.send(lines.concat().as_bytes());
                talk.say("226 done");
                true
            }
            "MDTM" => {
                let at: jiff::Timestamp = at(argument).expect("known").expect("a time");
                talk.say(&format!("213 {}", at.strftime("%Y%m%d%H%M%S")));
                true
            }
            _ => false,
        }
    })
}

#[test]
fn summer_time_new_year_and_six_months_are_no_events_and_cost_no_fetch_of_older_files() {
    for writes in [Writes::Unix, Writes::Dos] {
        let clock = ManualClock::at(Timestamp::parse_rfc3339("2026-10-25T00:45:00Z").expect("a time"));
        let server = server(writes, &clock);
        let mut settings = server.settings();
        settings.server_timezone = ZONE.into();
        let accounts = Arc::new(Counting::default());
        let mut source = FtpSource::new(&SourceName::new("orders"), &settings, None, accounts).expect("settings");
        let mut ledger = FileLedger::default();
        ledger.clock = Some(Arc::clone(&clock));
        ledger.poll(&mut source).expect("polled");
        let mut keys: Vec<&str> = FILES.iter().map(|file| file.0).collect();
        keys.sort_unstable();
        assert_eq!(ledger.take_keys(), keys, "{writes:?}");
        // The two files of this hour are read once more when nothing can happen to them unseen any longer.
        clock.advance(Duration::from_secs(600));
        ledger.poll(&mut source).expect("polled");
        let fetched = server.count("RETR");
        // Through the hour that comes twice in steps of ten minutes, then a year and a half in steps of nine days.
        let steps =
            [Duration::from_secs(600)].repeat(12).into_iter().chain([Duration::from_secs(9 * 86_400)].repeat(60));
        for step in steps {
            clock.advance(step);
            let looked = ledger.poll(&mut source).expect("polled");
            let about = format!("{writes:?} at {}", clock.now());
            assert!(looked.complete, "{about}: {looked:?}");
            assert_eq!(ledger.take_keys(), [""; 0], "{about}");
            // Where all times jump, those of files of that very hour could mean something else.
            let doubted = if matches!(writes, Writes::Dos) { 2 } else { 0 };
            assert!(server.count("RETR") <= fetched + doubted, "{about}: {} fetches", server.count("RETR"));
        }
    }
}
