//! The attempts of one sink on the runtime. Each task that ends an attempt takes the next claim itself, so that no slot
//! waits for the worker's thread; what may start is decided by `lane`.

use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use futures_util::FutureExt;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use super::clock_watch::Moment;
use super::lane::{Lane, Started};
use crate::clock::{Bell, Clock};
use crate::error::Error;
use crate::sink::{Attempt, Outcome, Report, Sink};
use crate::store::Claim;

/// A sink bounds its attempts itself; one that does not is cut off so long after its deadline.
const OVERTIME: Duration = Duration::from_secs(60);

/// The lane of a sink, and what makes its attempts.
pub(super) struct Slots {
    sink: Arc<dyn Sink>,
    lane: Mutex<Shared>,
    bell: Bell,
    clock: Arc<dyn Clock>,
    runtime: Handle,
    cut_off: CancellationToken,
    time_max: Duration,
}

struct Shared {
    lane: Lane,
    rung: u64,
}

impl Slots {
    pub fn new(
        sink: Arc<dyn Sink>,
        lane: Lane,
        timeout: Duration,
        bell: Bell,
        clock: Arc<dyn Clock>,
        runtime: Handle,
    ) -> Self {
        Self {
            sink,
            lane: Mutex::new(Shared { lane, rung: 0 }),
            bell,
            clock,
            runtime,
            cut_off: CancellationToken::new(),
            time_max: timeout.saturating_add(OVERTIME),
        }
    }

    /// Changes or reads the lane.
    pub fn with<T>(&self, act: impl FnOnce(&mut Lane) -> T) -> T {
        act(&mut self.shared().lane)
    }

    /// How often the bell was rung by others than the slots.
    pub fn rings_of_others(&self, rings: u64) -> u64 {
        rings.wrapping_sub(self.shared().rung)
    }

    /// Queues these claims and starts what may start now.
    pub fn offer(self: &Arc<Self>, claims: Vec<Claim>) {
        let mut shared = self.shared();
        shared.lane.offer(claims);
        let at = Moment::of(&*self.clock);
        shared.lane.hand_back(at);
        let started: Vec<Started> = std::iter::from_fn(|| shared.lane.start(at)).collect();
        drop(shared);
        for started in started {
            self.runtime.spawn(Arc::clone(self).serve(started));
        }
    }

    /// Ends every attempt under way; they count as stopped by us.
    pub fn cut_off(&self) {
        self.cut_off.cancel();
    }

    async fn serve(self: Arc<Self>, mut started: Started) {
        let cut_off = self.cut_off.clone().cancelled_owned();
        tokio::pin!(cut_off);
        loop {
            let attempt = AssertUnwindSafe(self.attempt(&started)).catch_unwind();
            let report = tokio::select! {
                report = tokio::time::timeout(self.time_max, attempt) => match report {
                    Ok(Ok(report)) => report,
                    Ok(Err(panic)) => Report::new(Outcome::Fault, panicked(&*panic)),
                    Err(_) => Report::new(Outcome::Fault, "the attempt did not end by itself long after its timeout"),
                },
                () = &mut cut_off => Report::new(Outcome::Stopped, "ended because the program stops"),
            };
            match self.end(started, report) {
                Some(next) => started = next,
                None => return,
            }
        }
    }

    async fn attempt(&self, started: &Started) -> Report {
        let Started { claim, at, .. } = started;
        let attempt = Attempt { event: &claim.event, number: claim.attempt, at: at.now, gap: claim.gap };
        let report = self.sink.attempt(attempt).await;
        report.unwrap_or_else(|error| Report::new(Outcome::Fault, one_line(&error)))
    }

    fn end(&self, started: Started, report: Report) -> Option<Started> {
        let at = Moment::of(&*self.clock);
        let next = {
            let mut shared = self.shared();
            shared.lane.end(started, report, at, fastrand::f64());
            shared.rung += 1;
            shared.lane.start(at)
        };
        self.bell.ring();
        next
    }

    fn shared(&self) -> MutexGuard<'_, Shared> {
        self.lane.lock().expect("no holder of the lane panics")
    }
}

fn panicked(panic: &(dyn std::any::Any + Send)) -> String {
    let said = panic.downcast_ref::<&str>().copied().or(panic.downcast_ref::<String>().map(String::as_str));
    format!("the attempt panicked: {}", said.unwrap_or("without a word"))
}

fn one_line(error: &Error) -> String {
    error.to_string().replace(['\r', '\n'], " ")
}
