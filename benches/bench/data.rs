//! Makes what is looked at: trees of files with a fixed seed. Made once and kept; a stamp names what is there.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use crate::Result;

const SEED: u64 = 20_261_123;
const FILES_PER_FOLDER: u64 = 1_000;

/// A tree of `count` files of `size` bytes each, 1,000 to a folder.
pub fn tree(dir: &Path, name: &str, count: u64, size: u64) -> Result<PathBuf> {
    files(dir, name, count, size, |number| format!("{:04}/file-{number:07}.dat", number / FILES_PER_FOLDER))
}

/// `count` files of `size` bytes each in one folder.
pub fn flat(dir: &Path, name: &str, count: u64, size: u64) -> Result<PathBuf> {
    files(dir, name, count, size, |number| format!("file-{number:07}.dat"))
}

fn files(dir: &Path, name: &str, count: u64, size: u64, named: fn(u64) -> String) -> Result<PathBuf> {
    let root = dir.join(format!("{name}-{count}x{size}"));
    let stamp = root.with_extension("made");
    if stamp.exists() {
        return Ok(root);
    }
    eprintln!("making {}: {count} files of {size} bytes", root.display());
    let _ = fs::remove_dir_all(&root);
    let mut random = fastrand::Rng::with_seed(SEED);
    let mut block = vec![0; 1 << 20];
    for number in 0..count {
        let path = root.join(named(number));
        if let Some(folder) = path.parent().filter(|_| number % FILES_PER_FOLDER == 0) {
            fs::create_dir_all(folder).map_err(|error| format!("create {}: {error}", folder.display()))?;
        }
        write(&path, size, &mut random, &mut block).map_err(|error| format!("write {}: {error}", path.display()))?;
    }
    fs::write(&stamp, "").map_err(|error| format!("write {}: {error}", stamp.display()))?;
    Ok(root)
}

fn write(path: &Path, size: u64, random: &mut fastrand::Rng, block: &mut [u8]) -> std::io::Result<()> {
    let mut file = BufWriter::new(File::create(path)?);
    let mut left = size;
    while left > 0 {
        let len = usize::try_from(left).unwrap_or(usize::MAX).min(block.len());
        random.fill(&mut block[..len]);
        file.write_all(&block[..len])?;
        left -= len as u64;
    }
    file.flush()
}

/// Replaces folder `to` by a copy of folder `from`.
pub fn copy_folder(from: &Path, to: &Path) -> Result<()> {
    let failed = |error: std::io::Error| format!("copy {} to {}: {error}", from.display(), to.display());
    let _ = fs::remove_dir_all(to);
    fs::create_dir_all(to).map_err(failed)?;
    for entry in fs::read_dir(from).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let target = to.join(entry.file_name());
        let kind = entry.file_type().map_err(failed)?;
        if kind.is_dir() {
            copy_folder(&entry.path(), &target)?;
        } else if kind.is_file() {
            fs::copy(entry.path(), target).map_err(failed)?;
        }
    }
    Ok(())
}
