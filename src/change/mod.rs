//! What was seen, compared with what is known: keys, fingerprints, tuples, and the pure diff that decides what to tell.
//! How things are seen belongs to `source`, what is known is kept by `store`.

pub mod content;
pub mod diff;
pub mod entry;
pub mod fingerprint;
pub mod key;
pub mod kind;

pub use content::Content;
pub use diff::{Decision, Policy, decide};
pub use entry::{Absence, Entry, Facts, Known, Presence, Sight, Tuple, Version};
pub use fingerprint::Fingerprint;
pub use key::Key;
pub use kind::{Kind, Nature};
