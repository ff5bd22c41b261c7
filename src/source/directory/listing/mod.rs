//! Turns what an FTP server answers to MLSD, LIST and MLST into entries: bytes in, entries out, in bounded memory.
//! Which command is sent, what the server's replies mean, and deadlines are the connection's affair.
//!
//! [`ListReader`] takes LIST output, [`MlsdReader`] MLSD output, [`parse_mlst`] one MLST fact line. Bytes are cut into
//! [`lines`]; the first of them [`vote`] on the format; a format turns a line into rows; what no format takes becomes a
//! [`doubt`], and the listing ends as `Doubtful`. Times are read by [`dates`] ([`months`], [`order`]) and placed in the
//! server's zone by [`times`].

mod dates;
mod dos;
mod doubt;
mod eplf;
mod fields;
mod format;
mod ibm_i;
mod lines;
mod list;
mod mlsd;
mod months;
mod mvs;
mod netware;
mod order;
mod row;
#[cfg(test)]
mod tests;
mod times;
mod unix;
mod vms;
mod vote;

pub use list::ListReader;
pub use mlsd::{MlsdReader, parse_mlst};
