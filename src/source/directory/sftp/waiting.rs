//! Blocks a thread until something of the runtime's is done, a deadline passes or the process shall stop.
//! What then becomes of the connection is its owner's affair.

use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::time::Instant;

use crate::clock::Stop;
use crate::error::{Error, ErrorKind, Result};

/// How often a waiting call looks whether it shall stop.
const LOOK: Duration = Duration::from_millis(50);

/// Waits for `work`, at most `span`. Not to be called from a thread of the runtime itself.
///
/// # Errors
/// `TimedOut` naming what was done, `Stopped`, or the work's own.
pub fn wait<T>(
    runtime: &Handle,
    stop: &Stop,
    span: Duration,
    doing: &str,
    work: impl Future<Output = Result<T>>,
) -> Result<T> {
    runtime.block_on(within(stop, span, doing, work))
}

/// The same inside the runtime.
pub async fn within<T>(stop: &Stop, span: Duration, doing: &str, work: impl Future<Output = Result<T>>) -> Result<T> {
    let mut work = pin!(work);
    let end = Instant::now() + span;
    loop {
        let now = Instant::now();
        tokio::select! {
            biased;
            done = &mut work => return done,
            () = tokio::time::sleep_until(end.min(now + LOOK)) => {
                stop.check()?;
                if Instant::now() >= end {
                    let fact = format!("{doing}: no answer within {} s", span.as_secs_f64());
                    return Err(Error::new(ErrorKind::TimedOut, fact));
                }
            }
        }
    }
}
