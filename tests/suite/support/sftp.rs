//! Settings of `sftp` sources for tests.

use std::path::PathBuf;
use std::sync::Arc;

use highwater::setting::{Interval, SourceName};
use highwater::source::directory::SftpSource;
use highwater::source::settings::{DirectorySettings, HostKey, Identity, RemoteTimeouts, ServerSettings, SftpSettings};

use super::postgres::RUNTIME;
use super::watched::OpenAccounts;

/// Settings with the documented defaults, but ready on sight.
pub fn settings(port: u16, user: &str, path: &str, host_key: HostKey) -> SftpSettings {
    SftpSettings {
        server: ServerSettings {
            host: "127.0.0.1".into(),
            port,
            user: user.into(),
            password: None,
            connections: 2,
            timeout: RemoteTimeouts::default(),
            tls: Default::default(),
            proxy: None,
        },
        path: path.into(),
        claim: None,
        host_key,
        identity: Vec::new(),
        passphrase: None,
        algorithms: Vec::new(),
        directory: DirectorySettings { stable_for: Interval::from_secs(0), ..DirectorySettings::default() },
    }
}

/// The same with one key file.
pub fn with_key(mut settings: SftpSettings, key: PathBuf) -> SftpSettings {
    settings.identity = vec![Identity::File(key)];
    settings
}

/// A source from settings.
pub fn source(settings: &SftpSettings) -> SftpSource {
    source_of(settings, Arc::default())
}

/// A source whose logins are counted.
pub fn source_of(settings: &SftpSettings, accounts: Arc<OpenAccounts>) -> SftpSource {
    SftpSource::new(&SourceName::new("partner"), settings, None, accounts, RUNTIME.handle().clone())
        .expect("valid settings")
}
