//! A copy of what the quick start uses, and what there is in it.

use std::collections::BTreeMap;
use std::path::Path;

use crate::support::highwater::Highwater;

/// What is there at first: files in `fixtures/drop`, rows of `customers`.
pub const FILES: usize = 4;
/// Rows of the table.
pub const ROWS: usize = 6;

/// A copy of the samples in a folder of its own.
pub fn sample() -> Highwater {
    let highwater = Highwater::without_config();
    for folder in ["config", "fixtures", "scripts"] {
        copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join(folder), &highwater.path(folder));
    }
    let quickstart = highwater.path("quickstart");
    std::fs::create_dir(&quickstart).expect("make");
    let ignore = Path::new(env!("CARGO_MANIFEST_DIR")).join("quickstart/.gitignore");
    std::fs::copy(ignore, quickstart.join(".gitignore")).expect("copy");
    highwater
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("make");
    for entry in std::fs::read_dir(from).expect("list") {
        let entry = entry.expect("an entry");
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        let is_try = entry.file_name().to_string_lossy().starts_with("try-");
        if from.is_dir() {
            copy(&from, &to);
        } else if !is_try {
            std::fs::copy(&from, &to).expect("copy");
        }
    }
}

/// Every file that git would see, with its content: what the quick start writes is ignored by name.
pub fn seen_by_git(highwater: &Highwater) -> BTreeMap<String, Vec<u8>> {
    let mut seen = BTreeMap::new();
    let root = highwater.path("");
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("list") {
            let path = entry.expect("an entry").path();
            let name = path.strip_prefix(&root).expect("below").to_string_lossy().into_owned();
            let ours = name.starts_with("background.") || name.starts_with("listen.");
            let ignored = name.starts_with("quickstart/") && name != "quickstart/.gitignore" || name.contains("/try-");
            if path.is_dir() {
                folders.push(path);
            } else if !ours && !ignored {
                seen.insert(name, std::fs::read(path).expect("read"));
            }
        }
    }
    seen
}
