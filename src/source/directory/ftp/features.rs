//! What a server announces in its reply to FEAT (RFC 2389). What of it really works shows when it is used.

use super::reply::Reply;
use crate::change::key::shown;

/// The facts of MLSD that are used; others only cost time.
const FACTS: [&str; 4] = ["type", "size", "modify", "unique"];

/// What a server announces.
#[derive(Debug, Clone, Default)]
pub struct Features {
    lines: Vec<String>,
}

impl Features {
    /// Reads the reply to FEAT; a server that does not know it announces nothing.
    pub fn of(reply: &Reply) -> Self {
        let mut lines: Vec<String> = reply.lines().map(|line| shown(line).trim().to_owned()).collect();
        if !reply.is_done() || lines.len() < 2 {
            return Self::default();
        }
        // The first and the last line only say that a list begins and ends.
        lines.pop();
        lines.remove(0);
        lines.retain(|line| !line.is_empty());
        Self { lines }
    }

    /// Every line of the list.
    pub fn lines(&self) -> &[String] {
        &self.lines
    }

    /// Whether a feature is announced: `MDTM`, `REST STREAM`.
    pub fn has(&self, feature: &str) -> bool {
        self.lines.iter().any(|line| {
            let is = line.get(..feature.len()).is_some_and(|start| start.eq_ignore_ascii_case(feature));
            is && matches!(line.as_bytes().get(feature.len()), None | Some(b' ' | b';'))
        })
    }

    /// Whether entries are told as facts: MLSD and MLST come together (RFC 3659 section 7.8).
    pub fn has_facts(&self) -> bool {
        self.has("MLST") || self.has("MLSD")
    }

    /// The command that switches on the facts we use and off all others, where that changes anything.
    pub fn facts_wanted(&self) -> Option<String> {
        let line = self.lines.iter().find_map(|line| {
            let rest = line.strip_prefix("MLST").or_else(|| line.strip_prefix("mlst"))?;
            rest.is_empty().then_some("").or_else(|| rest.strip_prefix(' '))
        })?;
        let facts: Vec<(&str, bool)> = line
            .split(';')
            .map(str::trim)
            .filter(|fact| !fact.is_empty())
            .map(|fact| fact.strip_suffix('*').map_or((fact, false), |name| (name, true)))
            .collect();
        let is_used = |fact: &str| FACTS.iter().any(|used| used.eq_ignore_ascii_case(fact));
        if facts.iter().all(|(fact, on)| is_used(fact) == *on) {
            return None;
        }
        let wanted: Vec<String> =
            facts.iter().filter(|(fact, _)| is_used(fact)).map(|(fact, _)| format!("{fact};")).collect();
        (!wanted.is_empty()).then(|| format!("OPTS MLST {}", wanted.concat()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::directory::ftp::reply::ReplyReader;

    fn features(text: &str) -> Features {
        Features::of(&ReplyReader::default().next(&mut text.as_bytes()).expect("a reply"))
    }

    #[test]
    fn features_are_found_with_or_without_what_follows_them() {
        let pure = "211-Extensions supported:\r\n UTF8\r\n EPSV\r\nREST STREAM\r\n MLST type*;size*;sizd*;modify*;UNIX.mode*;unique*;\r\n MLSD\r\n211 End.\r\n";
        let features = features(pure);
        assert!(features.has("utf8") && features.has("REST STREAM") && features.has("REST") && features.has_facts());
        assert!(!features.has("RES") && !features.has("MDTM") && !features.has("End."));
        assert_eq!(features.facts_wanted().as_deref(), Some("OPTS MLST type;size;modify;unique;"));
    }

    #[test]
    fn nothing_is_asked_where_the_facts_are_right_already() {
        let text = "211-Features\r\n MLST type*;size*;modify*;perm;\r\n211 End\r\n";
        assert_eq!(features(text).facts_wanted(), None);
        assert!(!features("500 what?\r\n").has_facts());
    }
}
