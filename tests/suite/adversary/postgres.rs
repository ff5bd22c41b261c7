//! The play on PostgreSQL: by version and by fence, on the primary and on its hot standby.

use super::play::Play;
use crate::support::postgres::Server;
use crate::support::wait_until;
use crate::support::writers::{Dialect, Hand, TwoPhase};

const DIALECT: Dialect = Dialect {
    begin: &["BEGIN", "BEGIN", "BEGIN ISOLATION LEVEL REPEATABLE READ"],
    draw_id: Some("SELECT nextval('item_id')"),
    draw_mark: Some("SELECT nextval('item_seq')"),
    insert: |id, mark, version| {
        let (id, seq) = (id.unwrap_or("nextval('item_id')"), mark.unwrap_or("nextval('item_seq')"));
        format!("INSERT INTO item VALUES ({id}, now(), {seq}, {SAID}, '{version}') RETURNING id")
    },
    update: |id, mark, version| {
        let seq = mark.unwrap_or("nextval('item_seq')");
        let said = format!("CASE WHEN random() < 0.5 THEN said ELSE {SAID} END");
        format!("UPDATE item SET at = now(), seq = {seq}, said = {said}, version = '{version}' WHERE id = {id}")
    },
    long_pauses: (85, 15),
    two_phase: Some(TwoPhase {
        begin: |_| "BEGIN".to_owned(),
        prepare: |name| vec![format!("PREPARE TRANSACTION '{name}'")],
        commit: |name| format!("COMMIT PREPARED '{name}'"),
        rollback: |name| format!("ROLLBACK PREPARED '{name}'"),
        undo: |name| vec![format!("ROLLBACK PREPARED '{name}'")],
    }),
};

/// A time from an application's own clock, which is wrong.
const SAID: &str = "now() - random() * interval '1 hour' + random() * interval '10 minutes'";

#[test]
fn postgresql_loses_nothing_and_tells_nothing_twice() {
    let primary = Server::start();
    let place = primary.database();
    place.run(
        "GRANT pg_read_all_data TO reader; CREATE SEQUENCE item_id START 1001; CREATE SEQUENCE item_seq START 1001; \
         CREATE TABLE item (id bigint PRIMARY KEY, at timestamptz NOT NULL, seq bigint NOT NULL, said timestamptz, version text NOT NULL); \
         CREATE INDEX ON item (at, id); CREATE INDEX ON item (seq, id); CREATE INDEX ON item (said, id); CREATE VIEW shown AS SELECT * FROM item; \
         INSERT INTO item SELECT i, now() - interval '1 hour' + i * interval '1 s', i, now(), 'first' FROM generate_series(1, 1000) i; \
         ANALYZE item",
    );
    let standby = primary.standby();
    let replica = standby.existing(&place.name);
    // Without a password: a crash in the middle of a login counts against one, and here are many.
    let source = |name: &str, server: &Server, rest: &str| {
        let url = format!("host={} port={} user=reader dbname={}", server.folder().display(), server.port, place.name);
        format!(
            "[source.{name}]\nkind = \"postgres\"\nurl = \"{url}\"\nkey = [\"id\"]\npage = 200\nevery = \"100ms\"\n{rest}\n\
             to = [\"out\"]\n"
        )
    };
    let sources = [
        source("versions", &primary, "table = \"item\"\nwatermark = \"said\""),
        source("tracked", &primary, "table = \"item\"\ntrack = \"keys\""),
        source("fence-time", &primary, "table = \"item\"\nwatermark = \"at\"\nsettle = \"fence\""),
        source("fence-number", &primary, "table = \"shown\"\nwatermark = \"seq\""),
        source("replica", &standby, "table = \"item\"\nwatermark = \"at\""),
    ];
    Play {
        database: "PostgreSQL",
        dialect: DIALECT,
        connect: &|| {
            let mut session = primary.connect(&place.name);
            session.ask("SET lock_timeout = '3s'").expect("a setting");
            Box::new(session)
        },
        sources: &sources.concat(),
        naive: &[("id", "0"), ("at", "2000-01-01")],
        caught_up: &|| {
            let lsn = place.text("SELECT pg_current_wal_lsn()::text");
            let done = format!("SELECT (pg_last_wal_replay_lsn() >= '{lsn}')::text");
            wait_until("the standby has caught up", || replica.text(&done) == "true");
        },
    }
    .run();
    standby.stop();
    primary.stop();
}
