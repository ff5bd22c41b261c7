//! Making signatures, over a body at hand or one that is read piece by piece.

use std::io::Read;

use data_encoding::{BASE64, HEXLOWER};
use hmac::{Hmac, Mac};
use http::{HeaderName, HeaderValue};
use sha2::Sha256;

use super::{Scheme, Signing, WEBHOOK_ID, WEBHOOK_TIMESTAMP};

/// Bytes read at a time while a stream is signed.
const READ_BYTES: usize = 64 * 1024;

/// A signature in the making; the body goes in through [`Signer::update`].
#[derive(Debug)]
pub struct Signer<'a> {
    signing: &'a Signing,
    id: &'a str,
    timestamp: i64,
    macs: Vec<Hmac<Sha256>>,
}

impl Signing {
    /// The headers that sign `body`, sent as message `id` at `timestamp` (Unix seconds of this attempt). With two
    /// secrets, standard and stripe carry a signature by each, the current one first; github has room for the current
    /// one alone.
    pub fn sign(&self, id: &str, timestamp: i64, body: &[u8]) -> Vec<(HeaderName, HeaderValue)> {
        let mut signer = self.begin(id, timestamp);
        signer.update(body);
        signer.headers()
    }

    /// As [`Signing::sign`], over a body that is read to its end in pieces.
    ///
    /// # Errors
    /// Those of the reader.
    pub fn sign_reader(
        &self,
        id: &str,
        timestamp: i64,
        body: &mut dyn Read,
    ) -> std::io::Result<Vec<(HeaderName, HeaderValue)>> {
        let mut signer = self.begin(id, timestamp);
        let mut piece = vec![0; READ_BYTES];
        loop {
            match body.read(&mut piece)? {
                0 => return Ok(signer.headers()),
                read => signer.update(&piece[..read]),
            }
        }
    }

    /// A signature whose body is still to come.
    pub fn begin<'a>(&'a self, id: &'a str, timestamp: i64) -> Signer<'a> {
        let keys = if self.scheme == Scheme::Github { &self.keys[..1] } else { &self.keys[..] };
        let prefix = match self.scheme {
            Scheme::Standard => format!("{id}.{timestamp}."),
            Scheme::Github => String::new(),
            Scheme::Stripe => format!("{timestamp}."),
        };
        let begin = |key: &super::key::Key| {
            let mut mac = key.begin();
            mac.update(prefix.as_bytes());
            mac
        };
        Signer { signing: self, id, timestamp, macs: keys.iter().map(begin).collect() }
    }
}

impl Signer<'_> {
    /// Takes the next piece of the body.
    pub fn update(&mut self, piece: &[u8]) {
        for mac in &mut self.macs {
            mac.update(piece);
        }
    }

    /// The headers of the finished signature.
    pub fn headers(self) -> Vec<(HeaderName, HeaderValue)> {
        let macs = self.macs.into_iter().map(|mac| <[u8; 32]>::from(mac.finalize().into_bytes()));
        let text = |text: String| HeaderValue::try_from(text).expect("ids, digits, base64 and hex are header text");
        let header = self.signing.header.clone();
        match self.signing.scheme {
            Scheme::Standard => {
                let each: Vec<String> = macs.map(|mac| format!("v1,{}", BASE64.encode(&mac))).collect();
                let id = HeaderValue::try_from(self.id).expect("an event id is header text");
                vec![
                    (WEBHOOK_ID, id),
                    (WEBHOOK_TIMESTAMP, HeaderValue::from(self.timestamp)),
                    (header, text(each.join(" "))),
                ]
            }
            Scheme::Github => {
                macs.map(|mac| (header.clone(), text(format!("sha256={}", HEXLOWER.encode(&mac))))).collect()
            }
            Scheme::Stripe => {
                let each: Vec<String> = macs.map(|mac| format!(",v1={}", HEXLOWER.encode(&mac))).collect();
                vec![(header, text(format!("t={}{}", self.timestamp, each.concat())))]
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signature(scheme: Scheme, secrets: &[&str], id: &str, at: i64, body: &[u8]) -> String {
        let secrets: Vec<String> = secrets.iter().map(|s| (*s).to_owned()).collect();
        let signing = Signing::new(scheme, None, &secrets).expect("valid secrets");
        let headers = signing.sign(id, at, body);
        let streamed = signing.sign_reader(id, at, &mut &body[..]).expect("memory can be read");
        assert_eq!(headers, streamed, "a streamed body has the signature of the whole one");
        let (_, value) = headers.into_iter().find(|(name, _)| *name == scheme.default_header()).expect("signed");
        value.to_str().expect("text").to_owned()
    }

    const SECOND: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

    /// Published by the Standard Webhooks libraries (rust; go, python, js, php, ruby, java, c#) and the Svix manual; the
    /// last two are edge cases recomputed with the Python library.
    #[test]
    fn the_published_vectors_of_standard_webhooks_come_out() {
        let table: [(&str, &str, i64, &[u8], &str); 5] = [
            (
                "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD",
                "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk",
                1_649_367_553,
                br#"{"email":"test@example.com","username":"test_user"}"#,
                "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw=",
            ),
            (
                SECOND,
                "msg_p5jXN8AQM9LWM0D4loKWxJek",
                1_614_265_330,
                br#"{"test": 2432232314}"#,
                "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
            ),
            (
                "whsec_plJ3nmyCDGBKInavdOK15jsl",
                "msg_loFOjxBNrRLzqYUf",
                1_731_705_121,
                br#"{"event_type":"ping","data":{"success":true}}"#,
                "v1,rAvfW3dJ/X/qxhsaXPOyyCGmRKsaKWcsNccKXlIktD0=",
            ),
            (SECOND, "msg_0", 1_700_000_000, b"", "v1,YEyvhgKh4vUsu3xshY8kKPH74/MVJ99QSekvZffA4lw="),
            (SECOND, "msg_0", 1_700_000_000, b"\xff\xfe\x00", "v1,4ZZKzHyupTJ6O91F5nuyIasZ9cGrj4W0IR6dM/bZUX0="),
        ];
        for (secret, id, at, body, expected) in table {
            assert_eq!(signature(Scheme::Standard, &[secret], id, at, body), expected, "{id}");
        }
    }

    /// From octokit/webhooks-methods.js and GitHub's documentation.
    #[test]
    fn the_published_vectors_of_github_come_out() {
        assert_eq!(
            signature(Scheme::Github, &["mysecret"], "", 0, br#"{"foo":"bar"}"#),
            "sha256=4864d2759938a15468b5df9ade20bf161da9b4f737ea61794142f3484236bda3"
        );
        let documented = signature(Scheme::Github, &["It's a Secret to Everybody"], "", 0, b"Hello, World!");
        assert!(documented.starts_with("sha256=757107ea") && documented.ends_with("8b043e17"), "{documented}");
    }

    #[test]
    fn stripe_signs_timestamp_and_body_under_the_secret_as_written() {
        let key = super::super::key::Key::from_bytes(b"whsec_test");
        let expected = format!("t=12,v1={}", HEXLOWER.encode(&key.mac(&[b"12.{}"])));
        assert_eq!(signature(Scheme::Stripe, &["whsec_test"], "evt_1", 12, b"{}"), expected);
    }

    #[test]
    fn while_rotating_the_current_secret_signs_first() {
        let one = signature(Scheme::Standard, &["one"], "m", 1, b"x");
        let two = signature(Scheme::Standard, &["two"], "m", 1, b"x");
        assert_eq!(signature(Scheme::Standard, &["one", "two"], "m", 1, b"x"), format!("{one} {two}"));
        assert_eq!(signature(Scheme::Stripe, &["one", "two"], "m", 1, b"x").matches(",v1=").count(), 2);
        assert_eq!(
            signature(Scheme::Github, &["one", "two"], "m", 1, b"x"),
            signature(Scheme::Github, &["one"], "m", 1, b"x")
        );
    }

    #[test]
    fn the_header_can_be_renamed_where_the_scheme_leaves_it_free() {
        let secrets = ["s".to_owned()];
        let signing = Signing::new(Scheme::Github, Some("X-Signature-SHA256"), &secrets).expect("valid");
        assert_eq!(signing.sign("", 0, b"x")[0].0, "x-signature-sha256");
        assert!(Signing::new(Scheme::Standard, Some("x"), &secrets).is_err());
        assert!(Signing::new(Scheme::Github, Some("no good"), &secrets).is_err());
    }
}
