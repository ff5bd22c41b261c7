//! Paths that guides name: those of this project must exist, those of one machine must not be there at all.

use super::Breach;
use super::markdown::{blocks, links, spans};

/// Where this project keeps things; a path that begins with one of these is a path of ours.
const OURS: [&str; 8] = ["src", "tests", "docs", "config", "fixtures", "scripts", "benches", ".ci"];

/// A file with one of these endings is ours when it has no folder, too: operators have none of them.
const OUR_ENDINGS: [&str; 2] = [".rs", ".md"];

/// Copies that guides tell people to make begin like this.
const MADE_BY_READERS: &str = "try-";

/// Folders of one machine.
const MACHINE: [&str; 4] = ["/work/", "/root/", "/Users/", "/home/"];

/// Paths of ours that don't exist, by `exists` (relative to the top).
pub fn breaches(guide: &str, text: &str, exists: &dyn Fn(&str) -> bool) -> Vec<Breach> {
    let mut breaches = Vec::new();
    let mut named = spans(text);
    named.extend(blocks(text, &["sh", "console", "bash"]));
    for piece in &named {
        for (offset, line) in piece.text.lines().enumerate() {
            for path in line.split([' ', '=', '"', '\'', ',', '(', ')']).filter_map(our_path) {
                if !exists(path) {
                    breaches.push(Breach::new(guide, piece.line + offset, format!("there is no {path}")));
                }
            }
        }
    }
    let folder = guide.rsplit_once('/').map_or("", |(folder, _)| folder);
    for link in links(text) {
        let target = link.text.split('#').next().unwrap_or_default();
        if target.is_empty() || target.contains("://") || target.starts_with("mailto:") {
            continue;
        }
        let path = resolved(folder, target);
        if !exists(&path) {
            breaches.push(Breach::new(guide, link.line, format!("the link leads to {path}, which does not exist")));
        }
    }
    breaches
}

/// The path in `word` when it is one of ours: without `./`, a line number or a full stop behind it.
fn our_path(word: &str) -> Option<&str> {
    let word = word.strip_prefix("./").unwrap_or(word).trim_end_matches(['.', ';', '/']);
    let word = word.split_once(".rs:").map_or(word, |(before, _)| &word[..before.len() + 3]);
    let name = word.rsplit('/').next().unwrap_or(word);
    if word.contains(['*', '{', '<', '$', '?']) || name.starts_with(MADE_BY_READERS) {
        return None;
    }
    let first = word.split('/').next().unwrap_or_default();
    let below_ours = word.contains('/') && OURS.contains(&first);
    let our_ending = !word.contains('/') && OUR_ENDINGS.iter().any(|e| word.len() > e.len() && word.ends_with(e));
    (below_ours || our_ending).then_some(word)
}

/// A link's target, relative to the guide's folder, as a path from the top.
fn resolved(folder: &str, target: &str) -> String {
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    parts.join("/")
}

/// Folders that exist on one machine only.
pub fn machine_breaches(path: &str, text: &str) -> Vec<Breach> {
    let mut breaches = Vec::new();
    for (index, line) in text.lines().enumerate() {
        for folder in MACHINE.iter().filter(|folder| line.contains(**folder)) {
            breaches.push(Breach::new(path, index + 1, format!("{folder} is a folder of one machine")));
        }
    }
    breaches
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(text: &str) -> Vec<String> {
        let exists = |path: &str| ["src/lib.rs", "docs/a.md", "README.md", "scripts/test"].contains(&path);
        breaches("docs/guide.md", text, &exists).iter().map(Breach::to_string).collect()
    }

    #[test]
    fn what_exists_is_fine_in_every_form() {
        assert!(
            rules("`src/lib.rs` `src/lib.rs:12` `./scripts/test` [a](a.md#x) [top](../README.md) [w](https://a.b)")
                .is_empty()
        );
        assert!(rules("`/srv/drop/orders` `highwater.toml` `orders/*.csv` `docs/*.md` `./load.sh`").is_empty());
        assert!(rules("```sh\ncp docs/a.md fixtures/drop/orders/try-1.csv\n```").is_empty());
    }

    #[test]
    fn what_does_not_exist_is_named_with_its_line() {
        assert_eq!(rules("x\n`src/gone.rs`."), ["docs/guide.md:2: there is no src/gone.rs"]);
        assert_eq!(
            rules("```sh\n./scripts/test\n./scripts/gone --x\n```"),
            ["docs/guide.md:3: there is no scripts/gone"]
        );
        assert_eq!(rules("[b](b.md)").len(), 1);
        assert_eq!(rules("`DESIGN.md`").len(), 1);
    }

    #[test]
    fn a_folder_of_one_machine_is_named() {
        assert_eq!(machine_breaches("README.md", "a\nsee /root/x").len(), 1);
        assert!(machine_breaches("README.md", "see /srv/x and /etc/highwater").is_empty());
    }
}
