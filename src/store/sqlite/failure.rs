//! SQLite's errors in the words of ours.

use rusqlite::ErrorCode;

use crate::error::{Error, ErrorKind};

/// Wraps an error of SQLite with what was being done: for `map_err`.
pub fn sqlite(doing: &str) -> impl Fn(rusqlite::Error) -> Error + '_ {
    move |cause| Error::new(kind_of(&cause), remedy(doing, &cause)).because(cause)
}

fn kind_of(error: &rusqlite::Error) -> ErrorKind {
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => ErrorKind::Full,
        // A write that fails for want of room shows as an I/O error when the WAL index or a sync is hit first.
        Some(ErrorCode::SystemIoFailure) => ErrorKind::Full,
        Some(ErrorCode::ReadOnly) => ErrorKind::ReadOnly,
        Some(ErrorCode::CannotOpen) => ErrorKind::NotFound,
        Some(ErrorCode::PermissionDenied | ErrorCode::AuthorizationForStatementDenied) => ErrorKind::Denied,
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => ErrorKind::Unavailable,
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => ErrorKind::Corrupt,
        Some(ErrorCode::OperationInterrupted) => ErrorKind::Stopped,
        _ => ErrorKind::Internal,
    }
}

fn remedy(doing: &str, error: &rusqlite::Error) -> String {
    let hint = match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => "; the disk is full: nothing was lost, free some room",
        Some(ErrorCode::SystemIoFailure) => "; the disk failed or is full: nothing that was reported as stored is lost",
        Some(ErrorCode::ReadOnly) => "; the store may not be written: check its permissions and its folder's",
        Some(ErrorCode::DatabaseCorrupt) => "; the store is damaged: restore it from a backup",
        Some(ErrorCode::NotADatabase) => {
            "; it is no store, or damaged: restore it from a backup, or choose another state.path"
        }
        _ => "",
    };
    format!("{doing}{hint}")
}
