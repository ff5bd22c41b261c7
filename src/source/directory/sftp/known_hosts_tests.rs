//! Lines as ssh-keygen and ssh-keyscan write them.

use super::*;

const ED25519: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ";
const OTHER: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHeLC1lWiCYrXsf/85O/pkbUFZ6OGIt49PX3nw8iRoXE";
/// `ssh-keygen -H` of `ftp.example.com`.
const SALT: &[u8] = b"0123456789abcdefghij";

fn hashed(host: &str) -> String {
    let mut mac = Hmac::<Sha1>::new_from_slice(SALT).expect("any length");
    mac.update(host.as_bytes());
    format!("|1|{}|{}", BASE64.encode(SALT), BASE64.encode(&mac.finalize().into_bytes()))
}

fn found(text: &str, host: &str, port: u16) -> Vec<Line> {
    try_found(text, host, port).expect("readable lines")
}

fn try_found(text: &str, host: &str, port: u16) -> Result<Vec<Line>> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("known_hosts");
    fs::write(&file, text).expect("write");
    lines_for(&[folder.path().join("none"), file], host, port)
}

fn is_known(hosts: &str, host: &str, port: u16) -> bool {
    !found(&format!("{hosts} {ED25519}\n"), host, port).is_empty()
}

#[test]
fn plain_names_lists_patterns_and_negations_are_compared_without_case() {
    for (hosts, host, known) in [
        ("ftp.example.com", "ftp.example.com", true),
        ("FTP.example.com", "ftp.EXAMPLE.com", true),
        ("a,ftp.example.com,10.0.0.1", "10.0.0.1", true),
        ("*.example.com", "ftp.example.com", true),
        ("*.example.com", "example.com", false),
        ("ftp?.example.com", "ftp1.example.com", true),
        ("ftp?.example.com", "ftp.example.com", false),
        ("*.example.com,!evil.example.com", "evil.example.com", false),
        ("!evil.example.com,*.example.com", "good.example.com", true),
        ("!evil.example.com", "good.example.com", false),
        ("*", "anything", true),
        ("*a*b*c", "xxaybzzc", true),
        ("2001:db8::1", "2001:DB8::1", true),
    ] {
        assert_eq!(is_known(hosts, host, 22), known, "{hosts} {host}");
    }
}

#[test]
fn another_port_is_written_in_brackets_and_a_bare_name_serves_when_nothing_better_is_there() {
    assert!(is_known("[ftp.example.com]:2222", "ftp.example.com", 2222));
    assert!(is_known("[127.0.0.*]:45022", "127.0.0.1", 45022));
    assert!(!is_known("[ftp.example.com]:2222", "ftp.example.com", 22));
    assert!(!is_known("[ftp.example.com]:2222", "ftp.example.com", 2223));
    assert!(is_known("ftp.example.com", "ftp.example.com", 2222));
    let both = format!("ftp.example.com {ED25519}\n[ftp.example.com]:2222 {OTHER}\n");
    let lines = found(&both, "ftp.example.com", 2222);
    assert_eq!((lines.len(), lines[0].place.ends_with("known_hosts:2")), (1, true));
}

#[test]
fn hashed_names_are_found() {
    assert!(is_known(&hashed("ftp.example.com"), "FTP.example.com", 22));
    assert!(is_known(&hashed("[ftp.example.com]:2222"), "ftp.example.com", 2222));
    assert!(!is_known(&hashed("other.example.com"), "ftp.example.com", 22));
    assert!(!is_known("|1|broken", "ftp.example.com", 22));
}

#[test]
fn tabs_comments_markers_and_line_ends_of_windows_are_understood() {
    let text = format!(
        "# a comment\r\n\r\nhost\t{}\tuser@here\r\n@cert-authority *.com {OTHER}\r\n@revoked * {OTHER}\r\n@new host {OTHER}\r\n",
        ED25519.replace(' ', "\t")
    );
    let markers: Vec<Marker> = found(&text, "host", 22).iter().map(|line| line.marker).collect();
    assert_eq!(markers, [Marker::Key, Marker::Revoked]);
    assert_eq!(found(&text, "a.com", 22)[0].marker, Marker::Authority);
}

#[test]
fn a_line_that_contradicts_itself_is_none_but_a_revocation_that_cannot_be_read_stops_everything() {
    let contradicting = ED25519.replace("ssh-ed25519 ", "ssh-rsa ");
    assert!(found(&format!("host {contradicting}\nhost ssh-rsa\nhost x !!!\n"), "host", 22).is_empty());
    let error = try_found("@revoked * ssh-rsa AAAA?\n", "host", 22).expect_err("not readable");
    assert_eq!(error.kind(), ErrorKind::Denied);
    assert!(error.to_string().contains("known_hosts:1 revokes a key that can't be read"), "{error}");
}

#[test]
fn an_added_line_is_found_again_and_what_was_there_stays() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("new/known_hosts");
    let blob = BASE64.decode(ED25519.split_once(' ').expect("two words").1.as_bytes()).expect("base64");
    add(&file, "Host", 22, "ssh-ed25519", &blob).expect("added");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).expect("permissions");
    fs::write(&file, format!("host {ED25519}")).expect("write without a line end");
    let link = folder.path().join("link");
    std::os::unix::fs::symlink(&file, &link).expect("link");
    add(&link, "host", 2222, "ssh-ed25519", &blob).expect("added");
    let text = fs::read_to_string(&file).expect("read");
    assert_eq!(text, format!("host {ED25519}\n[host]:2222 {ED25519}\n"));
    assert_eq!(fs::metadata(&file).expect("there").permissions().mode() & 0o777, 0o640);
    assert!(fs::symlink_metadata(&link).expect("there").is_symlink());
    assert_eq!(lines_for(&[file], "host", 2222).expect("lines").len(), 1);
}
