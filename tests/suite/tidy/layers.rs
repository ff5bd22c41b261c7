//! Which module may use which: a lower layer only, never a neighbour. The table is that of `src/lib.rs`.

use super::Breach;
use super::source_text::{code_only, is_word, line_of};

/// The modules from the bottom up; those on one line are neighbours.
const LAYERS: [&[&str]; 12] = [
    &["error"],
    &["clock"],
    &["setting"],
    &["change"],
    &["event", "net"],
    &["source", "sink", "store"],
    &["poll", "delivery"],
    &["config", "web"],
    &["app"],
    &["cli"],
    // Programs; those of `bin` see no more than the library shows to all.
    &["main", "bin"],
    &["lib"],
];

/// A store keeps what sources say in their contract, `src/source/mod.rs`: types directly in `source`, no adapter.
const CONTRACT_USER: (&str, &str) = ("store", "source");

/// One use of another module: where, which, and the name behind it.
struct Use<'a> {
    at: usize,
    module: &'a str,
    item: &'a str,
}

/// Every use of a higher layer or a neighbour in the file at `path` (`src/...`).
pub fn breaches(path: &str, text: &str) -> Vec<Breach> {
    let module = module_of(path);
    let Some(own) = rank(module) else {
        let rule = format!("module \"{module}\" is in no layer; give it its place in src/lib.rs and in this test");
        return vec![Breach::new(path, 1, rule)];
    };
    let code = code_only(text);
    let mut breaches = Vec::new();
    for used in uses(&code, depth(path)) {
        let Some(other) = rank(used.module) else { continue };
        if used.module == module || other < own || is_contract(module, &used) {
            continue;
        }
        let relation = if other == own { "its neighbour" } else { "the higher layer" };
        let rule = format!("{module} uses {relation} {}; a module uses lower layers only", used.module);
        breaches.push(Breach::new(path, line_of(&code, used.at), rule));
    }
    breaches
}

/// The top-level module a file belongs to.
fn module_of(path: &str) -> &str {
    let inside = path.strip_prefix("src/").unwrap_or(path);
    let first = inside.split('/').next().unwrap_or(inside);
    first.strip_suffix(".rs").unwrap_or(first)
}

/// How many modules deep the file's own module is; `src/store/mod.rs` and `src/store.rs` are 1.
fn depth(path: &str) -> usize {
    let inside = path.strip_prefix("src/").unwrap_or(path);
    let parts = inside.split('/').count();
    if inside.ends_with("/mod.rs") { parts - 1 } else { parts }
}

fn rank(module: &str) -> Option<usize> {
    LAYERS.iter().position(|layer| layer.contains(&module))
}

fn is_contract(module: &str, used: &Use<'_>) -> bool {
    (module, used.module) == CONTRACT_USER && used.item.starts_with(|c: char| c.is_ascii_uppercase())
}

/// Paths that begin at the crate's root: behind `crate::`, or behind as many `super::` as the file is deep.
fn uses(code: &str, depth: usize) -> Vec<Use<'_>> {
    let mut found = Vec::new();
    for (at, _) in code.match_indices("crate::") {
        let begins = at == 0 || !matches!(code.as_bytes()[at - 1], b'$' | b':') && !is_word(code.as_bytes()[at - 1]);
        if begins {
            collect(code, at + "crate::".len(), &mut found);
        }
    }
    let climb = "super::".repeat(depth);
    for (at, _) in code.match_indices(&climb) {
        let begins = at == 0 || !matches!(code.as_bytes()[at - 1], b':') && !is_word(code.as_bytes()[at - 1]);
        let end = at + climb.len();
        if depth > 0 && begins && !code[end..].starts_with("super::") {
            collect(code, end, &mut found);
        }
    }
    found
}

/// The modules named at `at`: one, or those of a `{a::b, c}` group.
fn collect<'a>(code: &'a str, at: usize, found: &mut Vec<Use<'a>>) {
    if !code[at..].starts_with('{') {
        return push_items(code, at, found);
    }
    let mut nested = 0_usize;
    let mut expect_name = true;
    for (i, c) in code[at..].char_indices() {
        match c {
            '{' => nested += 1,
            '}' if nested == 1 => return,
            '}' => nested -= 1,
            ',' if nested == 1 => expect_name = true,
            c if expect_name && nested == 1 && !c.is_whitespace() => {
                push_items(code, at + i, found);
                expect_name = false;
            }
            _ => {}
        }
    }
}

/// One `module::item`, or `module::{item, item}`.
fn push_items<'a>(code: &'a str, at: usize, found: &mut Vec<Use<'a>>) {
    let module = word_at(code, at);
    let behind = at + module.len();
    let Some(rest) = code[behind..].strip_prefix("::") else {
        return found.push(Use { at, module, item: "" });
    };
    let Some(group) = rest.strip_prefix('{') else {
        return found.push(Use { at, module, item: word_at(code, behind + 2) });
    };
    let inside = &group[..group.find('}').unwrap_or(group.len())];
    for item in inside.split(',').map(str::trim).filter(|item| !item.is_empty()) {
        found.push(Use { at, module, item });
    }
}

fn word_at(code: &str, at: usize) -> &str {
    let len = code.as_bytes()[at..].iter().take_while(|b| is_word(**b)).count();
    &code[at..at + len]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(path: &str, text: &str) -> Vec<String> {
        breaches(path, text).iter().map(Breach::to_string).collect()
    }

    #[test]
    fn lower_layers_may_be_used() {
        let text = "use crate::error::Error;\nuse crate::{change::Key, clock};\nuse crate::poll::round;";
        assert!(rules("src/poll/mod.rs", text).is_empty());
        assert!(rules("src/main.rs", "fn main() { crate::cli::run(); }").is_empty());
    }

    #[test]
    fn a_higher_layer_and_a_neighbour_are_found_with_their_line() {
        assert_eq!(
            rules("src/source/table/page.rs", "use crate::error::Error;\nuse crate::{clock, sink::Sink};"),
            ["src/source/table/page.rs:2: source uses its neighbour sink; a module uses lower layers only"]
        );
        let inline = "fn f() {\n    crate::app::start(crate::delivery::NOW);\n}";
        assert_eq!(rules("src/poll/round.rs", inline).len(), 2);
        assert!(rules("src/poll/round.rs", inline)[0].contains("src/poll/round.rs:2: poll uses the higher layer app"));
    }

    #[test]
    fn a_climb_to_the_root_is_seen_too() {
        assert_eq!(rules("src/store/sqlite/mod.rs", "use super::super::sink::Sink;").len(), 1);
        assert!(rules("src/store/sqlite/mod.rs", "use super::sink::Row;").is_empty());
        assert_eq!(rules("src/store/mod.rs", "use super::delivery;").len(), 1);
    }

    #[test]
    fn a_store_may_use_the_contract_of_sources_but_no_adapter() {
        assert!(rules("src/store/mod.rs", "use crate::source::{Binding, Block, Hold};").is_empty());
        assert_eq!(rules("src/store/mod.rs", "use crate::source::{Hold, directory::Segment};").len(), 1);
        assert_eq!(rules("src/store/mod.rs", "use crate::source::settings::Start;").len(), 1);
        assert_eq!(rules("src/sink/mod.rs", "use crate::source::Hold;").len(), 1);
    }

    #[test]
    fn comments_are_no_uses_and_unknown_modules_need_a_layer() {
        assert!(rules("src/clock.rs", "/// See [`crate::app`].\nfn f() {}").is_empty());
        assert_eq!(rules("src/newcomer/mod.rs", "").len(), 1);
    }
}
