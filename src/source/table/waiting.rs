//! Waiting for a driver's answer with an eye on the stop. What is waited for belongs to the adapters.

use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use crate::clock::Stop;
use crate::error::Result;

/// How often a waiting call looks whether it shall stop.
const LOOK: Duration = Duration::from_millis(50);

/// Waits for `work`, but not longer than until `stop` is raised.
///
/// # Errors
/// `Stopped`.
pub async fn unless_stopped<T>(stop: &Stop, work: impl Future<Output = T>) -> Result<T> {
    let mut work = pin!(work);
    loop {
        tokio::select! {
            biased;
            done = &mut work => return Ok(done),
            () = tokio::time::sleep(LOOK) => stop.check()?,
        }
    }
}
