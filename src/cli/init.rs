//! `highwater init`: writes a commented starter file.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::PathBuf;

use super::context::Context;
use super::exit_code::Exit;
use super::failure::{Failure, Outcome, say};
use crate::config;
use crate::error::Error;

const FILE: &str = "highwater.toml";

/// Write a commented starter file
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  highwater init\n  highwater init /etc/highwater/highwater.toml")]
pub struct Args {
    /// Where to write it [default: the file of --config, else highwater.toml]
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,

    /// Write over a file that is there
    #[arg(long)]
    force: bool,
}

impl Args {
    pub fn run(self, context: &Context) -> Outcome {
        let path = self.file.or_else(|| context.config_path().map(PathBuf::from)).unwrap_or_else(|| FILE.into());
        let mut options = OpenOptions::new();
        options.write(true);
        if self.force {
            options.create(true).truncate(true)
        } else {
            options.create_new(true)
        };
        let mut file = options.open(&path).map_err(|e| match e.kind() {
            std::io::ErrorKind::AlreadyExists => {
                Failure::usage(format!("{} is already there; --force writes over it", path.display()))
            }
            _ => Error::io(format!("write {}", path.display()), e).into(),
        })?;
        file.write_all(config::starter().as_bytes()).map_err(|e| Error::io(format!("write {}", path.display()), e))?;
        say(&format!("wrote {}; edit it, then run \"highwater check --connect\"", path.display()));
        Ok(Exit::CLEAN)
    }
}
