//! Commands and options that guides name, compared with the help pages of the binary itself.

use std::collections::HashMap;
use std::process::Command;

use super::Breach;
use super::markdown;

/// Headings under which a help page lists something else than commands.
const OTHER_HEADINGS: [&str; 3] = ["Options:", "Arguments:", "Examples:"];

/// Gives the help page of a chain of subcommands.
type Fetch = Box<dyn Fn(&[String]) -> String>;

/// Help pages, fetched once each: the key is the chain of subcommands, `[]` is `highwater --help`.
pub struct HelpPages {
    fetch: Fetch,
    known: HashMap<Vec<String>, String>,
}

impl HelpPages {
    /// Those of a program.
    pub fn of_binary(program: &'static str) -> Self {
        let mut pages = Self::new(move |chain| {
            let output = Command::new(program).args(chain).arg("--help").output();
            let output = output.unwrap_or_else(|error| panic!("start {program}: {error}"));
            String::from_utf8_lossy(&output.stdout).into_owned()
        });
        assert!(!pages.subcommands(&[]).is_empty(), "{program} --help lists no commands: {}", pages.page(&[]));
        pages
    }

    fn new(fetch: impl Fn(&[String]) -> String + 'static) -> Self {
        Self { fetch: Box::new(fetch), known: HashMap::new() }
    }

    fn page(&mut self, chain: &[String]) -> &str {
        self.known.entry(chain.to_vec()).or_insert_with(|| (self.fetch)(chain))
    }

    /// The subcommands a page lists: under `Commands:`, or under headings of groups.
    fn subcommands(&mut self, chain: &[String]) -> Vec<String> {
        let mut names = Vec::new();
        let mut in_group = false;
        for line in self.page(chain).lines() {
            match line.strip_prefix("  ") {
                None if line.is_empty() => {}
                None => in_group = line.ends_with(':') && !OTHER_HEADINGS.contains(&line),
                Some(entry) if in_group && !entry.starts_with(' ') => names.extend(entry.split("  ").next()),
                Some(_) => {}
            }
        }
        names.retain(|name| !name.contains(' '));
        names.into_iter().map(str::to_owned).collect()
    }
}

/// Commands and options that the help pages don't have.
pub fn breaches(guide: &str, text: &str, help: &mut HelpPages) -> Vec<Breach> {
    let mut breaches = Vec::new();
    for typed in markdown::commands(text) {
        for words in invocations(&typed.text) {
            if let Err(rule) = check(&words, help) {
                breaches.push(Breach::new(guide, typed.line, rule));
            }
        }
    }
    breaches
}

/// The words behind each `highwater` (or `cargo run ... --`) in a command line, up to a pipe or the like.
fn invocations(line: &str) -> Vec<Vec<&str>> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let mut found = Vec::new();
    for (i, word) in words.iter().enumerate() {
        let program = word.rsplit(['/', '=']).next().unwrap_or(word);
        let through_cargo = *word == "--" && words[..i].starts_with(&["cargo", "run"]);
        if program == "highwater" || through_cargo {
            let ends =
                |word: &&&str| !matches!(**word, "|" | "&&" | "||" | ";" | ">" | ">>" | "<" | "&" | "2>&1" | ")");
            found.push(words[i + 1..].iter().take_while(ends).copied().collect());
        }
    }
    found
}

fn check(words: &[&str], help: &mut HelpPages) -> Result<(), String> {
    let mut chain: Vec<String> = Vec::new();
    let mut descending = true;
    for word in words {
        if let Some(option) = word.strip_prefix("--").filter(|option| !option.is_empty()) {
            let option = option.split('=').next().unwrap_or(option).trim_end_matches([']', '.', ',']);
            expect_option(&format!("--{option}"), &chain, help)?;
            continue;
        }
        let is_word = word.chars().all(|c| c.is_ascii_lowercase() || c == '-') && !word.starts_with('-');
        let subcommands = if descending { help.subcommands(&chain) } else { Vec::new() };
        if subcommands.iter().any(|name| name == word) {
            chain.push((*word).to_owned());
        } else if descending && is_word && !subcommands.is_empty() && chain.is_empty() {
            return Err(format!("there is no command \"highwater {word}\""));
        } else if !word.starts_with('-') {
            descending = false;
        }
    }
    Ok(())
}

/// An option counts when the page of the command or of one above it has it.
fn expect_option(option: &str, chain: &[String], help: &mut HelpPages) -> Result<(), String> {
    for len in (0..=chain.len()).rev() {
        let page = help.page(&chain[..len]);
        let same = |word: &str| word.trim_end_matches([',', ']']).trim_start_matches('[') == option;
        if page.split([' ', '\n', '=', '<']).any(same) {
            return Ok(());
        }
    }
    Err(format!("\"highwater {}\" has no option {option}", chain.join(" ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOT: &str = "Usage: highwater [OPTIONS] <COMMAND>

Run:
  run   poll
Repair:
  dead  letters
        and more

Options:
  -c, --config <FILE>
Examples:
  highwater fly  an example is no command
";

    fn pages() -> HelpPages {
        HelpPages::new(|chain| match chain.join(" ").as_str() {
            "" => ROOT.into(),
            "run" => "Options:\n      --deadline <D>\n".into(),
            "dead" => "Commands:\n  retry  again\n\nOptions:\n".into(),
            "dead retry" => "Options:\n      --all  every\n".into(),
            other => panic!("no page {other}"),
        })
    }

    fn rules(text: &str) -> Vec<String> {
        breaches("README.md", text, &mut pages()).iter().map(Breach::to_string).collect()
    }

    #[test]
    fn commands_and_options_that_exist_are_fine() {
        assert!(
            rules("`highwater run --deadline 5m -c x.toml` and `highwater dead retry --all --config x`").is_empty()
        );
        assert!(rules("```sh\ncargo run --release -- run -c config/quickstart.toml\n```").is_empty());
        assert!(rules("```ini\nExecStart=/usr/bin/highwater run --config /etc/highwater.toml\n```").is_empty());
        assert!(rules("the `highwater.db` store of Highwater, `user-agent: highwater/VERSION`").is_empty());
    }

    #[test]
    fn an_unknown_command_and_an_unknown_option_are_named() {
        assert_eq!(rules("`highwater fly`"), ["README.md:1: there is no command \"highwater fly\""]);
        assert_eq!(rules("`highwater run --fast`"), ["README.md:1: \"highwater run\" has no option --fast"]);
        assert_eq!(rules("```sh\ncd x && highwater dead retry --none | cat --fine\n```").len(), 1);
    }
}
