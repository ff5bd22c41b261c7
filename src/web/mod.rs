//! How others talk to a running process: the control socket beside the store (DESIGN section 7).
//! What a request does is decided by the handler that `app` supplies.

pub mod client;
pub mod control;
pub mod listen;
pub mod message;
pub mod socket;

pub use client::ask;
pub use control::{Handler, Server};
pub use message::{Answer, Request};
pub use socket::socket_path;
