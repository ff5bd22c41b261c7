//! Sizes, names, first lines, and words that must not stay. The words are put together here so that this file is clean.

use super::Breach;
use super::source_text::{code_only, functions, line_of, test_parts, words};

const FILE_LINES_MAX: usize = 500;
const FUNCTION_LINES_MAX: usize = 70;

/// A file named like this says nothing of what is in it, alone or as part of its name (`db_utils`).
const BANNED_WORDS: [&str; 7] = ["util", "utils", "utility", "utilities", "helper", "helpers", "manager"];
/// As its whole name.
const BANNED_NAMES: [&str; 3] = ["common", "misc", "types"];

/// Files and functions that are too long.
pub fn size_breaches(path: &str, text: &str) -> Vec<Breach> {
    let mut breaches = Vec::new();
    let lines = text.lines().count();
    if lines > FILE_LINES_MAX {
        let rule = format!("{lines} lines; at most {FILE_LINES_MAX}: split it by a noun of the domain");
        breaches.push(Breach::new(path, lines, rule));
    }
    for function in functions(&code_only(text)).iter().filter(|f| f.lines > FUNCTION_LINES_MAX) {
        let rule = format!("fn {} has {} lines; at most {FUNCTION_LINES_MAX}", function.name, function.lines);
        breaches.push(Breach::new(path, function.line, rule));
    }
    breaches
}

/// File and folder names that say nothing, and files that don't begin with what they are for.
pub fn name_breaches(path: &str, text: &str) -> Vec<Breach> {
    let mut breaches = Vec::new();
    for part in path.split('/') {
        let stem = part.strip_suffix(".rs").unwrap_or(part);
        if BANNED_NAMES.contains(&stem) || stem.split('_').any(|word| BANNED_WORDS.contains(&word)) {
            breaches.push(Breach::new(path, 1, format!("\"{stem}\" says nothing; name it by a noun of the domain")));
        }
    }
    if !text.starts_with("//! ") {
        breaches.push(Breach::new(path, 1, "the first line is not a \"//! ...\" that says what the file is for"));
    }
    breaches
}

/// Marks of unfinished work, tests that are switched off, and `unsafe` anywhere; `unwrap` outside tests.
pub fn word_breaches(path: &str, text: &str) -> Vec<Breach> {
    let mut breaches = Vec::new();
    for mark in [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X")] {
        for at in words(text, mark) {
            breaches.push(Breach::new(path, line_of(text, at), format!("{mark}: finish it, or leave it out")));
        }
    }
    let code = code_only(text);
    for call in [concat!("to", "do!("), concat!("unimpl", "emented!("), concat!("#[ign", "ore")] {
        for (at, _) in code.match_indices(call) {
            breaches.push(Breach::new(path, line_of(&code, at), format!("{call}...: nothing is left for later")));
        }
    }
    for at in words(&code, concat!("un", "safe")) {
        breaches.push(Breach::new(path, line_of(&code, at), "unsafe code is for libraries that are made for it"));
    }
    if path.starts_with("src/") && !is_test_file(path) {
        let tests = test_parts(&code);
        for (at, _) in code.match_indices(".unwrap()") {
            if !tests.iter().any(|part| part.contains(&at)) {
                let rule = "unwrap() outside tests; return the error, or expect(\"the invariant\")";
                breaches.push(Breach::new(path, line_of(&code, at), rule));
            }
        }
    }
    breaches
}

fn is_test_file(path: &str) -> bool {
    path.ends_with("/tests.rs") || path.contains("/tests/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_file_and_a_long_function_are_named() {
        let long = format!("//! X.\nfn long() {{\n{}}}\n", "    step();\n".repeat(69));
        let found = size_breaches("src/a.rs", &long);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].to_string(), "src/a.rs:2: fn long has 71 lines; at most 70");
        assert_eq!(size_breaches("src/a.rs", &"// x\n".repeat(501)).len(), 1);
        assert!(size_breaches("src/a.rs", &"// x\n".repeat(500)).is_empty());
    }

    #[test]
    fn braces_in_text_do_not_change_the_size_of_a_function() {
        let text = format!("fn short() {{ print(\"{{\"); }}\n{}", "// {\n".repeat(100));
        assert!(size_breaches("src/a.rs", &text).is_empty());
    }

    #[test]
    fn names_that_say_nothing_and_missing_first_lines_are_named() {
        assert_eq!(name_breaches("src/store/db_utils.rs", "//! Rows.\n").len(), 1);
        assert_eq!(name_breaches("src/helper/mod.rs", "//! Rows.\n").len(), 1);
        assert_eq!(name_breaches("src/store/keyset.rs", "use std::fs;\n").len(), 1);
        assert_eq!(name_breaches("src/types.rs", "//! Rows.\n").len(), 1);
        assert!(name_breaches("src/store/column_types.rs", "//! Types.\n").is_empty());
    }

    #[test]
    fn unfinished_work_is_found_in_code_and_comments() {
        for bad in
            [concat!("// TO", "DO later"), concat!("fn f() { to", "do!() }"), concat!("#[ign", "ore]\nfn t() {}")]
        {
            assert_eq!(word_breaches("src/a.rs", bad).len(), 1, "{bad}");
        }
        assert_eq!(word_breaches("tests/a.rs", concat!("un", "safe { x }")).len(), 1);
        assert!(word_breaches("src/a.rs", "#![forbid(unsafe_code)]").is_empty());
    }

    #[test]
    fn unwrap_belongs_in_tests() {
        let text = "fn f() { a().unwrap(); }\n#[cfg(test)]\nmod tests { fn t() { b().unwrap(); } }\n";
        let found = word_breaches("src/a.rs", text);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].line, 1);
        assert!(word_breaches("tests/a.rs", text).is_empty());
        assert!(word_breaches("src/a/tests.rs", text).is_empty());
    }
}
