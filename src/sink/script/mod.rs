//! The script sink: one attempt is one run of a program, without a shell in between (DESIGN section 8). What its end means
//! is in `exit`; retries, order and states belong to `delivery`.

mod drain;
pub mod environment;
mod exit;
mod group;
pub mod output;
mod process;
mod program;
mod shown;
mod stage;
mod survivors;

pub use survivors::end_survivors;

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::net::unix::pipe;
use tokio::process::Command;

use self::drain::Drain;
use self::environment::{INHERITED, PATH_DEFAULT, Variables};
use self::group::Group;
use self::stage::{Slots, Stage};
use crate::change::Kind;
use crate::error::{Error, ErrorKind, Result};
use crate::event::Spool;
use crate::setting::{Interval, SinkName};
use crate::sink::settings::{DeliverySettings, ScriptSettings, Stdin};
use crate::sink::{Attempt, Outcome, Report, Sink};

/// After the script's own end its output is read this long; who still holds the pipe then is not waited for.
const DRAIN_WAIT: Duration = Duration::from_secs(2);

/// A program that is started per event.
#[derive(Debug)]
pub struct ScriptSink {
    settings: ScriptSettings,
    name: SinkName,
    timeout: Duration,
    spool: Spool,
    slots: Arc<Slots>,
    inherited: Variables,
}

/// A run that is prepared: everything that can fail before the start has been done.
struct Prepared {
    command: Command,
    program: PathBuf,
    output: Drain,
}

impl ScriptSink {
    /// A sink as configured. Private copies are made below `run_folder`, which is made (0700) when it is needed.
    ///
    /// # Errors
    /// `Config` for an empty command.
    pub fn new(
        settings: &ScriptSettings,
        delivery: &DeliverySettings,
        name: &SinkName,
        spool: Spool,
        run_folder: PathBuf,
    ) -> Result<Self> {
        if settings.command.is_empty() {
            return Err(Error::new(ErrorKind::Config, "command is empty; write a program and its arguments"));
        }
        let run_folder = std::path::absolute(&run_folder)
            .map_err(|e| Error::io(format!("find the run folder {}", run_folder.display()), e))?;
        let inherited = INHERITED.iter().filter_map(|name| Some(((*name).into(), std::env::var_os(name)?)));
        Ok(Self {
            settings: settings.clone(),
            name: name.clone(),
            timeout: delivery.timeout.duration(),
            spool,
            slots: Slots::new(run_folder),
            inherited: inherited.collect(),
        })
    }

    /// PATH, HOME, LANG and TZ, then `env`; and the values that must not be seen.
    fn variables(&self) -> Result<(Variables, Vec<Vec<u8>>)> {
        let (configured, secrets) = environment::configured(&self.settings.env)?;
        let mut variables = self.inherited.clone();
        if environment::find(&variables, "PATH").is_none() {
            variables.push(("PATH".into(), PATH_DEFAULT.into()));
        }
        variables.extend(configured);
        Ok((variables, secrets))
    }

    /// Why this event can't be given to this command at all.
    fn impossible(&self, attempt: &Attempt<'_>) -> Option<String> {
        let event = attempt.event;
        let wants_stdin = self.settings.stdin == Stdin::Content;
        (wants_stdin && event.content.is_none() && event.kind != Kind::Removed)
            .then(|| environment::no_content(event, "stdin = \"content\""))
    }

    fn find_program(&self, program: &OsStr, variables: &Variables) -> Result<PathBuf, String> {
        let path = environment::find(variables, "PATH").unwrap_or(OsStr::new(PATH_DEFAULT));
        program::find(program, &self.settings.base, path)
    }

    /// Puts the command together. The inner error is the report of an attempt that can't be made.
    fn prepare(&self, attempt: &Attempt<'_>, stage: &Stage) -> Result<Result<Prepared, Report>> {
        let (mut variables, secrets) = self.variables()?;
        let arguments =
            match environment::arguments(&self.settings.command, attempt.event, stage.event_file(), stage.file()) {
                Ok(arguments) => arguments,
                Err(why) => return Ok(Err(Report::new(Outcome::Dead, why))),
            };
        let program = match self.find_program(&arguments[0], &variables) {
            Ok(program) => program,
            Err(why) => return Ok(Err(Report::new(Outcome::Fault, why))),
        };
        variables.extend(environment::facts(attempt, &self.name, stage.event_file(), stage.file()));
        let (output, written) = std::io::pipe().map_err(|e| Error::io("make a pipe for a script", e))?;
        let written_too = written.try_clone().map_err(|e| Error::io("make a pipe for a script", e))?;
        let output = pipe::Receiver::from_owned_fd(output.into()).map_err(|e| Error::io("read from a script", e))?;
        // A file instead of a pipe: a script that ignores its input breaks nothing, and nothing has to be written to it.
        let stdin = match (self.settings.stdin, stage.file()) {
            (Stdin::Event, _) => Stdio::from(open(stage.event_file())?),
            (Stdin::Content, Some(file)) => Stdio::from(open(file)?),
            (Stdin::Content, None) | (Stdin::None, _) => Stdio::null(),
        };
        let mut command = Command::new(&program);
        command.arg0(&arguments[0]).args(&arguments[1..]).env_clear().envs(variables).current_dir(&self.settings.cwd);
        command.stdin(stdin).stdout(written).stderr(written_too);
        Ok(Ok(Prepared { command, program, output: Drain::new(output, secrets) }))
    }

    /// Runs what is prepared until it ends or its time is up.
    async fn run(&self, prepared: Prepared, stage: Stage) -> Result<Report> {
        let Prepared { command, program, mut output } = prepared;
        let mut group = match Group::start(command, stage) {
            Ok(group) => group,
            Err(e) => return Ok(program::start_failed(&program, &self.settings.cwd, &e)),
        };
        let ended = tokio::time::timeout(self.timeout, output.take_until(group.ended())).await;
        let is_late = ended.is_err();
        if is_late {
            output.take_until(group.end()).await;
        }
        let _ = tokio::time::timeout(DRAIN_WAIT, output.take_all()).await;
        let (status, stage) = group.finish().await;
        remove(stage).await;
        let kept = output.finish();
        Ok(match status {
            Some(status) if !is_late => exit::report(status, &self.settings.exit, kept),
            _ => Report {
                outcome: Outcome::Transient { retry_after: None },
                code: None,
                summary: format!("not done within {}, ended", Interval::from(self.timeout)),
                output: kept,
            },
        })
    }
}

/// Removing a large copy takes a while, so it is done aside; but the attempt ends with its folder gone.
async fn remove(stage: Option<Stage>) {
    let _ = tokio::task::spawn_blocking(move || drop(stage)).await;
}

fn open(path: &Path) -> Result<File> {
    File::open(path).map_err(|e| Error::io(format!("open {}", path.display()), e))
}

#[async_trait]
impl Sink for ScriptSink {
    async fn attempt(&self, attempt: Attempt<'_>) -> Result<Report> {
        if let Some(why) = self.impossible(&attempt) {
            return Ok(Report::new(Outcome::Dead, why));
        }
        let (slots, event, spool) = (self.slots.clone(), attempt.event.clone(), self.spool.clone());
        let staged = tokio::task::spawn_blocking(move || Stage::new(&slots, &event, &spool)).await;
        let stage = staged.map_err(|e| Error::internal("prepare the folder of a script").because(e))??;
        match self.prepare(&attempt, &stage)? {
            Ok(prepared) => self.run(prepared, stage).await,
            Err(report) => {
                remove(Some(stage)).await;
                Ok(report)
            }
        }
    }

    async fn probe(&self) -> Result<String> {
        let (variables, _) = self.variables()?;
        let written = &self.settings.command[0];
        if !written.is_plain() {
            return Ok(format!("the program is known only per event ({written})"));
        }
        let program = OsString::from(written.render(|_| String::new()));
        let found = self.find_program(&program, &variables);
        let found = found.map_err(|why| Error::new(ErrorKind::NotFound, why))?;
        if !self.settings.cwd.is_dir() {
            let fact = format!("the working directory {} is not there", self.settings.cwd.display());
            return Err(Error::new(ErrorKind::NotFound, fact));
        }
        Ok(format!("found {}", found.display()))
    }

    fn dry_run(&self, attempt: Attempt<'_>) -> Result<String> {
        shown::command_line(&self.settings, &attempt, &self.name)
    }
}
