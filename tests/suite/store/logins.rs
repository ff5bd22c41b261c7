//! How often a secret may be refused: twice, for everybody together and across restarts.

use super::*;
use highwater::store::sqlite::SqliteLogins;
use highwater::store::{Login, LoginBook, LoginStep, LoginTurn, Operation};

const ACCOUNT: &str = "ftp://me@host:21";

fn login_at(book: &(impl LoginBook + ?Sized), secret: &str, step: LoginStep, second: u64) -> LoginTurn {
    let source = orders();
    let login = Login { source: &source, account: ACCOUNT, secret: secret.as_bytes() };
    book.login(&login, step, at(second)).expect("counted")
}

fn login(book: &(impl LoginBook + ?Sized), secret: &str, step: LoginStep) -> LoginTurn {
    login_at(book, secret, step, 0)
}

fn refuse(book: &(impl LoginBook + ?Sized), secret: &str) {
    assert_eq!(login(book, secret, LoginStep::Attempt), LoginTurn::Go);
    login(book, secret, LoginStep::Refused);
}

#[test]
fn a_secret_that_was_refused_twice_is_spent_also_after_a_restart_and_another_one_is_not() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let store = Box::new(SqliteStore::open(&folder.path().join("highwater.db")).expect("open"));
    let mut fixture = Fixture { folder, store };
    refuse(&*fixture.store, "wrong");
    fixture = reopen(fixture);
    refuse(&*fixture.store, "wrong");
    fixture = reopen(fixture);
    assert_eq!(login(&*fixture.store, "wrong", LoginStep::Attempt), LoginTurn::Spent);
    assert_eq!(login(&*fixture.store, "right", LoginStep::Attempt), LoginTurn::Go);
}

#[test]
fn an_accepted_secret_begins_anew_and_an_unanswered_attempt_does_not_count() {
    each_store(|f| {
        refuse(&*f.store, "a");
        for _ in 0..9 {
            assert_eq!(login(&*f.store, "a", LoginStep::Attempt), LoginTurn::Go);
            login(&*f.store, "a", LoginStep::Unanswered);
        }
        assert_eq!(login(&*f.store, "a", LoginStep::Attempt), LoginTurn::Go);
        login(&*f.store, "a", LoginStep::Accepted);
        refuse(&*f.store, "a");
        refuse(&*f.store, "a");
        assert_eq!(login(&*f.store, "a", LoginStep::Attempt), LoginTurn::Spent);
    });
}

#[test]
fn while_two_attempts_are_under_way_a_third_waits_and_after_a_crash_it_is_not_made() {
    each_store(|f| {
        for _ in 0..2 {
            assert_eq!(login(&*f.store, "a", LoginStep::Attempt), LoginTurn::Go);
        }
        assert_eq!(login_at(&*f.store, "a", LoginStep::Attempt, 30), LoginTurn::Wait);
        assert_eq!(login_at(&*f.store, "a", LoginStep::Attempt, 500), LoginTurn::Wait);
        assert_eq!(login_at(&*f.store, "a", LoginStep::Attempt, 700), LoginTurn::Spent);
        login(&*f.store, "a", LoginStep::Accepted);
        assert_eq!(login_at(&*f.store, "a", LoginStep::Attempt, 700), LoginTurn::Go);
    });
}

#[test]
fn resume_of_any_source_of_the_account_lets_it_be_tried_again() {
    each_store(|f| {
        refuse(&*f.store, "a");
        refuse(&*f.store, "a");
        let (source, stock) = (Operation::Resume { name: "orders".into() }, SourceName::new("stock"));
        let late = Login { source: &stock, account: ACCOUNT, secret: b"a" };
        assert_eq!(f.store.login(&late, LoginStep::Look, at(0)).expect("looked"), LoginTurn::Spent);
        f.store.operate(&Operation::Resume { name: "stock".into() }, at(1)).expect("resume");
        assert_eq!(login(&*f.store, "a", LoginStep::Attempt), LoginTurn::Go);
        f.store.operate(&source, at(1)).expect("resume");
    });
}

#[test]
fn commands_count_beside_the_process_that_holds_the_store_and_before_there_is_one() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("state/highwater.db");
    refuse(&SqliteLogins::at(&path), "wrong");
    let store = SqliteStore::open(&path).expect("open");
    refuse(&SqliteLogins::at(&path), "wrong");
    assert_eq!(login(&store, "wrong", LoginStep::Attempt), LoginTurn::Spent);
    assert_eq!(login(&SqliteLogins::at(&path), "wrong", LoginStep::Attempt), LoginTurn::Spent);
}

#[test]
fn the_store_holds_no_secret() {
    each_store(|f| {
        refuse(&*f.store, "correct horse battery staple");
        for file in std::fs::read_dir(f.folder.path()).expect("a folder") {
            let bytes = std::fs::read(file.expect("a file").path()).expect("readable");
            assert!(!bytes.windows(13).any(|part| part == b"correct horse"));
        }
    });
}
