//! The pure decision: what is known of a key, and what was seen of it, make one change or none.
//! Ids, sequences and storing are the caller's.

use super::{Absence, Fingerprint, Kind, Known, Presence, Sight, Tuple, Version};

/// What a source lets the diff say.
#[derive(Debug, Clone)]
pub struct Policy {
    /// Whether known keys tell created from changed; without it a row is `upserted`.
    pub tracks_keys: bool,
    /// Whether entries are messages received once, known by key alone.
    pub received: bool,
    /// An unknown key starts behind this revision: the highest one that was pruned.
    pub pruned_revision: u64,
}

/// What to do about one entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Tell this change, and remember `known`.
    Tell {
        /// What happened.
        kind: Kind,
        /// The number of this key's event.
        revision: u64,
        /// The version told; the last one for a removal, none for received messages.
        fingerprint: Option<Fingerprint>,
        /// What is known from now on.
        known: Known,
    },
    /// Tell nothing, but remember `known`.
    Remember(Known),
    /// Tell nothing; nothing is new.
    Nothing,
}

/// Decides what one sight of a key means.
pub fn decide(known: Option<&Known>, sight: &Sight, policy: &Policy) -> Decision {
    match sight {
        Sight::Version(version) if known.is_some_and(Known::is_vouched) => seen(known, version, policy),
        Sight::Version(version) if policy.received => received(known, version),
        Sight::Version(version) if !policy.tracks_keys => upserted(known, version, policy),
        Sight::Version(version) => tracked(known, version, policy),
        Sight::Present { tuple } => remembered(known, *tuple, policy),
        Sight::Seen(version) => seen(known, version, policy),
        Sight::Gone(absence) => gone(known, *absence),
        Sight::Forgotten => forgotten(known),
        Sight::Refused { .. } => Decision::Nothing,
    }
}

fn next_known(version: &Version, revision: u64) -> Known {
    Known {
        fingerprint: version.fingerprint,
        revision,
        presence: Presence::Present,
        tuple: version.tuple,
        note: version.note.clone(),
        size: version.tuple.map_or(0, |t| t.size),
    }
}

fn tell(kind: Kind, version: &Version, revision: u64) -> Decision {
    let known = next_known(version, revision);
    Decision::Tell { kind, revision, fingerprint: version.fingerprint, known }
}

fn received(known: Option<&Known>, version: &Version) -> Decision {
    match known {
        Some(_) => Decision::Nothing,
        None => Decision::Tell { kind: Kind::Received, revision: 0, fingerprint: None, known: next_known(version, 0) },
    }
}

/// Rows without key tracking: the revision counts this key's events at this watermark.
fn upserted(known: Option<&Known>, version: &Version, policy: &Policy) -> Decision {
    match known {
        Some(k) if k.note == version.note && k.fingerprint == version.fingerprint => Decision::Nothing,
        Some(k) if k.note == version.note => tell(Kind::Upserted, version, k.revision + 1),
        _ => tell(Kind::Upserted, version, policy.pruned_revision + 1),
    }
}

fn tracked(known: Option<&Known>, version: &Version, policy: &Policy) -> Decision {
    let Some(k) = known else {
        let kind = if version.from.is_some() { Kind::Renamed } else { Kind::Created };
        return tell(kind, version, policy.pruned_revision + 1);
    };
    let same_content = k.fingerprint == version.fingerprint;
    match k.presence {
        Presence::Present if same_content => touched(k, version),
        Presence::Present => tell(Kind::Changed, version, k.revision + 1),
        // The very same file came back (a share that was unmounted); its absence was never told.
        Presence::Absent if same_content && k.tuple == version.tuple => {
            Decision::Remember(Known { presence: Presence::Present, ..k.clone() })
        }
        Presence::Absent | Presence::Removed => {
            let kind = if version.from.is_some() { Kind::Renamed } else { Kind::Created };
            tell(kind, version, k.revision + 1)
        }
    }
}

/// Same content under a new tuple or note is a touch: remembered, so that it is not read again, and never told.
fn touched(k: &Known, version: &Version) -> Decision {
    if k.tuple == version.tuple && k.note == version.note {
        return Decision::Nothing;
    }
    Decision::Remember(Known { tuple: version.tuple, note: version.note.clone(), ..k.clone() })
}

fn remembered(known: Option<&Known>, tuple: Tuple, policy: &Policy) -> Decision {
    let revision = known.map_or(policy.pruned_revision, |k| k.revision);
    let next = Known {
        fingerprint: None,
        revision,
        presence: Presence::Present,
        tuple: Some(tuple),
        note: Box::default(),
        size: tuple.size,
    };
    match known {
        Some(k) if k.presence == Presence::Present && k.tuple == Some(tuple) => Decision::Nothing,
        _ => Decision::Remember(next),
    }
}

fn seen(known: Option<&Known>, version: &Version, policy: &Policy) -> Decision {
    let next = next_known(version, known.map_or(policy.pruned_revision, |k| k.revision));
    if known == Some(&next) { Decision::Nothing } else { Decision::Remember(next) }
}

fn gone(known: Option<&Known>, absence: Absence) -> Decision {
    let Some(k) = known else { return Decision::Nothing };
    match (k.presence, absence) {
        (Presence::Present, Absence::Told) => {
            let revision = k.revision + 1;
            let next = Known { revision, presence: Presence::Removed, ..k.clone() };
            Decision::Tell { kind: Kind::Removed, revision, fingerprint: k.fingerprint, known: next }
        }
        (Presence::Present, Absence::Untold) => Decision::Remember(Known { presence: Presence::Absent, ..k.clone() }),
        // What we took away ourselves counts as removed: a new file of that name is a new file.
        (Presence::Present | Presence::Absent, Absence::ByUs) => {
            Decision::Remember(Known { presence: Presence::Removed, ..k.clone() })
        }
        _ => Decision::Nothing,
    }
}

fn forgotten(known: Option<&Known>) -> Decision {
    match known {
        Some(k) if k.presence != Presence::Removed => {
            Decision::Remember(Known { presence: Presence::Removed, ..k.clone() })
        }
        _ => Decision::Nothing,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::change::Facts;
    use proptest::prelude::*;

    fn files() -> Policy {
        Policy { tracks_keys: true, received: false, pruned_revision: 0 }
    }

    fn version(content: &[u8], inode: u64) -> Sight {
        Sight::Version(Box::new(Version {
            fingerprint: Some(Fingerprint::of(content)),
            facts: Facts::File { size: content.len() as u64, modified: None },
            content: None,
            tuple: Some(Tuple { size: content.len() as u64, inode, ..Tuple::default() }),
            note: Box::default(),
            settled: false,
            from: None,
        }))
    }

    fn play(sights: &[Sight], policy: &Policy) -> Vec<(Kind, u64)> {
        let mut known: Option<Known> = None;
        let mut told = Vec::new();
        for sight in sights {
            match decide(known.as_ref(), sight, policy) {
                Decision::Tell { kind, revision, known: next, .. } => {
                    told.push((kind, revision));
                    known = Some(next);
                }
                Decision::Remember(next) => known = Some(next),
                Decision::Nothing => {}
            }
        }
        told
    }

    #[test]
    fn a_b_a_gives_three_events_and_a_touch_none() {
        let sights = [version(b"A", 1), version(b"A", 2), version(b"B", 2), version(b"A", 2)];
        assert_eq!(play(&sights, &files()), [(Kind::Created, 1), (Kind::Changed, 2), (Kind::Changed, 3)]);
    }

    #[test]
    fn revisions_survive_removal() {
        let sights = [version(b"A", 1), Sight::Gone(Absence::Told), version(b"A", 1)];
        assert_eq!(play(&sights, &files()), [(Kind::Created, 1), (Kind::Removed, 2), (Kind::Created, 3)]);
    }

    #[test]
    fn the_same_file_back_after_an_untold_absence_is_no_event_but_a_new_file_is() {
        let back = [version(b"A", 1), Sight::Gone(Absence::Untold), version(b"A", 1)];
        assert_eq!(play(&back, &files()), [(Kind::Created, 1)]);
        let new = [version(b"A", 1), Sight::Gone(Absence::Untold), version(b"A", 2)];
        assert_eq!(play(&new, &files()), [(Kind::Created, 1), (Kind::Created, 2)]);
    }

    #[test]
    fn what_we_moved_away_ourselves_is_not_told_and_a_new_drop_is_created() {
        let sights = [version(b"A", 1), Sight::Gone(Absence::ByUs), version(b"A", 1)];
        assert_eq!(play(&sights, &files()), [(Kind::Created, 1), (Kind::Created, 2)]);
    }

    #[test]
    fn what_was_only_remembered_is_changed_when_it_changes() {
        let tuple = Tuple { size: 9, ..Tuple::default() };
        let sights = [Sight::Present { tuple }, Sight::Present { tuple }, version(b"A", 1)];
        assert_eq!(play(&sights, &files()), [(Kind::Changed, 1)]);
    }

    #[test]
    fn an_unknown_key_starts_behind_the_highest_pruned_revision() {
        let policy = Policy { pruned_revision: 7, ..files() };
        assert_eq!(play(&[version(b"A", 1)], &policy), [(Kind::Created, 8)]);
    }

    #[test]
    fn of_a_key_named_as_seen_the_first_version_is_remembered_and_the_next_told() {
        let mut known = Known::vouched(4);
        let mut told = Vec::new();
        for sight in [Sight::Gone(Absence::Told), version(b"A", 1), version(b"A", 2), version(b"B", 2)] {
            match decide(Some(&known), &sight, &files()) {
                Decision::Tell { kind, revision, known: next, .. } => {
                    told.push((kind, revision));
                    known = next;
                }
                Decision::Remember(next) => known = next,
                Decision::Nothing => {}
            }
        }
        assert_eq!(told, [(Kind::Changed, 5)]);
        assert!(!known.is_vouched());
    }

    fn row(content: &[u8], watermark: &[u8]) -> Sight {
        let Sight::Version(mut v) = version(content, 0) else { unreachable!("version() makes versions") };
        v.note = watermark.into();
        v.tuple = None;
        Sight::Version(v)
    }

    #[test]
    fn the_revision_of_an_untracked_row_counts_events_at_one_watermark() {
        let policy = Policy { tracks_keys: false, ..files() };
        let sights = [row(b"A", b"1"), row(b"A", b"1"), row(b"B", b"1"), row(b"B", b"2")];
        assert_eq!(play(&sights, &policy), [(Kind::Upserted, 1), (Kind::Upserted, 2), (Kind::Upserted, 1)]);
    }

    #[test]
    fn a_row_that_was_only_seen_is_told_when_it_changes() {
        let seen = |sight| match sight {
            Sight::Version(version) => Sight::Seen(version),
            other => other,
        };
        let policy = Policy { tracks_keys: false, ..files() };
        let sights = [seen(row(b"A", b"1")), row(b"A", b"1"), seen(row(b"A", b"1")), row(b"B", b"1")];
        assert_eq!(play(&sights, &policy), [(Kind::Upserted, 1)]);
    }

    #[test]
    fn a_received_message_is_told_once() {
        let policy = Policy { received: true, ..files() };
        assert_eq!(play(&[row(b"A", b""), row(b"B", b"")], &policy), [(Kind::Received, 0)]);
    }

    proptest! {
        #[test]
        fn seeing_the_same_thing_twice_never_tells_twice(steps in prop::collection::vec(0u8..5, 1..40)) {
            let mut known: Option<Known> = None;
            let mut last_revision = 0;
            for step in steps {
                let sight = || match step {
                    0 => version(b"A", 1),
                    1 => version(b"B", 1),
                    2 => version(b"A", 2),
                    3 => Sight::Gone(Absence::Told),
                    _ => Sight::Gone(Absence::ByUs),
                };
                if let Decision::Tell { revision, known: next, .. } = decide(known.as_ref(), &sight(), &files()) {
                    prop_assert_eq!(revision, last_revision + 1);
                    last_revision = revision;
                    known = Some(next);
                } else if let Decision::Remember(next) = decide(known.as_ref(), &sight(), &files()) {
                    known = Some(next);
                }
                prop_assert_eq!(decide(known.as_ref(), &sight(), &files()), Decision::Nothing);
            }
        }
    }
}
