//! The parts of a Markdown text that name things: inline code, fenced blocks, links. What they name is judged elsewhere.

/// A piece of text and the line it begins on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    pub line: usize,
    pub text: String,
}

/// Fenced blocks in one of these languages, without their fences.
pub fn blocks(text: &str, languages: &[&str]) -> Vec<Piece> {
    let mut found = Vec::new();
    let mut open: Option<(usize, String, Vec<&str>)> = None;
    for (index, line) in text.lines().enumerate() {
        let fence = line.trim_start().strip_prefix("```");
        open = match (open, fence) {
            (None, Some(language)) => Some((index + 2, language.trim().to_owned(), Vec::new())),
            (Some((line, language, lines)), Some(_)) => {
                if languages.contains(&language.as_str()) {
                    found.push(Piece { line, text: lines.join("\n") });
                }
                None
            }
            (Some((at, language, mut lines)), None) => {
                lines.push(line);
                Some((at, language, lines))
            }
            (None, None) => None,
        };
    }
    found
}

/// The text with fenced blocks made empty, so that only prose is left; lines stay where they are.
fn prose(text: &str) -> Vec<&str> {
    let mut fenced = false;
    text.lines()
        .map(|line| {
            let is_fence = line.trim_start().starts_with("```");
            if is_fence {
                fenced = !fenced;
            }
            if fenced || is_fence { "" } else { line }
        })
        .collect()
}

/// Inline code. A span that runs over the end of a line is not used in these guides, and not seen.
pub fn spans(text: &str) -> Vec<Piece> {
    let mut found = Vec::new();
    for (index, line) in prose(text).into_iter().enumerate() {
        for (nth, part) in line.split('`').enumerate() {
            if nth % 2 == 1 {
                found.push(Piece { line: index + 1, text: part.to_owned() });
            }
        }
    }
    found
}

/// Targets of `[text](target)` links.
pub fn links(text: &str) -> Vec<Piece> {
    let mut found = Vec::new();
    for (index, line) in prose(text).into_iter().enumerate() {
        for (at, _) in line.match_indices("](") {
            let target = line[at + 2..].split([')', ' ']).next().unwrap_or_default();
            found.push(Piece { line: index + 1, text: target.to_owned() });
        }
    }
    found
}

/// Commands people are told to type: inline code, and the lines of shell blocks; continued lines are joined, a prompt
/// and comments are left out.
pub fn commands(text: &str) -> Vec<Piece> {
    let mut found = spans(text);
    for block in blocks(text, &["sh", "console", "bash", "ini"]) {
        let mut joined: Option<Piece> = None;
        for (index, line) in block.text.lines().enumerate() {
            let line_number = block.line + index;
            let begun = joined.get_or_insert(Piece { line: line_number, text: String::new() });
            let typed = line.trim().trim_start_matches("$ ").trim_start_matches("# ");
            begun.text.push_str(typed.split(" # ").next().unwrap_or_default().trim_end_matches('\\'));
            if !line.ends_with('\\') {
                found.extend(joined.take());
            }
        }
        found.extend(joined);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "See `a.rs` and [b](docs/b.md \"t\").\n```toml\nx = 1\ny = 2\n```\nThen `c`.\n```sh\n$ highwater once \\\n    --quiet  # now\n```\n";

    #[test]
    fn blocks_spans_and_links_have_their_lines() {
        assert_eq!(blocks(TEXT, &["toml"]), [Piece { line: 3, text: "x = 1\ny = 2".into() }]);
        let names: Vec<_> = spans(TEXT).into_iter().map(|p| (p.line, p.text)).collect();
        assert_eq!(names, [(1, "a.rs".into()), (6, "c".into())]);
        assert_eq!(links(TEXT), [Piece { line: 1, text: "docs/b.md".into() }]);
    }

    #[test]
    fn a_continued_command_is_one_command() {
        let typed = commands(TEXT).pop().expect("the shell block");
        assert_eq!(typed.line, 8);
        assert_eq!(typed.text.split_whitespace().collect::<Vec<_>>(), ["highwater", "once", "--quiet"]);
    }
}
