//! Signatures over request bodies, made and checked: `standard` (Standard Webhooks), `github`, `stripe`.

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
