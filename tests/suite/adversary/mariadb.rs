//! The play on MariaDB: dirty reads with and without PROCESS, by microseconds, by seconds and by number.

use super::play::Play;
use crate::support::mariadb::restless_database;
use crate::support::writers::{Dialect, Hand, TwoPhase};

const DIALECT: Dialect = Dialect {
    begin: &["START TRANSACTION", "START TRANSACTION WITH CONSISTENT SNAPSHOT"],
    draw_id: None,
    draw_mark: None,
    insert: |_, _, version| format!("INSERT INTO item (version) VALUES ('{version}') RETURNING id"),
    update: |id, _, version| format!("UPDATE item SET version = '{version}' WHERE id = {id}"),
    long_pauses: (85, 15),
    two_phase: Some(TwoPhase {
        begin: |name| format!("XA START '{name}'"),
        prepare: |name| vec![format!("XA END '{name}'"), format!("XA PREPARE '{name}'")],
        commit: |name| format!("XA COMMIT '{name}'"),
        rollback: |name| format!("XA ROLLBACK '{name}'"),
        undo: |name| vec![format!("XA END '{name}'"), format!("XA ROLLBACK '{name}'")],
    }),
};

#[test]
fn mariadb_loses_nothing_and_tells_nothing_twice() {
    let place = restless_database();
    place.run(
        "CREATE TABLE item (id bigint AUTO_INCREMENT PRIMARY KEY, version varchar(40) NOT NULL, \
         at datetime(6) NOT NULL DEFAULT NOW(6) ON UPDATE NOW(6), sec datetime NOT NULL DEFAULT NOW() ON UPDATE NOW(), \
         KEY (at, id), KEY (sec, id))",
    );
    place.run(
        "INSERT INTO item SELECT seq, 'first', NOW(6) - INTERVAL 1 HOUR + INTERVAL seq SECOND, \
         NOW() - INTERVAL 1 HOUR + INTERVAL seq SECOND FROM seq_1_to_1000",
    );
    // Without a password: a crash in the middle of a login counts against one, and here are many.
    place.run("CREATE USER plain@'%'; GRANT SELECT ON *.* TO plain@'%'");
    place.run("CREATE USER seer@'%'; GRANT SELECT, PROCESS ON *.* TO seer@'%'");
    let source = |name: &str, user: &str, rest: &str| {
        let url = format!("mysql://{user}@127.0.0.1:{}/{}", place.port, place.name);
        format!(
            "[source.{name}]\nkind = \"mysql\"\nurl = \"{url}\"\ntable = \"item\"\nkey = [\"id\"]\npage = 200\nevery = \"100ms\"\n{rest}\nto = [\"out\"]\n"
        )
    };
    let sources = [
        source("reader", "plain", "watermark = \"at\""),
        source("watcher", "seer", "watermark = \"at\""),
        source("seconds", "plain", "watermark = \"sec\"\ntrack = \"keys\""),
    ];
    Play {
        database: "MariaDB",
        dialect: DIALECT,
        connect: &|| {
            let mut session = place.connect();
            session.ask("SET SESSION innodb_lock_wait_timeout = 3").expect("a setting");
            Box::new(session)
        },
        sources: &sources.concat(),
        naive: &[("id", "0"), ("at", "2000-01-01"), ("sec", "2000-01-01")],
        caught_up: &|| (),
    }
    .run();
}
