//! One round of a source: take the lease, look, decide what is new, commit, carry out after-actions; and when the next
//! round is due. How a place is looked at belongs to `source`, how things are kept to `store`, sending to `delivery`.

pub mod action;
pub mod ledger;
pub mod logins;
pub mod peek;
pub mod plan;
pub mod round;
pub mod route;
pub mod schedule;
pub mod wake;

pub use logins::Logins;
pub use peek::{Peeked, peek};
pub use plan::SourcePlan;
pub use round::{Poller, Round, RoundState};
pub use wake::WakeQueue;
