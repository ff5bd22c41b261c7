//! `kind = "ftp"`: the keys of a directory on an FTP or FTPS server. What they do belongs to `source::directory`.

use schemars::{Schema, SchemaGenerator, json_schema};

use super::address::Scheme;
use super::folder::{DirectorySection, directory};
use super::node::{Node, Value, written_text};
use super::place::Place;
use super::reading::{At, Quoting, Reading};
use super::remote::{Remote, RemoteSection};
use super::schedule::Timezone;
use super::section::{Keys, Located, Setting, section};
use super::server::{self, ANONYMOUS, CertificateSection, ServerSection};
use super::source::KindDraft;
use super::tls;
use super::word::Words;
use crate::source::settings::{FtpListing, FtpMode, FtpSecurity, FtpSettings, Names, SourceKind, Transfer, Verify};

section! {
    /// A directory on an FTP or FTPS server.
    pub struct FtpSection {
        /// The time zone of the times in LIST, like `Europe/Berlin`. MLSD and MDTM tell UTC.
        server_timezone: Timezone = "UTC",
        /// How contents are transferred: "binary", or "text" where the server turns its records into lines (IBM i, z/OS).
        transfer: Transfer = "binary",
        /// What proves that a fetch was whole: "size", or "twice": two fetches with the same content. "text" implies "twice".
        verify: Located<Verify> = "size",
        /// Commands sent after the login, as they are: ["SITE NAMEFMT 1"].
        login: Vec<LoginCommand> = [],
        /// How names are encoded on the wire: "utf-8", "latin1", "cp1252" or "cp850".
        names: Names = "utf-8",
        /// Who opens data connections: "passive" (we do) or "active" (the server does).
        mode: Located<FtpMode> = "passive",
        /// The listing: "auto", "mlsd", "list", or LIST in one format: "unix", "dos", "ibm-i", "mvs", "vms", "netware", "eplf".
        listing: FtpListing = "auto",
    }
}

/// The keys that only this kind has.
pub const FTP_KEYS: [&str; 8] = ["tls", "server_timezone", "transfer", "verify", "login", "names", "mode", "listing"];

/// Reads the keys of a directory on an FTP server.
pub fn read(keys: &mut Keys<'_>, remote: &Remote<'_>, reading: &mut Reading) -> KindDraft {
    let section: RemoteSection = keys.read(reading);
    let server: ServerSection = keys.read(reading);
    let certificates: CertificateSection = keys.read(reading);
    let ftp: FtpSection = keys.read(reading);
    let files: DirectorySection = keys.read(reading);
    let takes_away = Some((files.on_delivered.clone(), files.on_dead.clone()));
    let tls = tls::settings(certificates.tls.0, &format!("{}.tls", keys.path()), reading);
    let verify = verify(&ftp, keys, reading);
    let (every, max_new) = (section.every.clone(), section.max_new.0);
    let address = remote.address(keys, &section, reading);
    let kind = address.map(|url| {
        remote.check(keys, &url, &server, reading);
        if server.proxy.is_some() && ftp.mode.value == FtpMode::Active {
            let text = format!("{}.mode = \"active\" can't go through a proxy; write \"passive\"", keys.path());
            reading.problem(&ftp.mode.place, text);
        }
        let is_known = url.value.user.as_ref().is_some_and(|user| user != ANONYMOUS);
        if is_known && server.password.is_none() && !keys.has("password") {
            let text = format!("{}: the account has no password; add password = \"env:NAME\"", keys.path());
            reading.warn(&url.place, text);
        }
        let path = remote.path(&section, &url.value, keys, reading);
        let security = match url.value.scheme {
            Scheme::Ftps => FtpSecurity::Explicit,
            Scheme::FtpsImplicit => FtpSecurity::Implicit,
            Scheme::Ftp | Scheme::Sftp => FtpSecurity::Plain,
        };
        SourceKind::Ftp(FtpSettings {
            server: server::settings(url.value, server, tls),
            security,
            path,
            claim: section.claim.map(|claim| claim.value.0),
            server_timezone: ftp.server_timezone.0,
            transfer: ftp.transfer,
            verify,
            login: ftp.login.into_iter().map(|command| command.0).collect(),
            names: ftp.names,
            mode: ftp.mode.value,
            listing: ftp.listing,
            directory: directory(files, section.stable_for.0),
        })
    });
    reading.mark_inherited(&keys.section, &remote.inherited.keys);
    KindDraft { kind, every, max_new, takes_away }
}

/// Sizes of a text transfer are not those of the content.
fn verify(ftp: &FtpSection, keys: &Keys<'_>, reading: &mut Reading) -> Verify {
    if ftp.transfer == Transfer::Binary {
        return ftp.verify.value;
    }
    if ftp.verify.place.is_written() && ftp.verify.value == Verify::Size {
        let rule = "can't be: in a text transfer sizes are not those of the content; write \"twice\"";
        reading.problem(&ftp.verify.place, format!("{}.verify = \"size\" {rule}", keys.path()));
    }
    if !ftp.verify.place.is_written() {
        reading.forget(&keys.section, "verify");
        let place = Place::whole(keys.place.file());
        let node = Node { place, value: Value::Text("twice".into()), variables: Vec::new() };
        reading.note(&keys.at("verify", &node, Quoting::Value), written_text("twice"), None);
    }
    Verify::Twice
}

/// A command sent after the login.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoginCommand(pub String);

impl Setting for LoginCommand {
    fn read(at: &At<'_>, reading: &mut Reading) -> Option<Self> {
        reading.parsed(at, |text| match text {
            text if text.trim().is_empty() => Err("is empty; write a command like \"SITE NAMEFMT 1\"".into()),
            text if text.contains(['\r', '\n', '\0']) => {
                Err("holds a line break or NUL; write one command an item".into())
            }
            text => Ok(Self(text.to_owned())),
        })
    }

    fn shown(&self) -> Option<String> {
        Some(written_text(&self.0))
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "minLength": 1 })
    }
}

impl Words for Transfer {
    const WORDS: &'static [(&'static str, Self)] = &[("binary", Self::Binary), ("text", Self::Text)];
}

impl Words for Verify {
    const WORDS: &'static [(&'static str, Self)] = &[("size", Self::Size), ("twice", Self::Twice)];
}

impl Words for Names {
    const WORDS: &'static [(&'static str, Self)] =
        &[("utf-8", Self::Utf8), ("latin1", Self::Latin1), ("cp1252", Self::Cp1252), ("cp850", Self::Cp850)];
}

impl Words for FtpMode {
    const WORDS: &'static [(&'static str, Self)] = &[("passive", Self::Passive), ("active", Self::Active)];
}

impl Words for FtpListing {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("auto", Self::Auto),
        ("mlsd", Self::Mlsd),
        ("list", Self::List),
        ("unix", Self::Unix),
        ("dos", Self::Dos),
        ("ibm-i", Self::IbmI),
        ("mvs", Self::Mvs),
        ("vms", Self::Vms),
        ("netware", Self::Netware),
        ("eplf", Self::Eplf),
    ];
}
