//! What the tests share: running the binary, receivers, servers. Waiting is for conditions, never for time.

pub mod accounts;
#[allow(dead_code)]
pub mod certificates;
#[allow(dead_code)]
pub mod event;
#[allow(dead_code)]
pub mod ftp;
#[allow(dead_code)]
pub mod highwater;
#[allow(dead_code)]
pub mod ledger;
#[allow(dead_code)]
pub mod mariadb;
#[allow(dead_code)]
pub mod postgres;
#[allow(dead_code)]
pub mod receiver;
#[allow(dead_code)]
pub mod rows;
#[allow(dead_code)]
pub mod scripted_sftp;
#[allow(dead_code)]
pub mod sftp;
#[allow(dead_code)]
pub mod sshd;
#[allow(dead_code)]
pub mod watched;
#[allow(dead_code)]
pub mod writers;

use std::time::{Duration, Instant};

/// Waits until `condition` holds, looking every few milliseconds; panics with `what` after 30 s.
#[allow(dead_code)]
pub fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !condition() {
        assert!(Instant::now() < deadline, "waited 30 s in vain until {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
