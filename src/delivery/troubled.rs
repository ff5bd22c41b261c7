//! Deliveries that failed in this run and are not final yet, with how often they were rejected.
//! The store counts attempts but not rejections, and `once` makes one attempt each: both need this memory.

use std::collections::HashMap;

use crate::store::State;

/// More are not remembered: memory does not grow with the backlog. The rest is judged by what the store knows.
const TROUBLED_MAX: usize = 50_000;

#[derive(Debug, Default)]
pub(super) struct Troubled {
    rejections: HashMap<u64, u32>,
}

impl Troubled {
    /// How often this delivery was rejected before, as far as known: one that an earlier process tried may have been
    /// rejected each time it was charged, or a run from cron would never give up.
    pub fn rejections(&self, seq: u64, charged: u32) -> u32 {
        self.rejections.get(&seq).copied().unwrap_or(charged)
    }

    /// Whether this delivery failed in this run.
    pub fn contains(&self, seq: u64) -> bool {
        self.rejections.contains_key(&seq)
    }

    /// Notes what an attempt came to; `rejections` counts this one.
    pub fn note(&mut self, seq: u64, state: State, rejections: u32) {
        if state.is_final() {
            self.rejections.remove(&seq);
        } else if self.rejections.len() < TROUBLED_MAX || self.contains(seq) {
            self.rejections.insert(seq, rejections);
        }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.rejections.len()
    }
}
