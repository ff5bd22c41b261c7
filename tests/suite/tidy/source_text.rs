//! Rust source as plain text: comments and literals blanked out, functions and test modules found by counting braces.
//! A full parser is not needed for house rules, and would have to be kept in step with the language.

use std::ops::Range;

/// The same text with the inside of comments, strings and characters replaced by blanks; lines stay where they are.
pub fn code_only(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = bytes.to_vec();
    let mut at = 0;
    while at < bytes.len() {
        let end = match literal_end(bytes, at) {
            Some(end) => end,
            None => {
                at += 1;
                continue;
            }
        };
        for byte in &mut out[at..end] {
            if *byte != b'\n' {
                *byte = b' ';
            }
        }
        at = end;
    }
    String::from_utf8(out).expect("whole literals were blanked, so the rest is still UTF-8")
}

/// Where the comment, string or character that begins at `at` ends; `None` when none begins there.
fn literal_end(bytes: &[u8], at: usize) -> Option<usize> {
    let rest = &bytes[at..];
    if rest.starts_with(b"//") {
        return Some(at + rest.iter().position(|b| *b == b'\n').unwrap_or(rest.len()));
    }
    if rest.starts_with(b"/*") {
        return Some(at + block_comment_len(rest));
    }
    let in_word = at > 0 && is_word(bytes[at - 1]);
    match rest[0] {
        b'"' => Some(at + quoted_len(rest, b'"')),
        b'r' if !in_word || matches!(bytes[at - 1], b'b' | b'c') => raw_string_len(rest).map(|len| at + len),
        b'\'' => char_len(rest).map(|len| at + len),
        _ => None,
    }
}

fn block_comment_len(rest: &[u8]) -> usize {
    let (mut depth, mut i) = (0, 0);
    while i < rest.len() {
        if rest[i..].starts_with(b"/*") {
            depth += 1;
            i += 2;
        } else if rest[i..].starts_with(b"*/") {
            depth -= 1;
            i += 2;
            if depth == 0 {
                return i;
            }
        } else {
            i += 1;
        }
    }
    rest.len()
}

fn quoted_len(rest: &[u8], quote: u8) -> usize {
    let mut i = 1;
    while i < rest.len() && rest[i] != quote {
        i += if rest[i] == b'\\' { 2 } else { 1 };
    }
    (i + 1).min(rest.len())
}

fn raw_string_len(rest: &[u8]) -> Option<usize> {
    let hashes = rest[1..].iter().take_while(|b| **b == b'#').count();
    if rest.get(1 + hashes) != Some(&b'"') {
        return None;
    }
    let close: Vec<u8> = std::iter::once(b'"').chain(std::iter::repeat_n(b'#', hashes)).collect();
    let body = &rest[2 + hashes..];
    let len = body.windows(close.len()).position(|w| w == close).map_or(body.len(), |found| found + close.len());
    Some(2 + hashes + len)
}

/// A character literal, told apart from a lifetime: `'x'` and `'\n'`, but not `'a`.
fn char_len(rest: &[u8]) -> Option<usize> {
    match rest.get(1)? {
        b'\\' => Some(quoted_len(rest, b'\'')),
        _ => {
            let first = std::str::from_utf8(&rest[1..rest.len().min(5)])
                .or_else(|e| std::str::from_utf8(&rest[1..1 + e.valid_up_to()]));
            let width = first.ok()?.chars().next()?.len_utf8();
            (rest.get(1 + width) == Some(&b'\'')).then_some(2 + width)
        }
    }
}

pub fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// The line (from 1) on which the byte at `at` stands.
pub fn line_of(text: &str, at: usize) -> usize {
    text.as_bytes()[..at].iter().filter(|b| **b == b'\n').count() + 1
}

/// Every place where `word` stands alone.
pub fn words(code: &str, word: &str) -> Vec<usize> {
    let bytes = code.as_bytes();
    let alone =
        |at: &usize| (*at == 0 || !is_word(bytes[at - 1])) && bytes.get(at + word.len()).is_none_or(|b| !is_word(*b));
    code.match_indices(word).map(|(at, _)| at).filter(alone).collect()
}

/// The end (behind the closing brace) of the block that opens at or after `at`; `None` when a `;` comes first.
pub fn block_end(code: &str, at: usize) -> Option<usize> {
    let (mut depth, mut nested) = (0_usize, 0_usize);
    for (i, byte) in code.bytes().enumerate().skip(at) {
        match byte {
            b'(' | b'[' => nested += 1,
            b')' | b']' => nested = nested.saturating_sub(1),
            b';' if depth == 0 && nested == 0 => return None,
            b'{' => depth += 1,
            b'}' => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return Some(i + 1);
                }
            }
            _ => {}
        }
    }
    None
}

/// A function: its name, its first line, and how many lines it has from there to its closing brace.
pub struct Function<'a> {
    pub name: &'a str,
    pub line: usize,
    pub lines: usize,
}

/// All functions with a body.
pub fn functions(code: &str) -> Vec<Function<'_>> {
    let mut found = Vec::new();
    for at in words(code, "fn") {
        let name_at = at + 3;
        let name_len = code[name_at.min(code.len())..].bytes().take_while(|b| is_word(*b)).count();
        if name_len == 0 {
            continue; // a function type, `fn(u8)`
        }
        if let Some(end) = block_end(code, at) {
            let lines = code[at..end].matches('\n').count() + 1;
            found.push(Function { name: &code[name_at..name_at + name_len], line: line_of(code, at), lines });
        }
    }
    found
}

/// The parts that are compiled for tests only.
pub fn test_parts(code: &str) -> Vec<Range<usize>> {
    let mark = "#[cfg(test)]";
    code.match_indices(mark).filter_map(|(at, _)| block_end(code, at + mark.len()).map(|end| at..end)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_literals_are_blanked_and_lines_kept() {
        let text = "a /* x /* y */ z */ b // c\n\"d\\\"e\" r#\"f\"g\"# '{' '\\'' 'ü' <'life> b\"h\"";
        let code = code_only(text);
        assert_eq!(code.split_whitespace().collect::<Vec<_>>(), ["a", "b", "<'life>", "b"]);
        assert_eq!(code.matches('\n').count(), 1);
        assert_eq!(code.len(), text.len());
    }

    #[test]
    fn functions_are_measured_to_their_closing_brace() {
        let code = "trait T { fn a(&self, x: [u8; 2]); }\nfn b() {\n  if x {\n  }\n}\ntype F = fn(u8);";
        let found: Vec<_> = functions(code).iter().map(|f| (f.name, f.line, f.lines)).collect();
        assert_eq!(found, [("b", 2, 4)]);
    }

    #[test]
    fn a_test_module_is_a_test_part_and_a_test_file_is_not() {
        let code = "fn a() {}\n#[cfg(test)]\nmod tests { fn b() {} }\n#[cfg(test)]\nmod more;\nfn c() {}";
        let parts = test_parts(code);
        assert_eq!(parts.len(), 1);
        assert!(code[parts[0].clone()].contains("fn b") && !code[parts[0].clone()].contains("fn c"));
    }
}
