//! The ODBC helper of Highwater: one connection through one driver, asked over standard input, answering over standard
//! output. A driver that hangs or crashes takes this process with it and nothing else. It ends when its input closes.

mod fetch;
mod session;

use std::process::ExitCode;
use std::sync::mpsc;
use std::thread;

use highwater::source::table::odbc::wire::{self, Request};

fn main() -> ExitCode {
    if std::env::args_os().count() > 1 {
        eprintln!("highwater-odbc is started by highwater, for sources with kind = \"odbc\"; it takes no arguments");
        return ExitCode::from(2);
    }
    let (asked, requests) = mpsc::channel();
    // The end of the input ends the process also while a driver keeps the other thread.
    thread::spawn(move || {
        let mut input = std::io::stdin().lock();
        loop {
            match wire::read::<Request>(&mut input) {
                Ok(Some(request)) => {
                    if asked.send(request).is_err() {
                        return;
                    }
                }
                Ok(None) => std::process::exit(0),
                Err(error) => {
                    eprintln!("highwater-odbc: {error}");
                    std::process::exit(1);
                }
            }
        }
    });
    match session::serve(&requests, &mut std::io::stdout().lock()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("highwater-odbc: {error}");
            ExitCode::FAILURE
        }
    }
}
