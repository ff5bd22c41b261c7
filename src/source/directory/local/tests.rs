//! The local folder against a real file system. What the tracker makes of it is tested there.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;

use super::*;
use crate::source::directory::place::join;

fn arrived(path: &Path) -> LocalFolder {
    let mut folder = LocalFolder::new(path.to_owned());
    folder.arrive().expect("arrive");
    folder
}

fn names(folder: &LocalFolder, path: &[u8]) -> Vec<(Vec<u8>, Shape)> {
    let mut names = Vec::new();
    let mut each = |listed: Listed<'_>| {
        names.push((listed.name.to_vec(), listed.found.shape));
        Ok(())
    };
    assert_eq!(folder.list(path, &mut each).expect("list"), Listing::Complete);
    names.sort_by(|a, b| a.0.cmp(&b.0));
    names
}

#[test]
fn names_are_bytes_and_links_and_pipes_are_of_another_shape() {
    let root = tempfile::tempdir().expect("a temporary folder");
    for name in [&b"a b"[..], b"new\nline", b"not\xffutf8"] {
        fs::write(root.path().join(std::ffi::OsStr::from_bytes(name)), b"x").expect("write");
    }
    fs::create_dir(root.path().join("folder")).expect("make");
    symlink("a b", root.path().join("link")).expect("link");
    symlink(".", root.path().join("loop")).expect("link");
    let folder = arrived(root.path());
    let expected = [
        (&b"a b"[..], Shape::File),
        (b"folder", Shape::Folder),
        (b"link", Shape::Other),
        (b"loop", Shape::Other),
        (b"new\nline", Shape::File),
        (b"not\xffutf8", Shape::File),
    ];
    assert_eq!(names(&folder, b""), expected.map(|(name, shape)| (name.to_vec(), shape)));
    assert!(folder.open(b"link").expect("open").is_none(), "a link is not followed");
    assert_eq!(folder.list(b"loop", &mut |_| Ok(())).expect("list"), Listing::Missing);
}

#[test]
fn a_path_of_five_thousand_bytes_is_listed_looked_at_and_opened() {
    let root = tempfile::tempdir().expect("a temporary folder");
    let folder = arrived(root.path());
    let mut path = Vec::new();
    while path.len() < 5_000 {
        path = join(&path, &[b'd'; 200]);
        folder.make_folder(&path).expect("make");
    }
    let file = join(&path, b"file");
    let near = reach::near(folder.root().expect("root"), &file).expect("near");
    let flags = OFlags::WRONLY | OFlags::CREATE;
    rustix::fs::openat(near.fd(), near.rest, flags, Mode::from_raw_mode(0o600)).expect("write");
    assert_eq!(names(&folder, &path), [(b"file".to_vec(), Shape::File)]);
    let looked = folder.look(&file).expect("look").expect("there");
    let opened = folder.open(&file).expect("open").expect("there");
    assert_eq!(opened.tuple().expect("look"), looked.tuple);
    assert_eq!(folder.rename_new(&file, b"short").expect("rename"), Renamed::Done);
}

#[test]
fn a_rename_never_overwrites() {
    let root = tempfile::tempdir().expect("a temporary folder");
    let folder = arrived(root.path());
    fs::write(root.path().join("a"), b"A").expect("write");
    fs::write(root.path().join("b"), b"B").expect("write");
    assert_eq!(folder.rename_new(b"a", b"b").expect("rename"), Renamed::Taken);
    assert_eq!(fs::read(root.path().join("b")).expect("read"), b"B");
    assert_eq!(folder.rename_new(b"missing", b"c").expect("rename"), Renamed::Missing);
    folder.make_folder(b"x/y/z").expect("make");
    assert_eq!(folder.rename_new(b"a", b"x/y/z/a").expect("rename"), Renamed::Done);
    folder.copy_new(b"x/y/z/a", b"copy").expect("copy");
    let (copy, source) = (folder.look(b"copy"), folder.look(b"x/y/z/a"));
    let mtime = |found: Result<Option<Found>>| found.expect("look").expect("there").tuple.mtime_ns;
    assert_eq!(mtime(copy), mtime(source));
}

#[test]
fn a_missing_root_is_told_with_the_remedy() {
    let root = tempfile::tempdir().expect("a temporary folder");
    let error = LocalFolder::new(root.path().join("none")).arrive().expect_err("missing");
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.to_string().contains("is not there; make it, mount it or correct path"), "{error}");
    fs::write(root.path().join("file"), b"x").expect("write");
    let error = LocalFolder::new(root.path().join("file")).arrive().expect_err("a file");
    assert!(error.to_string().contains("is not a folder"), "{error}");
}
