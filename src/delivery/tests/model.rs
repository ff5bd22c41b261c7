//! Random lives of one sink: outcomes, crashes, clock steps. Lane and store are real enough; the runtime is not there,
//! so each life can be replayed from its seed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;

use super::double_sink::{retry_after, transient};
use super::double_store::DoubleStore;
use super::{policy, start};
use crate::delivery::breaker::{Change, FAULTS_MAX};
use crate::delivery::clock_watch::Moment;
use crate::delivery::lane::{Attempts, Lane, News, Started};
use crate::delivery::settlement::wait_max;
use crate::setting::SinkName;
use crate::sink::settings::DeliverySettings;
use crate::sink::{Outcome, Report};
use crate::store::{Claiming, SinkHold, State, Store};

#[derive(Debug, Clone)]
enum Act {
    /// One turn of the store, and whatever may start starts.
    Turn,
    /// One of the attempts under way ends.
    End(usize, Outcome),
    /// So many milliseconds pass.
    Pass(u64),
    /// The wall clock is set by so many seconds.
    Step(i64),
    /// A new event of this key.
    Arrive(Option<u64>),
    /// The process dies and is started again.
    Crash,
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let outcome = prop_oneof![
        6 => Just(Outcome::Delivered),
        8 => Just(transient()),
        3 => Just(Outcome::Fault),
        2 => Just(Outcome::Rejected),
        1 => (0_u64..200_000).prop_map(retry_after),
        1 => Just(Outcome::Dead),
        1 => Just(Outcome::Stopped),
    ];
    let act = prop_oneof![
        8 => Just(Act::Turn),
        12 => (any::<usize>(), outcome).prop_map(|(which, outcome)| Act::End(which, outcome)),
        4 => (0_u64..40_000).prop_map(Act::Pass),
        1 => (0_u64..90_000_000).prop_map(Act::Pass),
        1 => (-400_000_i64..400_000).prop_map(Act::Step),
        4 => proptest::option::of(0_u64..4).prop_map(Act::Arrive),
        1 => Just(Act::Crash),
    ];
    proptest::collection::vec(act, 0..250)
}

/// What the model itself believes of the breaker.
#[derive(Default)]
struct Belief {
    open_until: Option<Duration>,
    half_open: bool,
    /// Attempts begun in this stretch, by event.
    begun: BTreeSet<u64>,
    faults: Vec<u64>,
}

struct Life {
    store: Arc<DoubleStore>,
    policy: Arc<DeliverySettings>,
    lane: Lane,
    at: Moment,
    under_way: Vec<Started>,
    arrived: BTreeSet<u64>,
    orders: BTreeMap<u64, Option<u64>>,
    belief: Belief,
}

impl Life {
    fn new() -> Self {
        let policy = Arc::new(policy());
        let at = Moment { now: start(), tick: Duration::ZERO };
        let lane = Lane::new(Arc::clone(&policy), Attempts::AsDue, &SinkHold::default(), at);
        let (under_way, arrived, orders) = (Vec::new(), BTreeSet::new(), BTreeMap::new());
        Self { store: DoubleStore::new(), policy, lane, at, under_way, arrived, orders, belief: Belief::default() }
    }

    fn act(&mut self, act: Act) {
        match act {
            Act::Turn => self.turn(),
            Act::End(_, _) if self.under_way.is_empty() => {}
            Act::End(which, outcome) => {
                let which = which % self.under_way.len();
                let started = self.under_way.swap_remove(which);
                self.end(started, outcome);
            }
            Act::Pass(millis) => self.pass(Duration::from_millis(millis)),
            Act::Step(secs) if secs < 0 => self.at.now = self.at.now.minus(Duration::from_secs(secs.unsigned_abs())),
            Act::Step(secs) => self.at.now = self.at.now.plus(Duration::from_secs(secs.unsigned_abs())),
            Act::Arrive(order) => {
                self.store.add([order]);
                self.orders.insert(self.orders.len() as u64 + 1, order);
            }
            Act::Crash => self.crash(),
        }
    }

    fn pass(&mut self, by: Duration) {
        self.at.now = self.at.now.plus(by);
        self.at.tick += by;
    }

    fn turn(&mut self) {
        self.lane.hand_back(self.at);
        let ended = self.lane.take_ended();
        let claiming = Claiming {
            limit: self.lane.room(self.at.tick),
            now: self.at.now,
            hold_after_dead: false,
            wait_max: wait_max(&self.policy),
        };
        let settled = ended.into_iter().map(|ended| ended.settled).collect();
        let claims = self.store.turn(&SinkName::new("erp"), settled, &claiming).expect("a double that works");
        self.lane.offer(claims);
        let hold = self.lane.gate().hold(None, self.at);
        self.store.operate(|stored| *stored = hold);
        while let Some(started) = self.lane.start(self.at) {
            self.begin(started);
        }
        assert!(self.store.count(State::InFlight) <= 2 * self.policy.concurrency as usize);
    }

    fn begin(&mut self, started: Started) {
        let seq = started.claim.seq;
        if let Some(order) = self.orders[&seq] {
            for (earlier, _) in self.orders.range(..seq).filter(|(_, one)| **one == Some(order)) {
                assert!(self.store.row(*earlier).state.is_final(), "{seq} began before {earlier} was settled");
            }
        }
        assert!(self.under_way.iter().all(|other| other.claim.seq != seq), "{seq} is under way twice");
        if let Some(until) = self.belief.open_until {
            assert!(until <= self.at.tick, "{seq} began while the breaker was open");
            self.belief.half_open = true;
            self.belief.open_until = None;
        } else {
            assert!(!self.belief.half_open || self.belief.begun.is_empty(), "{seq} began beside the probe");
        }
        self.belief.begun.insert(seq);
        self.under_way.push(started);
        assert!(self.under_way.len() <= self.policy.concurrency as usize + 1, "one probe beside stragglers at most");
    }

    fn end(&mut self, started: Started, outcome: Outcome) {
        let seq = started.claim.seq;
        if outcome == Outcome::Delivered {
            self.arrived.insert(seq);
        }
        let counts = self.belief.begun.remove(&seq);
        self.lane.end(started, Report::new(outcome.clone(), "answer"), self.at, 0.5);
        let mut opened = None;
        for news in self.lane.take_news() {
            match news {
                News::Breaker(Change::Opened(span)) => opened = Some(span),
                News::Breaker(Change::Closed) => self.belief.half_open = false,
                _ => {}
            }
        }
        match outcome {
            Outcome::Delivered | Outcome::Rejected if counts => self.belief.faults.clear(),
            Outcome::Transient { retry_after: None } | Outcome::Fault if counts => self.belief.faults.push(seq),
            _ => {}
        }
        let faults = &self.belief.faults;
        let several = faults.iter().collect::<BTreeSet<_>>().len() > 1;
        let due = (faults.len() >= FAULTS_MAX as usize && several) || (self.belief.half_open && !faults.is_empty());
        assert_eq!(opened.is_some(), due && counts, "the breaker opens when it should and only then");
        if let Some(span) = opened {
            self.belief = Belief { open_until: Some(self.at.tick + span), ..Belief::default() };
        }
    }

    fn crash(&mut self) {
        self.under_way.clear();
        self.store.crash();
        let hold = self.store.hold();
        self.lane = Lane::new(Arc::clone(&self.policy), Attempts::AsDue, &hold, self.at);
        let left = hold.breaker_until.map(|until| until.since(self.at.now).min(Duration::from_secs(900)));
        self.belief = Belief { open_until: left.map(|left| self.at.tick + left), ..Belief::default() };
    }

    /// From now on everything arrives: goes on until nothing is left.
    fn heal(&mut self) {
        for _ in 0..10_000 {
            self.turn();
            while let Some(started) = self.under_way.pop() {
                self.end(started, Outcome::Delivered);
            }
            self.turn();
            if self.store.backlog(&SinkName::new("erp")) == 0 {
                return;
            }
            self.pass(Duration::from_secs(60));
        }
        panic!("deliveries are left that never become due");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn in_any_life_each_event_arrives_at_least_once_in_order_or_is_a_dead_letter(acts in acts()) {
        let mut life = Life::new();
        for act in acts {
            life.act(act);
        }
        life.heal();
        for seq in life.orders.keys() {
            let row = life.store.row(*seq);
            match row.state {
                State::Delivered => prop_assert!(life.arrived.contains(seq), "{} is called delivered and is not", seq),
                State::Dead => prop_assert!(matches!(row.dead_reason, Some("rejected" | "poison" | "expired"))),
                state => prop_assert!(false, "{} ends {:?}", seq, state),
            }
        }
    }
}
