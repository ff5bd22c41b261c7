//! What an answer, or the lack of one, means for a delivery (DESIGN section 8). Pure; sending belongs to `sink::http`.

use std::time::Duration;

use http::{HeaderMap, StatusCode, header};

use crate::change::key::shown;
use crate::clock::Timestamp;
use crate::error::{Error, Result};
use crate::net::client::Answer;
use crate::net::failure::{Failure, FailureKind};
use crate::sink::{Outcome, Report};

/// A receiver can hold its sink at most this long with `Retry-After`.
pub const RETRY_AFTER_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// A summary quotes at most this many characters of an answer.
const QUOTE_CHARS_MAX: usize = 120;

/// What a status means; `retry_after` is what the answer asked for. Statuses that the table of DESIGN section 8 does not
/// name are faults: tried by the full schedule, and the alert names them.
pub fn outcome(status: StatusCode, retry_after: Option<Duration>) -> Outcome {
    match status.as_u16() {
        200..=299 => Outcome::Delivered,
        400 | 406 | 411 | 413 | 414 | 415 | 422 | 431 | 501 | 505 => Outcome::Rejected,
        408 | 409 | 425 | 429 | 500..=599 => Outcome::Transient { retry_after },
        410 => Outcome::Gone,
        _ => Outcome::Fault,
    }
}

/// How long the answer asks to wait: seconds, or a date seen from the answer's own `Date`, so that a clock that is off
/// on either side cancels out; `now` stands in where there is none. Nothing for "now", the past and nonsense, so that the
/// sink's own schedule applies; never more than [`RETRY_AFTER_MAX`].
pub fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    let wait = if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
        text.parse().map_or(RETRY_AFTER_MAX, Duration::from_secs)
    } else {
        let until = httpdate::parse_http_date(text).ok()?;
        let sent = headers.get(header::DATE).and_then(|date| date.to_str().ok());
        let sent = sent.and_then(|date| httpdate::parse_http_date(date).ok());
        let now = Duration::from_millis(u64::try_from(now.millis()).unwrap_or(0));
        until.duration_since(sent.unwrap_or(std::time::UNIX_EPOCH + now)).ok()?
    };
    (!wait.is_zero()).then_some(wait.min(RETRY_AFTER_MAX))
}

/// The report of an attempt that got an answer.
pub fn report(answer: Answer, now: Timestamp) -> Report {
    let outcome = outcome(answer.status, retry_after(&answer.headers, now));
    Report {
        code: Some(i32::from(answer.status.as_u16())),
        summary: summary(&answer, &outcome),
        output: answer.body,
        outcome,
    }
}

/// The report of an attempt that got none.
///
/// # Errors
/// When the reason is ours: content that can't be read to its end.
pub fn report_failure(failure: Failure) -> Result<Report> {
    let outcome = match failure.kind {
        FailureKind::Dns | FailureKind::Connect | FailureKind::Reset | FailureKind::Timeout => {
            Outcome::Transient { retry_after: None }
        }
        FailureKind::Tls | FailureKind::Forbidden | FailureKind::NotHttp => Outcome::Fault,
        FailureKind::Body => return Err(Error::internal(failure.summary)),
    };
    Ok(Report::new(outcome, failure.summary))
}

fn summary(answer: &Answer, outcome: &Outcome) -> String {
    let status = answer.status;
    let mut line = match status.canonical_reason() {
        Some(reason) => format!("{} {reason}", status.as_u16()),
        None => status.as_u16().to_string(),
    };
    if status.is_redirection() {
        match answer.headers.get(header::LOCATION) {
            Some(location) => {
                line.push_str(&format!(" to {}; not followed, set the sink's url", shown(location.as_bytes())));
            }
            None => line.push_str("; redirects are not followed"),
        }
    }
    if let Outcome::Transient { retry_after: Some(wait) } = outcome {
        line.push_str(&format!(", asks to wait {}", crate::setting::Interval::from(*wait)));
    }
    if *outcome != Outcome::Delivered {
        let quote = first_text(&answer.body);
        if !quote.is_empty() {
            line.push_str(": ");
            line.push_str(&quote);
        }
    } else if let Some(broken) = &answer.broken {
        line.push_str(&format!(" ({})", broken.summary));
    }
    line
}

/// The first words of an answer's body on one line; of HTML its title, else its first text.
fn first_text(body: &[u8]) -> String {
    let body = String::from_utf8_lossy(&body[..body.len().min(4 * 1024)]);
    let text = if body.trim_start().starts_with('<') { without_tags(&body) } else { body.into_owned() };
    let mut line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if let Some((at, _)) = line.char_indices().nth(QUOTE_CHARS_MAX) {
        line.truncate(at);
        line.push_str("...");
    }
    shown(line.as_bytes())
}

fn without_tags(html: &str) -> String {
    let lower = html.to_ascii_lowercase();
    if let Some(start) = lower.find("<title>").map(|at| at + "<title>".len())
        && let Some(end) = lower[start..].find("</title>")
        && !html[start..start + end].trim().is_empty()
    {
        return html[start..start + end].to_owned();
    }
    let mut text = String::new();
    let mut at = 0;
    while let Some(open) = lower[at..].find('<').map(|found| at + found) {
        text.push_str(&html[at..open]);
        text.push(' ');
        let hidden = ["script", "style"].into_iter().find(|tag| lower[open + 1..].starts_with(tag));
        let close = hidden.map_or(">".to_owned(), |tag| format!("</{tag}>"));
        let Some(end) = lower[open..].find(&close) else { return text };
        at = open + end + close.len();
    }
    text.push_str(&html[at..]);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(status: u16) -> Outcome {
        outcome(StatusCode::from_u16(status).expect("a status"), None)
    }

    #[test]
    fn every_status_has_the_outcome_of_the_contract() {
        let transient = Outcome::Transient { retry_after: None };
        let table: [(&[u16], Outcome); 5] = [
            (&[200, 201, 202, 204, 299], Outcome::Delivered),
            (&[408, 409, 425, 429, 500, 502, 503, 504, 507, 520, 599], transient),
            (&[300, 301, 302, 303, 304, 307, 308, 401, 403, 404, 405, 407, 402, 418, 426, 451, 600], Outcome::Fault),
            (&[400, 406, 411, 413, 414, 415, 422, 431, 501, 505], Outcome::Rejected),
            (&[410], Outcome::Gone),
        ];
        for (statuses, expected) in table {
            for status in statuses {
                assert_eq!(at(*status), expected, "{status}");
            }
        }
    }

    fn asked(headers: &[(header::HeaderName, &str)]) -> Option<u64> {
        let map = headers.iter().map(|(name, value)| (name.clone(), value.parse().expect("header"))).collect();
        // 1994-11-15T08:12:31Z
        retry_after(&map, Timestamp::from_millis(784_887_151_000)).map(|wait| wait.as_secs())
    }

    #[test]
    fn retry_after_is_read_as_seconds_and_as_a_date() {
        let (after, date) = (header::RETRY_AFTER, header::DATE);
        assert_eq!(asked(&[(after.clone(), "120")]), Some(120));
        assert_eq!(asked(&[(after.clone(), "Tue, 15 Nov 1994 08:13:31 GMT")]), Some(60));
        let skewed = (date.clone(), "Tue, 15 Nov 1994 09:12:31 GMT");
        assert_eq!(asked(&[(after.clone(), "Tue, 15 Nov 1994 09:13:31 GMT"), skewed.clone()]), Some(60));
        assert_eq!(asked(&[(after.clone(), "Tuesday, 15-Nov-94 09:13:31 GMT"), skewed.clone()]), Some(60));
        assert_eq!(asked(&[(after.clone(), "Tue Nov 15 09:13:31 1994"), skewed.clone()]), Some(60));
        assert_eq!(asked(&[(after.clone(), "999999999999999999999")]), Some(86_400));
        assert_eq!(asked(&[(after.clone(), "172800")]), Some(86_400));
        for nonsense in ["0", "-5", "soon", "1.5", "", "Tue, 15 Nov 1994 08:12:31 GMT"] {
            assert_eq!(asked(&[(after.clone(), nonsense)]), None, "{nonsense:?}");
        }
        assert_eq!(asked(&[skewed]), None);
    }

    fn summary_of(status: u16, headers: &[(header::HeaderName, &str)], body: &str) -> String {
        let headers = headers.iter().map(|(name, value)| (name.clone(), value.parse().expect("header"))).collect();
        let status = StatusCode::from_u16(status).expect("a status");
        report(Answer { status, headers, body: body.into(), broken: None }, Timestamp::default()).summary
    }

    #[test]
    fn a_summary_names_status_location_and_first_text() {
        assert_eq!(summary_of(204, &[], ""), "204 No Content");
        assert_eq!(summary_of(200, &[], "ignored"), "200 OK");
        assert_eq!(
            summary_of(422, &[], "{\"error\":\n  \"no such order\"}"),
            "422 Unprocessable Entity: {\"error\": \"no such order\"}"
        );
        let location = [(header::LOCATION, "https://login.example.com/")];
        assert_eq!(
            summary_of(302, &location, ""),
            "302 Found to https://login.example.com/; not followed, set the sink's url"
        );
        let page = "<!doctype html><head><STYLE>a{}</STYLE><title> Proxy\n says no </title></head><body>x";
        assert_eq!(summary_of(403, &[], page), "403 Forbidden: Proxy says no");
        let bare = "<html><script>var a = '<b>';</script><h1>Bad</h1><p>gateway &amp; more</p>";
        assert_eq!(summary_of(502, &[], bare), "502 Bad Gateway: Bad gateway &amp; more");
        assert!(summary_of(500, &[], &"x".repeat(5000)).len() < 200);
        assert!(!summary_of(500, &[], "\u{1b}[31mred").contains('\u{1b}'));
        assert_eq!(summary_of(429, &[(header::RETRY_AFTER, "90")], ""), "429 Too Many Requests, asks to wait 90s");
    }

    #[test]
    fn a_failure_on_the_way_is_transient_and_a_wrong_setup_a_fault() {
        use FailureKind as F;
        for kind in [F::Dns, F::Connect, F::Reset, F::Timeout] {
            let report = report_failure(Failure::new(kind, "x")).expect("theirs");
            assert_eq!(report.outcome, Outcome::Transient { retry_after: None });
        }
        for kind in [F::Tls, F::Forbidden, F::NotHttp] {
            assert_eq!(report_failure(Failure::new(kind, "x")).expect("theirs").outcome, Outcome::Fault);
        }
        assert!(report_failure(Failure::new(F::Body, "x")).is_err());
    }
}
