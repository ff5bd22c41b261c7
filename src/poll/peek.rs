//! What would be reported now, without changing anything: a look on sight, decided by the same diff, stored nowhere.

use std::collections::HashMap;

use super::ledger::{Outlet, PollLedger, Tally};
use super::plan::SourcePlan;
use crate::change::{Key, Policy};
use crate::clock::{Clock, Stop};
use crate::error::Result;
use crate::event::{Captures, Event, Spool};
use crate::source::{Accepted, Look, Looked, NoProgress, Patience, Scope, Source};
use crate::store::{CommitPage, Lease, Memory, PageUnderWay};

/// One thing that would be reported.
#[derive(Debug, Clone)]
pub enum Peeked {
    /// This event.
    Event(Box<Event>),
    /// This entry would be refused, for this reason.
    Refused(Key, String),
}

/// Hands what would be stored to somebody who shows it.
struct Showing<'a> {
    left: usize,
    each: &'a mut dyn FnMut(Peeked) -> Result<bool>,
    enough: Stop,
}

impl Outlet for Showing<'_> {
    fn put(&mut self, _: &Lease, page: CommitPage) -> Result<PageUnderWay> {
        let events = page.events.into_iter().map(|new| Peeked::Event(Box::new(new.event)));
        let refused = page.refused.into_iter().map(|r| Peeked::Refused(r.key, r.reason));
        for one in events.chain(refused) {
            if self.left == 0 || !(self.each)(one)? {
                self.enough.raise();
                self.enough.check()?;
            }
            self.left -= 1;
        }
        Ok(PageUnderWay::new(|| Ok(())))
    }
}

/// Looks at `source` as its next poll would, and hands at most `limit` things to `each`.
///
/// # Errors
/// The place could not be looked at, or the store not be read.
pub fn peek(
    source: &mut dyn Source,
    plan: &SourcePlan,
    store: &dyn Memory,
    lease: Lease,
    clock: &dyn Clock,
    limit: usize,
    each: &mut dyn FnMut(Peeked) -> Result<bool>,
) -> Result<Looked> {
    let enough = Stop::new();
    let binding = source.binding();
    let look = Look {
        scope: Scope::Everything,
        first: lease.completed == 0,
        filters_changed: lease.binding.as_ref().is_some_and(|b| b.filters != binding.filters),
        accepted: Accepted { new_entries: true, removals: true, place: true, ..Accepted::default() },
        max_new: None,
        patience: Patience::OnSight,
        clock,
        stop: &enough,
        progress: &NoProgress,
    };
    let policy = Policy { tracks_keys: source.tracks_keys(), received: false, pruned_revision: lease.pruned_revision };
    let spool = Spool::new(std::env::temp_dir(), "peek", 0, 0);
    let mut outlet = Showing { left: limit, each, enough: enough.clone() };
    let mut refused_before = HashMap::new();
    let nature = source.nature();
    let mut ledger = PollLedger {
        plan,
        store,
        outlet: &mut outlet,
        captured: Captures::new(spool),
        captures: false,
        clock,
        nature,
        policy,
        lease,
        refused_before: &mut refused_before,
        tally: Tally::default(),
        behind: None,
    };
    let looked = source.poll(&look, &mut ledger);
    if enough.is_raised() { Ok(Looked::default()) } else { looked }
}
