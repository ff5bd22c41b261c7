//! The breaker of one sink: stops attempts at a receiver that is down, probes it, and starts slowly when it is back.
//! Pure: moments are ticks of the monotonic clock. Keeping it over a restart belongs to `gate`.

use std::time::Duration;

use super::settlement::Sign;

/// So many faults in a row open it, from at least two deliveries.
pub const FAULTS_MAX: u32 = 5;

/// How long it is open at first; doubled after each probe that fails.
pub const OPEN_MIN: Duration = Duration::from_secs(30);

/// It is never open for longer than this without a probe.
pub const OPEN_MAX: Duration = Duration::from_secs(15 * 60);

/// Counts faults in a row, and says how many attempts may run.
#[derive(Debug, Clone)]
pub struct Breaker {
    state: State,
    concurrency: u32,
    span: Duration,
    epoch: u32,
}

#[derive(Debug, Clone)]
enum State {
    Closed(Row),
    Open {
        until: Duration,
    },
    /// Open no longer: one probe decides.
    HalfOpen {
        probing: bool,
    },
}

/// The latest attempts of a closed breaker.
#[derive(Debug, Clone)]
struct Row {
    faults: u32,
    first: Option<u64>,
    several: bool,
    /// How many attempts may run at once.
    level: u32,
    /// Answers since the level was reached.
    good: u32,
}

/// Which stretch of the breaker's life an attempt belongs to: what ends later than its stretch no longer counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ticket(u32);

/// A change of the breaker that people are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// Nothing is sent for this long.
    Opened(Duration),
    /// The probe was answered.
    Closed,
}

impl Breaker {
    /// A closed breaker of a sink with this concurrency.
    pub fn new(concurrency: u32) -> Self {
        let concurrency = concurrency.max(1);
        let state = State::Closed(Row::at(concurrency));
        Self { state, concurrency, span: OPEN_MIN, epoch: 0 }
    }

    /// A breaker that was open when an earlier process ended, for `left` more. Further off than [`OPEN_MAX`] is pulled
    /// in: the wall clock has jumped.
    pub fn reopened(concurrency: u32, left: Duration, tick: Duration) -> Self {
        let mut breaker = Self::new(concurrency);
        breaker.state = State::Open { until: tick.saturating_add(left.min(OPEN_MAX)) };
        breaker
    }

    /// Until when it is open; `None` when it is not.
    pub fn open_until(&self, tick: Duration) -> Option<Duration> {
        match self.state {
            State::Open { until } if until > tick => Some(until),
            _ => None,
        }
    }

    /// Whether it is anything but closed.
    pub fn is_tripped(&self) -> bool {
        !matches!(self.state, State::Closed(_))
    }

    /// How many further attempts may start while `running` run.
    pub fn room(&self, running: u32, tick: Duration) -> u32 {
        match &self.state {
            State::Closed(row) => row.level.saturating_sub(running),
            State::Open { until } if *until > tick => 0,
            State::Open { .. } | State::HalfOpen { probing: false } => 1,
            State::HalfOpen { probing: true } => 0,
        }
    }

    /// How many attempts may run at once now: less than the sink's concurrency during a slow start.
    pub fn level(&self) -> u32 {
        match &self.state {
            State::Closed(row) => row.level,
            _ => 1,
        }
    }

    /// Notes that an attempt starts, which [`Breaker::room`] allowed.
    pub fn start(&mut self, tick: Duration) -> Ticket {
        debug_assert!(self.open_until(tick).is_none(), "no attempt starts while the breaker is open");
        if self.is_tripped() {
            // Only the probe carries the new number: attempts from before the opening decide nothing.
            self.epoch = self.epoch.wrapping_add(1);
            self.state = State::HalfOpen { probing: true };
        }
        Ticket(self.epoch)
    }

    /// Notes how an attempt of delivery `seq` ended.
    pub fn end(&mut self, ticket: Ticket, seq: u64, sign: Sign, tick: Duration) -> Option<Change> {
        if ticket.0 != self.epoch {
            return None;
        }
        match (&mut self.state, sign) {
            (State::Closed(row), Sign::Faulty) => {
                row.fault(seq);
                if row.faults >= FAULTS_MAX && row.several { Some(self.open(tick)) } else { None }
            }
            (State::Closed(row), Sign::Alive) => {
                if row.answer(self.concurrency) {
                    self.span = OPEN_MIN;
                }
                None
            }
            (State::HalfOpen { .. }, Sign::Faulty) => {
                self.span = self.span.saturating_mul(2).min(OPEN_MAX);
                Some(self.open(tick))
            }
            (State::HalfOpen { .. }, Sign::Alive) => {
                self.start_slowly();
                Some(Change::Closed)
            }
            (State::HalfOpen { probing }, Sign::Silent) => {
                *probing = false;
                None
            }
            (State::Closed(_), Sign::Silent) | (State::Open { .. }, _) => None,
        }
    }

    /// Closes, and lets attempts through again, one at first: at an answer, or at an operator's word.
    pub fn start_slowly(&mut self) {
        self.state = State::Closed(Row::at(1));
    }

    /// Lets one attempt through at first, after a hold that the receiver asked for. Faults in a row stay counted.
    pub fn ease(&mut self) {
        if let State::Closed(row) = &mut self.state {
            (row.level, row.good) = (1, 0);
        }
    }

    fn open(&mut self, tick: Duration) -> Change {
        self.epoch = self.epoch.wrapping_add(1);
        self.state = State::Open { until: tick.saturating_add(self.span) };
        Change::Opened(self.span)
    }
}

impl Row {
    fn at(level: u32) -> Self {
        Self { faults: 0, first: None, several: false, level, good: 0 }
    }

    fn fault(&mut self, seq: u64) {
        self.faults = self.faults.saturating_add(1);
        self.several |= self.first.is_some_and(|first| first != seq);
        self.first.get_or_insert(seq);
        self.good = 0;
    }

    /// Ends the row of faults; doubles the level after as many answers. Returns whether the start is over.
    fn answer(&mut self, concurrency: u32) -> bool {
        (self.faults, self.first, self.several) = (0, None, false);
        self.good = self.good.saturating_add(1);
        if self.level < concurrency && self.good >= self.level {
            self.level = self.level.saturating_mul(2).min(concurrency);
            self.good = 0;
        }
        self.level == concurrency
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ZERO: Duration = Duration::ZERO;

    fn attempt(breaker: &mut Breaker, seq: u64, sign: Sign, tick: Duration) -> Option<Change> {
        let ticket = breaker.start(tick);
        breaker.end(ticket, seq, sign, tick)
    }

    fn opened(concurrency: u32) -> Breaker {
        let mut breaker = Breaker::new(concurrency);
        for seq in 1..=4 {
            assert_eq!(attempt(&mut breaker, seq, Sign::Faulty, ZERO), None);
        }
        assert_eq!(attempt(&mut breaker, 5, Sign::Faulty, ZERO), Some(Change::Opened(OPEN_MIN)));
        breaker
    }

    #[test]
    fn it_opens_at_five_faults_in_a_row_and_lets_nothing_start() {
        let breaker = opened(4);
        assert_eq!(breaker.room(0, OPEN_MIN - Duration::from_nanos(1)), 0);
        assert_eq!(breaker.open_until(ZERO), Some(OPEN_MIN));
        assert_eq!(breaker.room(0, OPEN_MIN), 1);
    }

    #[test]
    fn one_delivery_alone_never_opens_it_and_an_answer_ends_the_row() {
        let mut breaker = Breaker::new(4);
        for _ in 0..50 {
            assert_eq!(attempt(&mut breaker, 1, Sign::Faulty, ZERO), None);
        }
        assert_eq!(attempt(&mut breaker, 2, Sign::Alive, ZERO), None);
        for seq in 1..=4 {
            assert_eq!(attempt(&mut breaker, seq, Sign::Faulty, ZERO), None);
        }
        assert_eq!(attempt(&mut breaker, 5, Sign::Silent, ZERO), None);
        assert!(attempt(&mut breaker, 5, Sign::Faulty, ZERO).is_some(), "silence ends no row");
    }

    #[test]
    fn each_failed_probe_doubles_the_time_up_to_fifteen_minutes() {
        let (mut breaker, mut tick) = (opened(4), ZERO);
        for secs in [60, 120, 240, 480, 900, 900] {
            tick = breaker.open_until(tick).expect("it is open");
            let span = Duration::from_secs(secs);
            assert_eq!(attempt(&mut breaker, 1, Sign::Faulty, tick), Some(Change::Opened(span)));
        }
    }

    #[test]
    fn an_answered_probe_closes_it_and_answers_double_what_may_run() {
        let mut breaker = opened(6);
        assert_eq!(attempt(&mut breaker, 1, Sign::Alive, OPEN_MIN), Some(Change::Closed));
        let mut levels = Vec::new();
        for seq in 0..10 {
            levels.push(breaker.level());
            attempt(&mut breaker, seq, Sign::Alive, OPEN_MIN);
        }
        assert_eq!(levels, [1, 2, 2, 4, 4, 4, 4, 6, 6, 6]);
    }

    #[test]
    fn attempts_from_before_the_opening_decide_nothing() {
        let mut breaker = Breaker::new(8);
        let straggler = breaker.start(ZERO);
        for seq in 1..=5 {
            attempt(&mut breaker, seq, Sign::Faulty, ZERO);
        }
        let probe = breaker.start(OPEN_MIN);
        assert_eq!(breaker.end(straggler, 9, Sign::Alive, OPEN_MIN), None);
        assert_eq!(breaker.room(0, OPEN_MIN), 0, "the probe is under way");
        assert_eq!(breaker.end(probe, 1, Sign::Silent, OPEN_MIN), None);
        assert_eq!(breaker.room(1, OPEN_MIN), 1, "a probe that says nothing is made again");
    }

    #[test]
    fn a_restart_begins_with_a_probe_and_far_ends_are_pulled_in() {
        let breaker = Breaker::reopened(4, Duration::from_secs(1_000_000), ZERO);
        assert_eq!(breaker.open_until(ZERO), Some(OPEN_MAX));
        assert_eq!(Breaker::reopened(4, ZERO, ZERO).room(0, ZERO), 1);
    }
}
