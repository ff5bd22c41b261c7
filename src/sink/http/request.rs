//! The request of one attempt: headers, signature, login. Everything that is secret is read here, at each attempt.

use data_encoding::BASE64;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Uri, header};

use super::content::{self, Payload};
use super::{Authorization, HttpSink};
use crate::error::{Error, ErrorKind, Result};
use crate::net::body::Body;
use crate::net::signature::{Scheme, Signing, WEBHOOK_ID, WEBHOOK_SIGNATURE, WEBHOOK_TIMESTAMP};
use crate::setting::Secret;
use crate::sink::Attempt;
use crate::sink::mask::is_secret;
use crate::sink::settings::HttpSettings;

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const ATTEMPT: HeaderName = HeaderName::from_static("highwater-attempt");
const GAP: HeaderName = HeaderName::from_static("highwater-gap");

const USER_AGENT: &str = concat!("highwater/", env!("CARGO_PKG_VERSION"));

/// Headers that are made here and can't be configured.
const RESERVED: [HeaderName; 10] = [
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    WEBHOOK_ID,
    WEBHOOK_TIMESTAMP,
    WEBHOOK_SIGNATURE,
    IDEMPOTENCY_KEY,
    ATTEMPT,
    GAP,
];

/// Headers of one request, counted so that the map is allocated once.
const HEADERS_USUAL: usize = 16;

/// The configured headers, checked.
///
/// # Errors
/// `Config` for names that are none, are made here, or say the login twice.
pub fn check_headers(settings: &HttpSettings, has_login: bool) -> Result<Vec<(HeaderName, Secret)>> {
    let config = |rule: String| Error::new(ErrorKind::Config, rule);
    let mut checked = Vec::with_capacity(settings.headers.len());
    for (written, value) in &settings.headers {
        let name: HeaderName = written.parse().map_err(|_| config(format!("headers: \"{written}\" is not a name")))?;
        if RESERVED.contains(&name) {
            return Err(config(format!("headers: {written} is made by highwater and can't be set; leave it out")));
        }
        if has_login && name == header::AUTHORIZATION {
            return Err(config("headers: Authorization is made from bearer or basic; give one of them".into()));
        }
        checked.push((name, value.clone()));
    }
    Ok(checked)
}

impl HttpSink {
    /// The request of `attempt`.
    ///
    /// # Errors
    /// Ours: a secret that can't be read or sent, a spool file that is not there.
    pub(super) async fn request(&self, attempt: &Attempt<'_>, payload: &Payload, uri: Uri) -> Result<Request<Body>> {
        let mut request = Request::new(payload.open(&self.spool)?);
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = uri;
        let is_empty = hyper::body::Body::is_end_stream(request.body());
        let headers = request.headers_mut();
        if is_empty {
            // hyper leaves it out for empty bodies; some servers answer 411 then.
            headers.insert(header::CONTENT_LENGTH, HeaderValue::from_static("0"));
        }
        headers.reserve(HEADERS_USUAL + self.headers.len());
        self.add_statements(attempt, payload, headers)?;
        self.add_signature(attempt, payload, headers).await?;
        for (name, secret) in &self.headers {
            headers.insert(name, sensitive(name.as_str(), &secret.reveal()?)?);
        }
        match &self.authorization {
            None => {}
            Some(Authorization::Bearer(secret)) => {
                let value = sensitive("bearer", &format!("Bearer {}", secret.reveal()?))?;
                headers.insert(header::AUTHORIZATION, value);
            }
            Some(Authorization::Basic(secret)) => {
                let value = format!("Basic {}", BASE64.encode(secret.reveal()?.as_bytes()));
                headers.insert(header::AUTHORIZATION, sensitive("basic", &value)?);
            }
        }
        Ok(request)
    }

    /// What an answer must not show of the request: the login, and headers whose values are secret.
    pub(super) fn secrets_in(&self, headers: &HeaderMap) -> Vec<Vec<u8>> {
        let configured = self.headers.iter().filter(|(name, secret)| is_secret(name.as_str(), secret));
        let names = configured.map(|(name, _)| name).chain(self.authorization.as_ref().map(|_| &header::AUTHORIZATION));
        let values = names.filter_map(|name| headers.get(name)).map(HeaderValue::as_bytes);
        let mut secrets: Vec<Vec<u8>> = values
            .map(|value| {
                let login = value.strip_prefix(b"Bearer ").or_else(|| value.strip_prefix(b"Basic "));
                login.unwrap_or(value).to_vec()
            })
            .collect();
        if let Some(Authorization::Basic(login)) = &self.authorization {
            secrets.extend(login.reveal().ok().and_then(|text| Some(text.split_once(':')?.1.as_bytes().to_vec())));
        }
        secrets
    }

    /// What every request says of itself; nothing of it is secret.
    pub(super) fn add_statements(
        &self,
        attempt: &Attempt<'_>,
        payload: &Payload,
        headers: &mut HeaderMap,
    ) -> Result<()> {
        let id = HeaderValue::try_from(attempt.event.id.to_string()).expect("an event id is header text");
        headers.insert(header::CONTENT_TYPE, payload.media_type());
        headers.insert(header::USER_AGENT, HeaderValue::from_static(USER_AGENT));
        headers.insert(IDEMPOTENCY_KEY, id.clone());
        headers.insert(WEBHOOK_ID, id);
        headers.insert(WEBHOOK_TIMESTAMP, HeaderValue::from(attempt.at.seconds()));
        headers.insert(ATTEMPT, HeaderValue::from(attempt.number));
        if attempt.gap {
            headers.insert(GAP, HeaderValue::from_static("true"));
        }
        if !matches!(payload, Payload::Event(_)) {
            content::add_attributes(attempt.event, headers)?;
        }
        Ok(())
    }

    async fn add_signature(&self, attempt: &Attempt<'_>, payload: &Payload, headers: &mut HeaderMap) -> Result<()> {
        let Some(signing) = self.signing()? else { return Ok(()) };
        let (id, at) = (attempt.event.id.to_string(), attempt.at.seconds());
        match payload {
            Payload::Event(bytes) | Payload::Bytes(bytes) => headers.extend(signing.sign(&id, at, bytes)),
            Payload::Missing => {}
            Payload::File { .. } => {
                // The whole file is read before the first byte is sent: a signature stands in front of its body.
                let mut reader = payload.reader(&self.spool)?;
                let read = tokio::task::spawn_blocking(move || signing.sign_reader(&id, at, &mut reader)).await;
                let read = read.map_err(|e| Error::internal("sign the content").because(e))?;
                headers.extend(read.map_err(|e| Error::io("read the content to sign it", e))?);
            }
        }
        Ok(())
    }

    /// As [`Self::add_signature`], on the calling thread.
    pub(super) fn add_signature_now(
        &self,
        attempt: &Attempt<'_>,
        payload: &Payload,
        headers: &mut HeaderMap,
    ) -> Result<()> {
        let Some(signing) = self.signing()? else { return Ok(()) };
        let mut reader = payload.reader(&self.spool)?;
        let signed = signing.sign_reader(&attempt.event.id.to_string(), attempt.at.seconds(), &mut reader);
        headers.extend(signed.map_err(|e| Error::io("read the content to sign it", e))?);
        Ok(())
    }

    fn signing(&self) -> Result<Option<Signing>> {
        let Some(sign) = &self.sign else { return Ok(None) };
        Signing::new(sign.scheme, sign.header.as_deref(), &sign.secret.reveal_all()?).map(Some)
    }

    /// The scheme the sink signs by.
    pub fn scheme(&self) -> Option<Scheme> {
        self.sign.as_ref().map(|sign| sign.scheme)
    }
}

fn sensitive(name: &str, value: &str) -> Result<HeaderValue> {
    let mut value = HeaderValue::try_from(value).map_err(|_| {
        Error::new(ErrorKind::Config, format!("the value of {name} holds a line break or control character"))
    })?;
    value.set_sensitive(true);
    Ok(value)
}
