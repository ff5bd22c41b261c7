//! Hints from a real folder; waiting is for the hint, never for time.

use super::*;
use crate::source::directory::testing::settings;
use std::fs;

struct Heard(Mutex<Sender<Option<Vec<u8>>>>);

impl Wake for Heard {
    fn wake(&self, folder: Option<&[u8]>) {
        let _ = self.0.lock().expect("no holder panics").send(folder.map(<[u8]>::to_vec));
    }
}

struct Scene {
    folder: tempfile::TempDir,
    heard: Receiver<Option<Vec<u8>>>,
    _watch: Box<dyn Send>,
}

impl Scene {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        fs::create_dir_all(folder.path().join("root/sub")).expect("make");
        fs::create_dir_all(folder.path().join("root/.git")).expect("make");
        let mut settings = settings();
        settings.exclude = vec![".*".into(), "*.tmp".into()];
        let filters = Arc::new(Filters::new(&settings, None).expect("valid"));
        let (sender, heard) = channel();
        let wake = Arc::new(Heard(Mutex::new(sender)));
        let root = folder.path().join("root");
        let watch = begin(&SourceName::new("orders"), &root, filters, wake).expect("a watch");
        Self { folder, heard, _watch: watch }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join("root").join(name)
    }

    fn next(&self) -> Option<Vec<u8>> {
        self.heard.recv_timeout(Duration::from_secs(30)).expect("a hint within 30 s")
    }

    /// Hears hints until `expected` comes.
    fn until(&self, expected: Option<&[u8]>) {
        while self.next().as_deref() != expected {}
    }
}

#[test]
fn a_written_file_names_its_folder_and_what_filters_take_out_is_not_heard() {
    let scene = Scene::new();
    fs::write(scene.path(".git/x"), "x").expect("write");
    fs::write(scene.path("a.tmp"), "x").expect("write");
    fs::write(scene.path(".highwater-1"), "x").expect("write");
    fs::write(scene.path("sub/a"), "x").expect("write");
    assert_eq!(scene.next().as_deref(), Some(&b"sub"[..]));
    fs::rename(scene.path("a.tmp"), scene.path("a")).expect("rename");
    scene.until(Some(b""));
}

#[test]
fn a_new_folder_asks_for_a_full_poll_and_is_watched_itself() {
    let scene = Scene::new();
    fs::create_dir(scene.path("sub/new")).expect("make");
    scene.until(None);
    // The folder is made known before its watch is set, which the full poll makes good; so write until it is heard.
    let heard = (0..600).any(|_| {
        fs::write(scene.path("sub/new/a"), "x").expect("write");
        scene.heard.recv_timeout(Duration::from_millis(50)).is_ok_and(|hint| hint.as_deref() == Some(b"sub/new"))
    });
    assert!(heard);
}

#[test]
fn a_root_that_is_missing_at_first_is_no_reason_to_give_up() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let filters = Arc::new(Filters::new(&settings(), None).expect("valid"));
    let (sender, _heard) = channel();
    let wake = Arc::new(Heard(Mutex::new(sender)));
    assert!(begin(&SourceName::new("orders"), &folder.path().join("none"), filters, wake).is_some());
}
