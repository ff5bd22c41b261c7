//! Reaches a server: resolves its name and connects, address after address, through a proxy where one is configured.
//! What is spoken then belongs to `server`.

use std::time::Duration;

use tokio::net::TcpStream;

use crate::error::{Error, ErrorKind, Result};
use crate::net::proxy::{self, Credentials};
use crate::setting::Secret;
use crate::source::settings::{ProxyKind, ProxySettings, ServerSettings};

/// Connects to the server.
///
/// # Errors
/// `Unavailable` or `NotFound` with every address that was tried; `Config` for a name that can't be one.
pub async fn dial(server: &ServerSettings) -> Result<TcpStream> {
    let stream = match &server.proxy {
        None => direct(&server.host, server.port).await?,
        Some(proxy) => through(proxy.clone(), server).await?,
    };
    // A request must not wait for the reply to the one before.
    stream.set_nodelay(true).map_err(|e| Error::io("set up the connection", e))?;
    Ok(stream)
}

async fn direct(host: &str, port: u16) -> Result<TcpStream> {
    let resolved = tokio::net::lookup_host((host, port)).await;
    let addresses: Vec<_> = resolved
        .map_err(|e| Error::new(ErrorKind::Unavailable, format!("resolve the name {host}")).because(e))?
        .collect();
    let mut failed = Vec::new();
    for address in &addresses {
        // The next address is tried while there is still time for it.
        let share = Duration::from_secs(if addresses.len() > 1 { 5 } else { 3600 });
        match tokio::time::timeout(share, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => failed.push(format!("{address}: {error}")),
            Err(_) => failed.push(format!("{address}: no answer within {} s", share.as_secs())),
        }
    }
    Err(Error::new(ErrorKind::Unavailable, format!("connect to {host} port {port}")).because(failed.join("; ")))
}

/// The proxy resolves the name: it may know hosts that we don't.
async fn through(proxy: ProxySettings, server: &ServerSettings) -> Result<TcpStream> {
    let doing =
        format!("connect to {} port {} through the proxy {}:{}", server.host, server.port, proxy.host, proxy.port);
    let password = proxy.password.as_ref().map(Secret::reveal).transpose()?.unwrap_or_default();
    let stream = direct(&proxy.host, proxy.port).await.map_err(|e| e.while_doing(&doing))?;
    let span = server.timeout.connect.duration();
    let (host, port) = (server.host.clone(), server.port);
    // The proxy's few lines are spoken on a thread that may block, with a deadline for each of them.
    let spoken = tokio::task::spawn_blocking(move || -> std::io::Result<TcpStream> {
        let mut stream = stream.into_std()?;
        stream.set_nonblocking(false)?;
        stream.set_read_timeout(Some(span))?;
        stream.set_write_timeout(Some(span))?;
        let who = proxy.user.as_ref().map(|user| Credentials { user, password: &password });
        match proxy.kind {
            ProxyKind::Socks5 => proxy::socks5(&mut stream, &host, port, who)?,
            ProxyKind::Http => proxy::http_connect(&mut stream, &host, port, who)?,
        }
        stream.set_nonblocking(true)?;
        TcpStream::from_std(stream)
    });
    spoken.await.map_err(|e| Error::internal("speak with a proxy").because(e))?.map_err(|e| Error::io(doing, e))
}
