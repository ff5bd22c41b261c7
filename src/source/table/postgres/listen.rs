//! NOTIFY as a hint that it is worth looking now, on a connection of its own. Losing one loses nothing: the poll stays the
//! truth, and whenever the connection is made anew, one look is asked for.

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;

use super::super::dialect::Dialect;
use super::read_address;
use super::session::Session;
use crate::clock::Stop;
use crate::error::{ErrorKind, Result};
use crate::setting::SourceName;
use crate::source::settings::PostgresSettings;
use crate::source::{Accounts, Wake};

/// How often it is looked whether the connection is still there.
const LOOK: Duration = Duration::from_secs(1);
/// A connection that is silent this long is asked whether it still is one.
const SILENT: u32 = 60;
/// How long the answer may take.
const ANSWER_MAX: Duration = Duration::from_secs(10);
/// How long after a failure the next connection is tried, and when the login was refused.
const AGAIN: Duration = Duration::from_secs(10);
const AGAIN_DENIED: Duration = Duration::from_secs(600);

/// What a listener needs.
pub struct Listener {
    /// The source.
    pub name: SourceName,
    /// How to connect.
    pub settings: PostgresSettings,
    /// Where the driver runs.
    pub runtime: Handle,
    /// Asked before each login.
    pub accounts: Arc<dyn Accounts>,
    /// Who is told.
    pub wake: Arc<dyn Wake>,
}

/// Ends the listener when it is dropped.
struct Watch(Stop);

impl Drop for Watch {
    fn drop(&mut self) {
        self.0.raise();
    }
}

impl Listener {
    /// Begins to listen on `channel`, on a thread of its own, until what is returned is dropped.
    pub fn begin(self, channel: String) -> Option<Box<dyn Send>> {
        let stop = Stop::new();
        let watch = Watch(stop.clone());
        let name = self.name.clone();
        let thread = std::thread::Builder::new().name(format!("listen-{name}"));
        match thread.spawn(move || self.run(&channel, &stop)) {
            Ok(_) => Some(Box::new(watch)),
            Err(error) => {
                tracing::warn!(source = %name, %error, "no thread to listen with, so the table is only polled");
                None
            }
        }
    }

    fn run(&self, channel: &str, stop: &Stop) {
        let mut told = false;
        while !stop.is_raised() {
            let Err(error) = self.listen(channel, stop, &mut told) else { continue };
            if stop.is_raised() {
                return;
            }
            // Said once, until it works again.
            if !std::mem::replace(&mut told, true) {
                tracing::warn!(source = %self.name, %error, "listening failed and is tried again; polls go on");
            }
            stop.wait(if error.kind() == ErrorKind::Denied { AGAIN_DENIED } else { AGAIN });
        }
    }

    /// Listens until the connection ends.
    fn listen(&self, channel: &str, stop: &Stop, told: &mut bool) -> Result<()> {
        let address = read_address(&self.name, &self.settings)?;
        let passwords = self.settings.password.as_ref().map_or(Ok(Vec::new()), |secret| secret.reveal_all())?;
        let wake = Some(self.wake.clone());
        let session = Session::connect(&address, &passwords, &*self.accounts, &self.runtime, wake, stop)?;
        session.run(&format!("LISTEN {}", Dialect::POSTGRES.quoted(channel)), stop)?;
        *told = false;
        // Whatever was notified before nobody has heard.
        self.wake.wake(None);
        let mut looks = 0;
        while !session.is_closed() {
            if stop.wait(LOOK) {
                return Ok(());
            }
            looks += 1;
            if looks % SILENT == 0 {
                session.run("SELECT 1", &stop.within(ANSWER_MAX))?;
            }
        }
        tracing::debug!(source = %self.name, "the listening connection ended and is made anew");
        stop.wait(LOOK);
        Ok(())
    }
}
