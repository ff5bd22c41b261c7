//! The floors of remote directories: a session that logs in, lists or fetches, and throws the bytes away.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};

use sha2::{Digest, Sha256};

use crate::Result;

/// One control connection.
struct Session {
    replies: BufReader<TcpStream>,
    commands: TcpStream,
    host: IpAddr,
}

impl Session {
    fn open(address: &str, user: &str, password: &str) -> Result<Self> {
        let commands = TcpStream::connect(address).map_err(|error| format!("connect to {address}: {error}"))?;
        commands.set_nodelay(true).map_err(|error| format!("{address}: {error}"))?;
        let host = commands.peer_addr().map_err(|error| format!("{address}: {error}"))?.ip();
        let replies = BufReader::new(commands.try_clone().map_err(|error| format!("{address}: {error}"))?);
        let mut session = Self { replies, commands, host };
        session.reply()?;
        session.command(&format!("USER {user}"))?;
        session.command(&format!("PASS {password}"))?;
        session.command("TYPE I")?;
        Ok(session)
    }

    fn command(&mut self, line: &str) -> Result<String> {
        self.send(&format!("{line}\r\n"))?;
        self.reply()
    }

    fn send(&mut self, lines: &str) -> Result<()> {
        self.commands.write_all(lines.as_bytes()).map_err(|error| format!("{lines}: {error}"))
    }

    /// The last line of the next reply; an error when it is not positive.
    fn reply(&mut self) -> Result<String> {
        let mut line = String::new();
        loop {
            line.clear();
            let len = self.replies.read_line(&mut line).map_err(|error| format!("read a reply: {error}"))?;
            let bytes = line.as_bytes();
            let is_last = len > 3 && bytes[..3].iter().all(u8::is_ascii_digit) && bytes[3] == b' ';
            match is_last {
                true if bytes[0] < b'4' => return Ok(line),
                true => return Err(line),
                false if len == 0 => return Err("the control connection ended".into()),
                false => {}
            }
        }
    }

    /// EPSV and the command in one write, the data to its end, the final reply.
    fn transfer(&mut self, command: &str, each: &mut dyn FnMut(&[u8]), block: &mut [u8]) -> Result<()> {
        self.send(&format!("EPSV\r\n{command}\r\n"))?;
        let reply = self.reply()?;
        let port = reply.split('|').nth(3).and_then(|port| port.parse().ok()).ok_or(format!("no port in {reply}"))?;
        let data = TcpStream::connect(SocketAddr::new(self.host, port));
        let mut data = data.map_err(|error| format!("connect for data: {error}"))?;
        self.reply()?;
        loop {
            match data.read(block).map_err(|error| format!("read data: {error}"))? {
                0 => break,
                len => each(&block[..len]),
            }
        }
        // vsftpd sends its last reply 40 ms later when it has to wait for the other end to close.
        drop(data);
        self.reply().map(drop)
    }
}

/// Lists the root and counts the lines.
pub fn list(address: &str, user: &str, password: &str, command: &str) -> Result<u64> {
    let mut session = Session::open(address, user, password)?;
    let (mut lines, mut block) = (0, vec![0; 256 << 10]);
    let mut each = |bytes: &[u8]| lines += bytes.iter().filter(|byte| **byte == b'\n').count() as u64;
    session.transfer(command, &mut each, &mut block)?;
    Ok(lines)
}

/// Fetches and hashes every file of the root on so many connections; returns how many there are.
pub fn fetch(address: &str, user: &str, password: &str, connections: u64) -> Result<u64> {
    let mut text = Vec::new();
    let mut block = vec![0; 256 << 10];
    let mut session = Session::open(address, user, password)?;
    session.transfer("NLST", &mut |bytes| text.extend_from_slice(bytes), &mut block)?;
    let text = String::from_utf8(text).map_err(|error| format!("names: {error}"))?;
    // pure-ftpd names the folder itself too.
    let names: Vec<&str> = text.lines().filter(|name| !matches!(*name, "." | "..")).collect();
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        let threads: Vec<_> =
            (0..connections).map(|_| scope.spawn(|| fetch_some(address, user, password, &names, &next))).collect();
        threads.into_iter().try_for_each(|thread| thread.join().map_err(|_| "a thread panicked".to_owned())?)
    })?;
    Ok(names.len() as u64)
}

fn fetch_some(address: &str, user: &str, password: &str, names: &[&str], next: &AtomicUsize) -> Result<()> {
    let mut session = Session::open(address, user, password)?;
    let mut block = vec![0; 256 << 10];
    while let Some(name) = names.get(next.fetch_add(1, Ordering::Relaxed)) {
        let mut hash = Sha256::new();
        session.transfer(&format!("RETR {name}"), &mut |bytes| hash.update(bytes), &mut block)?;
        std::hint::black_box(hash.finalize());
    }
    Ok(())
}
