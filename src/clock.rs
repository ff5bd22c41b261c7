//! Time as a dependency: the wall clock for what is written down, a monotonic one for what is waited for.
//! Nothing below `app` reads the system's clocks itself.

use std::fmt;
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use crate::error::{Error, ErrorKind, Result};

/// A moment on the wall clock, in nanoseconds since 1970-01-01T00:00:00Z (years 1678 to 2262).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(i64);

impl Timestamp {
    /// From nanoseconds since the epoch.
    pub const fn from_nanos(nanos: i64) -> Self {
        Self(nanos)
    }

    /// From milliseconds since the epoch.
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis.saturating_mul(1_000_000))
    }

    /// Nanoseconds since the epoch.
    pub const fn nanos(self) -> i64 {
        self.0
    }

    /// Whole milliseconds since the epoch, rounded down.
    pub const fn millis(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }

    /// This moment cut to whole milliseconds.
    #[must_use]
    pub const fn whole_millis(self) -> Self {
        Self::from_millis(self.millis())
    }

    /// Whole seconds since the epoch, rounded down.
    pub const fn seconds(self) -> i64 {
        self.0.div_euclid(1_000_000_000)
    }

    /// This moment moved forward.
    #[must_use]
    pub fn plus(self, by: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(by.as_nanos()).unwrap_or(i64::MAX)))
    }

    /// This moment moved back.
    #[must_use]
    pub fn minus(self, by: Duration) -> Self {
        Self(self.0.saturating_sub(i64::try_from(by.as_nanos()).unwrap_or(i64::MAX)))
    }

    /// How long after `earlier` this is; zero when it is not after.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// RFC 3339 in UTC, with as many fraction digits as the value has: `2026-11-23T10:15:00Z`.
    pub fn to_rfc3339(self) -> String {
        jiff::Timestamp::from_nanosecond(i128::from(self.0)).map(|t| t.to_string()).unwrap_or_default()
    }

    /// Formatted with strftime letters (`%Y%m%d`) in UTC; `None` when the pattern is not understood.
    pub fn strftime(self, pattern: &str) -> Option<String> {
        let at = jiff::Timestamp::from_nanosecond(i128::from(self.0)).ok()?;
        jiff::fmt::strtime::format(pattern, &at.to_zoned(jiff::tz::TimeZone::UTC)).ok()
    }

    /// Reads RFC 3339 with any offset.
    pub fn parse_rfc3339(text: &str) -> Result<Self> {
        let at: jiff::Timestamp = text.parse().map_err(|e: jiff::Error| {
            Error::new(ErrorKind::Invalid, format!("\"{text}\" is not an RFC 3339 time")).because(e.to_string())
        })?;
        i64::try_from(at.as_nanosecond()).map(Self).map_err(|_| Error::new(ErrorKind::Invalid, "time out of range"))
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_rfc3339())
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_rfc3339())
    }
}

/// The two clocks. `Tick`s are durations since the clock was made, unaffected by steps of the wall clock.
pub trait Clock: Send + Sync + fmt::Debug {
    /// The wall clock.
    fn now(&self) -> Timestamp;
    /// The monotonic clock: time since this clock was made.
    fn tick(&self) -> Duration;
}

/// The machine's own clocks.
#[derive(Debug)]
pub struct SystemClock {
    start: Instant,
}

impl SystemClock {
    /// A clock whose ticks start at zero now.
    pub fn new() -> Self {
        Self { start: Instant::now() }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let now = jiff::Timestamp::now();
        Timestamp(i64::try_from(now.as_nanosecond()).unwrap_or(i64::MAX))
    }

    fn tick(&self) -> Duration {
        self.start.elapsed()
    }
}

/// A clock that stands still until it is told to move; wall and monotonic time move apart on request.
#[derive(Debug)]
pub struct ManualClock {
    state: Mutex<(Timestamp, Duration)>,
}

impl ManualClock {
    /// A clock at `now` with tick zero.
    pub fn at(now: Timestamp) -> Arc<Self> {
        Arc::new(Self { state: Mutex::new((now, Duration::ZERO)) })
    }

    /// Moves both clocks forward.
    pub fn advance(&self, by: Duration) {
        let mut state = self.state.lock().expect("no holder of the clock panics");
        state.0 = state.0.plus(by);
        state.1 += by;
    }

    /// Steps the wall clock alone, as NTP or an operator does.
    pub fn step_to(&self, now: Timestamp) {
        self.state.lock().expect("no holder of the clock panics").0 = now;
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        self.state.lock().expect("no holder of the clock panics").0
    }

    fn tick(&self) -> Duration {
        self.state.lock().expect("no holder of the clock panics").1
    }
}

/// A request to stop, shared by every thread of a run; waiting on it ends early when it is raised.
#[derive(Debug, Clone, Default)]
pub struct Stop {
    inner: Arc<StopState>,
    deadline: Option<Instant>,
}

#[derive(Debug, Default)]
struct StopState {
    raised: Mutex<bool>,
    changed: Condvar,
}

impl Stop {
    /// A stop that nobody has raised yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The same stop, which also counts as raised once `span` has passed: for one piece of work with a deadline.
    #[must_use]
    pub fn within(&self, span: Duration) -> Self {
        let own = Instant::now().checked_add(span);
        let deadline = [self.deadline, own].into_iter().flatten().min();
        Self { inner: self.inner.clone(), deadline }
    }

    fn is_late(&self) -> bool {
        self.deadline.is_some_and(|deadline| Instant::now() >= deadline)
    }

    /// Asks everyone to finish. Raising twice is harmless.
    pub fn raise(&self) {
        *self.inner.raised.lock().expect("no holder of the stop panics") = true;
        self.inner.changed.notify_all();
    }

    /// Whether it has been raised.
    pub fn is_raised(&self) -> bool {
        self.is_late() || *self.inner.raised.lock().expect("no holder of the stop panics")
    }

    /// Sleeps up to `wait`; returns true when it was raised before or meanwhile.
    pub fn wait(&self, wait: Duration) -> bool {
        let left = self.deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        let wait = left.map_or(wait, |left| left.min(wait));
        let raised = self.inner.raised.lock().expect("no holder of the stop panics");
        let (raised, _) = self
            .inner
            .changed
            .wait_timeout_while(raised, wait, |raised| !*raised)
            .expect("no holder of the stop panics");
        *raised || self.is_late()
    }

    /// `Err(Stopped)` once raised: for loops that should end between two steps.
    pub fn check(&self) -> Result<()> {
        if self.is_late() {
            return Err(Error::new(ErrorKind::TimedOut, "the deadline passed before the end"));
        }
        if self.is_raised() { Err(Error::new(ErrorKind::Stopped, "stopped before the end")) } else { Ok(()) }
    }
}

/// Tells a waiting thread that something happened, without saying what; rings are counted, so none is missed between
/// looking and waiting.
#[derive(Debug, Clone, Default)]
pub struct Bell {
    inner: Arc<BellState>,
}

#[derive(Debug, Default)]
struct BellState {
    rings: Mutex<u64>,
    changed: Condvar,
}

impl Bell {
    /// A bell that never rang.
    pub fn new() -> Self {
        Self::default()
    }

    /// Wakes whoever waits.
    pub fn ring(&self) {
        *self.inner.rings.lock().expect("no holder of the bell panics") += 1;
        self.inner.changed.notify_all();
    }

    /// How often it rang so far.
    pub fn rings(&self) -> u64 {
        *self.inner.rings.lock().expect("no holder of the bell panics")
    }

    /// Waits until it has rung more than `seen` times, at most `wait`; returns how often it rang so far.
    pub fn wait(&self, seen: u64, wait: Duration) -> u64 {
        let rings = self.inner.rings.lock().expect("no holder of the bell panics");
        let waited = self.inner.changed.wait_timeout_while(rings, wait, |rings| *rings <= seen);
        *waited.expect("no holder of the bell panics").0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_rfc_3339_in_utc() {
        assert_eq!(Timestamp::from_nanos(0).to_rfc3339(), "1970-01-01T00:00:00Z");
        assert_eq!(Timestamp::from_millis(1_500).to_rfc3339(), "1970-01-01T00:00:01.5Z");
        assert_eq!(Timestamp::from_nanos(1_999_999_999).whole_millis().to_rfc3339(), "1970-01-01T00:00:01.999Z");
        let parsed = Timestamp::parse_rfc3339("2026-11-23T11:15:00+01:00").expect("a valid time");
        assert_eq!(parsed.to_rfc3339(), "2026-11-23T10:15:00Z");
    }

    #[test]
    fn a_step_of_the_wall_clock_does_not_move_the_monotonic_one() {
        let clock = ManualClock::at(Timestamp::from_millis(1_000));
        clock.step_to(Timestamp::from_millis(0));
        assert_eq!(clock.tick(), Duration::ZERO);
        clock.advance(Duration::from_secs(1));
        assert_eq!((clock.now().millis(), clock.tick()), (1_000, Duration::from_secs(1)));
    }

    #[test]
    fn a_ring_between_looking_and_waiting_is_not_missed() {
        let bell = Bell::new();
        let seen = bell.rings();
        bell.ring();
        assert_eq!(bell.wait(seen, Duration::from_secs(60)), 1);
    }

    #[test]
    fn raising_a_stop_ends_the_wait_of_another_thread() {
        let stop = Stop::new();
        let other = stop.clone();
        let waiter = std::thread::spawn(move || other.wait(Duration::from_secs(60)));
        stop.raise();
        assert!(waiter.join().expect("the waiter does not panic"));
    }
}
