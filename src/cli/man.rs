//! `highwater man`: the manual pages.

use std::path::{Path, PathBuf};

use clap_mangen::Man;

use super::exit_code::Exit;
use super::failure::{Outcome, say};
use super::output::Out;
use crate::error::{Error, Result};

/// Print a manual page, or write all of them into a folder
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  highwater man | man -l -
  highwater man events | man -l -
  highwater man --folder /usr/local/share/man/man1")]
pub struct Args {
    /// The command; the whole program when left out
    command: Option<String>,

    /// Write the pages of all commands into this folder
    #[arg(long, value_name = "FOLDER", conflicts_with = "command")]
    folder: Option<PathBuf>,
}

impl Args {
    pub fn run(self) -> Outcome {
        let mut program = super::command_line();
        program.build();
        if let Some(folder) = &self.folder {
            let count = write_all(&program, folder)?;
            say(&format!("wrote {count} pages into {}", folder.display()));
            return Ok(Exit::CLEAN);
        }
        let wanted = match &self.command {
            None => &program,
            Some(name) => program.find_subcommand(name).ok_or_else(|| {
                let known: Vec<&str> = program.get_subcommands().map(clap::Command::get_name).collect();
                super::context::unknown("command", name, &known)
            })?,
        };
        let mut out = Out::stdout();
        out.bytes(&page(wanted)?)?;
        out.flush()?;
        Ok(Exit::CLEAN)
    }
}

fn page(command: &clap::Command) -> Result<Vec<u8>> {
    let mut page = Vec::new();
    Man::new(command.clone()).render(&mut page).map_err(|e| Error::io("render a manual page", e))?;
    Ok(page)
}

fn write_all(program: &clap::Command, folder: &Path) -> Result<usize> {
    std::fs::create_dir_all(folder).map_err(|e| Error::io(format!("make the folder {}", folder.display()), e))?;
    let mut count = 0;
    let mut left = vec![program];
    while let Some(command) = left.pop() {
        left.extend(command.get_subcommands().filter(|sub| sub.get_name() != "help"));
        let name = command.get_display_name().unwrap_or("highwater");
        let path = folder.join(format!("{name}.1"));
        std::fs::write(&path, page(command)?).map_err(|e| Error::io(format!("write {}", path.display()), e))?;
        count += 1;
    }
    Ok(count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_has_a_page_of_its_own() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut program = super::super::command_line();
        program.build();
        let count = write_all(&program, folder.path()).expect("writes");
        for name in ["highwater.1", "highwater-events.1", "highwater-events-show.1", "highwater-dead-retry.1"] {
            let page = std::fs::read_to_string(folder.path().join(name)).expect(name);
            assert!(page.contains(".SH NAME"), "{name}");
        }
        assert_eq!(std::fs::read_dir(folder.path()).expect("there").count(), count);
    }
}
