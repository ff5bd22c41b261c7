//! Checking signatures: over the raw bytes, in constant time, before anything is parsed.

use std::fmt;
use std::time::Duration;

use data_encoding::{BASE64_NOPAD, HEXLOWER_PERMISSIVE};
use http::{HeaderMap, HeaderName};
use subtle::{Choice, ConstantTimeEq};

use super::{Scheme, Signing, WEBHOOK_ID, WEBHOOK_TIMESTAMP};
use crate::clock::Timestamp;

/// How far a timestamp may be off, either way, unless configured.
pub const TOLERANCE: Duration = Duration::from_secs(300);

/// At most this many signatures of one request are looked at.
pub const SIGNATURES_MAX: usize = 16;

/// A signature that is right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verified {
    /// Which secret it was made with: 0 is the current one.
    pub secret: usize,
    /// How many seconds our clock is ahead of the timestamp; `None` where the scheme has none.
    pub skew: Option<i64>,
}

/// Why a signature was refused. For the log; the sender is told nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Why {
    /// The header is not there.
    Missing(HeaderName),
    /// The header can't be read.
    Malformed(HeaderName, &'static str),
    /// It was made with another secret, or over other bytes.
    Mismatch,
    /// It is right, but too old or from the future.
    Skewed {
        /// How many seconds our clock is ahead of the timestamp.
        seconds: i64,
    },
}

impl Signing {
    /// Checks the signature of `body`. Every secret and every signature given is compared, whichever fits.
    ///
    /// # Errors
    /// The reason; [`Why::Skewed`] only when the signature itself is right, so that a wrong clock can be told from a
    /// wrong secret.
    pub fn verify(
        &self,
        headers: &HeaderMap,
        body: &[u8],
        now: Timestamp,
        tolerance: Duration,
    ) -> Result<Verified, Why> {
        let written = text_of(headers, &self.header)?;
        match self.scheme {
            Scheme::Standard => {
                let id = text_of(headers, &WEBHOOK_ID)?;
                if id.is_empty() || id.contains('.') {
                    // A dot would let the border between id, time and body be moved.
                    return Err(Why::Malformed(WEBHOOK_ID, "is empty or holds a dot"));
                }
                let sent = text_of(headers, &WEBHOOK_TIMESTAMP)?;
                let seconds = seconds_of(sent).ok_or(Why::Malformed(WEBHOOK_TIMESTAMP, "is not Unix seconds"))?;
                let given = written.split(' ').filter_map(|one| one.strip_prefix("v1,")).filter_map(base64);
                let prefix = format!("{id}.{sent}.");
                let secret = self.matching(given, &[prefix.as_bytes(), body])?;
                in_time(secret, seconds, now, tolerance)
            }
            Scheme::Github => {
                let hex = written.strip_prefix("sha256=");
                let hex = hex.ok_or_else(|| Why::Malformed(self.header.clone(), "does not begin with sha256="))?;
                let secret = self.matching(hex_bytes(hex).into_iter(), &[body])?;
                Ok(Verified { secret, skew: None })
            }
            Scheme::Stripe => {
                let fields = || written.split(',').filter_map(|field| field.trim().split_once('='));
                let sent = fields().find(|(name, _)| *name == "t").map(|(_, value)| value);
                let malformed = || Why::Malformed(self.header.clone(), "has no t=SECONDS");
                let sent = sent.ok_or_else(malformed)?;
                let seconds = seconds_of(sent).ok_or_else(malformed)?;
                let given = fields().filter(|(name, _)| *name == "v1").filter_map(|(_, value)| hex_bytes(value));
                let secret = self.matching(given, &[sent.as_bytes(), b".", body])?;
                in_time(secret, seconds, now, tolerance)
            }
        }
    }

    /// The number of the secret that one of the `given` signatures was made with.
    fn matching(&self, given: impl Iterator<Item = [u8; 32]>, parts: &[&[u8]]) -> Result<usize, Why> {
        let given: Vec<[u8; 32]> = given.take(SIGNATURES_MAX).collect();
        let fits: Vec<Choice> = self
            .keys
            .iter()
            .map(|key| {
                let expected = key.mac(parts);
                given.iter().fold(Choice::from(0), |any, one| any | one.ct_eq(&expected))
            })
            .collect();
        fits.into_iter().position(bool::from).ok_or(Why::Mismatch)
    }
}

fn text_of<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Result<&'h str, Why> {
    let value = headers.get(name).ok_or_else(|| Why::Missing(name.clone()))?;
    value.to_str().map_err(|_| Why::Malformed(name.clone(), "is not text"))
}

fn seconds_of(text: &str) -> Option<i64> {
    text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

fn base64(text: &str) -> Option<[u8; 32]> {
    BASE64_NOPAD.decode(text.trim_end_matches('=').as_bytes()).ok()?.try_into().ok()
}

fn hex_bytes(text: &str) -> Option<[u8; 32]> {
    HEXLOWER_PERMISSIVE.decode(text.as_bytes()).ok()?.try_into().ok()
}

fn in_time(secret: usize, sent: i64, now: Timestamp, tolerance: Duration) -> Result<Verified, Why> {
    let skew = now.seconds().saturating_sub(sent);
    if skew.unsigned_abs() > tolerance.as_secs() {
        return Err(Why::Skewed { seconds: skew });
    }
    Ok(Verified { secret, skew: Some(skew) })
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(header) => write!(f, "header {header} is missing"),
            Self::Malformed(header, rule) => write!(f, "header {header} {rule}"),
            Self::Mismatch => f.write_str("made with another secret or over other bytes"),
            Self::Skewed { seconds } if *seconds < 0 => {
                write!(f, "right, but its time is {} s ahead of this clock", seconds.unsigned_abs())
            }
            Self::Skewed { seconds } => write!(f, "right, but its time is {seconds} s behind this clock"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_700_000_000;

    fn signing(scheme: Scheme, secrets: &[&str]) -> Signing {
        let secrets: Vec<String> = secrets.iter().map(|s| (*s).to_owned()).collect();
        Signing::new(scheme, None, &secrets).expect("valid secrets")
    }

    fn check(by: &Signing, headers: &HeaderMap, body: &[u8]) -> Result<Verified, Why> {
        by.verify(headers, body, Timestamp::from_millis(NOW * 1000), TOLERANCE)
    }

    fn signed(by: &Signing, at: i64, body: &[u8]) -> HeaderMap {
        by.sign("evt_1", at, body).into_iter().collect()
    }

    #[test]
    fn what_we_sign_verifies_and_one_changed_byte_does_not() {
        for scheme in Scheme::ALL {
            let both = signing(scheme, &["one", "two"]);
            let headers = signed(&both, NOW - 5, b"body");
            let skew = (scheme != Scheme::Github).then_some(5);
            assert_eq!(check(&both, &headers, b"body"), Ok(Verified { secret: 0, skew }));
            assert_eq!(check(&both, &headers, b"bodY"), Err(Why::Mismatch));
            assert_eq!(check(&signing(scheme, &["three"]), &headers, b"body"), Err(Why::Mismatch));
            let rotated = signing(scheme, &["new", "one"]);
            assert_eq!(check(&rotated, &headers, b"body").map(|v| v.secret), Ok(1));
            assert!(matches!(check(&both, &HeaderMap::new(), b"body"), Err(Why::Missing(_))));
        }
    }

    #[test]
    fn the_time_is_checked_both_ways_and_the_skew_is_measured() {
        for scheme in [Scheme::Standard, Scheme::Stripe] {
            let by = signing(scheme, &["one"]);
            for (sent, expected) in [(300, Ok(-300)), (-300, Ok(300)), (301, Err(-301)), (-301, Err(301))] {
                let answer = check(&by, &signed(&by, NOW + sent, b"x"), b"x");
                match expected {
                    Ok(skew) => assert_eq!(answer, Ok(Verified { secret: 0, skew: Some(skew) })),
                    Err(seconds) => assert_eq!(answer, Err(Why::Skewed { seconds })),
                }
            }
            let late = signed(&by, NOW - 999, b"x");
            assert_eq!(
                check(&signing(scheme, &["other"]), &late, b"x"),
                Err(Why::Mismatch),
                "a wrong secret comes first"
            );
        }
    }

    #[test]
    fn unknown_versions_are_passed_over_and_short_signatures_refused() {
        let by = signing(Scheme::Standard, &["one"]);
        let mut headers = signed(&by, NOW, b"x");
        let good = headers[by.header()].to_str().expect("text").to_owned();
        for (written, fits) in [
            (format!("v1a,AAAA v2,zzz {good}"), true),
            (good.trim_end_matches('=').to_owned(), true),
            (good[..good.len() - 8].to_owned(), false),
            ("v1,".to_owned(), false),
            (String::new(), false),
        ] {
            headers.insert(by.header().clone(), written.parse().expect("header"));
            assert_eq!(check(&by, &headers, b"x").is_ok(), fits, "{written}");
        }
    }

    #[test]
    fn the_border_between_id_time_and_body_cannot_be_moved() {
        let by = signing(Scheme::Standard, &["one"]);
        let body = format!("{NOW}.forged");
        let mut headers: HeaderMap = by.sign("evt_1", NOW, body.as_bytes()).into_iter().collect();
        headers.insert(WEBHOOK_ID, format!("evt_1.{NOW}").parse().expect("header"));
        assert!(matches!(check(&by, &headers, b"forged"), Err(Why::Malformed(..))));
    }
}
