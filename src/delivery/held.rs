//! Why a delivery has not arrived yet and when it goes on, in words. Pure; `deliveries --json` and `explain` show it.
//! The `rate` of a sink is not told here: it holds for moments only.

use crate::clock::Timestamp;
use crate::store::records::DeliveryRecord;
use crate::store::{SinkHold, State};

/// The reason that binds now, with the command that ends it; `None` for a delivery that is under way or waits for
/// nothing, and for one to which nothing will happen any more.
pub fn held(record: &DeliveryRecord, sink: &SinkHold, now: Timestamp) -> Option<String> {
    if record.state.is_final() || record.state == State::InFlight {
        return None;
    }
    let name = &record.sink;
    let ahead = |at: Option<Timestamp>| at.filter(|at| *at > now);
    if let Some(pause) = sink.pause.as_ref().filter(|pause| pause.until.is_none_or(|until| until > now)) {
        let until = pause.until.map(|until| format!(" until {until}")).unwrap_or_default();
        return Some(format!("sink paused{until}: {}; highwater resume {name} ends it", pause.reason));
    }
    if let Some(before) = &record.blocked_by {
        return Some(format!(
            "waits for {before}, an earlier event of its key; highwater cancel {before} or its delivery ends it"
        ));
    }
    let (asked, broken, due) = (ahead(sink.not_before), ahead(sink.breaker_until), ahead(record.next_at));
    match asked.max(broken).max(due) {
        None => None,
        at if at == due => due.map(|at| format!("attempt {} is due at {at}", record.attempts.saturating_add(1))),
        at if at == asked => {
            asked.map(|at| format!("receiver asked to wait until {at}; highwater resume {name} ends it"))
        }
        _ => broken.map(|at| {
            let cause = sink.last_error.as_ref().map(|error| format!(" ({error})")).unwrap_or_default();
            format!("breaker open until {at}{cause}; highwater resume {name} ends it")
        }),
    }
}
