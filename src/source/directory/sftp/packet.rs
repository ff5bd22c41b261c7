//! The packets of SFTP version 3 (draft-ietf-secsh-filexfer-02): requests as bytes, replies as values. Names and paths
//! stay bytes. Which reply belongs to which request, and how long is waited for it, belongs to `wire`.

use bytes::{Buf, Bytes};

use super::attributes::{Attributes, KEPT_FLAGS};

/// The version of the protocol that every server speaks.
pub const VERSION: u32 = 3;

/// A longer packet is refused: OpenSSH sends at most this much.
pub const PACKET_BYTES_MAX: usize = 256 * 1024;

/// A longer path fits into no packet that a server must take (34,000 bytes).
pub const PATH_BYTES_MAX: usize = 32 * 1024;

/// Extensions a server announces; more are ignored.
const EXTENSIONS_MAX: usize = 64;

/// Flags of OPEN.
pub const READ: u32 = 0x01;
/// Opened for writing.
pub const WRITE: u32 = 0x02;
/// Made, and an error when it is there already.
pub const CREATE_NEW: u32 = 0x08 | 0x20;

/// A request without its id.
pub struct Request {
    bytes: Vec<u8>,
}

impl Request {
    fn new(kind: u8) -> Self {
        // Length and id are filled in when it is sent.
        Self { bytes: vec![0, 0, 0, 0, kind, 0, 0, 0, 0] }
    }

    fn text(mut self, text: &[u8]) -> Self {
        self.bytes.extend_from_slice(&(text.len() as u32).to_be_bytes());
        self.bytes.extend_from_slice(text);
        self
    }

    fn number(mut self, number: u32) -> Self {
        self.bytes.extend_from_slice(&number.to_be_bytes());
        self
    }

    fn long(mut self, number: u64) -> Self {
        self.bytes.extend_from_slice(&number.to_be_bytes());
        self
    }

    /// Opens a file with `flags` ([`READ`], [`WRITE`], [`CREATE_NEW`]).
    pub fn open(path: &[u8], flags: u32) -> Self {
        Self::new(3).text(path).number(flags).number(0)
    }

    /// Closes a file or a folder.
    pub fn close(handle: &[u8]) -> Self {
        Self::new(4).text(handle)
    }

    /// Reads so many bytes at most.
    pub fn read(handle: &[u8], offset: u64, bytes: u32) -> Self {
        Self::new(5).text(handle).long(offset).number(bytes)
    }

    /// Writes bytes.
    pub fn write(handle: &[u8], offset: u64, bytes: &[u8]) -> Self {
        Self::new(6).text(handle).long(offset).text(bytes)
    }

    /// Looks at a path without following a link.
    pub fn lstat(path: &[u8]) -> Self {
        Self::new(7).text(path)
    }

    /// Looks at an opened file.
    pub fn fstat(handle: &[u8]) -> Self {
        Self::new(8).text(handle)
    }

    /// Sets the times of an opened file, in seconds since the epoch.
    pub fn set_times(handle: &[u8], accessed: u32, modified: u32) -> Self {
        Self::new(10).text(handle).number(KEPT_FLAGS.times).number(accessed).number(modified)
    }

    /// Opens a folder for listing.
    pub fn opendir(path: &[u8]) -> Self {
        Self::new(11).text(path)
    }

    /// The next entries of a folder.
    pub fn readdir(handle: &[u8]) -> Self {
        Self::new(12).text(handle)
    }

    /// Removes a file.
    pub fn remove(path: &[u8]) -> Self {
        Self::new(13).text(path)
    }

    /// Makes a folder.
    pub fn mkdir(path: &[u8]) -> Self {
        Self::new(14).text(path).number(0)
    }

    /// The absolute path behind a path.
    pub fn realpath(path: &[u8]) -> Self {
        Self::new(16).text(path)
    }

    /// Looks at what is behind a path.
    pub fn stat(path: &[u8]) -> Self {
        Self::new(17).text(path)
    }

    /// Renames; the new name must not be taken.
    pub fn rename(from: &[u8], to: &[u8]) -> Self {
        Self::new(18).text(from).text(to)
    }

    /// `posix-rename@openssh.com`: renames over what is there.
    pub fn rename_over(from: &[u8], to: &[u8]) -> Self {
        Self::new(200).text(b"posix-rename@openssh.com").text(from).text(to)
    }

    /// `statvfs@openssh.com`: what file system a path is on.
    pub fn file_system(path: &[u8]) -> Self {
        Self::new(200).text(b"statvfs@openssh.com").text(path)
    }

    /// The whole packet under this id.
    pub fn with_id(mut self, id: u32) -> Bytes {
        let length = (self.bytes.len() - 4) as u32;
        self.bytes[..4].copy_from_slice(&length.to_be_bytes());
        self.bytes[5..9].copy_from_slice(&id.to_be_bytes());
        self.bytes.into()
    }

    /// The first packet of a session, which has no id.
    pub fn init() -> Bytes {
        let mut bytes = vec![0, 0, 0, 5, 1];
        bytes.extend_from_slice(&VERSION.to_be_bytes());
        bytes.into()
    }
}

/// What a server sends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// The first one: its version and extensions with their data.
    Version(u32, Vec<(Bytes, Bytes)>),
    /// How a request ended that has no other answer.
    Status(Status),
    /// An opened file or folder.
    Handle(Bytes),
    /// Bytes of a file.
    Data(Bytes),
    /// Entries of a folder, or one path.
    Names(Vec<Named>),
    /// What is said of a file.
    Attributes(Attributes),
    /// The answer to an extension.
    Extended(Bytes),
}

/// How a request ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// The code, see [`Status::OK`] and the others.
    pub code: u32,
    /// The server's own words.
    pub message: String,
}

impl Status {
    /// It is done.
    pub const OK: u32 = 0;
    /// There is no more.
    pub const EOF: u32 = 1;
    /// Nothing of that name.
    pub const NO_SUCH_FILE: u32 = 2;
    /// Not allowed.
    pub const PERMISSION_DENIED: u32 = 3;
    /// Anything else, a taken name among it.
    pub const FAILURE: u32 = 4;
    /// The server did not understand the packet.
    pub const BAD_MESSAGE: u32 = 5;
    /// The server can't do it.
    pub const UNSUPPORTED: u32 = 8;
}

/// One name with what is said of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// The name.
    pub name: Bytes,
    /// What is said of it.
    pub attributes: Attributes,
}

/// A packet that is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Malformed(pub &'static str);

/// Takes the next whole packet off the front of what has come, without its length; `None` when more must come first.
///
/// # Errors
/// The packet is empty or longer than [`PACKET_BYTES_MAX`].
pub fn next_packet(come: &mut bytes::BytesMut) -> Result<Option<Bytes>, Malformed> {
    let Some(length) = come.first_chunk::<4>().map(|bytes| u32::from_be_bytes(*bytes) as usize) else {
        return Ok(None);
    };
    if length == 0 || length > PACKET_BYTES_MAX {
        return Err(Malformed("a packet of impossible length; is this an SFTP server, and its shell silent?"));
    }
    if come.len() < 4 + length {
        come.reserve(4 + length - come.len());
        return Ok(None);
    }
    come.advance(4);
    Ok(Some(come.split_to(length).freeze()))
}

/// Reads one packet: the id of the request it answers (0 for the version), and what it says.
///
/// # Errors
/// It is cut short, or of a kind that no server sends.
pub fn parse(packet: Bytes) -> Result<(u32, Reply), Malformed> {
    let mut take = Take(packet);
    let kind = take.byte()?;
    let id = take.number()?;
    if kind == 2 {
        let mut extensions = Vec::new();
        while !take.0.is_empty() && extensions.len() < EXTENSIONS_MAX {
            extensions.push((take.text()?, take.text()?));
        }
        return Ok((0, Reply::Version(id, extensions)));
    }
    let reply = match kind {
        // Some servers leave the message out, although version 3 demands it.
        101 => Reply::Status(Status { code: take.number()?, message: take.message() }),
        102 => Reply::Handle(take.text()?),
        103 => Reply::Data(take.text()?),
        104 => Reply::Names(take.names()?),
        105 => Reply::Attributes(take.attributes()?),
        201 => Reply::Extended(take.0),
        _ => return Err(Malformed("a packet of unknown kind")),
    };
    Ok((id, reply))
}

const SHORT: Malformed = Malformed("a packet that is cut short");

struct Take(Bytes);

impl Take {
    fn byte(&mut self) -> Result<u8, Malformed> {
        self.0.try_get_u8().map_err(|_| SHORT)
    }

    fn number(&mut self) -> Result<u32, Malformed> {
        self.0.try_get_u32().map_err(|_| SHORT)
    }

    fn text(&mut self) -> Result<Bytes, Malformed> {
        let length = self.number()? as usize;
        if length > self.0.len() {
            return Err(SHORT);
        }
        Ok(self.0.split_to(length))
    }

    fn message(&mut self) -> String {
        self.text().map(|text| crate::change::key::shown(&text)).unwrap_or_default()
    }

    fn names(&mut self) -> Result<Vec<Named>, Malformed> {
        let count = self.number()? as usize;
        // Name, long name and flags are at least 12 bytes: a count beyond that is a lie, and nothing is reserved for it.
        if count > self.0.len() / 12 {
            return Err(Malformed("more names announced than the packet holds"));
        }
        let mut names = Vec::with_capacity(count);
        for _ in 0..count {
            let name = self.text()?;
            self.text()?;
            names.push(Named { name, attributes: self.attributes()? });
        }
        Ok(names)
    }

    fn attributes(&mut self) -> Result<Attributes, Malformed> {
        let flags = self.number()?;
        let has = |flag: u32| flags & flag != 0;
        let mut attributes = Attributes::default();
        if has(KEPT_FLAGS.size) {
            attributes.size = Some(self.0.try_get_u64().map_err(|_| SHORT)?);
        }
        if has(KEPT_FLAGS.owner) {
            self.number()?;
            self.number()?;
        }
        if has(KEPT_FLAGS.permissions) {
            attributes.permissions = Some(self.number()?);
        }
        if has(KEPT_FLAGS.times) {
            self.number()?;
            attributes.modified = Some(self.number()?);
        }
        if has(KEPT_FLAGS.extended) {
            for _ in 0..self.number()? {
                self.text()?;
                self.text()?;
            }
        }
        Ok(attributes)
    }
}

#[cfg(test)]
#[path = "packet_tests.rs"]
mod tests;
