//! One settled attempt as somebody who watches `run` reads it: a line, and below it what a script printed beyond one
//! line. Which attempts are told, and where they are printed, belongs to `listener` and `cli`.

use std::collections::HashSet;

use crate::change::key::shown;
use crate::config::Config;
use crate::delivery::SettledAttempt;
use crate::setting::SinkName;
use crate::sink::settings::SinkKind;
use crate::store::State;

/// Lines of a script's output that are shown; all of it is kept with the attempt.
const OUTPUT_LINES_MAX: usize = 10;
/// Names are padded up to this width.
const NAME_WIDTH_MAX: usize = 20;
/// Keys are padded to this width, and shown up to that many characters; of longer ones the end is shown.
const KEY_WIDTH: usize = 30;
const KEY_CHARS_MAX: usize = 60;

/// How lines are laid out: by the names in the configuration.
#[derive(Debug, Clone, Default)]
pub struct Layout {
    source_width: usize,
    /// The sinks whose output is worth a look; the body of an HTTP answer is not.
    scripts: HashSet<SinkName>,
}

impl Layout {
    /// For the names in `config`.
    pub fn of(config: &Config) -> Self {
        let widths = config.sources.iter().map(|source| source.name.as_str().len());
        let scripts = config.sinks.iter().filter(|sink| matches!(sink.kind, SinkKind::Script(_)));
        Self {
            source_width: widths.max().unwrap_or(0).min(NAME_WIDTH_MAX),
            scripts: scripts.map(|sink| sink.name.clone()).collect(),
        }
    }

    /// What a person sees of one attempt; nothing of one that was never made.
    pub fn lines_of(&self, attempt: &SettledAttempt<'_>) -> Vec<String> {
        let (event, settled, sink) = (attempt.event, attempt.settled, attempt.sink);
        let ended = settled.began.plus(settled.took);
        let word = match settled.state {
            State::Delivered => "ok".to_owned(),
            State::Dead => "DEAD".to_owned(),
            State::Retrying => {
                let wait = settled.next_at.map(|at| at.since(ended).as_secs().max(1));
                wait.map_or_else(|| "retry".into(), |seconds| format!("retry in {seconds} s"))
            }
            _ => return Vec::new(),
        };
        let time = ended.strftime("%H:%M:%SZ").unwrap_or_default();
        let (source, kind, key) = (event.source.as_str(), event.kind.as_str(), cut(event.key.shown()));
        let number = if settled.attempt > 1 { format!(" (attempt {})", settled.attempt) } else { String::new() };
        let output = self.output(attempt);
        let (story, below) = match output.as_slice() {
            _ if settled.state != State::Delivered => (shown(settled.summary.as_bytes()), &output[..]),
            [single] => (single.clone(), &[][..]),
            several => (String::new(), several),
        };
        let colon = if story.is_empty() { "" } else { ": " };
        let source_width = self.source_width;
        let line = format!(
            "{time}  {source:<source_width$}  {kind:<8}  {key:<KEY_WIDTH$}  -> {sink}  {word}{number}{colon}{story}"
        );
        std::iter::once(line).chain(below.iter().map(|line| format!("    {line}"))).collect()
    }

    /// What the script printed, made harmless.
    fn output(&self, attempt: &SettledAttempt<'_>) -> Vec<String> {
        if !self.scripts.contains(attempt.sink) {
            return Vec::new();
        }
        let output = String::from_utf8_lossy(&attempt.settled.output);
        let lines = output.lines().map(|line| shown(line.replace('\t', " ").trim_end().as_bytes()));
        lines.filter(|line| !line.is_empty()).take(OUTPUT_LINES_MAX).collect()
    }
}

fn cut(key: String) -> String {
    let count = key.chars().count();
    if count <= KEY_CHARS_MAX {
        return key;
    }
    let end: String = key.chars().skip(count - KEY_CHARS_MAX + 3).collect();
    format!("...{end}")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::change::{Key, Kind, Nature};
    use crate::clock::Timestamp;
    use crate::event::{Event, EventId};
    use crate::setting::SourceName;
    use crate::store::Settled;

    const ENDED: Timestamp = Timestamp::from_millis(1_795_428_902_000);

    fn event(key: &str) -> Event {
        Event {
            id: EventId::parse("evt_wgakhpz5zdyvhd5ozrouyfl3feamdqp4").expect("valid"),
            source: SourceName::new("drop"),
            kind: Kind::Created,
            nature: Nature::File,
            key: Key::from(key),
            revision: 1,
            fingerprint: None,
            sequence: 1,
            time: ENDED,
            body: Vec::new(),
            content: None,
        }
    }

    fn settled(state: State, output: &str) -> Settled {
        Settled {
            seq: 1,
            attempt: 1,
            state,
            next_at: (state == State::Retrying).then(|| ENDED.plus(Duration::from_millis(5_100))),
            charged: true,
            dead_reason: None,
            began: ENDED.minus(Duration::from_secs(1)),
            took: Duration::from_secs(1),
            outcome: "x",
            code: None,
            summary: "exit code 1".into(),
            output: output.into(),
        }
    }

    fn lines(key: &str, settled: &Settled) -> Vec<String> {
        let sink = SinkName::new("show");
        let layout = Layout { source_width: 9, scripts: [sink.clone()].into() };
        layout.lines_of(&SettledAttempt { sink: &sink, event: &event(key), settled })
    }

    #[test]
    fn an_attempt_is_one_line_in_columns_with_what_a_script_said() {
        let line = &lines("orders/a.csv", &settled(State::Delivered, "559 bytes\n"))[0];
        assert_eq!(line, "10:15:02Z  drop       created   orders/a.csv                    -> show  ok: 559 bytes");
        let mut again = settled(State::Delivered, "");
        again.attempt = 3;
        assert!(lines("a", &again)[0].ends_with("-> show  ok (attempt 3)"));
        let two = lines("a", &settled(State::Delivered, "one\n\n\ttwo\x1b[2J\n"));
        assert!(two[0].ends_with("ok") && two[1..] == ["    one", "     two\\u{1b}[2J"], "{two:?}");
    }

    #[test]
    fn what_failed_says_why_and_when_it_is_tried_again() {
        let retry = lines("a", &settled(State::Retrying, "no room\n"));
        assert!(retry[0].ends_with("-> show  retry in 5 s: exit code 1") && retry[1] == "    no room", "{retry:?}");
        assert!(lines("a", &settled(State::Dead, ""))[0].ends_with("-> show  DEAD: exit code 1"));
        assert!(lines("a", &settled(State::Pending, "")).is_empty());
    }

    #[test]
    fn of_a_long_key_the_end_is_shown_and_nothing_steers_the_terminal() {
        let long = format!("{}/a\nb.csv", "ü".repeat(200));
        let line = &lines(&long, &settled(State::Delivered, ""))[0];
        assert!(line.contains("  ...üüü") && line.contains("/a\\nb.csv  -> ") && line.chars().count() < 120, "{line}");
    }
}
