//! After-actions of one source: due orders are made exact, journaled, carried out by the source, and ended in the store.

use std::path::{Component, Path};
use std::time::Duration;

use super::plan::SourcePlan;
use crate::clock::{Clock, Timestamp};
use crate::error::{Error, ErrorKind, Result};
use crate::setting::Template;
use crate::setting::template::Placeholder;
use crate::source::settings::AfterAction;
use crate::source::{Acted, Action, ActionOrder, Source};
use crate::store::{ActionEnded, DueAction, Store};

/// Orders carried out between two looks.
const ACTIONS_MAX: usize = 500;
/// A failed action is tried again after this.
const ACTION_RETRY: Duration = Duration::from_secs(60);

/// Carries out what is due; returns how many orders were handled.
pub fn carry_out_due(
    source: &mut dyn Source,
    plan: &SourcePlan,
    store: &dyn Store,
    clock: &dyn Clock,
) -> Result<usize> {
    if !plan.has_actions() {
        return Ok(0);
    }
    let due = store.actions_due(&plan.name, ACTIONS_MAX, clock.now())?;
    for one in &due {
        if let Some(ended) = carry_out(source, plan, store, clock, one)? {
            store.end_action(&plan.name, &one.key, ended, clock.now())?;
        }
    }
    Ok(due.len())
}

/// `None` when it was not due any more.
fn carry_out(
    source: &mut dyn Source,
    plan: &SourcePlan,
    store: &dyn Store,
    clock: &dyn Clock,
    due: &DueAction,
) -> Result<Option<ActionEnded>> {
    let wanted = if due.delivered { &plan.on_delivered } else { &plan.on_dead };
    let action = match (&due.journaled, wanted) {
        // Cut off before: the same order again, whatever the date is by now.
        (Some(journaled), _) => journaled.clone(),
        (None, AfterAction::Keep) => return Ok(Some(ActionEnded::Nothing)),
        (None, AfterAction::Delete) => Action::Delete,
        (None, AfterAction::Move(folder)) => match target(folder, plan, due, clock.now()) {
            Ok(target) => Action::Move(target),
            Err(error) => return Ok(Some(ActionEnded::Impossible(error.to_string()))),
        },
    };
    let order = ActionOrder { key: due.key.clone(), tuple: due.tuple, fingerprint: due.fingerprint, action };
    if due.journaled.is_none() {
        match store.journal_action(&plan.name, &order) {
            // Its dead letter is retried, or there is a newer version, since it was looked up.
            Err(error) if error.kind() == ErrorKind::Conflict => return Ok(None),
            journaled => journaled?,
        }
    }
    Ok(Some(match source.act(&order) {
        Ok(Acted::Done(place)) => {
            let place = place.map(|p| crate::change::key::shown(&p)).unwrap_or_default();
            tracing::debug!(source = %plan.name, key = %due.key, place, "after-action done");
            ActionEnded::Done
        }
        Ok(Acted::OtherVersion | Acted::Gone) => ActionEnded::Nothing,
        Ok(Acted::Impossible(reason)) => {
            tracing::error!(source = %plan.name, key = %due.key, reason, "after-action can't be done; see explain");
            ActionEnded::Impossible(reason)
        }
        Err(error) => {
            tracing::warn!(source = %plan.name, key = %due.key, %error, "after-action failed; it is tried again");
            ActionEnded::Later(error.to_string(), clock.now().plus(ACTION_RETRY))
        }
    }))
}

/// The path a file moves to, relative to the root: the rendered folder and the file's own name.
fn target(folder: &Template, plan: &SourcePlan, due: &DueAction, now: Timestamp) -> Result<Vec<u8>> {
    let rendered = folder.render(|hole| fill(hole, plan, due, now));
    let confined = Path::new(&rendered).components().all(|c| matches!(c, Component::Normal(_) | Component::CurDir));
    if !confined || rendered.is_empty() {
        let rule = format!("move target \"{rendered}\" leaves the source's folder; use a path relative to it");
        return Err(Error::new(ErrorKind::Config, rule));
    }
    let mut path = rendered.trim_end_matches('/').as_bytes().to_vec();
    path.push(b'/');
    path.extend_from_slice(due.key.name());
    Ok(path)
}

/// Values stand in one path component each: separators in them would make folders nobody asked for.
fn fill(hole: &Placeholder, plan: &SourcePlan, due: &DueAction, now: Timestamp) -> String {
    let name = String::from_utf8_lossy(due.key.name()).into_owned();
    let value = match hole.name.as_str() {
        "name" => name,
        "stem" => Path::new(&name).file_stem().map(|s| s.to_string_lossy().into_owned()).unwrap_or_default(),
        "path" | "key" => return due.key.shown().trim_start_matches('/').to_owned(),
        "source" => plan.name.to_string(),
        "type" => due.event_type.clone(),
        "id" => due.event.to_string(),
        "date" => now.strftime(hole.format.as_deref().unwrap_or("%Y-%m-%d")).unwrap_or_default(),
        _ => String::new(),
    };
    value.replace('/', "_")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::change::{Fingerprint, Key, Nature, Tuple};
    use crate::event::EventId;
    use crate::poll::plan::SourcePlan;
    use crate::source::settings::{FolderSettings, SourceKind, SourceSettings};
    use crate::source::{Binding, Ledger, Look, Looked};
    use crate::store::SourceRegistration;
    use crate::store::sqlite::SqliteStore;

    fn plan() -> SourcePlan {
        let settings = SourceSettings::sample(SourceKind::Folder(FolderSettings::sample("/tmp")));
        SourcePlan::new(&settings, "main", &std::collections::HashMap::new()).expect("valid")
    }

    fn due(key: &str) -> DueAction {
        DueAction {
            key: Key::from(key),
            event: EventId([1; 20]),
            event_type: "highwater.file.created".into(),
            tuple: Tuple::default(),
            fingerprint: Fingerprint::of(b""),
            delivered: true,
            journaled: None,
        }
    }

    fn moved(folder: &str, key: &str) -> Result<String> {
        let now = Timestamp::parse_rfc3339("2026-11-23T10:00:00Z").expect("valid");
        let folder = Template::parse(folder, &[]).expect("valid");
        target(&folder, &plan(), &due(key), now).map(|path| String::from_utf8(path).expect("UTF-8"))
    }

    /// A place where nothing may be touched.
    struct Untouchable;

    impl Source for Untouchable {
        fn nature(&self) -> Nature {
            Nature::File
        }

        fn tracks_keys(&self) -> bool {
            true
        }

        fn binding(&self) -> Binding {
            Binding { location: String::new(), filters: String::new() }
        }

        fn poll(&mut self, _: &Look<'_>, _: &mut dyn Ledger) -> Result<Looked> {
            Ok(Looked::default())
        }

        fn probe(&mut self) -> Result<Vec<String>> {
            Ok(Vec::new())
        }

        fn explain(&mut self, _: &Key) -> Result<Vec<String>> {
            Ok(Vec::new())
        }

        fn act(&mut self, order: &ActionOrder) -> Result<Acted> {
            panic!("{order:?} is not due")
        }
    }

    #[test]
    fn what_was_taken_back_since_it_was_looked_up_is_not_carried_out() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let store = SqliteStore::open(&folder.path().join("s.db")).expect("a new store");
        let clock = crate::clock::SystemClock::new();
        let plan = SourcePlan { on_delivered: AfterAction::Delete, ..plan() };
        let registration = SourceRegistration { name: plan.name.clone(), was: None, kind: "folder" };
        store.register(&[registration], &[], clock.now()).expect("registers");
        let ended = carry_out(&mut Untouchable, &plan, &store, &clock, &due("a.csv")).expect("no error");
        assert_eq!(ended, None);
    }

    #[test]
    fn a_move_target_is_the_rendered_folder_and_the_files_name() {
        assert_eq!(moved("archive/{date}", "in/a.csv").expect("valid"), "archive/2026-11-23/a.csv");
        assert_eq!(moved("done/{date:%Y%m}/{stem}", "a.csv").expect("valid"), "done/202611/a/a.csv");
    }

    #[test]
    fn a_move_target_never_leaves_the_root() {
        assert!(moved("../out", "a.csv").is_err());
        assert!(moved("/out", "a.csv").is_err());
        assert!(moved("{path}", "../../a.csv").is_err());
    }
}
