//! FTP and FTPS (RFC 959, 2228, 2389, 2428, 3659, 4217) as a place with folders and files.
//!
//! [`wire`] is a socket with deadlines, [`dial`] connects it, [`reply`] and [`control`] are the control connection,
//! [`data`] the other one. [`server`] opens a [`session`], the [`pool`] keeps them, and [`site`] is the folder on the
//! server: its [`listing`], the [`sight`] of one path, the [`fetch`] of a file and the [`change`] of it. [`directory`] makes a
//! [`crate::source::directory::place::Directory`] of it, [`source`] a source. [`doctor`] says what of all this a server can do, and tries
//! it on [`scratch`] files where that is asked for.
//!
//! Everything blocks, on threads of the poll; what the protocol leaves in doubt counts as failed.

pub mod change;
pub mod control;
pub mod data;
pub mod dial;
pub mod directory;
pub mod doctor;
pub mod features;
pub mod fetch;
pub mod listing;
pub mod names;
pub mod pool;
pub mod refusal;
pub mod reply;
pub mod scratch;
pub mod server;
pub mod session;
pub mod sight;
pub mod site;
pub mod source;
pub mod wire;

pub use directory::FtpDirectory;
pub use source::FtpSource;
