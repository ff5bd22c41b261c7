//! Signatures over request bodies, made and checked: `standard` (Standard Webhooks), `github`, `stripe`.
//! Where secrets are kept is `setting::Secret`; what a refused signature means for a request belongs to the receiver.

pub mod key;
pub mod sign;
pub mod verify;

pub use sign::Signer;
pub use verify::{Verified, Why};

use http::HeaderName;

use crate::error::{Error, ErrorKind, Result};
use key::Key;

/// A way to sign a request body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// Standard Webhooks v1: `webhook-id`, `webhook-timestamp`, `webhook-signature: v1,BASE64`.
    Standard,
    /// `X-Hub-Signature-256: sha256=HEX`.
    Github,
    /// `Stripe-Signature: t=TS,v1=HEX`.
    Stripe,
}

/// The message id of Standard Webhooks; sent with every scheme.
pub const WEBHOOK_ID: HeaderName = HeaderName::from_static("webhook-id");
/// Unix seconds of the attempt; sent with every scheme.
pub const WEBHOOK_TIMESTAMP: HeaderName = HeaderName::from_static("webhook-timestamp");
/// The signatures of Standard Webhooks.
pub const WEBHOOK_SIGNATURE: HeaderName = HeaderName::from_static("webhook-signature");

const HUB_SIGNATURE: HeaderName = HeaderName::from_static("x-hub-signature-256");
const STRIPE_SIGNATURE: HeaderName = HeaderName::from_static("stripe-signature");

impl Scheme {
    /// Every scheme, in the order of the documentation.
    pub const ALL: [Self; 3] = [Self::Standard, Self::Github, Self::Stripe];

    /// The word in the configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Standard => "standard",
            Self::Github => "github",
            Self::Stripe => "stripe",
        }
    }

    /// The scheme a word stands for.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scheme| scheme.as_str() == text)
    }

    /// The header that carries the signature unless another is configured.
    pub const fn default_header(self) -> HeaderName {
        match self {
            Self::Standard => WEBHOOK_SIGNATURE,
            Self::Github => HUB_SIGNATURE,
            Self::Stripe => STRIPE_SIGNATURE,
        }
    }
}

/// A scheme with its secrets, ready to sign and to verify.
#[derive(Debug, Clone)]
pub struct Signing {
    scheme: Scheme,
    header: HeaderName,
    keys: Vec<Key>,
}

impl Signing {
    /// Takes one or two secrets, the current one first. `header` replaces the scheme's own header (github and stripe).
    ///
    /// # Errors
    /// `Config` for a secret that is no key of the scheme, or a name that is no header name; the value is not shown.
    pub fn new(scheme: Scheme, header: Option<&str>, secrets: &[String]) -> Result<Self> {
        let config = |rule: String| Error::new(ErrorKind::Config, rule);
        let header = match header {
            None => scheme.default_header(),
            Some(_) if scheme == Scheme::Standard => {
                return Err(config("scheme standard has a fixed header; leave out `header`".into()));
            }
            Some(name) => name.parse().map_err(|_| config(format!("\"{name}\" is not a header name")))?,
        };
        let keys = secrets.iter().map(|text| Key::parse(scheme, text).map_err(config)).collect::<Result<Vec<_>>>()?;
        if keys.is_empty() {
            return Err(config(format!("scheme {} needs a secret", scheme.as_str())));
        }
        Ok(Self { scheme, header, keys })
    }

    /// The scheme.
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// The header that carries the signature.
    pub fn header(&self) -> &HeaderName {
        &self.header
    }
}
