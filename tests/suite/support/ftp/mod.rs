//! FTP servers for tests: the real ones, and one of our own that does what real ones won't.

pub mod account;
pub mod faulty;
pub mod real;

use std::sync::Arc;

use highwater::clock::{Stop, Timestamp};
use highwater::error::Result;
use highwater::setting::{Interval, Secret};
use highwater::source::directory::ftp::FtpDirectory;
use highwater::source::directory::place::{Directory, Found, Listing};
use highwater::source::settings::{
    DirectorySettings, FtpListing, FtpMode, FtpSecurity, FtpSettings, Names, RemoteTimeouts, ServerSettings, Transfer,
    Verify,
};

pub use account::Counting;

/// Settings as an absent configuration gives them, for a server on this machine.
pub fn settings(port: u16, user: &str, password: &str, path: &str) -> FtpSettings {
    FtpSettings {
        server: ServerSettings {
            host: "127.0.0.1".into(),
            port,
            user: user.into(),
            password: Some(Secret::literal(password)),
            connections: 2,
            timeout: RemoteTimeouts::default(),
            tls: Default::default(),
            proxy: None,
        },
        security: FtpSecurity::Plain,
        path: path.into(),
        claim: None,
        server_timezone: "UTC".into(),
        transfer: Transfer::Binary,
        verify: Verify::Size,
        login: Vec::new(),
        names: Names::Utf8,
        mode: FtpMode::Passive,
        listing: FtpListing::Auto,
        directory: DirectorySettings { stable_for: Interval::from_secs(0), ..DirectorySettings::default() },
    }
}

/// The folder that settings name, arrived at.
pub fn arrived(settings: &FtpSettings) -> FtpDirectory {
    let mut directory = opened(settings);
    directory.arrive().expect("arrived");
    directory
}

/// The folder that settings name, not yet connected.
pub fn opened(settings: &FtpSettings) -> FtpDirectory {
    let directory = FtpDirectory::new(settings, Arc::new(Counting::default())).expect("settings that can work");
    directory.begin(now(), &Stop::new());
    directory
}

/// The time.
pub fn now() -> Timestamp {
    use highwater::clock::Clock;
    highwater::clock::SystemClock::new().now()
}

/// Everything a folder holds, by name.
pub fn list(directory: &FtpDirectory, folder: &str) -> Result<(Vec<(String, Found)>, Listing)> {
    let mut entries = Vec::new();
    let listing = directory.list(folder.as_bytes(), &mut |listed| {
        entries.push((String::from_utf8_lossy(listed.name).into_owned(), listed.found));
        Ok(())
    })?;
    entries.sort_by(|a, b| a.0.cmp(&b.0));
    Ok((entries, listing))
}

/// The names a folder holds.
pub fn names(directory: &FtpDirectory, folder: &str) -> Vec<String> {
    let (entries, listing) = list(directory, folder).expect("a listing");
    assert_eq!(listing, Listing::Complete);
    entries.into_iter().map(|(name, _)| name).collect()
}

/// A file's bytes, fetched as the tracker does: look, open, read, look.
pub fn fetch(directory: &FtpDirectory, path: &str) -> Result<Option<Vec<u8>>> {
    let Some(looked) = directory.look(path.as_bytes())? else { return Ok(None) };
    let Some(mut file) = directory.open(path.as_bytes())? else { return Ok(None) };
    assert_eq!(file.tuple()?, looked.tuple);
    let mut bytes = Vec::new();
    std::io::Read::read_to_end(&mut file, &mut bytes).map_err(|error| highwater::error::Error::io("read", error))?;
    assert_eq!(file.tuple()?, looked.tuple);
    Ok(Some(bytes))
}
