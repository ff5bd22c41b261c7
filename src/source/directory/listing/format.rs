//! The formats a LIST answer may have, and the one that is being read. Which one it is, is voted on.

use crate::source::settings::FtpListing;

use super::dos::Dos;
use super::eplf;
use super::ibm_i::IbmI;
use super::mvs::Mvs;
use super::netware::NetWare;
use super::row::{Emit, Taken};
use super::times::Times;
use super::unix::Unix;
use super::vms::Vms;

/// A format, with what it remembers of the lines before.
#[derive(Debug)]
pub enum Format {
    /// `ls -l`, and all that imitate it.
    Unix(Unix),
    /// Windows: IIS and others.
    Dos(Dos),
    /// IBM i (OS/400).
    IbmI(IbmI),
    /// z/OS (MVS): data sets, members, and its Unix files.
    Mvs(Mvs),
    /// OpenVMS.
    Vms(Vms),
    /// NetWare.
    NetWare(NetWare),
    /// Easily parsed LIST format.
    Eplf,
}

/// In this order the first wins where several fit equally well.
pub const ALL: [FtpListing; 7] = [
    FtpListing::Unix,
    FtpListing::Dos,
    FtpListing::Eplf,
    FtpListing::Netware,
    FtpListing::Mvs,
    FtpListing::IbmI,
    FtpListing::Vms,
];

impl Format {
    /// The format a setting names; `None` where it leaves the choice open.
    pub fn of(listing: FtpListing) -> Option<Self> {
        match listing {
            FtpListing::Auto | FtpListing::Mlsd | FtpListing::List => None,
            FtpListing::Unix => Some(Self::Unix(Unix::default())),
            FtpListing::Dos => Some(Self::Dos(Dos::default())),
            FtpListing::IbmI => Some(Self::IbmI(IbmI::default())),
            FtpListing::Mvs => Some(Self::Mvs(Mvs::default())),
            FtpListing::Vms => Some(Self::Vms(Vms::default())),
            FtpListing::Netware => Some(Self::NetWare(NetWare)),
            FtpListing::Eplf => Some(Self::Eplf),
        }
    }

    /// The word in the configuration, and what people call it.
    pub fn names(&self) -> (FtpListing, &'static str) {
        match self {
            Self::Unix(_) => (FtpListing::Unix, "a Unix listing"),
            Self::Dos(_) => (FtpListing::Dos, "a DOS listing"),
            Self::IbmI(_) => (FtpListing::IbmI, "an IBM i listing"),
            Self::Mvs(_) => (FtpListing::Mvs, "a z/OS listing"),
            Self::Vms(_) => (FtpListing::Vms, "an OpenVMS listing"),
            Self::NetWare(_) => (FtpListing::Netware, "a NetWare listing"),
            Self::Eplf => (FtpListing::Eplf, "an EPLF listing"),
        }
    }

    /// Reads the next line; entries go to `emit`, sometimes one that an earlier line began.
    pub fn take(&mut self, line: &[u8], times: &mut Times, emit: &mut Emit<'_>) -> Taken {
        match self {
            Self::Unix(unix) => unix.take(line, times, emit),
            Self::Dos(dos) => dos.take(line, times, emit),
            Self::IbmI(ibm_i) => ibm_i.take(line, times, emit),
            Self::Mvs(mvs) => mvs.take(line, times, emit),
            Self::Vms(vms) => vms.take(line, times, emit),
            Self::NetWare(netware) => netware.take(line, times, emit),
            Self::Eplf => eplf::take(line, emit),
        }
    }

    /// Hands out an entry that waited for the line behind it; returns what can't be one.
    pub fn end(&mut self, emit: &mut Emit<'_>) -> Option<Vec<u8>> {
        match self {
            Self::IbmI(ibm_i) => {
                ibm_i.end(emit);
                None
            }
            Self::Vms(vms) => vms.end(),
            _ => None,
        }
    }

    /// How many bytes of earlier lines it holds.
    #[cfg(test)]
    pub fn kept(&self) -> usize {
        match self {
            Self::IbmI(ibm_i) => ibm_i.kept(),
            Self::Vms(vms) => vms.kept(),
            _ => 0,
        }
    }

    /// The same format at the beginning of a listing, knowing what can be learned of its dates from the lines it has seen.
    #[must_use]
    pub fn learned(self) -> Self {
        match self {
            Self::Unix(_) => Self::Unix(Unix::default()),
            Self::Dos(dos) => Self::Dos(dos.learned()),
            Self::IbmI(ibm_i) => Self::IbmI(ibm_i.learned()),
            Self::Mvs(_) => Self::Mvs(Mvs::default()),
            Self::Vms(_) => Self::Vms(Vms::default()),
            Self::NetWare(_) => Self::NetWare(NetWare),
            Self::Eplf => Self::Eplf,
        }
    }
}
