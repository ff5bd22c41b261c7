//! Scripts that can't be started: a fault of the sink with its remedy, retried until they can; nothing is lost.

use super::{LOAD, chmod, logged, said, script, to_script};

#[test]
fn a_script_that_can_not_be_started_says_why_and_is_tried_until_it_can() {
    type Break = fn(&crate::support::highwater::Highwater);
    let table: [(Break, &[&str]); 5] = [
        (|h| chmod(&h.path("load.sh"), 0o644), &["script ./load.sh is not executable; chmod +x /", "/load.sh"]),
        (
            |h| std::fs::remove_file(h.path("load.sh")).expect("remove"),
            &["script ./load.sh is not there (/", "correct command"],
        ),
        (|h| script(h, "load.sh", "#!/no/such/shell\n"), &["names an interpreter in its first line that is not there"]),
        (|h| script(h, "load.sh", "exit 0\n"), &["does not say how to run it; begin it with #!/bin/sh"]),
        (
            |h| {
                std::fs::remove_file(h.path("load.sh")).expect("remove");
                std::fs::create_dir(h.path("load.sh")).expect("make");
            },
            &["script ./load.sh is a folder"],
        ),
    ];
    for (breaks, words) in table {
        let highwater = to_script();
        highwater.write("in/a.csv", "a");
        breaks(&highwater);
        let output = highwater.run(&["once"]).code(4);
        assert_eq!(output.stdout, "1 source polled, 1 event, 0 delivered, 1 waiting for a retry\n");
        said(logged(&output, "delivery refused")[0]["answer"].as_str().expect("a text"), words);
        said(&highwater.run(&["status"]).ok(), words);
        let delivery = &highwater.run(&["deliveries", "--json"]).json_lines()[0];
        assert_eq!(delivery["state"], "retrying");
        said(&highwater.run(&["explain", "in/a.csv"]).ok(), words);
        said(&highwater.run(&["test", "load"]).code(4).stdout, words);

        let _ = std::fs::remove_dir(highwater.path("load.sh"));
        script(&highwater, "load.sh", LOAD);
        highwater.run(&["once", "--drain", "--deadline", "20s"]).ok();
        assert_eq!(std::fs::read(highwater.path("out/a.csv")).expect("delivered"), b"a");
    }
}

#[test]
fn what_a_script_says_on_its_way_out_is_kept_with_the_attempt() {
    let highwater = to_script();
    highwater.write("in/a.csv", "a");
    script(&highwater, "load.sh", "#!/bin/sh\necho to out\necho to err >&2\nprintf '\\033[2Jclear' >&2\nexit 65\n");
    let output = highwater.run(&["once"]).code(4);
    assert_eq!(output.stdout, "1 source polled, 1 event, 0 delivered, 1 dead\n");
    let dead = &highwater.run(&["dead", "list", "--json"]).json_lines()[0];
    let event = dead["event_id"].as_str().expect("an id");
    let shown = highwater.run(&["attempts", "show", event, "--output"]).ok();
    said(&shown, &["exit code 65", "to out\n", "to err\n"]);
    said(&highwater.run(&["dead", "list"]).ok(), &["exit code 65: \\u{1b}[2Jclear"]);
    assert!(!highwater.run(&["dead", "list"]).ok().contains('\x1b'), "a script can't steer the terminal");
}
