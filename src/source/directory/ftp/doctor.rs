//! What a server announces and what of it really works, for `doctor` and `check --connect`. Nothing is left behind there.

use std::sync::atomic::Ordering;

use super::data::{epsv_port, pasv_address};
use super::directory::FtpDirectory;
use super::names::word;
use super::pool::Lease;
use super::session::Type;
use super::sight::{size_in, time_in};
use super::site::Site;
use crate::change::key::shown;
use crate::clock::Timestamp;
use crate::error::Result;
use crate::source::directory::place::{Directory, Found, Listing, Precision, Shape};
use crate::source::settings::{FtpMode, FtpSecurity, Names};
use crate::source::{Finding, Verdict};

/// What a listing showed.
#[derive(Default)]
struct Listed {
    entries: u64,
    /// A file to try things on: one with content where there is one, the newest.
    sample: Option<(Vec<u8>, Found)>,
    foreign_names: u64,
    folders: u64,
}

/// For `check --connect`: how the server was reached, in one or two lines.
///
/// # Errors
/// No connection can be had.
pub fn summary(site: &Site) -> Result<Vec<String>> {
    let lease = site.lease()?;
    let secured = lease.control.tls().and_then(|tls| tls.protocol_version()).map(|version| format!("{version:?}"));
    let secured = secured.unwrap_or_else(|| "no TLS: passwords and files can be read on the way".into());
    Ok(vec![format!("{}: {}; {secured}", site.server.place(), lease.greeting.quoted())])
}

/// Tries everything that a source depends on.
///
/// # Errors
/// The server can't be reached, or the login failed.
pub fn examine(directory: &mut FtpDirectory) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    let mut tell = |topic: &str, verdict, detail: String| findings.push(Finding::new(topic, verdict, detail));
    let site = directory.site().clone();
    let root = directory.arrive()?;
    {
        let mut lease = site.lease()?;
        tell("greeting", Verdict::Note, lease.greeting.quoted());
        let system = lease.control.command(b"SYST")?;
        tell("system", Verdict::Note, if system.is_done() { system.quoted() } else { "not told".into() });
        tell("root", Verdict::Note, root);
        let features = lease.features.lines().join(", ");
        let offered = if features.is_empty() { Verdict::Absent } else { Verdict::Note };
        tell("features", offered, if features.is_empty() { "FEAT lists nothing".into() } else { features });
        encryption(&lease, &site, &mut tell);
        if site.server.settings.mode == FtpMode::Passive {
            passive(&mut lease, &site, &mut tell)?;
        }
    }
    let mut listed = Listed::default();
    let listing = directory.list(b"", &mut |entry| {
        listed.entries += 1;
        listed.foreign_names += u64::from(std::str::from_utf8(entry.name).is_err());
        listed.folders += u64::from(entry.found.shape == Shape::Folder);
        let tuple = entry.found.tuple;
        let better = listed
            .sample
            .as_ref()
            .is_none_or(|(_, best)| (tuple.size > 0, tuple.mtime_ns) > (best.tuple.size > 0, best.tuple.mtime_ns));
        if entry.found.shape == Shape::File && better {
            listed.sample = Some((entry.name.to_vec(), entry.found));
        }
        Ok(())
    })?;
    let mut lease = site.lease()?;
    let command = if site.has_facts(&lease) { "MLSD" } else { "LIST" };
    let announced = lease.features.has_facts();
    let (verdict, state) = match (command, announced) {
        ("MLSD", _) => (Verdict::Works, "works".to_owned()),
        (_, true) => (Verdict::Problem, "is announced and not used or does not work; LIST is used".to_owned()),
        _ => (Verdict::Absent, "is not offered; LIST is used".to_owned()),
    };
    tell("MLSD", verdict, state);
    let (verdict, state) = match &listing {
        Listing::Complete => (Verdict::Works, "complete".to_owned()),
        Listing::Doubtful(why) => (Verdict::Problem, format!("not proven complete: {why}")),
        Listing::Missing => (Verdict::Problem, "the folder vanished meanwhile".to_owned()),
    };
    let (entries, folders) = (listed.entries, listed.folders);
    tell("listing", verdict, format!("{command}: {entries} entries, of them folders: {folders}; {state}"));
    encoding(&lease, &site, &listed, &mut tell);
    reuse(&lease, &mut tell);
    match &listed.sample {
        None => tell("sample", Verdict::Absent, "no file to try SIZE, MDTM, REST and clock on".into()),
        Some((name, found)) => on_sample(&mut lease, &site, name, found, &mut tell)?,
    }
    Ok(findings)
}

type Tell<'a> = dyn FnMut(&str, Verdict, String) + 'a;

fn encryption(lease: &Lease, site: &Site, tell: &mut Tell<'_>) {
    match lease.control.tls() {
        Some(tls) => {
            let version = tls.protocol_version().map_or_else(|| "?".into(), |version| format!("{version:?}"));
            let suite =
                tls.negotiated_cipher_suite().map_or_else(|| "?".into(), |suite| format!("{:?}", suite.suite()));
            tell("TLS", Verdict::Works, format!("{version} {suite}, data protected (PROT P)"));
        }
        None if site.server.settings.security == FtpSecurity::Plain => {
            let offered = lease.features.has("AUTH TLS") || lease.features.has("AUTH");
            let remedy = if offered { "; the server offers TLS: use ftps://" } else { "" };
            tell("TLS", Verdict::Problem, format!("off: password and files can be read on the way{remedy}"));
        }
        None => {}
    }
}

fn passive(lease: &mut Lease, site: &Site, tell: &mut Tell<'_>) -> Result<()> {
    let reply = lease.control.command(b"EPSV")?;
    match epsv_port(&reply) {
        Some(_) => tell("EPSV", Verdict::Works, reply.quoted()),
        None => tell("EPSV", Verdict::Absent, format!("{}; PASV is used", reply.quoted())),
    }
    let reply = lease.control.command(b"PASV")?;
    match pasv_address(&reply) {
        Some((address, _)) if address.to_string() == lease.control.peer_ip().to_canonical().to_string() => {
            tell("PASV", Verdict::Works, format!("names the server's own address {address}"));
        }
        Some((address, _)) => {
            let host = &site.server.settings.server.host;
            tell(
                "PASV",
                Verdict::Note,
                format!("names {address}, another address; connections go to {host} all the same"),
            );
        }
        None => tell("PASV", Verdict::Absent, reply.quoted()),
    }
    // The data port that nobody connects to is given up by the next one.
    Ok(())
}

fn encoding(lease: &Lease, site: &Site, listed: &Listed, tell: &mut Tell<'_>) {
    let names = site.server.settings.names;
    let utf8 = if lease.features.has("UTF8") { "the server says UTF8" } else { "the server says nothing of UTF8" };
    let (foreign, entries) = (listed.foreign_names, listed.entries);
    if names == Names::Utf8 && foreign > 0 {
        let fact =
            format!("{foreign} of {entries} names are no UTF-8; try names = \"latin1\", \"cp1252\" or \"cp850\"");
        tell("names", Verdict::Problem, fact);
    } else {
        tell("names", Verdict::Works, format!("read as {}; {utf8}", word(names)));
    }
}

fn reuse(lease: &Lease, tell: &mut Tell<'_>) {
    match lease.last_handshake {
        Some(rustls::HandshakeKind::Resumed) => {
            tell(
                "session reuse",
                Verdict::Works,
                "data connections resume the control connection's TLS session".into(),
            );
        }
        Some(_) => {
            let fact =
                "data connections begin TLS anew: the server does not resume sessions; slower, and not demanded here";
            tell("session reuse", Verdict::Absent, fact.into());
        }
        None => {}
    }
}

fn on_sample(lease: &mut Lease, site: &Site, name: &[u8], listed: &Found, tell: &mut Tell<'_>) -> Result<()> {
    lease.set_type(Type::Image)?;
    let written = site.written(lease, name)?;
    let (size, time) = lease.ask_both(["SIZE", "MDTM"], &written)?;
    let shown = shown(name);
    match size_in(&size) {
        Some(bytes) if bytes == listed.tuple.size => tell("SIZE", Verdict::Works, format!("{shown}: {bytes} bytes")),
        Some(bytes) => {
            let fact = format!("{shown}: {bytes} bytes, but the listing says {}", listed.tuple.size);
            tell("SIZE", Verdict::Problem, fact);
        }
        None => tell("SIZE", Verdict::Absent, size.quoted()),
    }
    match if time.code == 213 { time_in(&time) } else { None } {
        Some(seconds) => {
            let at = Timestamp::from_millis(seconds.saturating_mul(1_000));
            tell("MDTM", Verdict::Works, format!("{shown}: {at}"));
            let apart = seconds - listed.tuple.mtime_ns.div_euclid(1_000_000_000);
            clock(apart, listed, tell);
            let ahead = at.seconds() - site.now().seconds();
            if ahead > 60 {
                tell(
                    "clock",
                    Verdict::Problem,
                    format!("the newest file is {ahead} s in the future: check the clocks"),
                );
            }
        }
        None => tell("MDTM", Verdict::Absent, time.quoted()),
    }
    if site.server.learned.clock_offset.load(Ordering::Relaxed) > 0 {
        tell("clock", Verdict::Note, "MDTM is ahead of the listing and corrected by that".into());
    }
    let precision = match listed.precision {
        Precision::Exact => "finer than a second",
        Precision::Second => "a second",
        Precision::Minute => "a minute; the exact time is asked for before a file is fetched",
        Precision::Day => "a day; the exact time is asked for before a file is fetched",
        Precision::None => "none: only sizes tell versions apart",
    };
    tell("time precision", Verdict::Note, format!("listings are exact to {precision}"));
    let reply = lease.control.command(b"REST 1")?;
    if reply.is_half() {
        lease.control.command(b"REST 0")?;
        tell("REST", Verdict::Works, "cut fetches of large files go on where they stopped".into());
    } else {
        tell("REST", Verdict::Absent, format!("{}; cut fetches begin anew", reply.quoted()));
    }
    Ok(())
}

fn clock(apart: i64, listed: &Found, tell: &mut Tell<'_>) {
    let tolerance = match listed.precision {
        Precision::Exact | Precision::Second => 1,
        Precision::Minute => 60,
        Precision::Day | Precision::None => return,
    };
    if apart.abs() <= tolerance {
        tell("clock offset", Verdict::Works, "listing and MDTM agree".into());
    } else if (apart / 60) % 15 == 0 || (apart / 60 + 1) % 15 == 0 {
        let hours = apart as f64 / 3600.0;
        let fact = format!("listing and MDTM differ by {hours:.2} h: set server_timezone to the server's zone");
        tell("clock offset", Verdict::Problem, fact);
    } else {
        tell("clock offset", Verdict::Note, format!("listing and MDTM differ by {apart} s"));
    }
}
