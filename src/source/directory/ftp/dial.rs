//! Connections to the server's host, directly or through a proxy, within a deadline. Which port and what is said there
//! belongs to the control and data connections.

use std::io;
use std::net::{IpAddr, SocketAddr, TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

use super::refusal;
use super::wire::Wire;
use crate::clock::Stop;
use crate::error::{Error, ErrorKind, Result};
use crate::net::proxy::{Credentials, http_connect, socks5};
use crate::source::settings::{ProxyKind, ProxySettings, ServerSettings};

/// Connects to the control port.
///
/// # Errors
/// The host's name can't be resolved, or nobody answers there in time.
pub fn control(server: &ServerSettings, stop: &Stop) -> Result<Wire> {
    let doing = format!("connect to {}:{}", server.host, server.port);
    let limit = server.timeout.connect.duration();
    match &server.proxy {
        None => {
            let tcp = any_of(&resolve(&server.host, server.port)?, limit).map_err(|error| failed(&doing, error))?;
            wired(tcp, server, stop).map_err(|error| failed(&doing, error))
        }
        Some(proxy) => through(proxy, server, server.port, stop),
    }
}

/// Connects to a data port, always on the host that the control connection leads to: an address that the server says
/// could be anybody's (RFC 2577), and is often a private one behind a router.
///
/// # Errors
/// Nobody answers there in time.
pub fn data(server: &ServerSettings, host: IpAddr, port: u16, stop: &Stop) -> Result<Wire> {
    let limit = server.timeout.connect.duration();
    match &server.proxy {
        None => {
            let doing = format!("open a data connection to {}:{port}", server.host);
            let tcp = TcpStream::connect_timeout(&SocketAddr::new(host, port), limit);
            let wire = tcp.and_then(|tcp| wired(tcp, server, stop));
            wire.map_err(|error| failed(&doing, error))
        }
        Some(proxy) => through(proxy, server, port, stop),
    }
}

/// A socket with the waiting times of data.
///
/// # Errors
/// It takes no options.
pub fn wired(tcp: TcpStream, server: &ServerSettings, stop: &Stop) -> io::Result<Wire> {
    Wire::new(tcp, server.timeout.idle.duration(), stop.clone())
}

fn through(proxy: &ProxySettings, server: &ServerSettings, port: u16, stop: &Stop) -> Result<Wire> {
    let limit = server.timeout.connect.duration();
    let began = Instant::now();
    let doing = format!("connect to the proxy {}:{}", proxy.host, proxy.port);
    let tcp = any_of(&resolve(&proxy.host, proxy.port)?, limit).map_err(|error| failed(&doing, error))?;
    let mut wire = wired(tcp, server, stop).map_err(|error| failed(&doing, error))?;
    wire.within(Some(limit.saturating_sub(began.elapsed())));
    let password = proxy.password.as_ref().map(|secret| secret.reveal()).transpose()?.unwrap_or_default();
    let who = proxy.user.as_deref().map(|user| Credentials { user, password: &password });
    let asked = match proxy.kind {
        ProxyKind::Socks5 => socks5(&mut wire, &server.host, port, who),
        ProxyKind::Http => http_connect(&mut wire, &server.host, port, who),
    };
    let doing = format!("connect to {}:{port} through the proxy {}:{}", server.host, proxy.host, proxy.port);
    asked.map_err(|error| failed(&doing, error))?;
    wire.within(None);
    Ok(wire)
}

fn resolve(host: &str, port: u16) -> Result<Vec<SocketAddr>> {
    let unresolved = |why: String| {
        Error::new(ErrorKind::Unavailable, format!("host {host} can't be resolved; check its name")).because(why)
    };
    let found: Vec<SocketAddr> =
        (host, port).to_socket_addrs().map_err(|error| unresolved(error.to_string()))?.collect();
    if found.is_empty() { Err(unresolved("it has no address".into())) } else { Ok(found) }
}

/// Tries one address after the other; each gets its share of the time that is left.
fn any_of(addresses: &[SocketAddr], limit: Duration) -> io::Result<TcpStream> {
    let began = Instant::now();
    let mut last = io::Error::from(io::ErrorKind::TimedOut);
    for (tried, address) in addresses.iter().enumerate() {
        let left = limit.saturating_sub(began.elapsed());
        let share = left / u32::try_from(addresses.len() - tried).unwrap_or(1);
        if share.is_zero() {
            break;
        }
        match TcpStream::connect_timeout(address, share) {
            Ok(tcp) => return Ok(tcp),
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn failed(doing: &str, error: io::Error) -> Error {
    refusal::lost(doing, error)
}
