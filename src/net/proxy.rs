//! Asking a proxy for a TCP connection: SOCKS5 (RFC 1928, RFC 1929) and HTTP CONNECT (RFC 9110 section 9.3.6).
//! The connection to the proxy itself, and its deadlines, belong to the caller.

use std::io::{self, Read, Write};

use data_encoding::BASE64;

/// An answer to CONNECT is at most this long.
const ANSWER_BYTES_MAX: usize = 8 * 1024;

/// Who we are at the proxy.
#[derive(Clone, Copy)]
pub struct Credentials<'a> {
    /// The user.
    pub user: &'a str,
    /// The password; may be empty.
    pub password: &'a str,
}

/// Asks a SOCKS5 proxy for a connection to `host`, a name (resolved there) or an address without brackets.
///
/// # Errors
/// The proxy refused, for the reason in its words, or said something that is not SOCKS5.
pub fn socks5(stream: &mut (impl Read + Write), host: &str, port: u16, who: Option<Credentials<'_>>) -> io::Result<()> {
    let method = if who.is_some() { 2 } else { 0 };
    stream.write_all(if who.is_some() { &[5, 2, 0, 2] } else { &[5, 1, 0] })?;
    let mut chosen = [0; 2];
    stream.read_exact(&mut chosen)?;
    match (chosen[0], chosen[1]) {
        (5, 0) => {}
        (5, 2) if method == 2 => socks5_login(stream, who)?,
        (5, 0xff) if who.is_some() => return Err(denied("the SOCKS5 proxy takes no password")),
        (5, 0xff) => return Err(denied("the SOCKS5 proxy demands a login: set proxy user and password")),
        _ => return Err(invalid("what answers is no SOCKS5 proxy")),
    }
    let mut ask = vec![5, 1, 0];
    match host.parse() {
        Ok(std::net::IpAddr::V4(ip)) => {
            ask.push(1);
            ask.extend(ip.octets());
        }
        Ok(std::net::IpAddr::V6(ip)) => {
            ask.push(4);
            ask.extend(ip.octets());
        }
        Err(_) => {
            let length = u8::try_from(host.len()).map_err(|_| invalid("a host's name has at most 255 bytes"))?;
            ask.extend([3, length]);
            ask.extend(host.as_bytes());
        }
    }
    ask.extend(port.to_be_bytes());
    stream.write_all(&ask)?;
    let mut head = [0; 4];
    stream.read_exact(&mut head)?;
    if head[0] != 5 {
        return Err(invalid("what answers is no SOCKS5 proxy"));
    }
    if head[1] != 0 {
        return Err(socks5_refusal(head[1]));
    }
    let mut length = [0; 1];
    let rest = match head[3] {
        1 => 4,
        4 => 16,
        3 => {
            stream.read_exact(&mut length)?;
            usize::from(length[0])
        }
        _ => return Err(invalid("the SOCKS5 proxy names an unknown kind of address")),
    };
    stream.read_exact(&mut [0; 257][..rest + 2])
}

fn socks5_login(stream: &mut (impl Read + Write), who: Option<Credentials<'_>>) -> io::Result<()> {
    let Some(who) = who else { return Err(invalid("the SOCKS5 proxy chose a method that was not offered")) };
    let mut login = vec![1];
    for text in [who.user, who.password] {
        login.push(u8::try_from(text.len()).map_err(|_| invalid("SOCKS5 names and passwords have at most 255 bytes"))?);
        login.extend(text.as_bytes());
    }
    stream.write_all(&login)?;
    let mut answer = [0; 2];
    stream.read_exact(&mut answer)?;
    if answer[1] == 0 { Ok(()) } else { Err(denied("the SOCKS5 proxy refused user and password")) }
}

fn socks5_refusal(code: u8) -> io::Error {
    let (kind, why) = match code {
        1 => (io::ErrorKind::NotConnected, "general failure"),
        2 => (io::ErrorKind::PermissionDenied, "not allowed by its rules"),
        3 => (io::ErrorKind::NetworkUnreachable, "network unreachable"),
        4 => (io::ErrorKind::HostUnreachable, "host unreachable"),
        5 => (io::ErrorKind::ConnectionRefused, "connection refused"),
        6 => (io::ErrorKind::TimedOut, "no answer in time"),
        7 => (io::ErrorKind::InvalidData, "it knows no CONNECT"),
        8 => (io::ErrorKind::InvalidData, "it knows no such addresses"),
        _ => (io::ErrorKind::NotConnected, "for an unknown reason"),
    };
    io::Error::new(kind, format!("the SOCKS5 proxy could not connect: {why}"))
}

/// Asks an HTTP proxy for a connection to `host`, a name (resolved there) or an address without brackets.
///
/// # Errors
/// The proxy refused, with its status line, or said something that is not HTTP.
pub fn http_connect(
    stream: &mut (impl Read + Write),
    host: &str,
    port: u16,
    who: Option<Credentials<'_>>,
) -> io::Result<()> {
    let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
    if host.contains(|c: char| c.is_control() || c == ' ') {
        return Err(invalid("a host's name has no spaces"));
    }
    let mut ask = format!("CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}:{port}\r\n");
    if let Some(who) = who {
        let login = BASE64.encode(format!("{}:{}", who.user, who.password).as_bytes());
        ask.push_str(&format!("Proxy-Authorization: Basic {login}\r\n"));
    }
    ask.push_str("\r\n");
    stream.write_all(ask.as_bytes())?;
    // Byte by byte: what follows the empty line belongs to the tunnel.
    let mut answer = Vec::with_capacity(256);
    let mut byte = [0];
    while !answer.ends_with(b"\r\n\r\n") && !answer.ends_with(b"\n\n") {
        if answer.len() >= ANSWER_BYTES_MAX {
            return Err(invalid("the HTTP proxy's answer has no end"));
        }
        stream.read_exact(&mut byte)?;
        answer.push(byte[0]);
    }
    let line = String::from_utf8_lossy(&answer);
    let line = line.lines().next().unwrap_or_default();
    let mut words = line.split(' ');
    if !words.next().is_some_and(|version| version.starts_with("HTTP/1.")) {
        return Err(invalid("what answers is no HTTP proxy"));
    }
    match words.next() {
        Some(status) if status.len() == 3 && status.starts_with('2') => Ok(()),
        Some("407") => Err(denied("the HTTP proxy demands a login: set proxy user and password")),
        Some("403" | "405") => Err(denied(&format!("the HTTP proxy allows no such connection ({line})"))),
        _ => Err(io::Error::new(io::ErrorKind::NotConnected, format!("the HTTP proxy could not connect ({line})"))),
    }
}

fn denied(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::PermissionDenied, why)
}

fn invalid(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Plays back what a proxy says and keeps what it was told.
    struct Played<'a>(&'a [u8], Vec<u8>);

    impl Read for Played<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.0.read(buffer)
        }
    }

    impl Write for Played<'_> {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.1.write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    const WHO: Credentials<'_> = Credentials { user: "u", password: "p" };

    #[test]
    fn socks5_sends_the_name_and_leaves_what_follows_to_the_tunnel() {
        let mut played = Played(b"\x05\x00\x05\x00\x00\x01\x0a\x00\x00\x01\x12\x34220 hello", Vec::new());
        socks5(&mut played, "ftp.example.com", 21, None).expect("connected");
        assert_eq!(played.0, b"220 hello");
        assert_eq!(played.1, b"\x05\x01\x00\x05\x01\x00\x03\x0fftp.example.com\x00\x15");
    }

    #[test]
    fn socks5_logs_in_where_it_is_asked_to() {
        let mut played = Played(b"\x05\x02\x01\x00\x05\x00\x00\x03\x01x\x00\x00", Vec::new());
        socks5(&mut played, "10.0.0.1", 21, Some(WHO)).expect("connected");
        assert_eq!(played.1, b"\x05\x02\x00\x02\x01\x01u\x01p\x05\x01\x00\x01\x0a\x00\x00\x01\x00\x15");
        let refused = socks5(&mut Played(b"\x05\x02\x01\x01", Vec::new()), "h", 21, Some(WHO)).expect_err("refused");
        assert!(refused.to_string().contains("refused user and password"), "{refused}");
        let demanded = socks5(&mut Played(b"\x05\xff", Vec::new()), "h", 21, None).expect_err("demanded");
        assert!(demanded.to_string().contains("demands a login"), "{demanded}");
    }

    #[test]
    fn http_connect_takes_any_success_and_says_why_not() {
        let mut played = Played(b"HTTP/1.1 200 OK\r\nVia: x\r\n\r\n220 hello", Vec::new());
        http_connect(&mut played, "::1", 21, Some(WHO)).expect("connected");
        assert_eq!(played.0, b"220 hello");
        let told = String::from_utf8_lossy(&played.1).into_owned();
        assert!(told.starts_with("CONNECT [::1]:21 HTTP/1.1\r\n") && told.contains("Basic dTpw\r\n"), "{told}");
        for (said, why) in [
            (&b"HTTP/1.1 407 x\r\n\r\n"[..], "demands a login"),
            (b"HTTP/1.1 502 Bad Gateway\r\n\r\n", "502 Bad Gateway"),
            (b"SSH-2.0-x\n\n", "no HTTP proxy"),
        ] {
            let error = http_connect(&mut Played(said, Vec::new()), "h", 21, None).expect_err("refused");
            assert!(error.to_string().contains(why), "{error}");
        }
    }
}
