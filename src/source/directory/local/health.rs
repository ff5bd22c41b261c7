//! What `doctor` says of a local folder: which file system it is on, and whether wake-ups come from there.

use std::path::Path;

use super::LocalFolder;
use crate::error::Result;
use crate::source::directory::filter::Filters;
use crate::source::directory::place::{Directory, Shape, join};
use crate::source::directory::watch::{is_network, kind_of};
use crate::source::{Finding, Verdict};

/// How many folders one user may watch; of the whole machine.
const WATCHES_MAX_FILE: &str = "/proc/sys/fs/inotify/max_user_watches";

/// More folders than this are not counted.
const FOLDERS_COUNTED_MAX: usize = 1_000_000;

/// File systems by the numbers of statfs(2).
const NAMES: [(u64, &str); 14] = [
    (0xef53, "ext2, ext3 or ext4"),
    (0x5846_5342, "XFS"),
    (0x9123_683e, "Btrfs"),
    (0x2fc1_2fc1, "ZFS"),
    (0xf2f5_2010, "F2FS"),
    (0x0102_1994, "tmpfs: its files are gone after a restart of the machine"),
    (0x794c_7630, "overlay: a container's own layer, gone with the container"),
    (0x6969, "NFS"),
    (0x517b, "SMB"),
    (0xfe53_4d42, "SMB"),
    (0xff53_4d42, "CIFS"),
    (0x6573_5546, "FUSE"),
    (0x4d44, "FAT: times to two seconds"),
    (0x0102_1997, "9P"),
];

/// Looks at the folder and those below it.
///
/// # Errors
/// The folder is not there or may not be read.
pub fn examine(folder: &mut LocalFolder, filters: &Filters, watches: bool) -> Result<Vec<Finding>> {
    folder.arrive()?;
    let kind = kind_of(folder.path());
    let name = kind.and_then(|kind| NAMES.iter().find(|(number, _)| *number == kind)).map(|(_, name)| *name);
    let named = match (name, kind) {
        (Some(name), _) => name.to_owned(),
        (None, Some(kind)) => format!("of kind 0x{kind:x}"),
        (None, None) => "of an unknown kind".to_owned(),
    };
    let hints = match kind {
        _ if !watches => Finding::new("wake-ups", Verdict::Absent, "watch = false: the folder is only polled"),
        Some(kind) if is_network(kind) => {
            let detail = "a network file system sends no hints: the folder is only polled";
            Finding::new("wake-ups", Verdict::Absent, detail)
        }
        _ => room_for_watches(folder, filters),
    };
    Ok(vec![Finding::new("file system", Verdict::Note, named), hints])
}

/// The kernel watches each folder on its own.
fn room_for_watches(folder: &LocalFolder, filters: &Filters) -> Finding {
    let count = folders(folder, filters);
    let limit = std::fs::read_to_string(Path::new(WATCHES_MAX_FILE)).ok().and_then(|text| text.trim().parse().ok());
    let some = if count == 1 { "1 folder is".to_owned() } else { format!("{count} folders are") };
    match limit {
        Some(limit) if count > limit => {
            let detail = format!(
                "{some} to be watched and fs.inotify.max_user_watches is {limit}: the rest is only polled; raise it by \
                 `sysctl fs.inotify.max_user_watches={}`",
                count.saturating_mul(2)
            );
            Finding::new("wake-ups", Verdict::Problem, detail)
        }
        Some(limit) => {
            let detail = format!("{some} watched; fs.inotify.max_user_watches allows {limit} for all of this user");
            Finding::new("wake-ups", Verdict::Works, detail)
        }
        None => Finding::new("wake-ups", Verdict::Note, format!("{some} watched; the kernel does not tell its limit")),
    }
}

fn folders(folder: &LocalFolder, filters: &Filters) -> usize {
    let (mut waiting, mut count) = (vec![Vec::new()], 0);
    while let Some(path) = waiting.pop() {
        count += 1;
        if count + waiting.len() >= FOLDERS_COUNTED_MAX {
            return FOLDERS_COUNTED_MAX;
        }
        // One that can't be listed is counted all the same.
        let _ = folder.list(&path, &mut |listed| {
            let below = join(&path, listed.name);
            if listed.found.shape == Shape::Folder && filters.why_not_folder(&below).is_none() {
                waiting.push(below);
            }
            Ok(())
        });
    }
    count
}
