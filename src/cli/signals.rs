//! Ctrl-C and SIGTERM: the first one asks the process to finish what is in flight, the second one ends it at once.
//! SIGHUP rings for whoever wants to hear it.

use crate::clock::{Bell, Stop};
use crate::error::{Error, Result};

use tokio::signal::unix::{SignalKind, signal};

/// What a process ended by Ctrl-C returns by custom.
const INTERRUPTED: i32 = 130;

/// Raises `stop` at the first Ctrl-C or SIGTERM, on a thread of its own.
///
/// # Errors
/// The signals can't be waited for.
pub fn raise(stop: &Stop) -> Result<()> {
    let surprise = |e| Error::io("wait for signals", e);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().map_err(surprise)?;
    let (mut interrupt, mut terminate) = {
        let _inside = runtime.enter();
        (signal(SignalKind::interrupt()).map_err(surprise)?, signal(SignalKind::terminate()).map_err(surprise)?)
    };
    let stop = stop.clone();
    let waiting = move || {
        runtime.block_on(async {
            loop {
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                }
                if stop.is_raised() {
                    super::failure::say(
                        "highwater: ended at once; what was in flight is tried again at the next start",
                    );
                    std::process::exit(INTERRUPTED);
                }
                tracing::info!("stopping: finishing what is in flight");
                stop.raise();
            }
        });
    };
    std::thread::Builder::new().name("signals".into()).spawn(waiting).map(drop).map_err(surprise)
}

/// Rings `bell` at each SIGHUP, which then does not end the process, on a thread of its own.
///
/// # Errors
/// The signal can't be waited for.
pub fn ring_at_hangup(bell: &Bell) -> Result<()> {
    let surprise = |e| Error::io("wait for SIGHUP", e);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().map_err(surprise)?;
    let mut hangup = {
        let _inside = runtime.enter();
        signal(SignalKind::hangup()).map_err(surprise)?
    };
    let bell = bell.clone();
    let waiting = move || {
        runtime.block_on(async {
            while hangup.recv().await.is_some() {
                bell.ring();
            }
        });
    };
    std::thread::Builder::new().name("hangup".into()).spawn(waiting).map(drop).map_err(surprise)
}
