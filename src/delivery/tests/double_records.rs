//! A double of the reading side: dead letters only.

use super::event;
use crate::change::{Content, Key, Known};
use crate::clock::Timestamp;
use crate::error::Result;
use crate::event::EventId;
use crate::setting::{SinkName, SourceName};
use crate::source::{Block, Waiting};
use crate::store::records::{
    AttemptRecord, DeliveryFilter, DeliveryRecord, EventFilter, EventRecord, RefusedRecord, SinkRecord, SourceRecord,
};
use crate::store::{Lease, Memory, Records, State};

/// The dead letters, with the time of their last attempt.
pub struct DoubleRecords {
    pub dead: Vec<(u64, Option<Timestamp>)>,
}

/// A delivery to `erp` as stored, in this state.
pub fn delivery(seq: u64, state: State) -> DeliveryRecord {
    DeliveryRecord {
        seq,
        event: event(seq).id,
        source: SourceName::new("orders"),
        key: Key::from("orders-17.csv"),
        sink: SinkName::new("erp"),
        state,
        attempts: 1,
        next_at: None,
        blocked_by: None,
        blocked_by_dead: false,
        dead_reason: None,
        last_at: None,
        last: None,
    }
}

impl Records for DoubleRecords {
    fn deliveries(&self, filter: &DeliveryFilter, each: &mut dyn FnMut(DeliveryRecord) -> Result<bool>) -> Result<()> {
        assert_eq!(filter.state, Some(State::Dead), "only dead letters are asked for");
        for (seq, last_at) in &self.dead {
            if !each(DeliveryRecord { last_at: *last_at, ..delivery(*seq, State::Dead) })? {
                break;
            }
        }
        Ok(())
    }

    fn sources(&self) -> Result<Vec<SourceRecord>> {
        unreachable!("not read by delivery")
    }

    fn sinks(&self) -> Result<Vec<SinkRecord>> {
        unreachable!("not read by delivery")
    }

    fn events(&self, _: &EventFilter, _: &mut dyn FnMut(EventRecord) -> Result<bool>) -> Result<()> {
        unreachable!("not read by delivery")
    }

    fn attempts(&self, _: &DeliveryFilter, _: &mut dyn FnMut(AttemptRecord) -> Result<bool>) -> Result<()> {
        unreachable!("not read by delivery")
    }

    fn refused(&self, _: Option<&SourceName>, _: &mut dyn FnMut(RefusedRecord) -> Result<bool>) -> Result<()> {
        unreachable!("not read by delivery")
    }

    fn waiting(&self, _: &SourceName) -> Result<Vec<Waiting>> {
        unreachable!("not read by delivery")
    }

    fn event(&self, _: EventId) -> Result<Option<EventRecord>> {
        unreachable!("not read by delivery")
    }

    fn content(&self, _: u64) -> Result<Option<Content>> {
        unreachable!("not read by delivery")
    }

    fn lease(&self, _: &SourceName, _: Timestamp) -> Result<Lease> {
        unreachable!("not read by delivery")
    }

    fn action(&self, _: &SourceName, _: &Key) -> Result<Option<String>> {
        unreachable!("not read by delivery")
    }
}

impl Memory for DoubleRecords {
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
