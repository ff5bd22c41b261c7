//! Moves or deletes exactly one version of a file, in steps that a crash may cut anywhere: the next try finds where the
//! last one stopped. When and why is decided by `poll`; the order was journaled before it comes here.

use sha2::{Digest, Sha256};

use super::filter::PRIVATE_PREFIX;
use super::place::{Directory, Renamed, Shape, join, split};
use crate::change::key::shown;
use crate::change::{Fingerprint, Tuple};
use crate::error::{Error, ErrorKind, Result};
use crate::source::{Acted, Action, ActionOrder};

/// Names tried when a move finds its target taken by other content.
const NUMBERED_MAX: u32 = 10_000;
const READ_BYTES: usize = 64 * 1024;

/// Carries out one order.
///
/// # Errors
/// The place failed; the file is under its own name again, or the next try finds it under its private one.
pub fn act(directory: &dyn Directory, order: &ActionOrder) -> Result<Acted> {
    let acting = Acting { directory, order, private: private_name(order) };
    if acting.look(&acting.private)?.is_some() {
        return acting.finish();
    }
    let Some(tuple) = acting.look(order.key.as_bytes())? else { return acting.gone() };
    if !acting.is_the_version(&tuple, order.key.as_bytes())? {
        return Ok(Acted::OtherVersion);
    }
    match directory.rename_new(order.key.as_bytes(), &acting.private)? {
        Renamed::Done => acting.finish(),
        Renamed::Missing => acting.gone(),
        Renamed::Taken | Renamed::OtherDisk => {
            let fact = format!("{} can't be renamed within its own folder", shown(order.key.as_bytes()));
            Err(Error::new(ErrorKind::Conflict, fact))
        }
    }
}

/// The name a file has while it is acted on: excluded from every listing, and the same at every try.
fn private_name(order: &ActionOrder) -> Vec<u8> {
    let (folder, _) = split(order.key.as_bytes());
    let mut name = PRIVATE_PREFIX.to_vec();
    name.extend_from_slice(&Fingerprint::of(order.key.as_bytes()).to_hex().as_bytes()[..24]);
    join(folder, &name)
}

struct Acting<'a> {
    directory: &'a dyn Directory,
    order: &'a ActionOrder,
    private: Vec<u8>,
}

impl Acting<'_> {
    fn look(&self, path: &[u8]) -> Result<Option<Tuple>> {
        let found = self.directory.look(path)?;
        Ok(found.filter(|found| found.shape == Shape::File).map(|found| found.tuple))
    }

    /// Our own renames move the change time; then the content decides.
    fn is_the_version(&self, tuple: &Tuple, path: &[u8]) -> Result<bool> {
        let wanted = &self.order.tuple;
        if tuple == wanted {
            return Ok(true);
        }
        Ok(looks_alike(tuple, wanted) && self.hash(path)? == Some(self.order.fingerprint))
    }

    /// The file is under its private name: it is looked at again, then taken away.
    fn finish(&self) -> Result<Acted> {
        let tuple = self.look(&self.private)?;
        if !tuple.is_some_and(|tuple| looks_alike(&tuple, &self.order.tuple)) {
            self.put_back()?;
            return Ok(Acted::OtherVersion);
        }
        let done = match &self.order.action {
            Action::Delete => self.delete(),
            Action::Move(target) => self.move_to(target),
        };
        if done.is_err() {
            // The first error is the one to tell; should this fail too, the next try finds the private name.
            let _ = self.put_back();
        }
        done
    }

    fn delete(&self) -> Result<Acted> {
        self.directory.remove(&self.private)?;
        self.directory.sync_folder(split(&self.private).0)?;
        Ok(Acted::Done(None))
    }

    fn move_to(&self, target: &[u8]) -> Result<Acted> {
        self.directory.make_folder(split(target).0)?;
        for number in 1..=NUMBERED_MAX {
            let candidate = numbered(target, number);
            if self.move_onto(&candidate)? {
                self.directory.sync_folder(split(&candidate).0)?;
                self.directory.sync_folder(split(&self.private).0)?;
                return Ok(Acted::Done(Some(candidate)));
            }
        }
        self.put_back()?;
        Ok(Acted::Impossible(format!("{NUMBERED_MAX} files named like {} are there already", shown(target))))
    }

    /// Whether the file is at `candidate` now; false when other content is there.
    fn move_onto(&self, candidate: &[u8]) -> Result<bool> {
        match self.directory.rename_new(&self.private, candidate)? {
            Renamed::Done => return Ok(true),
            Renamed::Missing => return Err(Error::new(ErrorKind::Conflict, "the file vanished while it was moved")),
            Renamed::Taken => {}
            Renamed::OtherDisk => {
                if self.look(candidate)?.is_none() {
                    return self.copy_onto(candidate);
                }
            }
        }
        let is_there = self.hash(candidate)? == Some(self.order.fingerprint);
        if is_there {
            self.directory.remove(&self.private)?;
        }
        Ok(is_there)
    }

    /// Across disks: a complete, synced copy under a private name there, then its name, then the original goes.
    fn copy_onto(&self, candidate: &[u8]) -> Result<bool> {
        let (folder, _) = split(candidate);
        let copy = join(folder, split(&self.private).1);
        self.directory.remove(&copy)?;
        self.directory.copy_new(&self.private, &copy)?;
        match self.directory.rename_new(&copy, candidate)? {
            Renamed::Done => {
                self.directory.sync_folder(folder)?;
                self.directory.remove(&self.private)?;
                Ok(true)
            }
            _ => {
                self.directory.remove(&copy)?;
                Ok(false)
            }
        }
    }

    /// Back under its own name without overwriting; when that is taken by a new file, under a numbered one beside it,
    /// so that the poll reports both.
    fn put_back(&self) -> Result<()> {
        for number in 1..=NUMBERED_MAX {
            match self.directory.rename_new(&self.private, &numbered(self.order.key.as_bytes(), number))? {
                Renamed::Done | Renamed::Missing => return Ok(()),
                Renamed::Taken | Renamed::OtherDisk => {}
            }
        }
        Err(Error::new(ErrorKind::Conflict, format!("{} can't get its name back", shown(self.order.key.as_bytes()))))
    }

    /// The file is under neither name: a try before may have come to the end, or somebody else took it.
    fn gone(&self) -> Result<Acted> {
        let Action::Move(target) = &self.order.action else { return Ok(Acted::Done(None)) };
        for number in 1..=NUMBERED_MAX {
            let candidate = numbered(target, number);
            match self.hash(&candidate)? {
                Some(content) if content == self.order.fingerprint => return Ok(Acted::Done(Some(candidate))),
                Some(_) => {}
                None => break,
            }
        }
        Ok(Acted::Gone)
    }

    fn hash(&self, path: &[u8]) -> Result<Option<Fingerprint>> {
        let Some(mut file) = self.directory.open(path)? else { return Ok(None) };
        let mut hash = Sha256::new();
        let mut buffer = vec![0; READ_BYTES];
        loop {
            let read = file.read(&mut buffer).map_err(|e| Error::io(format!("read {}", shown(path)), e))?;
            if read == 0 {
                return Ok(Some(Fingerprint(hash.finalize().into())));
            }
            hash.update(&buffer[..read]);
        }
    }
}

fn looks_alike(one: &Tuple, other: &Tuple) -> bool {
    (one.size, one.mtime_ns, one.inode) == (other.size, other.mtime_ns, other.inode)
}

/// `name.ext` for 1, `name-2.ext` for 2.
fn numbered(path: &[u8], number: u32) -> Vec<u8> {
    if number == 1 {
        return path.to_vec();
    }
    let (folder, name) = split(path);
    let dot = name.iter().rposition(|byte| *byte == b'.').filter(|at| *at > 0).unwrap_or(name.len());
    let mut next = name[..dot].to_vec();
    next.extend_from_slice(format!("-{number}").as_bytes());
    next.extend_from_slice(&name[dot..]);
    join(folder, &next)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::change::Key;
    use crate::source::directory::local::LocalFolder;
    use std::fs;

    struct Fixture {
        temporary: tempfile::TempDir,
        folder: LocalFolder,
    }

    impl Fixture {
        fn new() -> Self {
            let temporary = tempfile::tempdir().expect("a temporary folder");
            let mut folder = LocalFolder::new(temporary.path().to_owned());
            folder.arrive().expect("arrive");
            Self { temporary, folder }
        }

        fn write(&self, name: &str, content: &str) {
            let path = self.temporary.path().join(name);
            fs::create_dir_all(path.parent().expect("has one")).expect("make");
            fs::write(path, content).expect("write");
        }

        fn read(&self, name: &str) -> Option<String> {
            fs::read_to_string(self.temporary.path().join(name)).ok()
        }

        fn order(&self, name: &str, action: Action) -> ActionOrder {
            let key = Key::from(name);
            let tuple = self.folder.look(key.as_bytes()).expect("look").expect("there").tuple;
            let content = self.read(name).expect("content");
            ActionOrder { key, tuple, fingerprint: Fingerprint::of(content.as_bytes()), action }
        }

        fn act(&self, order: &ActionOrder) -> Acted {
            act(&self.folder, order).expect("acted")
        }

        fn hide(&self, order: &ActionOrder) {
            self.folder.rename_new(order.key.as_bytes(), &private_name(order)).expect("rename");
        }
    }

    fn move_to(target: &str) -> Action {
        Action::Move(target.as_bytes().to_vec())
    }

    #[test]
    fn a_file_is_moved_and_doing_it_again_changes_nothing() {
        let f = Fixture::new();
        f.write("in/a.csv", "one");
        let order = f.order("in/a.csv", move_to("archive/2026/a.csv"));
        let done = Acted::Done(Some(b"archive/2026/a.csv".to_vec()));
        assert_eq!(f.act(&order), done);
        assert_eq!((f.read("in/a.csv"), f.read("archive/2026/a.csv").as_deref()), (None, Some("one")));
        assert_eq!(f.act(&order), done, "cut off before it was noted");
    }

    #[test]
    fn a_deletion_is_done_also_when_it_was_done_before() {
        let f = Fixture::new();
        f.write("a.csv", "one");
        let order = f.order("a.csv", Action::Delete);
        assert_eq!(f.act(&order), Acted::Done(None));
        assert_eq!(f.read("a.csv"), None);
        assert_eq!(f.act(&order), Acted::Done(None));
    }

    #[test]
    fn another_version_is_left_alone() {
        let f = Fixture::new();
        f.write("a.csv", "one");
        let order = f.order("a.csv", Action::Delete);
        f.write("a.csv", "two, and longer");
        assert_eq!(f.act(&order), Acted::OtherVersion);
        assert_eq!(f.read("a.csv").as_deref(), Some("two, and longer"));
    }

    #[test]
    fn a_crash_after_the_private_name_is_finished_by_the_next_try() {
        let f = Fixture::new();
        f.write("a.csv", "one");
        let order = f.order("a.csv", move_to("archive/a.csv"));
        f.hide(&order);
        assert_eq!(f.act(&order), Acted::Done(Some(b"archive/a.csv".to_vec())));
        assert_eq!(f.read("archive/a.csv").as_deref(), Some("one"));
    }

    #[test]
    fn a_version_that_changed_under_its_private_name_gets_its_name_back() {
        let f = Fixture::new();
        f.write("a.csv", "one");
        let order = f.order("a.csv", Action::Delete);
        f.hide(&order);
        let private = String::from_utf8(private_name(&order)).expect("hex");
        f.write(&private, "changed by a writer that had it open");
        f.write("a.csv", "a new file of that name");
        assert_eq!(f.act(&order), Acted::OtherVersion);
        assert_eq!(f.read("a.csv").as_deref(), Some("a new file of that name"));
        assert_eq!(f.read("a-2.csv").as_deref(), Some("changed by a writer that had it open"));
    }

    #[test]
    fn a_target_with_the_same_content_is_enough_and_other_content_gets_a_numbered_name_beside_it() {
        let f = Fixture::new();
        f.write("a.csv", "one");
        f.write("archive/a.csv", "one");
        assert_eq!(f.act(&f.order("a.csv", move_to("archive/a.csv"))), Acted::Done(Some(b"archive/a.csv".to_vec())));
        f.write("a.csv", "two");
        assert_eq!(f.act(&f.order("a.csv", move_to("archive/a.csv"))), Acted::Done(Some(b"archive/a-2.csv".to_vec())));
        assert_eq!(f.read("archive/a.csv").as_deref(), Some("one"));
        assert_eq!(f.read("a.csv"), None);
    }

    #[test]
    fn a_file_somebody_else_took_is_gone() {
        let f = Fixture::new();
        f.write("a.csv", "one");
        let order = f.order("a.csv", move_to("archive/a.csv"));
        fs::remove_file(f.temporary.path().join("a.csv")).expect("remove");
        assert_eq!(f.act(&order), Acted::Gone);
    }

    #[test]
    fn a_failed_move_leaves_the_file_under_its_own_name() {
        let f = Fixture::new();
        f.write("a.csv", "one");
        f.write("archive", "a file where a folder is needed");
        let order = f.order("a.csv", move_to("archive/a.csv"));
        assert!(act(&f.folder, &order).is_err());
        assert_eq!(f.read("a.csv").as_deref(), Some("one"));
        fs::remove_file(f.temporary.path().join("archive")).expect("remove");
        assert_eq!(f.act(&order), Acted::Done(Some(b"archive/a.csv".to_vec())), "the renames moved its change time");
    }
}
