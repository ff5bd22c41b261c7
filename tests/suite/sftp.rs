//! `sftp` sources: against a real OpenSSH, and against a server of our own for what a real one won't do.

mod hardened;
mod logins;
mod openssh;
mod program;
mod scripted;
mod sharing;
