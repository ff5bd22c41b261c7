//! Pages are all or nothing, leases are exclusive, and what was stored is read back.

use super::*;
use highwater::error::ErrorKind;
use highwater::source::{Block, Hold, HoldReason, SegmentWrite};
use highwater::store::NewRefused;

#[test]
fn a_page_is_committed_whole_or_not_at_all() {
    each_store(|f| {
        let mut lease = begin(&*f.store);
        let mut good = new_event(&mut lease, "a", &["erp"]);
        good.event.content = inline(b"content");
        let bad = new_event(&mut lease, "b", &["nobody"]);
        let page = CommitPage {
            events: vec![good, bad],
            known: vec![(Key::from("a"), known(1))],
            cursor: Some("moved".into()),
            ..CommitPage::default()
        };
        assert!(f.store.commit_page(&lease, page).is_err());
        let again = begin(&*f.store);
        assert_eq!((again.cursor, again.sequence, again.knows_nothing), (None, 0, true));
        assert!(claim(&*f.store, "erp", 10, at(1)).is_empty());
        assert_eq!(f.store.backlog(&sink("erp")), 0);
    });
}

#[test]
fn a_poll_that_was_overtaken_can_not_commit_or_end() {
    each_store(|f| {
        let mut first = begin(&*f.store);
        let second = begin(&*f.store);
        assert!(second.epoch > first.epoch);
        let events = vec![new_event(&mut first, "a", &["erp"])];
        let page = CommitPage { events, ..CommitPage::default() };
        let error = f.store.commit_page(&first, page).expect_err("overtaken");
        assert_eq!(error.kind(), ErrorKind::Conflict);
        assert_eq!(f.store.end_poll(&first, ended()).expect_err("overtaken").kind(), ErrorKind::Conflict);
        assert!(f.store.end_poll(&second, ended()).is_ok());
    });
}

#[test]
fn everything_a_poll_committed_is_there_for_the_next_process() {
    each_store(|f| {
        let mut lease = begin(&*f.store);
        let events = vec![new_event(&mut lease, "a", &["erp", "load"])];
        let known = vec![(Key::from("a"), known(1)), (Key::from("b"), known(7))];
        let page = CommitPage { events, known, cursor: Some("{\"at\":1}".into()), ..CommitPage::default() };
        f.store.commit_page(&lease, page).expect("commit");
        let hold = Hold { reason: HoldReason::MaxNew, detail: "too many".into() };
        f.store.end_poll(&lease, PollEnded { hold: Some(hold.clone()), ..ended() }).expect("end");
    });
    let folder = tempfile::tempdir().expect("a temporary folder");
    let store = Box::new(SqliteStore::open(&folder.path().join("highwater.db")).expect("open"));
    let fixture = Fixture { folder, store };
    register(&*fixture.store, &["orders"], &["erp"]);
    let mut lease = begin(&*fixture.store);
    commit(&*fixture.store, &mut lease, &["a"], &["erp"]);
    fixture.store.end_poll(&lease, ended()).expect("end");
    let fixture = reopen(fixture);
    register(&*fixture.store, &["orders"], &["erp"]);
    let lease = begin(&*fixture.store);
    assert_eq!((lease.sequence, lease.completed, lease.knows_nothing), (1, 1, false));
    assert_eq!(lease.binding, ended().binding);
    assert_eq!(fixture.store.backlog(&sink("erp")), 1);
    assert_eq!(keys(&claim(&*fixture.store, "erp", 10, at(1))), ["a"]);
}

#[test]
fn known_entries_are_read_back_listed_by_prefix_and_forgotten() {
    each_store(|f| {
        let lease = begin(&*f.store);
        let all = ["a/1", "a/2", "a0", "b", "a\u{10ffff}"];
        let known_all = all.iter().map(|key| (Key::from(*key), known(3))).collect();
        f.store.commit_page(&lease, CommitPage { known: known_all, ..CommitPage::default() }).expect("commit");
        let asked = [Key::from("b"), Key::from("missing"), Key::from("a/1")];
        let found = f.store.known(&orders(), &asked).expect("known");
        assert_eq!(found, [Some(known(3)), None, Some(known(3))]);
        let below = |after: Option<&Key>, limit| {
            let found = f.store.known_below(&orders(), b"a/", after, limit).expect("below");
            found.into_iter().map(|(key, _)| key.shown()).collect::<Vec<_>>()
        };
        assert_eq!(below(None, 10), ["a/1", "a/2"]);
        assert_eq!(below(None, 1), ["a/1"]);
        assert_eq!(below(Some(&Key::from("a/1")), 10), ["a/2"]);
        let page = CommitPage { forget: vec![Key::from("a/1")], ..CommitPage::default() };
        f.store.commit_page(&lease, page).expect("commit");
        assert_eq!(below(None, 10), ["a/2"]);
        assert_eq!(f.store.known(&SourceName::new("stock"), &asked).expect("other"), [None, None, None]);
    });
}

#[test]
fn segments_are_kept_by_folder_and_place() {
    each_store(|f| {
        let lease = begin(&*f.store);
        let put = |folder: &[u8], ordinal: i64, bytes: &[u8]| SegmentWrite::Put {
            folder: folder.to_vec(),
            block: Block { ordinal, bytes: bytes.to_vec() },
        };
        let write = |segments| {
            f.store.commit_page(&lease, CommitPage { segments, ..CommitPage::default() }).expect("commit");
        };
        write(vec![
            put(b"", 20, b"y"),
            put(b"", 10, b"x"),
            put(b"in", 1, b"z"),
            put(b"in/deep", 1, b"d"),
            put(b"inner", 1, b"i"),
        ]);
        let blocks = |folder: &[u8]| {
            let found = f.store.segment(&orders(), folder).expect("segment");
            found.into_iter().map(|b| (b.ordinal, b.bytes)).collect::<Vec<_>>()
        };
        assert_eq!(blocks(b""), [(10, b"x".to_vec()), (20, b"y".to_vec())]);
        let below = |folder: &[u8]| f.store.folders_below(&orders(), folder).expect("folders");
        assert_eq!(below(b""), [&b"in"[..], b"in/deep", b"inner"]);
        assert_eq!(below(b"in"), [&b"in/deep"[..]]);
        write(vec![put(b"", 10, b"new"), SegmentWrite::Delete { folder: b"".to_vec(), ordinal: 20 }]);
        assert_eq!(blocks(b""), [(10, b"new".to_vec())]);
        write(vec![SegmentWrite::DeleteFolder { folder: b"in".to_vec() }]);
        assert!(blocks(b"in").is_empty() && !blocks(b"in/deep").is_empty());
    });
}

#[test]
fn refused_entries_are_listed_until_they_are_refused_no_longer() {
    each_store(|f| {
        let lease = begin(&*f.store);
        let refused = vec![NewRefused { key: Key::from("a"), reason: "too large".into(), tuple: None }];
        f.store.commit_page(&lease, CommitPage { refused, ..CommitPage::default() }).expect("commit");
        assert_eq!(begin(&*f.store).refused, 1);
        let mut reasons = Vec::new();
        let records = f.store.records().expect("records");
        records
            .refused(Some(&orders()), &mut |r| {
                reasons.push(r.reason);
                Ok(true)
            })
            .expect("list");
        assert_eq!(reasons, ["too large"]);
        let lease = begin(&*f.store);
        let page = CommitPage { unrefused: vec![Key::from("a")], ..CommitPage::default() };
        f.store.commit_page(&lease, page).expect("commit");
        assert_eq!(begin(&*f.store).refused, 0);
    });
}

#[test]
fn a_renamed_source_takes_over_state_and_ids() {
    each_store(|f| {
        let mut lease = begin(&*f.store);
        commit(&*f.store, &mut lease, &["a"], &["erp"]);
        let renamed = SourceRegistration { name: SourceName::new("purchase"), was: Some(orders()), kind: "folder" };
        f.store.register(&[renamed], &[sink("erp"), sink("load")], at(0)).expect("register");
        let lease = f.store.begin_poll(&SourceName::new("purchase"), at(1)).expect("begin");
        assert_eq!((lease.identity, lease.sequence), (orders(), 1));
    });
}

#[test]
fn a_source_that_changes_its_kind_is_refused() {
    each_store(|f| {
        let other = SourceRegistration { name: orders(), was: None, kind: "sqlite" };
        let error = f.store.register(&[other], &[], at(0)).expect_err("another kind");
        assert_eq!(error.kind(), ErrorKind::Config);
    });
}

#[test]
fn a_new_source_under_the_old_name_of_a_renamed_one_has_ids_of_its_own() {
    each_store(|f| {
        let register = |name: &SourceName, was: Option<&SourceName>| {
            let source = SourceRegistration { name: name.clone(), was: was.cloned(), kind: "folder" };
            f.store.register(&[source], &[sink("erp"), sink("load")], at(0)).expect("register");
            f.store.begin_poll(name, at(1)).expect("begin").identity
        };
        let names = ["purchase", "sales"].map(SourceName::new);
        let first = register(&names[0], Some(&orders()));
        let second = register(&orders(), None);
        assert_eq!(register(&names[1], Some(&orders())), second, "it takes its own ids along");
        let third = register(&orders(), None);
        assert_eq!(first, orders(), "as in the published vectors");
        assert!(first != second && second != third && first != third, "{first} {second} {third}");
        for taken in [&second, &third] {
            assert!(highwater::setting::name::check_name(taken.as_str()).is_err(), "no source can be called {taken}");
        }
        assert_eq!(register(&orders(), None), third, "as long as the store lives");
    });
}

#[test]
fn a_poll_that_was_cut_short_leaves_the_source_as_it_was() {
    each_store(|f| {
        let source = || f.store.records().expect("records").sources().expect("sources").remove(0);
        let failed = PollEnded { error: Some("no route to host".into()), ..ended() };
        f.store.end_poll(&begin(&*f.store), failed.clone()).expect("end");
        let stopped = |ended_at, unrouted| PollEnded {
            ended: at(ended_at),
            error: Some("stopped".into()),
            cut_short: true,
            unrouted,
            ..ended()
        };
        f.store.end_poll(&begin(&*f.store), stopped(50, 3)).expect("end");
        let after = source();
        assert_eq!((after.last_error, after.last_poll, after.unrouted), (failed.error, Some(at(1)), 3));
        f.store.end_poll(&begin(&*f.store), ended()).expect("end");
        f.store.end_poll(&begin(&*f.store), stopped(60, 0)).expect("end");
        assert_eq!(source().last_error, None);
    });
}
