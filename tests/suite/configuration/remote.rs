//! Servers, and directories on them: what they become, what they inherit, what is refused.

use highwater::config::Config;
use highwater::net::TlsVersion;
use highwater::setting::Interval;
use highwater::source::settings::{
    FtpListing, FtpMode, FtpSecurity, FtpSettings, HostKey, Identity, Names, ProxyKind, SftpSettings, SourceKind,
    Transfer, Verify,
};

use super::{SCRIPT, Setup};

const FTP: &str = "[source.in]\nkind = \"ftp\"\nto = [\"load\"]\n";
const SFTP: &str = "[source.in]\nkind = \"sftp\"\nto = [\"load\"]\n";
const SERVER: &str = "[server.partner]\nurl = \"ftps://me@ftp.example.com:2121\"\npassword = [\"new\", \"old\"]\n";

fn ftp(keys: &str) -> FtpSettings {
    let config = Setup::new(&format!("{SCRIPT}{FTP}{keys}")).config();
    ftp_of(&config)
}

fn ftp_of(config: &Config) -> FtpSettings {
    let SourceKind::Ftp(ftp) = &config.sources[0].kind else { panic!("an ftp source") };
    ftp.clone()
}

fn sftp(keys: &str) -> SftpSettings {
    let config = Setup::new(&format!("{SCRIPT}{SFTP}{keys}")).with("id", "key").config();
    let SourceKind::Sftp(sftp) = &config.sources[0].kind else { panic!("an sftp source") };
    sftp.clone()
}

#[test]
fn the_defaults_of_a_directory_on_an_ftp_server() {
    let ftp = ftp("url = \"ftps://me@Host\"\n");
    assert_eq!((ftp.server.host.as_str(), ftp.server.port, ftp.server.user.as_str()), ("host", 21, "me"));
    assert_eq!((ftp.security, ftp.path.as_str(), ftp.server.connections), (FtpSecurity::Explicit, "", 2));
    assert_eq!(ftp.server.timeout.connect, Interval::from_secs(10));
    assert_eq!(ftp.server.timeout.reply, Interval::from_secs(30));
    assert_eq!(ftp.server.timeout.idle, Interval::from_secs(60));
    assert_eq!((ftp.server_timezone.as_str(), ftp.transfer, ftp.verify), ("UTC", Transfer::Binary, Verify::Size));
    assert_eq!((ftp.names, ftp.mode, ftp.listing), (Names::Utf8, FtpMode::Passive, FtpListing::Auto));
    assert_eq!(ftp.directory.stable_for, Interval::from_secs(10));
    assert!(ftp.claim.is_none() && ftp.login.is_empty() && ftp.server.proxy.is_none() && ftp.server.password.is_none());
}

#[test]
fn every_key_of_a_directory_on_an_ftp_server_is_read() {
    let ftp = ftp("url = \"ftps+implicit://h\"\npath = \"/out/box/\"\npassword = \"x\"\nconnections = 32\n\
         timeout = { reply = \"5s\" }\ntls = { min = \"1.3\" }\nproxy = \"socks5://p@[::1]\"\nproxy_password = \"q\"\n\
         claim = \"work/{name}\"\nserver_timezone = \"Europe/Berlin\"\ntransfer = \"text\"\nlogin = [\"SITE NAMEFMT 1\"]\n\
         names = \"cp850\"\nlisting = \"ibm-i\"\nstable_for = \"0s\"\n");
    assert_eq!((ftp.security, ftp.server.port, ftp.server.user.as_str()), (FtpSecurity::Implicit, 990, "anonymous"));
    assert_eq!((ftp.path.as_str(), ftp.server.connections, ftp.server.tls.min), ("/out/box", 32, TlsVersion::V1_3));
    assert_eq!((ftp.server.timeout.reply, ftp.server.timeout.idle), (Interval::from_secs(5), Interval::from_secs(60)));
    let proxy = ftp.server.proxy.expect("a proxy");
    assert_eq!((proxy.kind, proxy.host.as_str(), proxy.port), (ProxyKind::Socks5, "::1", 1080));
    assert_eq!((proxy.user.as_deref(), proxy.password.is_some()), (Some("p"), true));
    assert_eq!(ftp.claim.expect("a claim").as_str(), "work/{name}");
    assert_eq!((ftp.transfer, ftp.verify), (Transfer::Text, Verify::Twice));
    assert_eq!((ftp.login.len(), ftp.names, ftp.listing), (1, Names::Cp850, FtpListing::IbmI));
    assert_eq!(ftp.server_timezone, "Europe/Berlin");
}

#[test]
fn the_folder_may_stand_in_the_address() {
    assert_eq!(ftp("url = \"ftps://h/out\"\n").path, "out");
    assert_eq!(ftp("url = \"ftps://h//srv/out/\"\n").path, "/srv/out");
    assert_eq!(ftp("url = \"ftps://h/\"\npath = \"/\"\n").path, "/");
    assert_eq!(sftp("url = \"sftp://u@h/srv/out\"\npassword = \"x\"\n").path, "/srv/out");
}

#[test]
fn a_source_has_what_its_server_has_and_its_own_keys_win() {
    let server =
        "connections = 4\ntimeout = { reply = \"7s\", idle = \"9s\" }\ntls = { ca = \"ca.pem\", min = \"1.3\" }\n";
    let source = format!("{FTP}server = \"partner\"\nconnections = 3\ntimeout = {{ idle = \"8s\" }}\n");
    let setup = Setup::new(&format!("{SCRIPT}{source}{SERVER}{server}")).with("ca.pem", "x");
    let ftp = ftp_of(&setup.config());
    assert_eq!((ftp.server.host.as_str(), ftp.server.port, ftp.server.connections), ("ftp.example.com", 2121, 3));
    assert_eq!(ftp.server.password.expect("inherited").reveal_all().expect("there"), ["new", "old"]);
    assert_eq!((ftp.server.timeout.reply, ftp.server.timeout.idle), (Interval::from_secs(7), Interval::from_secs(8)));
    assert_eq!(ftp.server.tls.ca, Some(setup.path("ca.pem")));
    let shown = highwater::config::show(&setup.config(), Some("in"));
    for line in
        ["server = \"partner\"", "# url = ", "# password = \"***\"", "connections = 3", "# timeout.reply = \"7s\""]
    {
        assert!(shown.lines().any(|shown| shown.starts_with(line)), "{line} in\n{shown}");
    }
    let again = Setup::new(&highwater::config::show(&setup.config(), None)).config();
    let mut again = ftp_of(&again);
    again.server.password = None;
    let mut first = ftp_of(&setup.config());
    first.server.password = None;
    assert_eq!(format!("{again:?}"), format!("{first:?}"));
}

#[test]
fn the_keys_of_an_sftp_server_are_read() {
    let pin = "SHA256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    let source = sftp(&format!(
        "url = \"sftp://u@h\"\nhost_key = \"{pin}=\"\nidentity = [\"id\", \"agent\"]\npassphrase = \"x\"\nalgorithms = [\"ssh-rsa\"]\n"
    ));
    assert_eq!((source.server.port, source.host_key), (22, HostKey::Fingerprints(vec![pin.into()])));
    assert!(matches!(&source.identity[..], [Identity::File(file), Identity::Agent] if file.ends_with("id")));
    assert_eq!((source.algorithms, source.passphrase.is_some()), (vec!["ssh-rsa".to_owned()], true));
    let first = sftp("url = \"sftp://u@h\"\nidentity = \"agent\"\nhost_key = \"first-use\"\nknown_hosts = \"hosts\"\n");
    assert!(matches!(first.host_key, HostKey::FirstUse(file) if file.ends_with("hosts")));
    let known = sftp("url = \"sftp://u@h\"\nidentity = \"agent\"\n");
    let HostKey::KnownHosts(files) = known.host_key else { panic!("known hosts") };
    assert_eq!(files.last().and_then(|file| file.to_str()), Some("/etc/ssh/ssh_known_hosts"));
}

#[test]
fn a_password_in_clear_text_is_warned_of_once() {
    let warned = |text: &str| Setup::new(&format!("{SCRIPT}{text}")).warnings();
    let plain = SERVER.replace("ftps://", "ftp://");
    let two = FTP.replace("source.in", "source.two");
    let all = warned(&format!("{FTP}server = \"partner\"\n{two}server = \"partner\"\n{plain}"));
    assert_eq!(all.len(), 1, "{all:?}");
    assert!(all[0].contains("server.partner.url to ftp.example.com sends the password and the files in clear text"));
    let own = warned(&format!("{FTP}url = \"ftp://me@h\"\npassword = \"x\"\n"));
    assert!(own[0].contains("source.in.url to h sends the password"), "{own:?}");
    assert!(warned(&format!("{FTP}url = \"ftp://me@127.0.0.1\"\npassword = \"x\"\n")).is_empty());
    assert!(warned(&format!("{FTP}url = \"ftp://h\"\n")).is_empty(), "anonymous has nothing to hide");
    assert!(warned(&format!("{FTP}url = \"ftps://me@h\"\n"))[0].contains("the account has no password"));
}

/// One problem is told, at the line that holds `needle`, with these words.
fn refused(text: &str, needle: &str, words: &[&str]) {
    let text = format!("{SCRIPT}{text}");
    let line = text.lines().position(|line| line.contains(needle)).expect("the needle is there") + 1;
    let problems = Setup::new(&text).problems();
    assert_eq!(problems.len(), 1, "one problem is told once:\n{text}\n{problems:#?}");
    assert!(problems[0].starts_with(&format!("highwater.toml:{line}: ")), "line {line}\n{text}\n{problems:#?}");
    for word in words {
        assert!(problems[0].contains(word), "expected {word:?}\n{text}\n{problems:#?}");
    }
}

#[test]
fn bad_values_of_a_remote_directory_are_named_with_the_remedy() {
    let source = |keys: &str, words: &[&str]| {
        refused(&format!("{FTP}url = \"ftps://h\"\n{keys}\n"), keys.lines().next().expect("a key"), words);
    };
    source("path = \"\"", &["source.in.path = \"\" is empty", "login folder"]);
    source("path = \"a\\nb\"", &["path", "line break"]);
    source("claim = \"work\"", &["source.in.claim = \"work\" must hold {name} once", "work/{name}"]);
    source("claim = \"{name}\"", &["claim = \"{name}\" is not a folder of its own"]);
    source("server_timezone = \"Berlin\"", &["server_timezone = \"Berlin\" is not a time zone", "Europe/Berlin"]);
    source("transfer = \"ascii\"", &["transfer = \"ascii\"", "\"binary\" or \"text\""]);
    source("verify = \"once\"", &["verify = \"once\"", "\"size\" or \"twice\""]);
    source("verify = \"size\"\ntransfer = \"text\"", &["verify = \"size\" can't be", "\"twice\""]);
    source("login = [\"A\\nB\"]", &["login", "line break", "one command an item"]);
    source("names = \"utf8\"", &["names = \"utf8\"", "did you mean \"utf-8\"?"]);
    source("mode = \"port\"", &["mode = \"port\"", "\"passive\" or \"active\""]);
    source("mode = \"active\"\nproxy = \"socks5://p\"", &["mode = \"active\" can't go through a proxy"]);
    source("listing = \"as400\"", &["listing = \"as400\"", "\"ibm-i\""]);
    source("timeout = \"5s\"", &["source.in.timeout is not a table"]);
    source("timeout = { reply = \"5\" }", &["source.in.timeout.reply = \"5\" has no unit"]);
    source("timeout = { conect = \"5s\" }", &["unknown key \"conect\" in source.in.timeout", "\"connect\""]);
    source("connections = 33", &["source.in.connections = 33 is out of range", "from 1 to 32"]);
    source("proxy = \"https://p\"", &["proxy = \"https://p\"", "socks5://host:1080"]);
    source("proxy_password = \"x\"", &["proxy_password has no effect without proxy"]);
    source("proxy_password = \"x\"\nproxy = \"socks5://p\"", &["proxy_password has no effect without a user"]);
    source("host_key = \"first-use\"", &["source.in.host_key is for SFTP alone", "remove it"]);
    source("watch = true", &["unknown key \"watch\" in source.in"]);
    source("password = \"\"", &["source.in.password is empty", "env:NAME"]);
}

#[test]
fn bad_addresses_are_named_with_the_remedy() {
    let url = |url: &str, words: &[&str]| refused(&format!("{FTP}url = \"{url}\"\n"), "url", words);
    url("ftp.example.com", &["source.in.url = \"ftp.example.com\" is not an address", "ftps://user@"]);
    url("https://h", &["is not a server's address", "sftp://"]);
    url("ftp://me:secret@h", &["url = \"ftp://***@h\" holds a password", "password = \"env:NAME\""]);
    url("sftp://me@h", &["source.in.url = \"h\" is an SFTP server", "kind = \"sftp\""]);
    url("ftps://h:0", &["has a port that is none"]);
    refused(FTP, "[source.in]", &["source.in has neither \"server\" nor \"url\"", "add for example url ="]);
    refused(
        &format!("{FTP}url = \"ftp://h\"\ntls = {{ min = \"1.3\" }}\n"),
        "tls",
        &["tls has no effect on ftp://", "ftps://"],
    );
    refused(
        &format!("{FTP}url = \"ftps://h/a\"\npath = \"b\"\n"),
        "path",
        &["source.in.path and the path in url exclude"],
    );
}

#[test]
fn bad_keys_of_an_sftp_server_are_named_with_the_remedy() {
    let source = |keys: &str, words: &[&str]| {
        let login = if keys.contains("identity") { "" } else { "password = \"x\"\n" };
        refused(&format!("{SFTP}url = \"sftp://u@h\"\n{login}{keys}\n"), keys.lines().next().expect("a key"), words);
    };
    source("host_key = \"SHA256:abc\"", &["host_key = \"SHA256:abc\" is not a host key", "ssh-keygen", "first-use"]);
    source("identity = \"none\"", &["source.in.identity: read", "none"]);
    source("passphrase = \"x\"\nidentity = \"agent\"", &["passphrase has no effect without a private key"]);
    source("algorithms = [\"a b\"]", &["algorithms = \"a b\" is not the name of an algorithm", "ssh-rsa"]);
    source("listing = \"unix\"", &["source.in.listing is for FTP alone"]);
    source("tls = { min = \"1.3\" }", &["source.in.tls is for FTP alone"]);
    refused(
        &format!("{SFTP}url = \"sftp://h\"\npassword = \"x\"\n"),
        "url",
        &["url names no user", "sftp://user@host"],
    );
    refused(&format!("{SFTP}url = \"sftp://u@h\"\n"), "url", &["has nothing to log in with", "identity = \"agent\""]);
    refused(&format!("{SFTP}url = \"ftp://u@h\"\npassword = \"x\"\n"), "url", &["is an FTP server", "kind = \"ftp\""]);
}

#[test]
fn servers_and_those_who_name_them_must_fit() {
    let named = format!("{FTP}server = \"partner\"\n");
    refused(
        &named,
        "server",
        &["source.in.server = \"partner\" is not the name of a server", "add a [server.partner]"],
    );
    let misspelt = named.replace("\"partner\"", "\"patner\"");
    refused(&format!("{misspelt}{SERVER}"), "patner", &["did you mean \"partner\"?"]);
    refused(
        &format!("{named}url = \"ftp://h\"\n{SERVER}"),
        "ftp://h",
        &["source.in.url and server exclude each other"],
    );
    let sftp = SERVER.replace("ftps", "sftp");
    refused(
        &format!("{named}{sftp}"),
        "server =",
        &["source.in.server = \"partner\" is an SFTP server", "kind = \"sftp\""],
    );
    refused(&format!("{named}{SERVER}connections = 0\n"), "connections", &["server.partner.connections = 0 is out of"]);
    refused(
        &format!("{named}{SERVER}identity = \"agent\"\n"),
        "identity",
        &["server.partner.identity is for SFTP alone"],
    );
    refused(&format!("{named}{SERVER}path = \"/in\"\n"), "path", &["unknown key \"path\" in server.partner"]);
    refused(
        &format!("{named}[server.partner]\npassword = \"x\"\n"),
        "[server",
        &["server.partner has no \"url\"", "ftps://user@"],
    );
    let folder = SERVER.replace(":2121", "/in");
    refused(&format!("{named}{folder}"), "/in", &["server.partner.url holds a path", "path = \"in\" in the source"]);
    refused(
        "[server.\"a b\"]\nurl = \"ftp://h\"\n[source.f]\nkind=\"folder\"\npath=\"i\"\nto=[\"load\"]\n",
        "a b",
        &["server.\"a b\" is not a name"],
    );
    refused(
        "[source.f]\nkind = \"folder\"\npath = \"in\"\nserver = \"p\"\nto = [\"load\"]\n",
        "server",
        &["unknown key \"server\" in source.f"],
    );
}
