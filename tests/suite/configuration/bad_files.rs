//! Bad files and the words with which they are refused: line, key, rule and remedy.

use super::{FOLDER, HTTP, SCRIPT, Setup, TABLE};

/// One bad file: what it is for, its text, the line that is named, and words of the message.
struct Bad {
    text: String,
    line: u32,
    words: &'static [&'static str],
}

/// The line of `text` that holds `needle`.
fn bad(text: String, needle: &str, words: &'static [&'static str]) -> Bad {
    let line = text.lines().position(|line| line.contains(needle)).expect("the needle is there") + 1;
    Bad { text, line: u32::try_from(line).expect("a small file"), words }
}

fn folder(keys: &str, words: &'static [&'static str]) -> Bad {
    bad(format!("{SCRIPT}\n{HTTP}\n{FOLDER}{keys}\n"), keys.lines().next().expect("a key"), words)
}

fn rows(keys: &str, words: &'static [&'static str]) -> Bad {
    bad(format!("{SCRIPT}\n{TABLE}{keys}\n"), keys.lines().next().expect("a key"), words)
}

fn http(keys: &str, words: &'static [&'static str]) -> Bad {
    bad(format!("{SCRIPT}\n{FOLDER}\n{HTTP}{keys}\n"), keys.lines().next().expect("a key"), words)
}

fn script(keys: &str, words: &'static [&'static str]) -> Bad {
    bad(format!("{FOLDER}\n{SCRIPT}{keys}\n"), keys.lines().next().expect("a key"), words)
}

fn state(keys: &str, words: &'static [&'static str]) -> Bad {
    bad(format!("{FOLDER}\n{SCRIPT}\n[state]\n{keys}\n"), keys.lines().next().expect("a key"), words)
}

fn whole(text: &str, needle: &str, words: &'static [&'static str]) -> Bad {
    bad(text.to_owned(), needle, words)
}

fn check(all: Vec<Bad>) {
    for Bad { text, line, words } in all {
        let problems = Setup::new(&text).problems();
        assert_eq!(problems.len(), 1, "one problem is told once:\n{text}\n{problems:#?}");
        let place = format!("highwater.toml:{line}: ");
        assert!(problems[0].starts_with(&place), "expected {place}\n{text}\n{problems:#?}");
        for word in words {
            assert!(problems[0].contains(word), "expected {word:?}\n{text}\n{problems:#?}");
        }
    }
}

#[test]
fn bad_values_of_a_folder_are_named_with_the_remedy() {
    check(vec![
        folder("every = \"5\"", &["source.orders.every = \"5\" has no unit", "write \"5s\" or \"5m\""]),
        folder("every = 5", &["source.orders.every = 5 has no unit", "write \"5s\""]),
        folder("every = \"1ms\"", &["every = \"1ms\" is out of range", "\"10ms\" to"]),
        folder("every = [\"5s\"]", &["every is not a text", "quotes"]),
        folder("stable_for = \"2 weeks\"", &["stable_for = \"2 weeks\" has the unknown unit", "use ms, s, m, h or d"]),
        folder("stable_for = \"2d\"", &["stable_for = \"2d\" is out of range", "to \"1d\""]),
        folder("include = \"*.csv\"", &["include = \"*.csv\" is not a list", "brackets"]),
        folder("include = [\"[\"]", &["include = \"[\" is not a glob"]),
        folder("include = [\n  \"*.csv\",\n  7,\n]", &["include = 7 is not a text"]).at(15),
        folder("exclude = [\"/\"]", &["exclude = \"/\" is empty"]),
        folder("exclude = [\"\"]", &["exclude = \"\" is empty"]),
        folder("case = \"ingore\"", &["case = \"ingore\"", "did you mean \"ignore\"?"]),
        folder("recursive = \"yes\"", &["recursive = \"yes\" is neither true nor false"]),
        folder("marker = \"{nmae}.done\"", &["marker = \"{nmae}.done\" has the unknown placeholder {nmae}", "{name}"]),
        folder("checksum = \"{name\"", &["checksum = \"{name\" has a \"{\" without \"}\""]),
        folder("empty = \"drop\"", &["empty = \"drop\"", "\"deliver\", \"wait\" or \"ignore\""]),
        folder("events = []", &["events = [] is empty"]),
        folder("events = [\"create\"]", &["events = \"create\"", "did you mean \"created\"?"]),
        folder("events = [\"upserted\"]", &["events = \"upserted\"", "\"renamed\""]),
        folder("versions = \"newest\"", &["versions = \"newest\"", "\"all\" or \"latest\""]),
        folder("on_delivered = \"archive\"", &["on_delivered = \"archive\" is none of", "move:archive/{date}"]),
        folder("on_delivered = \"move:{date}\"", &["on_delivered = \"move:{date}\"", "fixed name"]),
        folder("on_dead = \"delete\"", &["on_dead = \"delete\"", "nobody received", "move:failed"]),
        folder("start = \"100\"", &["start = \"100\"", "\"all\" or \"now\""]),
        folder("max_new = 0", &["max_new = 0 is no limit", "\"none\""]),
        folder("max_new = \"all\"", &["max_new = \"all\" is no limit"]),
        folder("watch = 1", &["watch = 1 is neither true nor false"]),
        folder("max_size = \"10\"", &["max_size = \"10\" has no unit", "10MiB"]),
        folder("max_size = \"0B\"", &["max_size = \"0B\" is out of range"]),
        folder("poll_timeout = \"soon\"", &["poll_timeout = \"soon\" is not a duration"]),
        folder("stabel_for = \"2s\"", &["unknown key \"stabel_for\" in source.orders", "did you mean \"stable_for\"?"]),
        folder("colour = \"red\"", &["unknown key \"colour\" in source.orders", "known are kind, to"]),
        folder("was = \"a b\"", &["was = \"a b\" is not a name"]),
        folder("was = \"orders\"", &["source.orders.was = \"orders\" is still the name of a source"]),
        folder("unrouted = \"ignore\"", &["unrouted has no effect without routes"]),
        folder("window = \"mon-sat 05:00-22:00\"", &["source.orders.window is not available in this version"]),
        folder("expect = { match = \"A*\" }", &["source.orders.expect is not available in this version"]),
    ]);
}

impl Bad {
    fn at(self, line: u32) -> Self {
        Self { line, ..self }
    }
}

#[test]
fn bad_schedules_are_named_with_the_remedy() {
    check(vec![
        folder("schedule = \"* * *\"", &["schedule = \"* * *\" is not a cron expression", "*/5 6-20 * * 1-5"]),
        folder("schedule = \"0 0 30 2 *\"", &["schedule = \"0 0 30 2 *\" never comes true"]),
        folder("schedule = \"0 6 * * *\"\nevery = \"5s\"", &["schedule and every exclude each other"]),
        folder("schedule_timezone = \"Europe/Berlin\"", &["schedule_timezone has no effect without schedule"]),
        folder(
            "schedule_timezone = \"Europe/Berlim\"\nschedule = \"0 6 * * *\"",
            &["is not a time zone", "Europe/Berlin"],
        ),
    ]);
}

#[test]
fn bad_values_of_a_table_are_named_with_the_remedy() {
    check(vec![
        rows("page = 0", &["source.rows.page = 0 is out of range", "from 1 to 100000"]),
        rows("page = 100_001", &["page = 100001 is out of range"]),
        rows("page = \"5\"", &["page = \"5\" is not a whole number", "without quotes"]),
        rows("page = -1", &["page = -1 is out of range"]),
        rows("query = \"SELECT 1\"", &["query and table exclude each other"]),
        rows("settle = \"row-version\"", &["settle = \"row-version\" is no way to settle with SQLite", "overlap:60s"]),
        rows("settle = \"fence\"", &["settle = \"fence\" is no way to settle with SQLite", "\"inclusive\""]),
        rows("settle = \"overlap\"", &["settle = \"overlap\" is not a way to settle"]),
        rows("settle = \"overlap:60\"", &["settle = \"overlap:60\" has no unit", "60s"]),
        rows("track = \"none\"\nsweep = \"1h\"", &["track = \"none\" and sweep exclude each other", "remove one"]),
        rows("sweep = \"1\"", &["source.rows.sweep"]),
        rows("window = \"7d\"", &["source.rows.window has no effect", "remove it"]),
        rows("track = \"rows\"", &["track = \"rows\"", "\"keys\" or \"none\""]),
        rows("start = [1, 2]", &["source.rows.start has 2 values where watermark has 1"]),
        rows("start = true", &["start = true is no place to start"]),
        rows("init = \"missing.sql\"", &["source.rows.init: there is no file", "missing.sql"]),
        rows("stable_for = \"2s\"", &["unknown key \"stable_for\" in source.rows"]),
        whole(
            "[sink.s]\nkind=\"script\"\ncommand=[\"cat\"]\n[source.t]\nkind=\"sqlite\"\npath=\"x\"\nkey=[\"id\"]\nwatermark=\"w\"\nto=[\"s\"]\n",
            "[source.t]",
            &["source.t has neither \"table\" nor \"query\"", "table = \"customers\""],
        ),
        whole(
            "[sink.s]\nkind=\"script\"\ncommand=[\"cat\"]\n[source.t]\nkind=\"sqlite\"\npath=\"x\"\ntable=\"t\"\nwatermark=\"w\"\nto=[\"s\"]\n",
            "[source.t]",
            &["source.t has no \"key\"", "key = [\"id\"]"],
        ),
        whole(
            "[sink.s]\nkind=\"script\"\ncommand=[\"cat\"]\n[source.t]\nkind=\"sqlite\"\npath=\"x\"\ntable=\"t\"\nkey=\"id\"\nto=[\"s\"]\n",
            "[source.t]",
            &["source.t has no \"watermark\"", "watermark = \"updated_at\""],
        ),
        whole(
            "[sink.s]\nkind=\"script\"\ncommand=[\"cat\"]\n[source.t]\nkind=\"postgres\"\nurl=\"erp\"\ntable=\"t\"\nkey=\"id\"\nwatermark=\"w\"\nto=[\"s\"]\n",
            "url=",
            &["source.t.url is not a connection", "postgres://user@host/database"],
        ),
        whole(
            "[sink.s]\nkind=\"script\"\ncommand=[\"cat\"]\n[source.t]\nkind=\"odbc\"\nconnection=\"Server=x\"\ntable=\"t\"\nkey=\"id\"\nwatermark=\"w\"\nto=[\"s\"]\n",
            "connection=",
            &["source.t.connection names no driver", "Driver=..."],
        ),
        whole(
            "[sink.s]\nkind=\"script\"\ncommand=[\"cat\"]\n[source.t]\nkind=\"odbc\"\nconnection=\"DSN=x\"\ntable=\"t\"\nkey=\"id\"\nwatermark=\"w\"\nsettle=\"fence\"\nto=[\"s\"]\n",
            "settle=",
            &["is no way to settle with ODBC", "active-rowversion"],
        ),
        whole(
            "[sink.s]\nkind=\"script\"\ncommand=[\"cat\"]\n[source.t]\nkind=\"odbc\"\nconnection=\"DSN=x\"\ntable=\"t\"\nkey=\"id\"\nwatermark=\"w\"\nwatermark_timezone=\"UTC\"\nto=[\"s\"]\n",
            "watermark_timezone=",
            &["watermark_timezone is not heeded with ODBC", "overlap:2h"],
        ),
        whole(
            "[sink.s]\nkind=\"script\"\ncommand=[\"cat\"]\n[source.t]\nkind=\"sqlite\"\npath=\"x\"\nquery=\"DELETE FROM t\"\nkey=\"id\"\nwatermark=\"w\"\nto=[\"s\"]\n",
            "query=",
            &["source.t.query = \"DELETE FROM t\" is not a query", "SELECT"],
        ),
        whole(
            "[sink.s]\nkind=\"script\"\ncommand=[\"cat\"]\n[source.t]\nkind=\"sqlite\"\npath=\"x\"\nquery=\"SELECT 1;\"\nkey=\"id\"\nwatermark=\"w\"\nto=[\"s\"]\n",
            "query=",
            &["ends with \";\"", "leave it out"],
        ),
    ]);
}

#[test]
fn bad_values_of_an_http_sink_are_named_with_the_remedy() {
    check(vec![
        http("method = \"put\"", &["sink.erp.method = \"put\"", "did you mean \"PUT\"?"]),
        http("headers = { \"a b\" = \"x\" }", &["sink.erp.headers.\"a b\" is not a header name"]),
        http("headers = { Content-Length = \"9\" }", &["headers.Content-Length is set by Highwater itself"]),
        http("headers = { X = \"a\\nb\" }", &["headers.X holds a control character"]),
        http("headers = \"X: y\"", &["sink.erp.headers is not a table"]),
        http(
            "bearer = \"env:HW_NOT_SET\"",
            &["sink.erp.bearer: secret env:HW_NOT_SET is not set", "export HW_NOT_SET"],
        ),
        http("bearer = \"file:none.txt\"", &["sink.erp.bearer: read secret file:", "none.txt"]),
        http("bearer = \"\"", &["sink.erp.bearer is empty", "env:NAME"]),
        http("bearer = \"env:\"", &["sink.erp.bearer names no variable"]),
        http("bearer = 7", &["sink.erp.bearer is not a secret", "env:NAME"]),
        http("bearer = [\"a\", \"b\", \"c\"]", &["sink.erp.bearer holds 3 secrets", "two while rotating"]),
        http("basic = \"me\"", &["sink.erp.basic has no \":\"", "user:password"]),
        http("basic = \"a:b\"\nbearer = \"x\"", &["sink.erp.basic and bearer exclude each other"]),
        http("content = \"multipart\"", &["content = \"multipart\" is not available in this version", "\"inline\""]),
        http("content = \"row\"", &["content = \"row\"", "did you mean \"raw\"?"]),
        http("sign = \"x\"", &["sink.erp.sign is not a table"]),
        http("sign = { secret = \"x\" }", &["sink.erp.sign has no \"scheme\"", "scheme = \"standard\""]),
        http("sign = { scheme = \"standard\" }", &["sink.erp.sign has no \"secret\"", "env:ERP_SECRET"]),
        http("sign = { scheme = \"custom\", secret = \"x\" }", &["sign.scheme = \"custom\" is not available"]),
        http(
            "sign = { scheme = \"stripe\", secret = \"x\", header = \"H\" }",
            &["sign.header has no effect", "github"],
        ),
        http(
            "sign = { scheme = \"github\", secret = \"x\", heeder = \"H\" }",
            &["unknown key \"heeder\" in sink.erp.sign"],
        ),
        http("tls = { ca = \"none.pem\" }", &["sink.erp.tls.ca: read", "none.pem"]),
        http("tls = { min = \"1.1\" }", &["sink.erp.tls.min = \"1.1\"", "\"1.2\" or \"1.3\""]),
        http("tls = { pin = \"sha256:00\" }", &["sink.erp.tls.pin = \"sha256:00\" is not a pin"]),
        http("tls = { cert = \"highwater.toml\" }", &["sink.erp.tls.cert needs a key"]),
        http("concurrency = 0", &["sink.erp.concurrency = 0 is out of range", "from 1 to 1024"]),
        http("concurrency = 1.5", &["concurrency = 1.5 is not a whole number"]),
        http("timeout = \"0s\"", &["timeout = \"0s\" is out of range"]),
        http("ordering = \"keys\"", &["ordering = \"keys\"", "did you mean \"key\"?"]),
        http("after_dead = \"stop\"", &["after_dead = \"stop\"", "\"continue\" or \"hold\""]),
        http("rate = \"50\"", &["rate = \"50\" is not a rate", "\"50/s\""]),
        http("retry = []", &["retry = [] is empty"]),
        http("retry = [\"5s\", \"1\"]", &["retry = \"1\" has no unit"]),
        http("retry_for = \"for ever\"", &["retry_for = \"for ever\" is not a duration"]),
        http("max_backlog = 0", &["max_backlog = 0 is out of range"]),
        http("batch = { max = 10 }", &["sink.erp.batch is not available in this version"]),
        http("oauth2 = { url = \"x\" }", &["sink.erp.oauth2 is not available in this version"]),
        http("body = \"{}\"", &["sink.erp.body is not available in this version"]),
        whole(
            "[sink.a]\nkind = \"http\"\nurl = \"erp/in\"\n",
            "url",
            &["sink.a.url = \"erp/in\" is not an address", "https://"],
        ),
        whole("[sink.a]\nkind = \"http\"\nurl = \"https://{name}.x/\"\n", "url", &["has a placeholder in its host"]),
        whole("[sink.a]\nkind = \"http\"\n", "[sink.a]", &["sink.a has no \"url\"", "add for example url ="]),
    ]);
}

#[test]
fn bad_values_of_a_script_are_named_with_the_remedy() {
    check(vec![
        script("stdin = \"file\"", &["sink.load.stdin = \"file\"", "\"event\", \"content\" or \"none\""]),
        script("env = { \"A=B\" = \"x\" }", &["sink.load.env.\"A=B\" is not the name of a variable"]),
        script("env = { HIGHWATER_FILE = \"x\" }", &["env.HIGHWATER_FILE is set by Highwater itself"]),
        script("exit = { ok = [0], dead = [0] }", &["sink.load.exit.dead holds 0, which has a meaning already"]),
        script("exit = { ok = [] }", &["sink.load.exit.ok is empty", "[0]"]),
        script("exit = { ok = [256] }", &["exit.ok = 256 is out of range", "from 0 to 255"]),
        script(
            "exit = { fine = [0] }",
            &["unknown key \"fine\" in sink.load.exit", "known are ok, retry, dead, fault"],
        ),
        script("cwd = \"\"", &["sink.load.cwd = \"\" is empty"]),
        script("shell = true", &["unknown key \"shell\" in sink.load"]),
        whole(
            "[sink.a]\nkind = \"script\"\ncommand = \"cat\"\n",
            "command",
            &["command = \"cat\" is not a list", "brackets"],
        ),
        whole("[sink.a]\nkind = \"script\"\ncommand = []\n", "command", &["sink.a.command = [] is empty"]),
        whole("[sink.a]\nkind = \"script\"\ncommand = [\"\"]\n", "command", &["begins with an empty text"]),
        whole("[sink.a]\nkind = \"script\"\ncommand = [\"{file}\"]\n", "command", &["begins with a placeholder"]),
        whole(
            "[sink.a]\nkind = \"script\"\ncommand = [\"cat\", \"{flie}\"]\n",
            "command",
            &["command = \"{flie}\" has the unknown placeholder {flie}", "{event_file}"],
        ),
    ]);
}

#[test]
fn bad_values_of_the_state_are_named_with_the_remedy() {
    check(vec![
        state("instance = \"a/b\"", &["state.instance = \"a/b\" is not a name"]),
        state("path = \"\"", &["state.path = \"\" is empty"]),
        state("spool_max = \"50\"", &["state.spool_max = \"50\" has no unit", "50MiB"]),
        state("spool_max = 50", &["state.spool_max = 50 has no unit"]),
        state("spool_max = \"1KiB\"", &["state.spool_max = \"1KiB\" is out of range", "64KiB"]),
        state("retention = \"0s\"", &["state.retention = \"0s\" is out of range"]),
        state("url = \"env:X\"", &["state.url is not available in this version"]),
        state("instnace = \"a\"", &["unknown key \"instnace\" in state", "did you mean \"instance\"?"]),
    ]);
}

#[test]
fn what_comes_later_is_named_and_never_ignored() {
    check(vec![
        whole(
            "[source.a]\nkind = \"api\"\nto = [\"s\"]\n[sink.s]\nkind = \"script\"\ncommand = [\"cat\"]\n",
            "api",
            &["source.a.kind = \"api\" is not available in this version", "\"folder\", \"ftp\", \"sftp\", \"sqlite\""],
        ),
        whole("[sink.a]\nkind = \"mail\"\n", "mail", &["sink.a.kind = \"mail\" is not available in this version"]),
        whole(
            "[sink.a]\nkind = \"folder\"\n",
            "folder",
            &["sink.a.kind = \"folder\" is not available in this version"],
        ),
        whole("[sink.a]\nkind = \"scirpt\"\n", "scirpt", &["sink.a.kind = \"scirpt\"", "did you mean \"script\"?"]),
        whole("[sink.a]\nurl = \"x\"\n", "[sink.a]", &["sink.a has no \"kind\"", "\"http\" or \"script\""]),
        whole("[web]\nlisten = \"127.0.0.1:7717\"\n", "[web]", &["[web] is not available", "no TCP listener"]),
        whole("[notify]\nto = [\"a\"]\n", "[notify]", &["[notify] is not available in this version"]),
        whole("[audit]\npath = \"a\"\n", "[audit]", &["[audit] is not available in this version"]),
        whole("[sorce.a]\nkind = \"folder\"\n", "[sorce.a]", &["unknown key \"sorce\"", "did you mean \"source\"?"]),
    ]);
}

#[test]
fn names_and_addressees_must_fit() {
    check(vec![
        whole(
            &format!("{SCRIPT}\n[source.\"a b\"]\nkind = \"folder\"\npath = \"in\"\nto = [\"load\"]\n"),
            "a b",
            &["source.\"a b\" is not a name"],
        ),
        whole(
            &format!("{SCRIPT}\n{}", FOLDER.replace("[\"load\"]", "[\"laod\"]")),
            "laod",
            &["source.orders.to = \"laod\" is not the name of a sink", "did you mean \"load\"?"],
        ),
        whole(FOLDER, "to =", &["source.orders.to = \"load\" is not the name of a sink", "add a [sink.load]"]),
        whole(
            &format!("{SCRIPT}{}", FOLDER.replace("to = [\"load\"]\n", "")),
            "[source",
            &["source.orders names no sink"],
        ),
        whole(&format!("{SCRIPT}{}", FOLDER.replace("[\"load\"]", "[]")), "to =", &["source.orders.to = [] is empty"]),
        whole(
            &format!("{SCRIPT}{}", FOLDER.replace("[\"load\"]", "\"load\"")),
            "to =",
            &["to = \"load\" is not a list"],
        ),
        whole(
            &format!("{SCRIPT}{}", FOLDER.replace("[\"load\"]", "[\"load\", \"load\"]")),
            "to =",
            &["source.orders.to names \"load\" twice"],
        ),
        whole(&format!("{SCRIPT}source = 5\n"), "source = 5", &["unknown key \"source\" in sink.load"]),
        whole("source = 5\n", "source", &["source is not a table of tables", "[source.NAME]"]),
        whole("source.a = 5\n", "source", &["source.a is not a table", "[source.NAME]"]),
        whole("[[state]]\n", "[[state]]", &["state is not a table"]),
        whole(
            &format!("{SCRIPT}\n{FOLDER}[[source.orders.route]]\nto = [\"load\"]\n"),
            "to =",
            &["source.orders.to and its routes exclude each other"],
        ),
    ]);
}

#[test]
fn bad_routes_are_named_with_their_number() {
    let routed = FOLDER.replace("to = [\"load\"]\n", "");
    let route = |keys: &str, needle: &str, words| {
        whole(
            &format!("{SCRIPT}\n{routed}[[source.orders.route]]\nto = [\"load\"]\n[[source.orders.route]]\n{keys}\n"),
            needle,
            words,
        )
    };
    check(vec![
        route(
            "match = \"*.csv\"\nto = [\"erp\"]",
            "erp",
            &["source.orders.route[2].to = \"erp\" is not the name of a sink"],
        ),
        route("match = \"[\"\nto = [\"load\"]", "match", &["source.orders.route[2].match = \"[\" is not a glob"]),
        route("types = [\"made\"]\nto = [\"load\"]", "types", &["route[2].types = \"made\"", "\"created\""]),
        route(
            "when = { status = 1 }\nto = [\"load\"]",
            "when",
            &["route[2].when.status is not a JSON pointer", "/data/row/status"],
        ),
        route("when = { \"/a\" = [1] }\nto = [\"load\"]", "when", &["route[2].when.\"/a\" can't be compared with"]),
        route(
            "mtach = \"*\"\nto = [\"load\"]",
            "mtach",
            &["unknown key \"mtach\" in source.orders.route[2]", "\"match\""],
        ),
    ]);
    let without = whole(
        &format!("{SCRIPT}\n{routed}[[source.orders.route]]\nmatch = \"*\"\n"),
        "[[source",
        &["source.orders.route[1] has no \"to\""],
    );
    check(vec![without]);
}

#[test]
fn a_file_that_a_reference_names_may_not_be_taken_away() {
    let text = format!("{HTTP}{}on_delivered = \"move:done\"\n", FOLDER.replace("load", "erp"));
    let words: &[&str] = &["source.orders.on_delivered takes files away", "\"erp\"", "content = \"inline\""];
    check(vec![bad(text.clone(), "on_delivered", words)]);
    let inline = text.replace("[source", "content = \"inline\"\n[source");
    assert!(Setup::new(&inline).load().is_ok());
    let on_dead = text.replace("on_delivered", "on_dead");
    assert!(Setup::new(&on_dead).warnings()[0].contains("on_dead takes files away"));
}

#[test]
fn a_file_that_is_not_toml_is_told_with_its_line() {
    check(vec![
        whole("[sink.a\nkind = \"http\"\n", "[sink.a", &["this is not TOML"]),
        whole("a = 1\nb = \"x\n", "b =", &["this is not TOML"]),
        whole(
            "[sink.a]\nkind = \"script\"\ncommand = [\"cat\"]\n[sink.a]\n",
            "[sink.a]",
            &["this is not TOML", "duplicate"],
        )
        .at(4),
    ]);
    let problems = Setup::new(&format!("{SCRIPT}timeout = 5x\nstdin = \"file\"\n{FOLDER}every = \n")).problems();
    let lines: Vec<&str> = problems.iter().map(|line| line.split(": ").next().expect("a place")).collect();
    assert_eq!(lines, ["highwater.toml:4", "highwater.toml:5", "highwater.toml:10"], "{problems:#?}");
}

#[test]
fn all_problems_of_a_file_are_told_in_one_run_in_the_order_of_its_lines() {
    let text = "\
[state]
spool_max = \"50\"
[sink.load]
kind = \"script\"
command = [\"cat\", \"{x}\"]
timeout = \"5\"
retry = [\"1\", \"2\"]
[source.orders]
kind = \"folder\"
hots = \"a\"
every = \"5\"
to = [\"laod\"]
[source.b]
kind = \"api\"
";
    let problems = Setup::new(text).problems();
    let lines: Vec<&str> = problems.iter().map(|line| line.split(':').nth(1).expect("a line")).collect();
    assert_eq!(lines, ["2", "5", "6", "7", "7", "8", "10", "11", "12", "13", "14"], "{problems:#?}");
}

#[test]
fn of_a_mysql_table_the_url_the_mode_and_the_certificates_are_checked() {
    let of = |more: &str| {
        format!(
            "[sink.s]\nkind=\"script\"\ncommand=[\"cat\"]\n[source.t]\nkind=\"mysql\"\ntable=\"t\"\nkey=\"id\"\nwatermark=\"w\"\nto=[\"s\"]\n{more}"
        )
    };
    for (more, words) in [
        ("url=\"postgres://u@h/d\"\n", "mysql://user@host/database"),
        ("url=\"mysql://u@h/d\"\nsettle=\"fence\"\n", "is no way to settle with MySQL"),
        ("url=\"mysql://u@h/d\"\ntls={min=\"1.3\"}\n", "source.t.tls.min"),
        ("", "url"),
    ] {
        let problems = Setup::new(&of(more)).problems().join("\n");
        assert!(problems.contains(words), "{more}: {problems}");
    }
}
