//! Which files belong to a source and which folders are entered, as globs say; and why not, for people.
//! Whether a file that belongs is ready is `readiness`.

use globset::{GlobBuilder, GlobMatcher};

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::claim::Claim;
use super::place::split;
use super::sidecar::Sidecar;
use crate::error::{Error, ErrorKind, Result};
use crate::setting::{ByteCount, Template};
use crate::source::settings::{AfterAction, Case, DirectorySettings, Empty};

/// Names beginning like this are our own, in the middle of an after-action.
pub const PRIVATE_PREFIX: &[u8] = b".highwater-";

/// The filters of one source.
#[derive(Debug)]
pub struct Filters {
    include: Vec<Pattern>,
    exclude: Vec<Pattern>,
    sidecars: Vec<Sidecar>,
    /// Beginnings of folder paths that after-actions move into.
    moved_into: Vec<Vec<u8>>,
    recursive: bool,
    claim: Option<Claim>,
    canonical: String,
}

#[derive(Debug)]
struct Pattern {
    text: String,
    matcher: GlobMatcher,
    /// For `x/**`: `x`, so that the folder itself is not entered.
    folder: Option<GlobMatcher>,
}

impl Filters {
    /// Compiles what the settings say. `max_size` only becomes part of [`Filters::canonical`].
    ///
    /// # Errors
    /// `Config` when a glob can't be read.
    pub fn new(settings: &DirectorySettings, max_size: Option<ByteCount>) -> Result<Self> {
        let compile = |globs: &[String]| -> Result<Vec<Pattern>> {
            globs.iter().map(|glob| Pattern::new(glob, settings.case)).collect()
        };
        let sidecars = [&settings.marker, &settings.checksum].into_iter().flatten().map(Sidecar::new);
        Ok(Self {
            include: compile(&settings.include)?,
            exclude: compile(&settings.exclude)?,
            sidecars: sidecars.collect::<Result<_>>()?,
            moved_into: [&settings.on_delivered, &settings.on_dead].into_iter().filter_map(moved_into).collect(),
            recursive: settings.recursive,
            claim: None,
            canonical: canonical(settings, max_size),
        })
    }

    /// The same, for a source that claims its files: claimed ones belong as they did before.
    #[must_use]
    pub fn claiming(self, claim: Claim) -> Self {
        let canonical = format!("{} claim {}", self.canonical, crate::change::key::shown(&claim.path_of(b"*")));
        Self { claim: Some(claim), canonical, ..self }
    }

    /// Where claimed files are.
    pub fn claim(&self) -> Option<&Claim> {
        self.claim.as_ref()
    }

    /// Whatever decides which entries belong, as text.
    pub fn canonical(&self) -> &str {
        &self.canonical
    }

    /// Whether a file is a marker or a checksum by its name.
    pub fn is_sidecar(&self, path: &[u8]) -> bool {
        self.sidecars.iter().any(|sidecar| sidecar.is_named(path))
    }

    /// Whether folders below the root are entered at all.
    pub fn is_recursive(&self) -> bool {
        self.recursive
    }

    /// Why the file at `path` does not belong, judged by itself; `None` when it does.
    pub fn why_not_file(&self, path: &[u8]) -> Option<String> {
        let name = split(path).1;
        if name.starts_with(PRIVATE_PREFIX) {
            return Some("is a file of ours in the middle of an after-action".into());
        }
        let claim = self.claim.as_ref().filter(|claim| claim.below(path).is_some());
        let path = match claim.map(|claim| claim.key_of(path)) {
            None => path,
            Some(Some(key)) => key,
            Some(None) => return Some("lies in the claim folder under a name that is none of ours".into()),
        };
        if let Some(sidecar) = self.sidecars.iter().find(|sidecar| sidecar.is_named(path)) {
            return Some(format!("is a sidecar by \"{}\"", sidecar.as_str()));
        }
        let path = Path::new(OsStr::from_bytes(path));
        if let Some(pattern) = self.exclude.iter().find(|pattern| pattern.matcher.is_match(path)) {
            return Some(format!("exclude \"{}\"", pattern.text));
        }
        if self.include.is_empty() || self.include.iter().any(|pattern| pattern.matcher.is_match(path)) {
            return None;
        }
        Some("no include matches".into())
    }

    /// Why the folder at `path` is not entered, judged by itself; `None` when it is.
    pub fn why_not_folder(&self, path: &[u8]) -> Option<String> {
        let path = self.claim.as_ref().and_then(|claim| claim.below(path)).unwrap_or(path);
        if path.is_empty() {
            return None;
        }
        if !self.recursive {
            return Some("recursive = false".into());
        }
        let mut slashed = path.to_vec();
        slashed.push(b'/');
        if self.moved_into.iter().any(|prefix| slashed.starts_with(prefix)) {
            return Some("after-actions move files into it".into());
        }
        let path = Path::new(OsStr::from_bytes(path));
        let excluded = |pattern: &&Pattern| {
            pattern.matcher.is_match(path) || pattern.folder.as_ref().is_some_and(|folder| folder.is_match(path))
        };
        self.exclude.iter().find(excluded).map(|pattern| format!("exclude \"{}\"", pattern.text))
    }

    /// Why nothing at `path` belongs because of a folder above it; `None` when all of them are entered.
    pub fn why_not_above(&self, path: &[u8]) -> Option<String> {
        let ends = path.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(at, _)| at);
        ends.map(|end| &path[..end]).find_map(|folder| {
            let why = self.why_not_folder(folder)?;
            Some(format!("folder {} is not entered: {why}", crate::change::key::shown(folder)))
        })
    }
}

impl Pattern {
    fn new(text: &str, case: Case) -> Result<Self> {
        let anchored = text.strip_prefix('/').or_else(|| text.strip_prefix("./"));
        let body = anchored.unwrap_or(text);
        let everywhere = anchored.is_none() && !body.trim_end_matches('/').contains('/');
        let mut glob = if everywhere { format!("**/{body}") } else { body.to_owned() };
        if glob.ends_with('/') {
            glob.push_str("**");
        }
        let compile = |glob: &str| compile_glob(glob, case).map_err(|cause| bad_glob(text, &cause));
        let folder = glob.strip_suffix("/**").map(compile).transpose()?;
        Ok(Self { text: text.to_owned(), matcher: compile(&glob)?, folder })
    }
}

/// Compiles a glob in which `*` stays within a path component.
pub(super) fn compile_glob(glob: &str, case: Case) -> Result<GlobMatcher, globset::Error> {
    let insensitive = case == Case::Ignore;
    let mut builder = GlobBuilder::new(glob);
    Ok(builder.literal_separator(true).case_insensitive(insensitive).build()?.compile_matcher())
}

fn bad_glob(text: &str, cause: &globset::Error) -> Error {
    Error::new(ErrorKind::Config, format!("\"{text}\" is not a glob: {}", cause.kind()))
}

fn moved_into(action: &AfterAction) -> Option<Vec<u8>> {
    let AfterAction::Move(template) = action else { return None };
    let prefix = template.fixed_prefix().trim_start_matches("./");
    let whole = template.is_plain() && !prefix.is_empty() && !prefix.ends_with('/');
    let prefix = if whole { format!("{prefix}/") } else { prefix.to_owned() };
    (!prefix.is_empty()).then(|| prefix.into_bytes())
}

fn canonical(settings: &DirectorySettings, max_size: Option<ByteCount>) -> String {
    let template = |template: &Option<Template>| template.as_ref().map(Template::as_str).unwrap_or_default().to_owned();
    let moved = |action: &AfterAction| match action {
        AfterAction::Move(template) => template.fixed_prefix().to_owned(),
        AfterAction::Keep | AfterAction::Delete => String::new(),
    };
    serde_json::json!({
        "include": settings.include,
        "exclude": settings.exclude,
        "case": match settings.case { Case::Exact => "exact", Case::Ignore => "ignore" },
        "recursive": settings.recursive,
        "marker": template(&settings.marker),
        "checksum": template(&settings.checksum),
        "empty_ignored": settings.empty == Empty::Ignore,
        "moved": [moved(&settings.on_delivered), moved(&settings.on_dead)],
        "max_size": max_size.map(|size| size.0),
    })
    .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::directory::testing::settings;

    fn takes(filters: &Filters, path: &str) -> bool {
        filters.why_not_file(path.as_bytes()).is_none() && filters.why_not_above(path.as_bytes()).is_none()
    }

    #[test]
    fn a_pattern_without_slash_fits_the_name_at_any_depth_and_one_with_slash_the_path() {
        let mut directory = settings();
        directory.include = vec!["*.csv".into(), "**/*.xml".into(), "/top.txt".into()];
        directory.exclude = vec!["old/**".into(), "~$*".into(), ".*".into(), "tmp/".into()];
        let filters = Filters::new(&directory, None).expect("valid");
        for taken in ["a.csv", "x/y/a.csv", "a.xml", "x/a.xml", "top.txt", "new\nline.csv"] {
            assert!(takes(&filters, taken), "{taken} belongs");
        }
        for left in ["a.CSV", "a.txt", "x/top.txt", "old/a.csv", "~$a.csv", ".git/a.csv", "x/.a.csv", "tmp/a.csv"] {
            assert!(!takes(&filters, left), "{left} does not belong");
        }
        assert!(filters.why_not_file(b"a\xff.csv").is_none());
        assert_eq!(filters.why_not_folder(b"old").as_deref(), Some("exclude \"old/**\""));
        assert_eq!(filters.why_not_file(b"a.txt").as_deref(), Some("no include matches"));
    }

    #[test]
    fn case_is_ignored_on_request() {
        let mut directory = settings();
        directory.include = vec!["*.csv".into()];
        directory.case = Case::Ignore;
        assert!(takes(&Filters::new(&directory, None).expect("valid"), "A.CSV"));
    }

    #[test]
    fn folders_we_move_into_and_sidecars_do_not_belong() {
        let mut directory = settings();
        directory.on_delivered = AfterAction::Move(Template::parse("archive/{date}", &[]).expect("valid"));
        directory.on_dead = AfterAction::Move(Template::parse("failed", &[]).expect("valid"));
        directory.marker = Some(Template::parse("{name}.done", &[]).expect("valid"));
        let filters = Filters::new(&directory, None).expect("valid");
        assert!(filters.why_not_folder(b"archive").is_some() && filters.why_not_folder(b"failed").is_some());
        assert!(filters.why_not_folder(b"failed-orders").is_none());
        assert!(!takes(&filters, "x/a.csv.done") && takes(&filters, "x/a.csv") && !takes(&filters, ".highwater-1"));
    }

    #[test]
    fn a_bad_glob_is_named() {
        let mut directory = settings();
        directory.exclude = vec!["a[".into()];
        let error = Filters::new(&directory, None).expect_err("bad");
        assert!(error.to_string().contains("\"a[\" is not a glob"), "{error}");
    }
}
