//! Directory sources: what every place with folders and files shares, and the places themselves. What is new and which id
//! it gets is decided by `change` and `poll`, which a source reaches only through its ledger.
//!
//! A poll goes through these, in this order:
//!
//! 1. [`place`]: what a directory can do; [`local`] is the one on this machine
//! 2. [`scan`], [`ahead`]: every folder of the scope is listed and, by [`compare`], held against its known listing
//!    ([`segment`], made of [`block`]s); what differs goes into [`findings`]. [`filter`] says what belongs, [`coarse`] and
//!    [`shift`] which times of remote places agree
//! 3. [`tracker`]: the brakes, once it is known how much is new and gone ([`removal`]); [`pairing`] finds renamed files
//! 4. [`settle`]: folder by folder [`judge`] decides by the [`rules`] which files are ready ([`readiness`], [`sidecar`]),
//!    [`reading`] hashes and captures them, [`pages`] commit them, and [`recut`] writes the known listing behind them
//! 5. [`visit`]: between polls, only what waits; [`leftovers`]: what is known and no listing leads to
//!
//! [`claim`] takes files away before they are read, [`mark`] and [`claimed`] say what of them was told, [`action`] moves and
//! deletes delivered ones, [`watch`] says when it is worth looking, [`explain`] says why. [`listing`] reads what FTP servers
//! list, [`ftp`] and [`sftp`] are folders on servers.

pub mod action;
pub mod ahead;
pub mod block;
pub mod claim;
pub mod claimed;
pub mod coarse;
pub mod compare;
pub mod explain;
pub mod filter;
pub mod findings;
pub mod folder;
pub mod ftp;
pub mod judge;
pub mod leftovers;
pub mod listing;
pub mod local;
pub mod mark;
pub mod pages;
pub mod pairing;
pub mod place;
pub mod readiness;
pub mod reading;
pub mod recut;
pub mod removal;
pub mod rules;
pub mod scan;
pub mod segment;
pub mod settle;
pub mod sftp;
pub mod shift;
pub mod sidecar;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
pub mod tracker;
mod varint;
pub mod visit;
pub mod watch;

pub use folder::FolderSource;
pub use ftp::FtpSource;
pub use sftp::SftpSource;
