//! `highwater listen`: a local receiver that verifies and prints, and can be told to fail.

use std::net::SocketAddr;

use super::context::Context;
use super::exit_code::Exit;
use super::failure::Outcome;
use super::signals;
use crate::clock::Stop;
use crate::net::signature::Scheme;
use crate::setting::{Interval, Secret};
use crate::web::listen::{ListenOptions, listen};

/// Receive events locally, verify and print them; can be told to fail
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  highwater listen                                in a second terminal, while \"highwater run\" delivers to it
  highwater listen --fail-every 3                 every third answer is 503: watch the retries
  highwater listen --secret env:ERP_SECRET        verifies signatures; --scheme for another than standard")]
pub struct Args {
    /// Where to listen
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9000", value_parser = address)]
    addr: SocketAddr,

    /// The secret signatures are verified with: env:NAME, file:PATH or the text itself
    #[arg(long, value_name = "SECRET")]
    secret: Option<String>,

    /// How the sink signs: standard, github or stripe
    #[arg(long, value_name = "SCHEME", default_value = "standard", value_parser = scheme)]
    scheme: Scheme,

    /// Fail every Nth request, with 503 or with --status
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    fail_every: Option<u64>,

    /// The answer to every request, or with --fail-every to those that fail
    #[arg(long, value_name = "CODE", value_parser = clap::value_parser!(u16).range(200..=599))]
    status: Option<u16>,

    /// Wait so long before each answer
    #[arg(long, value_name = "SPAN", default_value = "0s")]
    delay: Interval,

    /// Print each event as a line of JSON
    #[arg(long)]
    json: bool,

    /// No line per request
    #[arg(short, long)]
    quiet: bool,
}

fn address(text: &str) -> Result<SocketAddr, String> {
    let plain = text.replace("localhost", "127.0.0.1");
    plain.parse().map_err(|_| "write an address of this machine and a port, like 127.0.0.1:9000".to_owned())
}

fn scheme(word: &str) -> Result<Scheme, String> {
    Scheme::parse(word).ok_or_else(|| "use standard, github or stripe".to_owned())
}

impl Args {
    pub fn run(self, _: &Context) -> Outcome {
        let stop = Stop::new();
        signals::raise(&stop)?;
        let written = self.secret.map(|written| Secret::parse(&written, std::path::Path::new(".")));
        let options = ListenOptions {
            addr: self.addr,
            secret: written.map(|secret| secret.reveal()).transpose()?,
            scheme: self.scheme,
            fail_every: self.fail_every,
            status: self.status.and_then(|code| http::StatusCode::from_u16(code).ok()),
            delay: self.delay.duration(),
            json: self.json,
            quiet: self.quiet,
        };
        listen(options, stop)?;
        Ok(Exit::CLEAN)
    }
}
