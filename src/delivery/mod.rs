//! Claims, attempts, outcomes: the worker of each sink and the pure decisions behind it. What an attempt is belongs to
//! `sink`, what is remembered of it to `store`.
//!
//! Pure, with time passed in: [`settlement`] (what an outcome means), [`breaker`], [`rate`], [`gate`] (may an attempt
//! start now), [`lane`] (claims, attempts and outcomes of one sink), [`mod@held`] (why not yet), [`clock_watch`] (steps of
//! the wall clock). Thin shells around them: `slots` (attempts on the runtime), `ledger` (turns of the store), `shift`
//! (the thread's loop), [`worker`] (the handle), [`keeper`] (housekeeping).

pub mod breaker;
pub mod clock_watch;
pub mod gate;
pub mod held;
mod hold_record;
pub mod keeper;
pub mod lane;
mod ledger;
pub mod observer;
pub mod rate;
pub mod settlement;
mod shift;
mod slots;
mod troubled;
pub mod worker;

#[cfg(test)]
mod tests;

pub use held::held;
pub use keeper::{Keeper, KeeperSetup, Rounds};
pub use observer::{ATTEMPTS, Observer, SettledAttempt, Silent, SinkChange};
pub use worker::{Mode, Worker, WorkerSetup, WorkerSummary};
