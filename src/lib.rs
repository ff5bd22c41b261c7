//! Highwater notices what changed in places that cannot tell you themselves, and tells the systems that need to know.
//!
//! The house by layer, lowest first; a module uses lower layers only, never its neighbours:
//!
//! 1. [`error`], [`clock`], [`setting`]: the one error type, time as a dependency, durations, sizes, names, secrets
//! 2. [`change`]: key, entry, fingerprint, the pure diff
//! 3. [`event`]: ids and CloudEvents, the spool; [`net`]: HTTP client, TLS, signatures
//! 4. [`source`], [`sink`], [`store`]: the adapters, which do not know each other
//! 5. [`poll`], [`delivery`]: one round of a source; the worker of a sink. They meet only in the store
//! 6. [`config`], [`web`]: the file and the control socket
//! 7. [`app`], then [`cli`]: the composition root and the commands

pub mod app;
pub mod change;
pub mod cli;
pub mod clock;
pub mod config;
pub mod delivery;
pub mod error;
pub mod event;
pub mod net;
pub mod poll;
pub mod setting;
pub mod sink;
pub mod source;
pub mod store;
pub mod web;
