//! The play on PostgreSQL: by version and by fence, on the primary and on its hot standby.

use super::play::Play;
use crate::support::postgres::{PASSWORD, Server};
use crate::support::wait_until;
use crate::support::writers::{Dialect, Hand, TwoPhase};

const DIALECT: Dialect = Dialect {
    begin: &["BEGIN", "BEGIN", "BEGIN ISOLATION LEVEL REPEATABLE READ"],
    draw_id: Some("SELECT nextval('item_id')"),
    draw_mark: Some("SELECT nextval('item_seq')"),
    insert: |id, mark, version| {
        let (id, seq) = (id.unwrap_or("nextval('item_id')"), mark.unwrap_or("nextval('item_seq')"));
        format!("INSERT INTO item VALUES ({id}, now(), {seq}, '{version}') RETURNING id")
    },
    update: |id, mark, version| {
        let seq = mark.unwrap_or("nextval('item_seq')");
        format!("UPDATE item SET at = now(), seq = {seq}, version = '{version}' WHERE id = {id}")
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

#[test]
fn postgresql_loses_nothing_and_tells_nothing_twice() {
    let primary = Server::start();
    let place = primary.database();
    place.run(
        "GRANT pg_read_all_data TO reader; CREATE SEQUENCE item_id START 3001; CREATE SEQUENCE item_seq START 3001; \
         CREATE TABLE item (id bigint PRIMARY KEY, at timestamptz NOT NULL, seq bigint NOT NULL, version text NOT NULL); \
         CREATE INDEX ON item (at, id); CREATE INDEX ON item (seq, id); CREATE VIEW shown AS SELECT * FROM item; \
         INSERT INTO item SELECT i, now() - interval '1 hour' + i * interval '1 s', i, 'first' FROM generate_series(1, 3000) i; \
         ANALYZE item",
    );
    let standby = primary.standby();
    let replica = standby.existing(&place.name);
    let password = PASSWORD.replace(' ', "%20");
    let url = |port: u16| format!("postgres://reader:{password}@127.0.0.1:{port}/{}", place.name);
    let source = |name: &str, port: u16, rest: &str| {
        let url = url(port);
        format!(
            "[source.{name}]\nkind = \"postgres\"\nurl = \"{url}\"\nkey = [\"id\"]\npage = 200\nevery = \"100ms\"\n{rest}\nto = [\"out\"]\n"
        )
    };
    let sources = [
        source("versions", primary.port, "table = \"item\"\nwatermark = \"at\""),
        source("tracked", primary.port, "table = \"item\"\ntrack = \"keys\""),
        source("fence-time", primary.port, "table = \"item\"\nwatermark = \"at\"\nsettle = \"fence\""),
        source("fence-number", primary.port, "table = \"shown\"\nwatermark = \"seq\""),
        source("replica", standby.port, "table = \"item\"\nwatermark = \"at\""),
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
