//! `highwater listen`: a local receiver that verifies and prints, and can be told to fail.

use std::net::SocketAddr;

use super::context::Context;
use super::exit_code::Exit;
use super::failure::Outcome;
use super::signals;
use crate::clock::Stop;
use crate::setting::Secret;
use crate::web::listen::{ListenOptions, listen};

/// Receive events locally, verify and print them; can be told to fail
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  highwater listen                                in a second terminal, while \"highwater run\" delivers to it
  highwater listen --fail-every 3                 every third answer is 503: watch the retries
  highwater listen --secret env:ERP_SECRET        verifies signatures of every scheme")]
pub struct Args {
    /// Where to listen
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8099")]
    addr: SocketAddr,

    /// The secret signatures are verified with: env:NAME, file:PATH or the text itself
    #[arg(long, value_name = "SECRET")]
    secret: Option<String>,

    /// Answer every Nth request with 503
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    fail_every: Option<u32>,

    /// The status of all other answers
    #[arg(long, value_name = "CODE", default_value_t = 204, value_parser = clap::value_parser!(u16).range(200..=599))]
    status: u16,
}

impl Args {
    pub fn run(self, _: &Context) -> Outcome {
        let stop = Stop::new();
        signals::raise(&stop)?;
        let secret = self.secret.map(|written| Secret::parse(&written, std::path::Path::new(".")));
        listen(ListenOptions { addr: self.addr, secret, fail_every: self.fail_every, status: self.status }, stop)?;
        Ok(Exit::CLEAN)
    }
}
