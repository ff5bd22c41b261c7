//! A NOTIFY wakes the poll, also after the server was away.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use highwater::source::settings::PostgresSettings;
use highwater::source::{Source, Wake};

use super::postgres::{settings, source};
use super::table;
use crate::support::postgres::{Client, Database, Server, database};
use crate::support::wait_until;

/// Counts what wakes.
#[derive(Default)]
struct Counted(AtomicU64);

impl Wake for Counted {
    fn wake(&self, folder: Option<&[u8]>) {
        assert_eq!(folder, None, "a table has no folders");
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

impl Counted {
    fn count(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }

    fn more_than(&self, count: u64) {
        wait_until("a wake-up", || self.count() > count);
    }
}

fn listening(place: &Database, channel: &str) -> Box<dyn Source> {
    let settings = settings(&place.address("stranger"), &table("item", &["at"], &["id"]));
    source(&PostgresSettings { listen: Some(channel.into()), ..settings })
}

const LISTENERS: &str = "SELECT count(*)::text FROM pg_stat_activity \
    WHERE datname = current_database() AND usename = 'stranger' AND application_name = 'highwater/erp'";

#[test]
fn a_notification_on_the_channel_wakes_the_poll_until_watching_ends() {
    let place = database();
    let wakes = Arc::new(Counted::default());
    let watch = listening(&place, "Odd \"channel\"").watch(wakes.clone()).expect("a listener");
    wakes.more_than(0);
    place.run("NOTIFY \"another\"");
    for _ in 0..3 {
        let before = wakes.count();
        place.run("NOTIFY \"Odd \"\"channel\"\"\", 'a payload'");
        wakes.more_than(before);
    }
    drop(watch);
    wait_until("the connection is closed", || place.text(LISTENERS) == "0");
}

#[test]
fn without_a_channel_nothing_listens() {
    let place = database();
    let mut source = source(&settings(&place.address("stranger"), &table("item", &["at"], &["id"])));
    assert!(source.watch(Arc::new(Counted::default())).is_none());
}

#[test]
fn a_listener_comes_back_after_its_connection_was_lost() {
    let server = Server::start();
    let place = server.database();
    let wakes = Arc::new(Counted::default());
    let _watch = listening(&place, "orders").watch(wakes.clone()).expect("a listener");
    wakes.more_than(0);
    let before = wakes.count();
    let admin: Client = server.connect(&place.name);
    admin.run("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'stranger'");
    // Making the connection anew asks for a look by itself.
    wakes.more_than(before);
    let before = wakes.count();
    admin.run("NOTIFY orders");
    wakes.more_than(before);
}
