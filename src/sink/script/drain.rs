//! Takes a script's output as it comes. What of it is kept is `output`'s decision.

use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;

use super::output::Output;

const READ_BYTES: usize = 64 * 1024;

/// The reading end of a script's standard output and standard error.
#[derive(Debug)]
pub struct Drain {
    pipe: pipe::Receiver,
    piece: Vec<u8>,
    output: Output,
    is_at_end: bool,
}

impl Drain {
    /// Reads from `pipe`, and makes `secrets` unreadable.
    pub fn new(pipe: pipe::Receiver, secrets: Vec<Vec<u8>>) -> Self {
        Self { pipe, piece: vec![0; READ_BYTES], output: Output::new(secrets), is_at_end: false }
    }

    /// Takes everything until nobody holds the other end. May be given up at any time without losing a byte.
    pub async fn take_all(&mut self) {
        while !self.is_at_end {
            match self.pipe.read(&mut self.piece).await {
                Ok(0) | Err(_) => self.is_at_end = true,
                Ok(read) => self.output.push(&self.piece[..read]),
            }
        }
    }

    /// Takes what comes until `done`, and not longer.
    pub async fn take_until(&mut self, done: impl Future<Output = ()>) {
        let take = async {
            self.take_all().await;
            std::future::pending::<()>().await;
        };
        tokio::select! {
            () = done => {}
            () = take => {}
        }
    }

    /// What is kept of it all.
    pub fn finish(self) -> Vec<u8> {
        self.output.finish()
    }
}
