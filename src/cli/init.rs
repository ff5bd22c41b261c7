//! `highwater init`: writes a commented starter file.

use std::path::PathBuf;

use super::context::Context;
use super::exit_code::Exit;
use super::failure::{Outcome, say};
use crate::config::{self, FILE_NAME};

/// Write a commented starter file; one that is there is left alone
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  highwater init\n  highwater init /etc/highwater/highwater.toml")]
pub struct Args {
    /// Where to write it [default: the file of --config, else highwater.toml]
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
}

impl Args {
    pub fn run(self, context: &Context) -> Outcome {
        let path = self.file.or_else(|| context.config_path().map(PathBuf::from)).unwrap_or_else(|| FILE_NAME.into());
        let path = config::init(&path)?;
        let next = "it watches the folder \"inbox\" beside it: make that, or edit the file; then \"highwater check --connect\" \
                    and \"highwater run\"";
        say(&format!("wrote {}; {next}", path.display()));
        Ok(Exit::CLEAN)
    }
}
