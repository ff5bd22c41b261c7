//! Prints how far Highwater is from the smallest program that does the same work, measured side by side in one run.
//! What is compared is in `cases`; the smallest programs are in `floors`; docs/performance.md explains the output.

mod cases;
mod data;
mod floors;
mod ftp_floor;
mod ftp_server;
mod measure;
mod peers;
mod postgres;
mod product;
mod receiver;
mod remote;
mod report;
mod rows;
mod ssh_server;
mod tables;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Everything here fails with one line for people.
type Result<T> = std::result::Result<T, String>;

/// What was asked for.
pub struct Options {
    /// Small sizes, to see that everything works.
    quick: bool,
    /// 1,000,000 files instead of 200,000 in the idle case.
    million: bool,
    /// Rounds that count; one more warms up.
    rounds: usize,
    /// Where the data is made; kept for the next run.
    dir: PathBuf,
    /// The product: the one built with this program, or another build.
    program: PathBuf,
    /// Names of cases; empty is all.
    only: Vec<String>,
    /// Parts of `remote`; empty is all.
    parts: Vec<String>,
}

const USAGE: &str = "usage: cargo bench --bench bench -- [--quick] [--million] [--rounds N] [--dir DIR] [--program FILE] [CASE]...\n\
                     cases: idle hash rows table polls http script remote; parts of remote: list fetch sftp";

impl Options {
    fn parse(args: &[String]) -> Result<Self> {
        let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("bench");
        let program = PathBuf::from(env!("CARGO_BIN_EXE_highwater"));
        let mut options =
            Self { quick: false, million: false, rounds: 7, dir, program, only: Vec::new(), parts: Vec::new() };
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            let mut value = || args.next().ok_or(format!("{arg} wants a value\n{USAGE}"));
            match arg.as_str() {
                "--quick" => options.quick = true,
                "--million" => options.million = true,
                "--rounds" => {
                    options.rounds = value()?.parse().map_err(|_| format!("--rounds wants a number\n{USAGE}"))?;
                }
                "--dir" => options.dir = PathBuf::from(value()?),
                "--program" => options.program = PathBuf::from(value()?),
                case if cases::NAMES.contains(&case) => options.only.push(case.to_owned()),
                // A part alone is a part of the one case that has any.
                part if remote::PARTS.contains(&part) => {
                    options.parts.push(part.to_owned());
                    options.only.push("remote".to_owned());
                }
                other => return Err(format!("unknown argument \"{other}\"\n{USAGE}")),
            }
        }
        Ok(options)
    }

    fn wants(&self, case: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|name| name == case)
    }

    fn wants_part(&self, part: &str) -> bool {
        self.parts.is_empty() || self.parts.iter().any(|name| name == part)
    }
}

fn main() -> ExitCode {
    // cargo itself adds --bench
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    let ended = match args.first().map(String::as_str) {
        Some("floor") => floors::run(&args[1..]),
        Some("measured") => measure::measured(&args[1..]),
        Some("receive") => receiver::serve(),
        _ => Options::parse(&args).and_then(|options| cases::run(&options)),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(line) => {
            eprintln!("bench: {line}");
            ExitCode::FAILURE
        }
    }
}
