//! What an edit of the configuration means: said beforehand by `check --plan`, and then done.

use super::*;

#[track_caller]
fn plan(highwater: &Highwater) -> String {
    highwater.run(&["check", "--plan"]).ok()
}

#[test]
fn entries_that_leave_by_a_filter_are_forgotten_and_those_that_enter_are_created() {
    let receiver = Receiver::start();
    let events = "events = [\"created\", \"changed\", \"removed\"]";
    let highwater = plant(&(orders(&format!("{events}\ninclude = [\"*.csv\"]")) + &erp(&receiver, "")));
    for name in ["a.csv", "b.csv", "in/c.csv", "a.xml", "in/b.xml"] {
        put(&highwater, name, name);
    }
    once(&highwater, 0);
    assert_eq!(receiver.received().len(), 3);

    highwater.configure(&(orders(&format!("{events}\ninclude = [\"*.xml\"]")) + &erp(&receiver, "")));
    let said = plan(&highwater);
    assert!(said.contains("orders") && said.contains("filters changed"), "{said}");
    once(&highwater, 0);
    let created: Vec<String> = kinds(&receiver).into_iter().filter(|kind| kind.contains("xml")).collect();
    assert_eq!(created, ["created a.xml", "created in/b.xml"]);
    assert_eq!(receiver.received().len(), 5, "nothing was removed");
    assert_eq!(source_status(&highwater, "orders")["known"], 2);
    assert!(once(&highwater, 0).contains(" 0 events"));
    assert!(!plan(&highwater).contains("filters changed"));

    highwater.configure(&(orders(events) + &erp(&receiver, "")));
    once(&highwater, 0);
    let told = told(&receiver.received());
    let back: Vec<(&str, u64)> =
        told[5..].iter().filter(|told| told.key == "a.csv").map(|told| (told.kind.as_str(), told.revision)).collect();
    assert_eq!(back.len(), 1, "what enters again is created again: {told:?}");
    assert_eq!(back[0].0, "created");
    let ids: BTreeSet<&str> = told.iter().map(|told| told.id.as_str()).collect();
    assert_eq!(ids.len(), told.len(), "as an event of its own: {back:?}");
}

#[test]
fn the_brake_holds_for_entries_that_enter_by_an_edit_too() {
    let receiver = Receiver::start();
    let highwater = plant(&(orders("include = [\"*.csv\"]\nmax_new = 3") + &erp(&receiver, "")));
    put(&highwater, "a.csv", "1");
    once(&highwater, 0);
    for number in 0..5 {
        put(&highwater, &format!("{number}.xml"), number.to_string());
    }
    highwater.configure(&(orders("max_new = 3") + &erp(&receiver, "")));
    assert!(once(&highwater, 3).contains("held (max_new)"));
    assert_eq!(receiver.received().len(), 1);
    highwater.run(&["cursor", "orders", "accept"]).ok();
    once(&highwater, 0);
    assert_eq!(receiver.received().len(), 6);
}

#[test]
fn another_location_holds_the_source_until_it_is_accepted() {
    let receiver = Receiver::start();
    let highwater = plant(&(orders("") + &erp(&receiver, "")));
    put(&highwater, "a.csv", "1");
    once(&highwater, 0);
    std::fs::create_dir(highwater.path("moved")).expect("a folder");
    std::fs::write(highwater.path("moved/a.csv"), "1").expect("write");
    std::fs::write(highwater.path("moved/b.csv"), "2").expect("write");
    highwater.configure(&(orders("path = \"moved\"") + &erp(&receiver, "")));
    let said = plan(&highwater);
    assert!(said.contains("is held until `highwater cursor orders accept`"), "{said}");

    let summary = once(&highwater, 3);
    assert!(summary.contains("held (location_changed)") && summary.contains("cursor orders accept"), "{summary}");
    assert_eq!(receiver.received().len(), 1);
    highwater.run(&["cursor", "orders", "accept"]).ok();
    once(&highwater, 0);
    assert_eq!(kinds(&receiver), ["created a.csv", "created b.csv"], "the same file at the new place is known");
    assert!(!plan(&highwater).contains("accept"));
    once(&highwater, 0);
}

#[test]
fn another_table_holds_the_source_until_it_is_reset() {
    let receiver = Receiver::start();
    let highwater = plant(&(items("") + &erp(&receiver, "")));
    let sql = "INSERT INTO items VALUES (1, 'a', 5);
               CREATE TABLE other (id INTEGER PRIMARY KEY, name TEXT, updated INTEGER);
               INSERT INTO other VALUES (7, 'b', 2)";
    table(&highwater).execute_batch(sql).expect("insert");
    once(&highwater, 0);
    highwater.configure(&(items("table = \"other\"") + &erp(&receiver, "")));
    assert!(plan(&highwater).contains("accept"));
    assert!(once(&highwater, 3).contains("held (location_changed)"));
    highwater.run(&["cursor", "items", "reset"]).ok();
    once(&highwater, 0);
    assert_eq!(kinds(&receiver), ["upserted 1", "upserted 7"]);
}

#[test]
fn deliveries_to_a_sink_that_is_gone_are_dead_and_say_so() {
    let receiver = Receiver::start();
    let old = format!("[sink.old]\nkind = \"http\"\nurl = \"{}\"\n", receiver.url("/old"));
    let highwater = plant(&(orders("to = [\"erp\", \"old\"]") + &erp(&receiver, "") + &old));
    once(&highwater, 0);
    highwater.run(&["pause", "old", "--reason", "down"]).ok();
    put(&highwater, "a.csv", "1");
    once(&highwater, 4);
    highwater.configure(&(orders("") + &erp(&receiver, "")));
    let said = plan(&highwater);
    assert!(said.contains("sink old") && said.contains("sink_gone"), "{said}");
    once(&highwater, 0);
    let letters = highwater.run(&["dead", "list", "--json"]).code(0).json_lines();
    assert_eq!(letters.len(), 1);
    assert_eq!((&letters[0]["sink"], &letters[0]["reason"]), (&"old".into(), &"sink_gone".into()));
    assert_eq!(receiver.received().len(), 1);

    // The sink comes back: its dead letter can be taken up again.
    highwater.configure(&(orders("to = [\"erp\", \"old\"]") + &erp(&receiver, "") + &old));
    highwater.run(&["resume", "old"]).ok();
    highwater.run(&["dead", "retry", "--sink", "old"]).ok();
    once(&highwater, 0);
    assert_eq!(ids(&receiver).len(), 1);
    assert_eq!(receiver.received().len(), 2);
}

#[test]
fn a_new_sink_gets_what_is_told_from_now_on() {
    let (receiver, new) = (Receiver::start(), Receiver::start());
    let highwater = plant(&(orders("") + &erp(&receiver, "")));
    put(&highwater, "a.csv", "1");
    once(&highwater, 0);
    let second = format!("[sink.new]\nkind = \"http\"\nurl = \"{}\"\n", new.url("/"));
    highwater.configure(&(orders("to = [\"erp\", \"new\"]") + &erp(&receiver, "") + &second));
    assert!(plan(&highwater).contains("sink new: new"), "said beforehand");
    put(&highwater, "b.csv", "2");
    once(&highwater, 0);
    assert_eq!(kinds(&new), ["created b.csv"]);
}

#[test]
fn reload_takes_up_a_new_source_and_leaves_a_removed_one_without_a_restart() {
    let receiver = Receiver::start();
    let highwater = plant(&(orders("") + &erp(&receiver, "")));
    let mut running = run(&highwater);
    put(&highwater, "a.csv", "1");
    wait_for_delivered(&highwater, "erp", 1);

    highwater.configure(&(orders("") + &items("") + &erp(&receiver, "")));
    table(&highwater).execute_batch("INSERT INTO items VALUES (1, 'a', 1)").expect("insert");
    highwater.run(&["reload"]).ok();
    wait_for_delivered(&highwater, "erp", 2);

    // A file with a problem changes nothing: what runs goes on.
    highwater.configure("[source.orders]\nkind = \"floder\"\n");
    let refused = highwater.run(&["reload"]);
    assert_ne!(refused.status, Some(0));
    assert!(refused.stderr.contains("floder"), "{}", refused.stderr);
    put(&highwater, "b.csv", "2");
    wait_until("it is told", || ids(&receiver).len() == 3);

    highwater.configure(&(items("") + &erp(&receiver, "")));
    highwater.run(&["reload"]).ok();
    put(&highwater, "c.csv", "3");
    table(&highwater).execute_batch("INSERT INTO items VALUES (2, 'b', 2)").expect("insert");
    wait_until("the row is told", || ids(&receiver).len() == 4);
    assert_eq!(source_status(&highwater, "orders")["state"], "gone");
    assert!(running.is_running());
    assert_eq!(running.terminate(), Some(0));
    assert!(!kinds(&receiver).contains(&"created c.csv".to_owned()));
}

#[test]
fn start_now_only_remembers_what_is_there() {
    let receiver = Receiver::start();
    let highwater = plant(&(orders("start = \"now\"") + &items("start = \"now\"") + &erp(&receiver, "")));
    put(&highwater, "old.csv", "1");
    table(&highwater).execute_batch("INSERT INTO items VALUES (1, 'old', 5)").expect("insert");
    assert!(once(&highwater, 0).contains(" 0 events"));
    put(&highwater, "new.csv", "2");
    put(&highwater, "old.csv", "changed");
    table(&highwater).execute_batch("INSERT INTO items VALUES (2, 'new', 6)").expect("insert");
    once(&highwater, 0);
    assert_eq!(kinds(&receiver), ["changed old.csv", "created new.csv", "upserted 2"]);
}
