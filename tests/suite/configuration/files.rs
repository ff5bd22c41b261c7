//! Which files are read, and what the environment puts into them.

use highwater::config::{self, Secrets};

use super::{FOLDER, HTTP, SCRIPT, Setup, TABLE};

#[test]
fn further_files_are_read_with_paths_of_their_own_folder() {
    let setup = Setup::new(&format!("[config]\nfiles = [\"partners/*.toml\", \"sinks.toml\"]\n{FOLDER}"))
        .with("partners/b.toml", TABLE)
        .with("partners/ignored.txt", "not read")
        .with("sinks.toml", SCRIPT);
    let config = setup.config();
    let names: Vec<&str> = config.sources.iter().map(|source| source.name.as_str()).collect();
    assert_eq!(names, ["orders", "rows"]);
    let files = ["highwater.toml", "partners/b.toml", "sinks.toml"].map(|name| setup.path(name));
    assert_eq!(config.files, files);
    let highwater::source::settings::SourceKind::Sqlite(sqlite) = &config.sources[1].kind else { panic!("sqlite") };
    assert_eq!(sqlite.path, setup.path("partners/erp.db"));
}

#[test]
fn a_glob_may_cross_folders_and_never_reads_a_file_twice() {
    let setup = Setup::new("[config]\nfiles = [\"**/*.toml\", \"a/b/*.toml\", \"./a/b/c.toml\"]\n")
        .with("a/b/c.toml", SCRIPT)
        .with("d.toml", FOLDER);
    assert_eq!(setup.config().files.len(), 3);
}

#[test]
fn a_name_that_is_there_twice_is_told_with_both_places() {
    let setup = Setup::new(&format!("[config]\nfiles = [\"p/*.toml\"]\n{SCRIPT}{FOLDER}"))
        .with("p/a.toml", FOLDER)
        .with("p/b.toml", &format!("\n{SCRIPT}\n[state]\n"))
        .with("p/c.toml", "[state]\n");
    assert_eq!(
        setup.problems(),
        [
            "p/a.toml:1: source.orders is defined at highwater.toml:6 already; rename one of them",
            "p/b.toml:2: sink.load is defined at highwater.toml:3 already; rename one of them",
            "p/c.toml:1: [state] is there twice: the other is at p/b.toml:6; join them",
        ]
    );
}

#[test]
fn problems_of_several_files_are_told_in_their_order() {
    let setup = Setup::new(&format!("[config]\nfiles = [\"p/*.toml\"]\n{SCRIPT}timeout = \"5\"\n"))
        .with("p/a.toml", &format!("{FOLDER}every = \"6\"\n"))
        .with("p/b.toml", "[sink.x\n")
        .with("p/c.toml", "[config]\nfiles = []\n");
    let problems = setup.problems();
    let places: Vec<&str> = problems.iter().map(|line| line.split(": ").next().expect("a place")).collect();
    assert_eq!(places, ["highwater.toml:6", "p/a.toml:5", "p/b.toml:1", "p/c.toml:1"], "{problems:#?}");
    assert!(problems[3].contains("[config] may stand in the main file alone"));
}

#[test]
fn a_pattern_without_files_is_a_warning_and_a_missing_file_a_problem() {
    let setup = Setup::new(&format!("[config]\nfiles = [\"p/*.toml\"]\n{SCRIPT}{FOLDER}"));
    assert!(setup.warnings()[0].starts_with("highwater.toml:2: config.files = \"p/*.toml\" names no file"));
    let setup = Setup::new(&format!("[config]\nfiles = [\n\"a.toml\",\n\"[\"]\n{SCRIPT}{FOLDER}"));
    assert!(setup.problems()[0].starts_with("highwater.toml:4: config.files = \"[\" is not a glob"));
    let setup = Setup::new(&format!("[config]\nfiles = [\n\"a.toml\"]\n{SCRIPT}{FOLDER}"));
    assert!(setup.problems()[0].starts_with("highwater.toml:3: config.files = \"a.toml\" names no file"));
}

#[test]
fn a_file_that_cannot_be_read_says_what_to_do() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let missing = folder.path().join("none.toml");
    let problems = config::load(Some(&missing)).expect_err("missing").to_string();
    assert!(problems.contains("none.toml: there is no such file; write one with \"highwater init\""), "{problems}");
    let problems = config::load(Some(folder.path())).expect_err("a folder").to_string();
    assert!(problems.contains("is a folder"), "{problems}");
    let latin = folder.path().join("latin.toml");
    std::fs::write(&latin, b"a = 1\n# \xe4\n").expect("write");
    let problems = config::load(Some(&latin)).expect_err("not UTF-8").to_string();
    assert!(problems.contains("is not UTF-8 from line 2"), "{problems}");
}

#[test]
fn a_byte_order_mark_and_windows_line_ends_are_read() {
    let text = format!("\u{feff}{SCRIPT}{FOLDER}every = \"5\"").replace('\n', "\r\n");
    assert!(Setup::new(&text).problems()[0].starts_with("highwater.toml:8: source.orders.every"));
}

#[test]
fn the_file_is_named_by_the_environment_when_nobody_names_it() {
    let setup = Setup::new(&format!("{SCRIPT}{FOLDER}"));
    let file = setup.path("highwater.toml").display().to_string();
    let environment = |name: &str| (name == "HIGHWATER_CONFIG").then(|| file.clone());
    let config = config::load_from(None, &environment, Secrets::MustBeThere).expect("fine");
    assert_eq!(config.files, [setup.path("highwater.toml")]);
}

#[test]
fn variables_are_replaced_in_every_text() {
    let text = format!(
        "{SCRIPT}env = {{ A = \"${{DROP}}\" }}\n{FOLDER}include = [\"${{GLOB:-*.csv}}\"]\nevery = \"${{EVERY}}\"\n"
    )
    .replace("\"in\"", "\"${DROP}/in\"")
    .replace("\"cat\"", "\"cat\", \"$${DROP}\", \"$DROP\"");
    let problems = Setup::new(&text).problems();
    // `{DROP}` is what is left of the escaped one, and no placeholder.
    assert!(problems[0].contains("command = \"${DROP}\" has the unknown placeholder {DROP}"), "{problems:#?}");
    let config = Setup::new(&text.replace("$${DROP}", "$${{DROP}}")).config();
    let highwater::source::settings::SourceKind::Folder(folder) = &config.sources[0].kind else { panic!("a folder") };
    assert_eq!(folder.path.to_str(), Some("/srv/drop/in"));
    assert_eq!(folder.directory.include, ["*.csv"]);
}

#[test]
fn an_unset_variable_is_one_problem_with_its_remedies() {
    let problems = Setup::new(&format!("{SCRIPT}{HTTP}{FOLDER}every = \"${{NONE}}\"\n")).problems();
    assert_eq!(problems.len(), 1, "{problems:#?}");
    let words = "highwater.toml:11: source.orders.every names ${NONE}, which is not set; export NONE, or write \
                 ${NONE:-default}, or \"$${\" for the text itself";
    assert_eq!(problems[0], words);
    let problems = Setup::new(&format!("{SCRIPT}{FOLDER}").replace("\"in\"", "\"${DROP\"")).problems();
    assert_eq!(problems.len(), 1, "{problems:#?}");
    assert!(problems[0].contains("has a \"${\" without \"}\""));
}
