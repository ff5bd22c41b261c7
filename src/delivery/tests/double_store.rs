//! A double of the store: the deliveries of one sink in memory, by the rules `Store::turn` promises.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use super::double_records::DoubleRecords;
use super::event;
use crate::change::{Key, Known};
use crate::clock::{Bell, Timestamp};
use crate::error::{Error, ErrorKind, Result};
use crate::setting::{SinkName, SourceName};
use crate::source::{ActionOrder, Block};
use crate::store::Memory;
use crate::store::{
    ActionEnded, Claim, Claiming, CommitPage, DueAction, Keeping, Kept, Lease, Login, LoginBook, LoginStep, LoginTurn,
    Operation, PageUnderWay, PollEnded, Records, Settled, SinkHold, SourceRegistration, State, Store,
};

#[derive(Debug, Default)]
pub struct DoubleStore {
    inner: Mutex<Inner>,
    bell: Bell,
}

#[derive(Debug, Default)]
struct Inner {
    rows: BTreeMap<u64, Row>,
    hold: SinkHold,
    refuses: Option<ErrorKind>,
    refused: u64,
    asked: u64,
    in_flight_max: usize,
    wait_max: Duration,
    kept: Vec<Kept>,
    keepings: Vec<Keeping>,
}

#[derive(Debug, Clone)]
pub struct Row {
    pub order: Option<u64>,
    pub state: State,
    pub next_at: Option<Timestamp>,
    pub attempts: u32,
    pub charged: u32,
    pub first_at: Option<Timestamp>,
    pub dead_reason: Option<&'static str>,
}

impl DoubleStore {
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// A store with deliveries 1, 2, 3 ... of these order keys.
    pub fn with(orders: impl IntoIterator<Item = Option<u64>>) -> Arc<Self> {
        let store = Self::new();
        store.add(orders);
        store
    }

    /// Adds further deliveries, and rings.
    pub fn add(&self, orders: impl IntoIterator<Item = Option<u64>>) {
        let mut inner = self.inner();
        for order in orders {
            let seq = inner.rows.len() as u64 + 1;
            let row = Row {
                order,
                state: State::Pending,
                next_at: None,
                attempts: 0,
                charged: 0,
                first_at: None,
                dead_reason: None,
            };
            inner.rows.insert(seq, row);
        }
        drop(inner);
        self.ring();
    }

    pub fn ring(&self) {
        self.bell.ring();
    }

    /// How often the hold was read: once each time the worker heard a ring of others.
    pub fn asked(&self) -> u64 {
        self.inner().asked
    }

    pub fn row(&self, seq: u64) -> Row {
        self.inner().rows[&seq].clone()
    }

    pub fn count(&self, state: State) -> usize {
        self.inner().rows.values().filter(|row| row.state == state).count()
    }

    /// Makes turns fail from now on, or work again.
    pub fn refuse(&self, kind: Option<ErrorKind>) {
        self.inner().refuses = kind;
    }

    /// How many turns failed.
    pub fn refused(&self) -> u64 {
        self.inner().refused
    }

    pub fn in_flight_max(&self) -> usize {
        self.inner().in_flight_max
    }

    pub fn hold(&self) -> SinkHold {
        self.inner().hold.clone()
    }

    /// An operator's change of the hold.
    pub fn operate(&self, change: impl FnOnce(&mut SinkHold)) {
        change(&mut self.inner().hold);
        self.ring();
    }

    /// What `keep` shall answer next.
    pub fn will_keep(&self, kept: Kept) {
        self.inner().kept.push(kept);
    }

    /// What `keep` was asked.
    pub fn keepings(&self) -> Vec<Keeping> {
        self.inner().keepings.clone()
    }

    /// Makes a delivery a dead letter whose last attempt was then.
    pub fn give_up(&self, seq: u64, at: Timestamp) {
        let mut inner = self.inner();
        let row = inner.rows.get_mut(&seq).expect("a delivery that exists");
        (row.state, row.first_at) = (State::Dead, Some(at));
    }

    /// What a crash leaves behind becomes due again.
    pub fn crash(&self) {
        for row in self.inner().rows.values_mut().filter(|row| row.state == State::InFlight) {
            row.state = State::Retrying;
            row.next_at = None;
            row.first_at.get_or_insert(super::start());
        }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().expect("store")
    }
}

impl Inner {
    fn settle(&mut self, settled: Settled) {
        let row = self.rows.get_mut(&settled.seq).expect("a delivery that exists");
        assert_eq!(row.state, State::InFlight, "only what was claimed is settled: {settled:?}");
        assert_eq!(row.attempts, settled.attempt);
        row.state = settled.state;
        row.next_at = settled.next_at;
        row.dead_reason = settled.dead_reason;
        row.charged += u32::from(settled.charged);
        if settled.state == State::Pending {
            row.attempts -= 1;
            if row.attempts > 0 {
                (row.state, row.next_at) = (State::Retrying, Some(settled.began));
            }
        } else {
            row.first_at.get_or_insert(settled.began);
        }
    }

    fn claim(&mut self, claiming: &Claiming) -> Vec<Claim> {
        let (mut claims, mut taken, mut gaps) = (Vec::new(), BTreeSet::new(), BTreeSet::new());
        for (seq, row) in &mut self.rows {
            let order = row.order.unwrap_or(u64::MAX - seq);
            if row.state == State::Dead {
                gaps.insert(order);
            }
            let dead_holds = claiming.hold_after_dead && row.state == State::Dead;
            if row.state.is_final() && !dead_holds {
                continue;
            }
            let free = taken.insert(order);
            let due = matches!(row.state, State::Pending | State::Retrying)
                && row.next_at.is_none_or(|at| at <= claiming.now || at > claiming.now.plus(claiming.wait_max));
            if claims.len() < claiming.limit && free && due {
                row.state = State::InFlight;
                row.attempts += 1;
                claims.push(Claim {
                    seq: *seq,
                    event: event(*seq),
                    attempt: row.attempts,
                    charged: row.charged,
                    first_at: row.first_at,
                    gap: gaps.contains(&order),
                });
            }
        }
        claims
    }

    fn next_due(&self) -> Option<Timestamp> {
        let (mut taken, mut due) = (BTreeSet::new(), None::<Timestamp>);
        for (seq, row) in self.rows.iter().filter(|(_, row)| !row.state.is_final()) {
            if taken.insert(row.order.unwrap_or(u64::MAX - seq)) && row.state == State::Retrying {
                due = [due, row.next_at].into_iter().flatten().min();
            }
        }
        due
    }
}

impl LoginBook for DoubleStore {
    fn login(&self, _: &Login<'_>, _: LoginStep, _: Timestamp) -> Result<LoginTurn> {
        Ok(LoginTurn::Go)
    }
}

impl Store for DoubleStore {
    fn turn(&self, _sink: &SinkName, settled: Vec<Settled>, claiming: &Claiming) -> Result<Vec<Claim>> {
        let mut inner = self.inner();
        if let Some(kind) = inner.refuses {
            inner.refused += 1;
            return Err(Error::new(kind, "commit"));
        }
        inner.wait_max = claiming.wait_max;
        settled.into_iter().for_each(|one| inner.settle(one));
        let claims = inner.claim(claiming);
        let in_flight = inner.rows.values().filter(|row| row.state == State::InFlight).count();
        inner.in_flight_max = inner.in_flight_max.max(in_flight);
        Ok(claims)
    }

    fn next_due(&self, _sink: &SinkName) -> Result<Option<Timestamp>> {
        Ok(self.inner().next_due())
    }

    fn bell(&self, _sink: &SinkName) -> Bell {
        self.bell.clone()
    }

    fn backlog(&self, _sink: &SinkName) -> u64 {
        self.inner().rows.values().filter(|row| !row.state.is_final()).count() as u64
    }

    fn set_sink_hold(&self, _sink: &SinkName, before: &SinkHold, hold: &SinkHold, _now: Timestamp) -> Result<()> {
        let mut inner = self.inner();
        inner.hold = hold.clone().merged(before, inner.hold.clone());
        Ok(())
    }

    fn sink_hold(&self, _sink: &SinkName) -> Result<SinkHold> {
        let mut inner = self.inner();
        inner.asked += 1;
        Ok(inner.hold.clone())
    }

    fn keep(&self, keeping: &Keeping, _now: Timestamp) -> Result<Kept> {
        let mut inner = self.inner();
        inner.keepings.push(keeping.clone());
        Ok(if inner.kept.is_empty() { Kept::default() } else { inner.kept.remove(0) })
    }

    fn records(&self) -> Result<Box<dyn Records>> {
        let inner = self.inner();
        let dead = inner.rows.iter().filter(|(_, row)| row.state == State::Dead);
        Ok(Box::new(DoubleRecords { dead: dead.map(|(seq, row)| (*seq, row.first_at)).collect() }))
    }

    fn register(&self, _: &[SourceRegistration], _: &[SinkName], _: Timestamp) -> Result<()> {
        unreachable!("delivery registers nothing")
    }

    fn recover(&self, _: Timestamp) -> Result<u64> {
        unreachable!("app recovers before workers start")
    }

    fn begin_poll(&self, _: &SourceName, _: Timestamp) -> Result<Lease> {
        unreachable!("delivery does not poll")
    }

    fn end_poll(&self, _: &Lease, _: PollEnded) -> Result<()> {
        unreachable!("delivery does not poll")
    }

    fn submit_page(&self, _: &Lease, _: CommitPage) -> Result<PageUnderWay> {
        unreachable!("delivery does not poll")
    }

    fn operate(&self, _: &Operation, _: Timestamp) -> Result<u64> {
        unreachable!("delivery operates nothing")
    }

    fn actions_due(&self, _: &SourceName, _: usize, _: Timestamp) -> Result<Vec<DueAction>> {
        unreachable!("delivery has no after-actions")
    }

    fn journal_action(&self, _: &SourceName, _: &ActionOrder) -> Result<()> {
        unreachable!("delivery has no after-actions")
    }

    fn end_action(&self, _: &SourceName, _: &Key, _: ActionEnded, _: Timestamp) -> Result<()> {
        unreachable!("delivery has no after-actions")
    }

    fn names_spool_file(&self, _: &str) -> Result<bool> {
        unreachable!("the spool is cleaned by app")
    }
}

impl Memory for DoubleStore {
    fn known(&self, _: &SourceName, _: &[Key]) -> Result<Vec<Option<Known>>> {
        unreachable!("delivery does not look at sources")
    }

    fn known_below(&self, _: &SourceName, _: &[u8], _: Option<&Key>, _: usize) -> Result<Vec<(Key, Known)>> {
        unreachable!("delivery does not look at sources")
    }

    fn segment(&self, _: &SourceName, _: &[u8]) -> Result<Vec<Block>> {
        unreachable!("delivery does not look at sources")
    }

    fn folders_below(&self, _: &SourceName, _: &[u8]) -> Result<Vec<Vec<u8>>> {
        unreachable!("delivery does not look at sources")
    }
}
