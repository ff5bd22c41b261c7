//! What `run` says first on a terminal: what is looked at, where it goes, what to try and how to ask. Pure: whoever
//! greets knows the folder, the program's name and the process.

use std::path::Path;

use crate::config::{Config, FILE_NAME};
use crate::sink::settings::{SinkKind, SinkSettings};
use crate::source::settings::{Schedule, SourceKind, SourceSettings, TableFrom};

/// At most so many sources, and so many sinks, are named; `status` has them all.
const NAMED_MAX: usize = 12;

/// Who greets.
#[derive(Debug)]
pub struct Greeter<'a> {
    /// How the program was called.
    pub program: &'a str,
    /// The current folder: paths below it are shown relative to it.
    pub here: &'a Path,
    /// This process.
    pub pid: u32,
}

impl Greeter<'_> {
    /// The lines.
    pub fn lines(&self, config: &Config) -> Vec<String> {
        let store = self.near(&config.state.path);
        let mut lines = vec![format!("highwater {}; what is known and owed is in {store}", env!("CARGO_PKG_VERSION"))];
        lines.extend(self.flow(config));
        lines.push(String::new());
        lines.push("Try, while it runs:".into());
        lines.extend(config.sources.iter().map(|source| self.idea(source)).take(2).map(|idea| format!("  {idea}")));
        lines.push(format!("  kill -9 {}, then start it again: nothing is lost, nothing is told twice", self.pid));
        lines.push("Ask, in another terminal:".into());
        let file = self.file_option(config);
        let explain = config.sources.first().map(|source| format!("explain {} KEY", source.name));
        for command in ["status".to_owned(), "events".to_owned()].into_iter().chain(explain) {
            lines.push(format!("  {} {command}{file}", self.program));
        }
        lines.push("Ctrl-C ends it, when what is in flight has arrived.".into());
        lines.push(String::new());
        lines
    }

    /// What comes from where and goes where, in columns.
    fn flow(&self, config: &Config) -> Vec<String> {
        let sources = config.sources.iter().take(NAMED_MAX).map(|source| self.source(source));
        let sinks = config.sinks.iter().take(NAMED_MAX).map(|sink| self.sink(sink));
        let mut lines = aligned(&sources.chain(sinks).collect::<Vec<_>>());
        let named = |count: usize| count.saturating_sub(NAMED_MAX);
        let left_out = named(config.sources.len()) + named(config.sinks.len());
        if left_out > 0 {
            lines.push(format!("  and {left_out} more"));
        }
        lines
    }

    /// Name, kind, place, where to, when.
    fn source(&self, source: &SourceSettings) -> Vec<String> {
        let place = match &source.kind {
            SourceKind::Folder(folder) => self.near(&folder.path),
            SourceKind::Ftp(ftp) => format!("{} on {}", ftp.path, ftp.server.host),
            SourceKind::Sftp(sftp) => format!("{} on {}", sftp.path, sftp.server.host),
            SourceKind::Sqlite(sqlite) => format!("{} of {}", rows(&sqlite.table.from), self.near(&sqlite.path)),
            kind => kind.table().map_or_else(String::new, |table| rows(&table.from)),
        };
        let routed = source.routes.iter().flat_map(|route| &route.to);
        let mut to: Vec<&str> = source.to.iter().chain(routed).map(|sink| sink.as_str()).collect();
        to.dedup();
        let when = match &source.schedule {
            Schedule::Every(interval) => format!("every {interval}"),
            Schedule::Cron { expression, .. } => format!("at {expression}"),
        };
        vec![
            "from".into(),
            source.name.to_string(),
            source.kind.as_str().into(),
            place,
            format!("-> {}", to.join(", ")),
            when,
        ]
    }

    fn sink(&self, sink: &SinkSettings) -> Vec<String> {
        let place = match &sink.kind {
            // What stands behind the question mark may be a secret.
            SinkKind::Http(http) => http.url.to_string().split('?').next().unwrap_or_default().to_owned(),
            SinkKind::Script(script) => {
                let program = script.command.first().map(ToString::to_string).unwrap_or_default();
                if program.contains('/') { self.near(&script.base.join(program)) } else { program }
            }
        };
        vec!["to".into(), sink.name.to_string(), sink.kind.as_str().into(), place]
    }

    fn idea(&self, source: &SourceSettings) -> String {
        match &source.kind {
            SourceKind::Folder(folder) => {
                format!("drop a file into {}, write to it, drop it again unchanged", self.near(&folder.path))
            }
            SourceKind::Ftp(ftp) => format!("upload a file to {} on {}", ftp.path, ftp.server.host),
            SourceKind::Sftp(sftp) => format!("upload a file to {} on {}", sftp.path, sftp.server.host),
            SourceKind::Sqlite(sqlite) => {
                format!("change a row of {} in {}", rows(&sqlite.table.from), self.near(&sqlite.path))
            }
            kind => format!("change a row of {}", kind.table().map_or_else(String::new, |table| rows(&table.from))),
        }
    }

    /// `-c FILE`, where the file is not the one that is found by itself.
    fn file_option(&self, config: &Config) -> String {
        match config.files.first() {
            Some(file) if *file != self.here.join(FILE_NAME) => format!(" -c {}", self.near(file)),
            _ => String::new(),
        }
    }

    /// A path as short as it can be written here, `..` worked out of it.
    fn near(&self, path: &Path) -> String {
        let whole = std::fs::canonicalize(path).unwrap_or_else(|_| path.components().collect());
        let here = std::fs::canonicalize(self.here).unwrap_or_else(|_| self.here.to_path_buf());
        let near = whole.strip_prefix(here).unwrap_or(&whole);
        let near = if near.as_os_str().is_empty() { Path::new(".") } else { near };
        crate::change::key::shown(near.as_os_str().as_encoded_bytes())
    }
}

fn rows(from: &TableFrom) -> String {
    match from {
        TableFrom::Table(table) => table.clone(),
        TableFrom::Query(_) => "a query".into(),
    }
}

/// Rows with their columns in line, indented; the last cell of a row widens no column.
fn aligned(rows: &[Vec<String>]) -> Vec<String> {
    let width = |at: usize| {
        let before_another = rows.iter().filter(|row| row.len() > at + 1);
        before_another.map(|row| row[at].chars().count()).max().unwrap_or(0)
    };
    let line = |row: &Vec<String>| {
        let cells = row.iter().enumerate().map(|(at, cell)| format!("{cell:<0$}", width(at)));
        format!("  {}", cells.collect::<Vec<_>>().join("  ").trim_end())
    };
    rows.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: &str = r#"
[source.drop]
kind = "folder"
path = "in/drop"
to = ["show"]
[source.customers]
kind = "sqlite"
path = "erp.sqlite"
table = "customers"
watermark = "at"
key = ["id"]
every = "2s"
to = ["show"]
[sink.show]
kind = "script"
command = ["./show-event", "log"]
"#;

    #[test]
    fn the_first_lines_say_what_runs_what_to_try_and_how_to_ask() {
        let folder = tempfile::tempdir().expect("a folder");
        let here = folder.path().canonicalize().expect("there");
        std::fs::create_dir(here.join("in")).expect("make");
        std::fs::write(here.join("in/hw.toml"), CONFIG.replace("in/drop", "drop")).expect("write");
        let config =
            crate::config::load_from(Some(&here.join("in/hw.toml")), &|_| None, crate::config::Secrets::NotNeeded);
        let greeter = Greeter { program: "highwater", here: &here, pid: 17 };
        let lines = greeter.lines(&config.expect("sound"));
        let expected = [
            "from drop       folder  in/drop                        -> show  every 30s",
            "from customers  sqlite  customers of in/erp.sqlite     -> show  every 2s",
            "to show  script  in/show-event",
            "  drop a file into in/drop, write to it, drop it again unchanged",
            "  kill -9 17, then start it again: nothing is lost, nothing is told twice",
            "  highwater explain drop KEY -c in/hw.toml",
        ];
        let squeezed = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
        for line in expected {
            assert!(lines.iter().any(|told| squeezed(told) == squeezed(line)), "no {line:?} in\n{}", lines.join("\n"));
        }
        let arrows: Vec<_> = lines.iter().filter_map(|line| line.find("->")).collect();
        assert!(arrows.len() == 2 && arrows[0] == arrows[1], "columns line up:\n{}", lines.join("\n"));
    }
}
