//! The floors: the smallest programs that do the work at all, as modes of this program (`bench floor walk DIR`).
//! They keep no state, look at nothing twice and handle no failure.

use std::fs::File;
use std::io::{Read, Write};
use std::mem::MaybeUninit;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, RawDir, StatxFlags, openat, statx};
use sha2::{Digest, Sha256};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::{Result, ftp_floor, rows};

/// As large as one delivered event usually is.
const EVENT_BYTES: usize = 480;

/// Runs the floor that `args` name, and prints what it counted.
pub fn run(args: &[String]) -> Result<()> {
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let counted = match words.as_slice() {
        ["walk", dir] => walk(Path::new(dir), &mut |_, _| Ok(()))?,
        ["hash", dir] => hash(Path::new(dir))?,
        ["rows-sqlite", file] => rows::drain_sqlite(Path::new(file))?,
        ["rows-postgres", url] => rows::drain_postgres(url, "text")?,
        ["times-postgres", url] => rows::drain_postgres(url, "timestamptz")?,
        ["copy-postgres", url] => rows::copy_postgres(url)?,
        ["count-postgres", url] => rows::number_postgres(url, "SELECT count(*) FROM items")?,
        ["nothing-postgres", url] => rows::nothing_postgres(url)?,
        ["post", address, count, connections] => post(address, number(count)?, number(connections)?)?,
        ["ftp-list", address, user, password, command] => ftp_floor::list(address, user, password, command)?,
        ["ftp-get", address, user, password, connections] => {
            ftp_floor::fetch(address, user, password, number(connections)?)?
        }
        ["spawn", program, count] => spawn(program, number(count)?)?,
        _ => return Err(format!("there is no floor \"{}\"", args.join(" "))),
    };
    println!("{counted}");
    Ok(())
}

fn number(text: &str) -> Result<u64> {
    text.parse().map_err(|_| format!("\"{text}\" is not a number"))
}

/// getdents64 and statx of every file on one thread; returns how many files there are.
fn walk(root: &Path, each: &mut dyn FnMut(&Path, u64) -> Result<()>) -> Result<u64> {
    let mut folders = vec![root.to_path_buf()];
    let mut buffer = vec![MaybeUninit::uninit(); 256 * 1024];
    let mut count = 0;
    while let Some(folder) = folders.pop() {
        count += walk_folder(&folder, &mut buffer, &mut folders, each)?;
    }
    Ok(count)
}

fn walk_folder(
    folder: &PathBuf,
    buffer: &mut [MaybeUninit<u8>],
    folders: &mut Vec<PathBuf>,
    each: &mut dyn FnMut(&Path, u64) -> Result<()>,
) -> Result<u64> {
    let failed = |error: rustix::io::Errno| format!("walk {}: {error}", folder.display());
    let handle = openat(CWD, folder, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty());
    let handle = handle.map_err(failed)?;
    let mut listing = RawDir::new(&handle, buffer);
    let mut count = 0;
    while let Some(entry) = listing.next() {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name();
        if entry.file_type() == FileType::Directory {
            if name != c"." && name != c".." {
                folders.push(folder.join(std::ffi::OsStr::new(&*name.to_string_lossy())));
            }
            continue;
        }
        let facts = statx(&handle, name, AtFlags::SYMLINK_NOFOLLOW, StatxFlags::BASIC_STATS).map_err(failed)?;
        each(&folder.join(&*name.to_string_lossy()), std::hint::black_box(facts).stx_size)?;
        count += 1;
    }
    Ok(count)
}

/// Open, read, SHA-256 of every file; returns how many files there are.
fn hash(root: &Path) -> Result<u64> {
    let mut block = vec![0; 1 << 20];
    walk(root, &mut |path, _| {
        let failed = |error: std::io::Error| format!("read {}: {error}", path.display());
        let mut file = File::open(path).map_err(failed)?;
        let mut hash = Sha256::new();
        loop {
            let len = file.read(&mut block).map_err(failed)?;
            if len == 0 {
                break;
            }
            hash.update(&block[..len]);
        }
        std::hint::black_box(hash.finalize());
        Ok(())
    })
}

/// POSTs over raw TCP with keep-alive, `connections` at once on one thread.
fn post(address: &str, count: u64, connections: u64) -> Result<u64> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| format!("start the runtime: {error}"))?;
    runtime.block_on(async {
        let tasks: Vec<_> = (0..connections)
            .map(|nth| {
                let share = count / connections + u64::from(nth < count % connections);
                let first = nth * (count / connections + 1);
                tokio::spawn(post_share(address.to_owned(), first, share))
            })
            .collect();
        for task in tasks {
            task.await.map_err(|error| format!("post: {error}"))?.map_err(|error| format!("post: {error}"))?;
        }
        Ok(count)
    })
}

async fn post_share(address: String, first: u64, share: u64) -> std::io::Result<()> {
    let mut stream = tokio::net::TcpStream::connect(&address).await?;
    stream.set_nodelay(true)?;
    let body = vec![b'x'; EVENT_BYTES];
    let mut answer = vec![0; 4096];
    for nth in first..first + share {
        let head = format!(
            "POST / HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/cloudevents+json\r\nwebhook-id: {nth}\r\n\
             content-length: {EVENT_BYTES}\r\n\r\n"
        );
        let mut request = head.into_bytes();
        request.extend_from_slice(&body);
        stream.write_all(&request).await?;
        let mut len = 0;
        // The receiver answers without a body.
        while !answer[..len].ends_with(b"\r\n\r\n") {
            let more = stream.read(&mut answer[len..]).await?;
            if more == 0 {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
            len += more;
        }
        if !answer.starts_with(b"HTTP/1.1 200") {
            return Err(std::io::Error::other(String::from_utf8_lossy(&answer[..len]).into_owned()));
        }
    }
    Ok(())
}

/// Starts `program` once per event, one after the other, with an event's worth of bytes on standard input.
fn spawn(program: &str, count: u64) -> Result<u64> {
    let event = vec![b'x'; EVENT_BYTES];
    for _ in 0..count {
        let mut child = Command::new(program)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| format!("start {program}: {error}"))?;
        // A program that does not read is fine.
        let _ = child.stdin.take().map(|mut pipe| pipe.write_all(&event));
        let status = child.wait().map_err(|error| format!("wait for {program}: {error}"))?;
        if !status.success() {
            return Err(format!("{program} ended with {status}"));
        }
    }
    Ok(count)
}
