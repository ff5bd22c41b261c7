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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::delivery::tests::double_records::delivery;
    use crate::delivery::tests::{event, start};
    use crate::store::Pause;

    fn later(secs: u64) -> Option<Timestamp> {
        Some(start().plus(Duration::from_secs(secs)))
    }

    #[test]
    fn what_is_over_or_under_way_or_due_is_not_held() {
        let sink = SinkHold { not_before: later(60), ..SinkHold::default() };
        for state in [State::Delivered, State::Dead, State::Cancelled, State::Superseded, State::InFlight] {
            assert_eq!(held(&delivery(2, state), &sink, start()), None);
        }
        assert_eq!(held(&delivery(2, State::Pending), &SinkHold::default(), start()), None);
        assert_eq!(held(&delivery(2, State::Pending), &sink, start().plus(Duration::from_secs(60))), None);
    }

    #[test]
    fn the_reason_that_binds_longest_is_told_with_what_ends_it() {
        let mut record = DeliveryRecord { next_at: later(10), ..delivery(2, State::Retrying) };
        let mut sink = SinkHold::default();
        let mut told = |change: &dyn Fn(&mut DeliveryRecord, &mut SinkHold)| {
            change(&mut record, &mut sink);
            held(&record, &sink, start()).expect("held")
        };
        assert!(told(&|_, _| {}).starts_with("attempt 2 is due at "));
        assert!(told(&|_, sink| sink.not_before = later(20)).starts_with("receiver asked to wait until "));
        let broken = told(&|_, sink| {
            sink.breaker_until = later(30);
            sink.last_error = Some("503".to_owned());
        });
        assert!(broken.starts_with("breaker open until ") && broken.contains("(503)"), "{broken}");
        let blocked = told(&|record, _| record.blocked_by = Some(event(1).id));
        assert!(blocked.contains(&event(1).id.to_string()), "{blocked}");
        let paused = told(&|_, sink| sink.pause = Some(Pause { reason: "upgrade".to_owned(), until: None }));
        assert_eq!(paused, "sink paused: upgrade; highwater resume erp ends it");
    }
}
