//! A server whose clock is set: through the night in which an hour comes twice, and back by what corrects clocks.

use std::sync::MutexGuard;

use highwater::source::settings::TableSettings;

use super::mysql::{settings, source};
use super::{Bench, table};
use crate::support::mariadb::{Database, quiet_database};

/// A database on a server of which everybody but its superuser sees another time.
struct Elsewhen {
    place: Database,
    _alone: MutexGuard<'static, ()>,
}

impl Elsewhen {
    fn new() -> Self {
        let (place, alone) = quiet_database();
        place.run("CREATE TABLE item (id int PRIMARY KEY, at datetime(6) NOT NULL, KEY (at, id))");
        Self { place, _alone: alone }
    }

    /// From the next connection on it is this time.
    fn set(&self, utc: &str) {
        let at: jiff::Timestamp = utc.parse().expect("a time");
        self.place.run(&format!("SET GLOBAL init_connect = 'SET timestamp = {}.5'", at.as_second()));
    }

    fn settings(&self, zone: &str) -> TableSettings {
        let zone = Some(zone.to_owned());
        TableSettings { watermark_timezone: zone, ..table("item", &["at"], &["id"]) }
    }

    fn bench(&self, zone: &str) -> Bench {
        Bench::new(source(&settings(&self.place.address("reader"), &self.settings(zone))))
    }

    /// Writes a row, and polls twice with a new connection.
    fn told(&self, bench: &mut Bench, zone: &str, id: u32, local: &str) {
        self.place.run(&format!("INSERT INTO item VALUES ({id}, '2026-10-{local}')"));
        bench.restart(source(&settings(&self.place.address("reader"), &self.settings(zone))));
        assert_eq!(bench.told_by_a_poll(), [id.to_string()], "{local}");
        assert!(bench.told_by_a_poll().is_empty(), "{local}");
        assert_eq!(bench.ledger.repeated, 0, "{local}");
    }
}

impl Drop for Elsewhen {
    fn drop(&mut self) {
        // The other session may have broken off in the middle of something.
        self.place.connect().run("SET GLOBAL init_connect = ''");
    }
}

fn safe(bench: &Bench) -> String {
    let cursor: serde_json::Value =
        serde_json::from_str(bench.ledger.cursor.as_deref().expect("a cursor")).expect("JSON");
    cursor["safe"][0].as_str().unwrap_or_default().to_owned()
}

/// The server's own tables of time zones come empty. This is Berlin's summer of 2026, to 01:00 UTC on 25 October.
const BERLIN: &str = "\
USE mysql; INSERT INTO time_zone (Use_leap_seconds) VALUES ('N'); SET @zone = LAST_INSERT_ID(); \
INSERT INTO time_zone_name VALUES ('Europe/Berlin', @zone); \
INSERT INTO time_zone_transition_type VALUES (@zone, 0, 7200, 1, 'CEST'), (@zone, 1, 3600, 0, 'CET'); \
INSERT INTO time_zone_transition VALUES (@zone, 1774746000, 0), (@zone, 1792890000, 1)";

#[test]
fn in_the_hour_that_comes_twice_no_row_is_passed() {
    let server = Elsewhen::new();
    let zone = "Europe/Berlin";
    server.place.connect().run(BERLIN);
    server.set("2026-10-24T23:40:00Z");
    let mut bench = server.bench(zone);
    // At 01:00 UTC the clocks go back from 03:00 to 02:00.
    for (id, utc, local) in [
        (1, "24T23:40", "25 01:40:00"),
        (2, "25T00:20", "25 02:20:00"),
        (3, "25T00:55", "25 02:55:00"),
        (4, "25T01:05", "25 02:05:00"),
        (5, "25T01:50", "25 02:50:00"),
        (6, "25T02:10", "25 03:10:00"),
    ] {
        server.set(&format!("2026-10-{utc}:00Z"));
        server.told(&mut bench, zone, id, local);
        if id == 3 {
            assert!(safe(&bench).as_str() < "2026-10-25 02:00", "{}", safe(&bench));
        }
    }
    server.set("2026-10-25T03:00:00Z");
    server.told(&mut bench, zone, 7, "25 04:00:00");
    assert!(safe(&bench).as_str() > "2026-10-25 03:00", "{}", safe(&bench));
}

#[test]
fn a_server_s_clock_that_is_corrected_by_seconds_hides_no_row() {
    let server = Elsewhen::new();
    server.set("2026-10-20T10:00:10Z");
    let mut bench = server.bench("+00:00");
    for (id, second) in [(1, 10), (2, 20), (3, 16), (4, 18), (5, 30), (6, 26)] {
        server.set(&format!("2026-10-20T10:00:{second}Z"));
        server.told(&mut bench, "+00:00", id, &format!("20 10:00:{second}.5"));
    }
}
