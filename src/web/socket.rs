//! Where the control socket is, and how to reach it when its path is longer than a socket address can be.
//! What is said through it belongs to `control` and `client`.

use std::fs::{File, OpenOptions};
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use rustix::fs::Mode;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};

use crate::error::{Error, Result};

/// The socket's name, beside the store.
pub const SOCKET_NAME: &str = "highwater.sock";

/// `sun_path` has 108 bytes on Linux and 104 elsewhere, the terminating zero included.
const ADDRESS_BYTES_MAX: usize = 103;

const WAITING_CONNECTIONS_MAX: i32 = 16;

/// The control socket of the store at `store`.
pub fn socket_path(store: &Path) -> PathBuf {
    store.with_file_name(SOCKET_NAME)
}

/// An address for `path`, and the folder that must stay open while it is used.
struct Address {
    path: PathBuf,
    _folder: Option<File>,
}

impl Address {
    fn of(path: &Path) -> std::io::Result<Self> {
        if path.as_os_str().as_bytes().len() <= ADDRESS_BYTES_MAX {
            return Ok(Self { path: path.to_owned(), _folder: None });
        }
        let parent = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let folder =
            OpenOptions::new().read(true).custom_flags(rustix::fs::OFlags::DIRECTORY.bits() as i32).open(parent)?;
        let name = path.file_name().unwrap_or_default();
        Ok(Self {
            path: PathBuf::from(format!("/proc/self/fd/{}", folder.as_raw_fd())).join(name),
            _folder: Some(folder),
        })
    }
}

/// Listens at `path`, which only the owner may connect to.
pub(super) fn bind(path: &Path) -> Result<UnixListener> {
    bind_owned(path).map_err(|e| Error::io(format!("open control socket {}", path.display()), e))
}

fn bind_owned(path: &Path) -> std::io::Result<UnixListener> {
    let address = Address::of(path)?;
    let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    // Linux gives the file the socket's own mode: set before bind, nobody else can connect in between.
    rustix::fs::fchmod(&socket, Mode::RUSR | Mode::WUSR)?;
    rustix::net::bind(&socket, &SocketAddrUnix::new(&address.path)?)?;
    std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
    rustix::net::listen(&socket, WAITING_CONNECTIONS_MAX)?;
    Ok(UnixListener::from(socket))
}

/// Connects to the process that listens at `path`.
pub(super) fn connect(path: &Path) -> std::io::Result<UnixStream> {
    UnixStream::connect(Address::of(path)?.path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn the_socket_is_beside_the_store_and_for_its_owner_alone() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = socket_path(&folder.path().join("state.db"));
        assert_eq!(path, folder.path().join("highwater.sock"));
        let _listener = bind(&path).expect("free");
        let mode = std::fs::metadata(&path).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_path_too_long_for_an_address_works_all_the_same() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let deep = folder.path().join("d".repeat(200));
        std::fs::create_dir(&deep).expect("create");
        let path = deep.join(SOCKET_NAME);
        let listener = bind(&path).expect("free");
        let _client = connect(&path).expect("somebody listens");
        listener.accept().expect("the client");
        assert!(path.exists(), "the socket is where it was asked for");
    }

    #[test]
    fn a_second_listener_is_refused() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join(SOCKET_NAME);
        let _first = bind(&path).expect("free");
        assert!(bind(&path).expect_err("taken").to_string().contains("highwater.sock"));
    }
}
