//! How a received request is shown: a compact line for people, or the event as JSON.

use std::borrow::Cow;

use http::HeaderMap;
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value, json};

use super::{Seen, Signature};
use crate::change::key::shown;
use crate::net::signature::WEBHOOK_ID;

/// A subject is shown up to this many characters.
const SUBJECT_CHARS_MAX: usize = 100;

/// `10:15:02Z POST /in created orders-17.csv evt_... attempt 1 signature ok 204 again`.
pub(super) fn compact(seen: &Seen) -> String {
    let body: Option<Value> = serde_json::from_slice(&seen.body).ok();
    let text = |name: &str| attribute(seen, body.as_ref(), name);
    let kind = text("type").unwrap_or_else(|| "-".into());
    let subject = text("subject").unwrap_or_else(|| "-".into());
    let id = header(&seen.headers, WEBHOOK_ID.as_str()).or_else(|| text("id")).unwrap_or_else(|| "-".into());
    let time = seen.at.strftime("%H:%M:%SZ").unwrap_or_default();
    let mut line = format!("{time} {} {} {kind} {} {id}", seen.method, shown(seen.target.as_bytes()), cut(subject));
    if let Some(attempt) = header(&seen.headers, "highwater-attempt") {
        line.push_str(&format!(" attempt {attempt}"));
    }
    if header(&seen.headers, "highwater-gap").is_some() {
        line.push_str(" gap");
    }
    match &seen.signature {
        Signature::Good => line.push_str(" signature ok"),
        Signature::Bad(why) => line.push_str(&format!(" signature BAD ({why})")),
        Signature::Unchecked => line.push_str(" signature none"),
    }
    line.push_str(&format!(" {}", seen.status.as_u16()));
    if seen.is_again {
        line.push_str(" again");
    }
    line
}

/// The event as one line of JSON: the body itself; of raw content its attributes and size.
pub(super) fn event(seen: &Seen) -> String {
    if let Ok(body) = serde_json::from_slice::<Value>(&seen.body) {
        return body.to_string();
    }
    let mut event = Map::new();
    for (name, value) in &seen.headers {
        if let Some(name) = name.as_str().strip_prefix("ce-") {
            let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
            event.insert(name.to_owned(), Value::String(percent_decoded(&value)));
        }
    }
    event.insert("data".into(), json!({ "content_bytes": seen.body.len() }));
    Value::Object(event).to_string()
}

/// An attribute of the event, wherever the content mode puts it.
fn attribute(seen: &Seen, body: Option<&Value>, name: &str) -> Option<String> {
    if let Some(value) = header(&seen.headers, &format!("ce-{name}")) {
        return Some(shown(percent_decoded(&value).as_bytes()));
    }
    let value = body?.get(name)?.as_str()?;
    Some(shown(value.as_bytes())).filter(|value| !value.is_empty())
}

fn header(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name).map(|value| shown(value.as_bytes()))
}

fn cut(text: String) -> Cow<'static, str> {
    match text.char_indices().nth(SUBJECT_CHARS_MAX) {
        Some((at, _)) => format!("{}...", &text[..at]).into(),
        None => text.into(),
    }
}

/// The reverse of CloudEvents' header encoding; what is no escape stays as it is.
fn percent_decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::StatusCode;

    use super::*;
    use crate::clock::Timestamp;
    use crate::net::signature::Why;

    fn seen(headers: &[(&'static str, &str)], body: &str) -> Seen {
        Seen {
            at: Timestamp::parse_rfc3339("2026-11-23T10:15:02Z").expect("valid"),
            method: "POST".into(),
            target: "/in".into(),
            headers: headers
                .iter()
                .map(|(name, value)| (http::HeaderName::from_static(name), value.parse().expect("header")))
                .collect(),
            body: Bytes::copy_from_slice(body.as_bytes()),
            signature: Signature::Unchecked,
            is_again: false,
            status: StatusCode::NO_CONTENT,
        }
    }

    #[test]
    fn a_line_says_what_came_and_what_was_answered() {
        let body = r#"{"id":"evt_x","type":"highwater.file.created","subject":"a b.csv"}"#;
        let mut one = seen(&[("webhook-id", "evt_x"), ("highwater-attempt", "2"), ("highwater-gap", "true")], body);
        assert_eq!(
            compact(&one),
            "10:15:02Z POST /in highwater.file.created a b.csv evt_x attempt 2 gap signature none 204"
        );
        one.signature = Signature::Bad(Why::Mismatch);
        one.is_again = true;
        one.status = StatusCode::UNAUTHORIZED;
        assert!(compact(&one).ends_with("signature BAD (made with another secret or over other bytes) 401 again"));
        assert_eq!(event(&one), body);
    }

    #[test]
    fn raw_content_is_shown_by_its_headers_and_nothing_steers_the_terminal() {
        let raw = seen(&[("ce-subject", "%C3%BC%20%1B[2J.csv"), ("ce-type", "t"), ("ce-id", "evt_y")], "\u{1}not json");
        assert_eq!(compact(&raw), "10:15:02Z POST /in t ü \\u{1b}[2J.csv evt_y signature none 204");
        assert_eq!(event(&raw), r#"{"subject":"ü \u001b[2J.csv","type":"t","id":"evt_y","data":{"content_bytes":9}}"#);
        assert!(compact(&seen(&[], "")).contains(" - - - "));
    }
}
