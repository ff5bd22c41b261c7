//! Data connections: who opens them, in which order with the command, and how they end. A transfer has ended well only
//! when the server's final reply says so; the end of the bytes alone proves nothing.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustls::{ClientConnection, StreamOwned};

use super::dial;
use super::refusal;
use super::reply::Reply;
use super::server::{Passive, Server};
use super::session::Session;
use super::wire::{Channel, Wire};
use crate::clock::Stop;
use crate::error::{Error, ErrorKind, Result};
use crate::source::settings::FtpMode;

/// What came of asking for a transfer.
#[derive(Debug)]
pub enum Begun {
    /// Bytes may flow.
    Started(Transfer),
    /// The server refused; the session goes on.
    Refused(Reply),
}

/// A transfer under way.
#[derive(Debug)]
pub struct Transfer {
    /// The bytes.
    pub data: Channel,
    /// The final reply, when it came already.
    ended: Option<Reply>,
}

/// Begins a transfer of `command` (`RETR x`, `MLSD`), from byte `rest` on.
///
/// # Errors
/// The connection is lost, or no data connection can be opened. The session is broken then, unless nothing was asked yet.
pub fn begin(session: &mut Session, server: &Server, command: &[u8], rest: u64, stop: &Stop) -> Result<Begun> {
    let begun = match server.settings.mode {
        FtpMode::Passive => begin_passive(session, server, command, rest, stop),
        FtpMode::Active => begin_active(session, server, command, rest, stop),
    };
    if begun.is_err() {
        // Replies to what was sent may still come.
        session.control.break_off();
    }
    begun
}

/// Waits for the final reply. To be called once all bytes were read.
///
/// # Errors
/// The connection is lost.
pub fn end(session: &mut Session, mut transfer: Transfer) -> Result<Reply> {
    // vsftpd and ProFTPD wait for it before they say that the transfer is complete.
    transfer.data.say_goodbye();
    session.transfer_ended(transfer.data);
    match transfer.ended {
        Some(reply) => Ok(reply),
        None => session.control.reply(),
    }
}

fn begin_passive(session: &mut Session, server: &Server, command: &[u8], rest: u64, stop: &Stop) -> Result<Begun> {
    let host = session.control.peer_ip();
    if server.learned.passive() != Passive::Epsv {
        let wire = negotiate(session, server, stop)?;
        if let Some(refused) = restart_at(session, rest)? {
            return Ok(Begun::Refused(refused));
        }
        session.control.send(&[command])?;
        return start(session, server, wire);
    }
    // EPSV is known to work here: all is asked in one write, which saves a round trip a file.
    let restart = format!("REST {rest}");
    let commands: Vec<&[u8]> =
        if rest > 0 { vec![b"EPSV", restart.as_bytes(), command] } else { vec![b"EPSV", command] };
    session.control.send(&commands)?;
    let reply = session.control.reply()?;
    let Some(port) = epsv_port(&reply) else {
        server.learned.set_passive(Passive::Unknown);
        let fact = format!("{} takes EPSV no more", server.place());
        return Err(refusal::refused(fact, &reply));
    };
    let wire = match dial::data(&server.settings.server, host, port, stop) {
        Ok(wire) => wire,
        // The server may have said why it listens no more.
        Err(error) if error.kind() == ErrorKind::Unavailable => {
            let reply = session.control.reply()?;
            return Err(if reply.code >= 400 { error.while_doing(reply.quoted()) } else { error });
        }
        Err(error) => return Err(error),
    };
    if rest > 0 {
        let reply = session.control.reply()?;
        if !reply.is_half() {
            return Err(refusal::refused(format!("restart a transfer at {}", server.place()), &reply));
        }
    }
    start(session, server, wire)
}

fn restart_at(session: &mut Session, rest: u64) -> Result<Option<Reply>> {
    if rest == 0 {
        return Ok(None);
    }
    let reply = session.control.command(format!("REST {rest}").as_bytes())?;
    Ok((!reply.is_half()).then_some(reply))
}

/// Opens a data connection by EPSV, and where that does not work by PASV; remembers which did.
fn negotiate(session: &mut Session, server: &Server, stop: &Stop) -> Result<Wire> {
    let host = session.control.peer_ip();
    let mut why = None;
    if server.learned.passive() == Passive::Unknown {
        let reply = session.control.command(b"EPSV")?;
        match epsv_port(&reply) {
            Some(port) => match dial::data(&server.settings.server, host, port, stop) {
                Ok(wire) => {
                    server.learned.set_passive(Passive::Epsv);
                    return Ok(wire);
                }
                Err(error) if error.kind() == ErrorKind::Stopped => return Err(error),
                // A firewall that reads along may know only PASV.
                Err(error) => why = Some(error),
            },
            None => why = Some(refusal::refused(format!("ask {} for a data port", server.place()), &reply)),
        }
    }
    let reply = session.control.command(b"PASV")?;
    let Some((_, port)) = pasv_address(&reply) else {
        let refused = refusal::refused(format!("ask {} for a data port", server.place()), &reply);
        return Err(why.unwrap_or(refused));
    };
    let wire = dial::data(&server.settings.server, host, port, stop)?;
    server.learned.set_passive(Passive::Pasv);
    Ok(wire)
}

/// Sees a transfer begin whose command was sent and whose data connection is open.
fn start(session: &mut Session, server: &Server, wire: Wire) -> Result<Begun> {
    let Some((config, name)) = session.tls.clone() else {
        let reply = session.control.reply()?;
        return Ok(begun(session, Channel::Plain(wire), reply));
    };
    let failed =
        |error: io::Error| refusal::lost(&format!("begin TLS on a data connection to {}", server.place()), error);
    let conn = ClientConnection::new(config, name).map_err(io::Error::other).map_err(failed)?;
    let mut stream = Box::new(StreamOwned::new(conn, wire));
    let limit = server.settings.server.timeout.connect.duration();
    stream.sock.within(Some(limit));
    while stream.conn.wants_write() {
        stream.conn.write_tls(&mut stream.sock).map_err(failed)?;
    }
    // vsftpd says 150 before TLS begins, ProFTPD after it; and a refusal comes with no TLS at all.
    let first = if says_something_first(session, &stream.sock, limit)? { Some(session.control.reply()?) } else { None };
    if let Some(reply) = first.as_ref().filter(|reply| reply.code >= 300) {
        return Ok(Begun::Refused(reply.clone()));
    }
    let shaken = stream.conn.complete_io(&mut stream.sock);
    if let Err(error) = shaken {
        // The server may have said why: `522 session reuse required`.
        let said = if first.is_none() { session.control.reply().ok().filter(|reply| reply.code >= 300) } else { None };
        return said.map_or_else(|| Err(failed(error)), |reply| Ok(Begun::Refused(reply)));
    }
    stream.sock.within(None);
    session.last_handshake = stream.conn.handshake_kind();
    let reply = first.map_or_else(|| session.control.reply(), Ok)?;
    Ok(begun(session, Channel::Tls(stream), reply))
}

fn begun(session: &mut Session, data: Channel, reply: Reply) -> Begun {
    if reply.code >= 300 {
        return Begun::Refused(reply);
    }
    session.transfers = true;
    // Some servers say at once that it is over: the bytes are still to be read.
    let ended = (!reply.is_begun()).then_some(reply);
    Begun::Started(Transfer { data, ended })
}

/// Waits until either connection has something to read; whether it is the control connection.
fn says_something_first(session: &mut Session, data: &Wire, limit: Duration) -> Result<bool> {
    if session.control.holds_bytes() {
        return Ok(true);
    }
    let place = session.control.place().to_owned();
    let mut fds = [PollFd::new(session.control.tcp()?, PollFlags::IN), PollFd::new(data.tcp(), PollFlags::IN)];
    let wait = Timespec::try_from(limit).map_err(|_| Error::internal("a deadline is too long to wait for"))?;
    let ready = poll(&mut fds, Some(&wait));
    let doing = format!("begin a transfer with {place}");
    match ready {
        Ok(0) => Err(Error::new(ErrorKind::TimedOut, doing).because("no answer in time")),
        Ok(_) => Ok(!fds[0].revents().is_empty()),
        Err(rustix::io::Errno::INTR) => Ok(false),
        Err(errno) => Err(Error::io(doing, errno.into())),
    }
}

fn begin_active(session: &mut Session, server: &Server, command: &[u8], rest: u64, stop: &Stop) -> Result<Begun> {
    let doing = format!("wait for a data connection of {}", server.place());
    let ours = session.control.local_ip();
    let listener = TcpListener::bind(SocketAddr::new(ours, 0)).map_err(|error| Error::io(doing.clone(), error))?;
    let port = listener.local_addr().map_err(|error| Error::io(doing.clone(), error))?.port();
    announce(session, server, ours, port)?;
    if let Some(refused) = restart_at(session, rest)? {
        return Ok(Begun::Refused(refused));
    }
    let reply = session.control.command(command)?;
    if reply.code >= 300 {
        return Ok(Begun::Refused(reply));
    }
    let limit = server.settings.server.timeout.connect.duration();
    let tcp =
        accept(&listener, session.control.peer_ip(), limit, stop).map_err(|error| refusal::lost(&doing, error))?;
    let mut wire = dial::wired(tcp, &server.settings.server, stop).map_err(|error| refusal::lost(&doing, error))?;
    let Some((config, name)) = session.tls.clone() else {
        return Ok(begun(session, Channel::Plain(wire), reply));
    };
    wire.within(Some(limit));
    let shaken = ClientConnection::new(config, name).map_err(io::Error::other).and_then(|conn| {
        let mut stream = Box::new(StreamOwned::new(conn, wire));
        stream.conn.complete_io(&mut stream.sock)?;
        stream.sock.within(None);
        Ok(stream)
    });
    let stream = shaken
        .map_err(|error| refusal::lost(&format!("begin TLS on a data connection of {}", server.place()), error))?;
    session.last_handshake = stream.conn.handshake_kind();
    Ok(begun(session, Channel::Tls(stream), reply))
}

/// Tells the server where to connect to: EPRT (RFC 2428), and for IPv4 PORT where that is unknown.
fn announce(session: &mut Session, server: &Server, ours: IpAddr, port: u16) -> Result<()> {
    let ours = ours.to_canonical();
    let family = if ours.is_ipv4() { 1 } else { 2 };
    let mut reply = session.control.command(format!("EPRT |{family}|{ours}|{port}|").as_bytes())?;
    if let (false, IpAddr::V4(v4)) = (reply.is_done(), ours) {
        let [a, b, c, d] = v4.octets();
        reply = session.control.command(format!("PORT {a},{b},{c},{d},{},{}", port >> 8, port & 0xff).as_bytes())?;
    }
    if reply.is_done() {
        return Ok(());
    }
    let fact = format!("{} will not connect to us (mode = \"active\"); try passive", server.place());
    Err(refusal::refused(fact, &reply))
}

/// Takes the first connection from `peer`; others could be anybody's.
fn accept(listener: &TcpListener, peer: IpAddr, limit: Duration, stop: &Stop) -> io::Result<TcpStream> {
    let until = Instant::now() + limit;
    listener.set_nonblocking(true)?;
    loop {
        match listener.accept() {
            Ok((tcp, from)) if from.ip().to_canonical() == peer.to_canonical() => {
                tcp.set_nonblocking(false)?;
                return Ok(tcp);
            }
            Ok((_, from)) => {
                tracing::warn!(from = %from.ip(), "a data connection from a stranger was refused");
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                if stop.is_raised() || Instant::now() >= until {
                    return Err(io::ErrorKind::TimedOut.into());
                }
                let slice = Timespec { tv_sec: 0, tv_nsec: 250_000_000 };
                let _ = poll(&mut [PollFd::new(listener, PollFlags::IN)], Some(&slice));
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// The port in `229 Entering Extended Passive Mode (|||6446|)` (RFC 2428): behind three equal signs, before a fourth.
pub fn epsv_port(reply: &Reply) -> Option<u16> {
    if reply.code != 229 {
        return None;
    }
    let line = reply.lines().last()?;
    let start = line.iter().rposition(|byte| *byte == b'(')? + 1;
    let sign = *line.get(start)?;
    let mut fields = line[start + 1..].split(|byte| *byte == sign);
    let (_, _, port) = (fields.next()?, fields.next()?, fields.next()?);
    fields.next()?;
    std::str::from_utf8(port).ok()?.parse().ok().filter(|port| *port != 0)
}

/// The address in `227 Entering Passive Mode (192,168,150,90,195,149)`, with parentheses or without (RFC 1123 section
/// 4.1.2.6). Only the port is ever used.
pub fn pasv_address(reply: &Reply) -> Option<(Ipv4Addr, u16)> {
    if reply.code != 227 {
        return None;
    }
    let line = reply.lines().last()?;
    let numbers: Vec<Option<u8>> = line
        .split(|byte| !byte.is_ascii_digit() && *byte != b',')
        .find(|run| run.iter().filter(|byte| **byte == b',').count() == 5)?
        .split(|byte| *byte == b',')
        .map(|digits| std::str::from_utf8(digits).ok()?.parse().ok())
        .collect();
    let numbers: Vec<u8> = numbers.into_iter().collect::<Option<_>>()?;
    let [a, b, c, d, high, low] = numbers[..] else { return None };
    let port = u16::from_be_bytes([high, low]);
    (port != 0).then_some((Ipv4Addr::new(a, b, c, d), port))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::directory::ftp::reply::ReplyReader;

    fn reply(line: &str) -> Reply {
        ReplyReader::default().next(&mut format!("{line}\r\n").as_bytes()).expect("a reply")
    }

    #[test]
    fn data_ports_are_read_in_every_form_servers_use() {
        assert_eq!(epsv_port(&reply("229 Entering Extended Passive Mode (|||6446|)")), Some(6446));
        assert_eq!(epsv_port(&reply("229 ok (!!!6446!).")), Some(6446));
        for bad in ["229 ok", "229 (|||0|)", "229 (|||66000|)", "229 (|||12", "228 (|||6446|)", "229 (", "229 (||"] {
            assert_eq!(epsv_port(&reply(bad)), None, "{bad}");
        }
        let expected = Some((Ipv4Addr::new(10, 9, 8, 7), 195 * 256 + 149));
        for good in
            ["227 Entering Passive Mode (10,9,8,7,195,149).", "227 Passive 10,9,8,7,195,149", "227 =10,9,8,7,195,149"]
        {
            assert_eq!(pasv_address(&reply(good)), expected, "{good}");
        }
        for bad in ["227 ok", "227 (10,9,8,7,195)", "227 (10,9,8,7,0,0)", "227 (1,2,3,4,5,256)", "227 (,,,,,)"] {
            assert_eq!(pasv_address(&reply(bad)), None, "{bad}");
        }
    }
}
