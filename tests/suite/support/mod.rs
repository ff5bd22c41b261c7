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

/// So long is waited for what must happen: a machine may be a hundred times slower than the one a test was written on.
#[allow(dead_code)]
pub const LIMIT: Duration = Duration::from_secs(120);

/// Waits until `condition` holds, looking every few milliseconds; panics with `what` after [`LIMIT`].
#[allow(dead_code)]
pub fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + LIMIT;
    while !condition() {
        assert!(Instant::now() < deadline, "waited {LIMIT:?} in vain until {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
