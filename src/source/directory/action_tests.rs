//! After-actions on a real folder, cut off at every step.

use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::error::{Error, ErrorKind};
use crate::source::directory::local::LocalFolder;
use crate::source::directory::place::{Listed, Listing, OpenFile};

/// A directory in which a change fails once so many were made, before or after it was carried out, and all later ones.
struct Cut {
    inner: LocalFolder,
    left: AtomicUsize,
    after: bool,
    other_disk: bool,
}

impl Cut {
    fn step<T>(&self, change: impl FnOnce() -> Result<T>) -> Result<T> {
        let left = self.left.load(Ordering::Relaxed);
        if left == 0 {
            return Err(cut());
        }
        self.left.store(left - 1, Ordering::Relaxed);
        if left == 1 && !self.after {
            self.left.store(0, Ordering::Relaxed);
            return Err(cut());
        }
        let done = change();
        if left == 1 { done.and(Err(cut())) } else { done }
    }
}

fn cut() -> Error {
    Error::new(ErrorKind::Unavailable, "cut off by the test")
}

impl Directory for Cut {
    fn arrive(&mut self) -> Result<String> {
        self.inner.arrive()
    }
    fn list(&self, folder: &[u8], each: &mut dyn FnMut(Listed<'_>) -> Result<()>) -> Result<Listing> {
        self.inner.list(folder, each)
    }
    fn look(&self, path: &[u8]) -> Result<Option<Found>> {
        self.inner.look(path)
    }
    fn open(&self, path: &[u8]) -> Result<Option<Box<dyn OpenFile>>> {
        self.inner.open(path)
    }
    fn rename_new(&self, from: &[u8], to: &[u8]) -> Result<Renamed> {
        if self.other_disk && split(from).0 != split(to).0 {
            return Ok(Renamed::OtherDisk);
        }
        self.step(|| self.inner.rename_new(from, to))
    }
    fn copy_new(&self, from: &[u8], to: &[u8]) -> Result<()> {
        self.step(|| self.inner.copy_new(from, to))
    }
    fn remove(&self, path: &[u8]) -> Result<()> {
        self.step(|| self.inner.remove(path))
    }
    fn make_folder(&self, folder: &[u8]) -> Result<()> {
        self.step(|| self.inner.make_folder(folder))
    }
    fn sync_folder(&self, folder: &[u8]) -> Result<()> {
        self.inner.sync_folder(folder)
    }
}

struct Scene {
    folder: tempfile::TempDir,
    directory: LocalFolder,
}

impl Scene {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut directory = LocalFolder::new(folder.path().to_owned());
        directory.arrive().expect("arrive");
        Self { folder, directory }
    }

    fn write(&self, name: &str, content: &str) {
        let path = self.folder.path().join(name);
        fs::create_dir_all(path.parent().expect("a parent")).expect("make");
        fs::write(path, content).expect("write");
    }

    fn order(&self, name: &str, content: &str, action: Action) -> ActionOrder {
        self.write(name, content);
        let found = self.directory.look(name.as_bytes()).expect("look").expect("there");
        ActionOrder { key: name.into(), tuple: found.tuple, fingerprint: Fingerprint::of(content.as_bytes()), action }
    }

    fn act(&self, order: &ActionOrder) -> Acted {
        act(&self.directory, order).expect("the action ends")
    }

    /// Every file with its content, sorted.
    fn files(&self) -> Vec<String> {
        let mut folders = vec![self.folder.path().to_owned()];
        let mut files = Vec::new();
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).expect("list") {
                let path = entry.expect("an entry").path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    let name = path.strip_prefix(self.folder.path()).expect("below").display().to_string();
                    files.push(format!("{name}={}", fs::read_to_string(&path).expect("read")));
                }
            }
        }
        files.sort();
        files
    }

    fn cut(&self, left: usize, after: bool, other_disk: bool) -> Cut {
        let mut inner = LocalFolder::new(self.folder.path().to_owned());
        inner.arrive().expect("arrive");
        Cut { inner, left: AtomicUsize::new(left), after, other_disk }
    }
}

fn move_to(path: &str) -> Action {
    Action::Move(path.as_bytes().to_vec())
}

#[test]
fn the_ordered_version_is_moved_or_deleted() {
    let scene = Scene::new();
    let moved = scene.order("in/a.csv", "A", move_to("done/2026/a.csv"));
    assert_eq!(scene.act(&moved), Acted::Done(Some(b"done/2026/a.csv".to_vec())));
    let deleted = scene.order("in/b.csv", "B", Action::Delete);
    assert_eq!(scene.act(&deleted), Acted::Done(None));
    assert_eq!(scene.files(), ["done/2026/a.csv=A"]);
    assert_eq!(scene.act(&moved), Acted::Done(Some(b"done/2026/a.csv".to_vec())), "done before is done");
}

#[test]
fn another_version_is_left_alone_and_a_touched_one_is_not_another() {
    let scene = Scene::new();
    let order = scene.order("a", "old content", Action::Delete);
    scene.write("a", "new content");
    assert_eq!(scene.act(&order), Acted::OtherVersion);
    assert_eq!(scene.files(), ["a=new content"]);
    scene.write("a", "old content");
    assert_eq!(scene.act(&order), Acted::Done(None));
}

#[test]
fn a_file_somebody_took_away_is_gone() {
    let scene = Scene::new();
    let order = scene.order("a", "A", move_to("done/a"));
    fs::remove_file(scene.folder.path().join("a")).expect("remove");
    assert_eq!(scene.act(&order), Acted::Gone);
}

#[test]
fn a_target_with_the_same_content_is_enough_and_another_gets_a_numbered_neighbour() {
    let scene = Scene::new();
    scene.write("done/a.csv", "A");
    let same = scene.order("a.csv", "A", move_to("done/a.csv"));
    assert_eq!(scene.act(&same), Acted::Done(Some(b"done/a.csv".to_vec())));
    let other = scene.order("a.csv", "B", move_to("done/a.csv"));
    assert_eq!(scene.act(&other), Acted::Done(Some(b"done/a-2.csv".to_vec())));
    let third = scene.order("a.csv", "C", move_to("done/"));
    assert_eq!(scene.act(&third), Acted::Done(Some(b"done/a-3.csv".to_vec())));
    assert_eq!(scene.files(), ["done/a-2.csv=B", "done/a-3.csv=C", "done/a.csv=A"]);
}

#[test]
fn targets_outside_the_root_are_impossible() {
    let scene = Scene::new();
    for path in ["../a", "/srv/a", "x/../../a"] {
        let order = scene.order("a", "A", move_to(path));
        assert!(matches!(scene.act(&order), Acted::Impossible(_)), "{path}");
    }
    assert_eq!(scene.files(), ["a=A"]);
}

#[test]
fn a_writer_that_comes_between_the_two_looks_gets_its_file_back() {
    let scene = Scene::new();
    let order = scene.order("a", "A", Action::Delete);
    let private = String::from_utf8(private_path(order.key.as_bytes(), order.fingerprint)).expect("plain");
    scene.directory.rename_new(b"a", private.as_bytes()).expect("rename");
    scene.write(&private, "A and more");
    assert_eq!(scene.act(&order), Acted::OtherVersion);
    assert_eq!(scene.files(), ["a=A and more"]);
}

#[test]
fn cut_off_at_any_step_the_next_try_ends_it_and_a_new_file_of_that_name_survives() {
    for (other_disk, after, new_file) in
        [(false, false, false), (false, true, false), (false, true, true), (true, false, false), (true, true, true)]
    {
        for action in [Action::Delete, move_to("done/a.csv")] {
            for left in 1..12 {
                let scene = Scene::new();
                let order = scene.order("in/a.csv", "A", action.clone());
                let first = act(&scene.cut(left, after, other_disk), &order);
                if new_file && !scene.files().contains(&"in/a.csv=A".to_owned()) {
                    scene.write("in/a.csv", "new");
                }
                let directory = scene.cut(usize::MAX, false, other_disk);
                let second = act(&directory, &order).expect("the second try ends");
                let case = format!("{action:?} left={left} after={after} disk={other_disk}: {first:?} {second:?}");
                let files: Vec<String> = scene.files().into_iter().filter(|file| file != "in/a.csv=new").collect();
                let private_left = files.iter().any(|file| file.contains(".highwater-"));
                assert!(!private_left, "{case}: {files:?}");
                match (&action, &second) {
                    (Action::Delete, Acted::Done(None)) => assert!(files.is_empty(), "{case}: {files:?}"),
                    (Action::Move(_), Acted::Done(Some(_))) => assert_eq!(files, ["done/a.csv=A"], "{case}"),
                    // The first try was done; what is there now is another version.
                    (_, Acted::OtherVersion) => assert!(new_file, "{case}"),
                    _ => panic!("{case}"),
                }
            }
        }
    }
}
