//! An operator's changes, as they come from commands and travel through the control socket. How they are carried out
//! belongs to each store.

/// An operator's change, as it comes from a command.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case", tag = "operation")]
pub enum Operation {
    /// `pause NAME --for D --reason TEXT`: a source or a sink.
    Pause {
        /// The source's or sink's name.
        name: String,
        /// Why.
        reason: String,
        /// Milliseconds since the epoch at which it ends by itself.
        until_ms: Option<i64>,
    },
    /// `resume NAME`.
    Resume {
        /// The source's or sink's name.
        name: String,
    },
    /// `cancel DELIVERY`: all unfinished deliveries of an event, or the one to `sink`.
    Cancel {
        /// The event's id.
        event: String,
        /// Only to this sink.
        sink: Option<String>,
    },
    /// `dead retry`: dead letters are due again, at once, with a fresh schedule.
    DeadRetry(DeadFilter),
    /// `dead drop`: dead letters are cancelled; refused entries are forgotten.
    DeadDrop(DeadFilter),
    /// `dead ack`: dead letters and refused entries have been seen; they stay as they are, and are counted no more.
    DeadAck(DeadFilter),
    /// `cursor NAME reset`: forgets cursor and segments, keeps revisions and known versions.
    CursorReset {
        /// The source.
        source: String,
    },
    /// `cursor NAME set VALUE`.
    CursorSet {
        /// The source.
        source: String,
        /// The cursor in the source's own words.
        cursor: String,
    },
    /// `cursor NAME accept`: what holds it is wanted; the next poll goes on.
    CursorAccept {
        /// The source.
        source: String,
    },
    /// `cursor NAME skip`: what holds it is not wanted; the next poll remembers it without telling.
    CursorSkip {
        /// The source.
        source: String,
    },
    /// `cursor NAME seen`: of these keys, where they are not there yet, the version found first is remembered untold.
    CursorSeen {
        /// The source.
        source: String,
        /// The keys' bytes, each in Base64.
        keys_b64: Vec<String>,
    },
}

/// Which dead letters and refused entries.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct DeadFilter {
    /// Only this event.
    pub event: Option<String>,
    /// Only this sink.
    pub sink: Option<String>,
    /// Only this source.
    pub source: Option<String>,
    /// Also events older than one already delivered for their key.
    pub out_of_order: bool,
    /// Count, change nothing.
    pub dry_run: bool,
}
