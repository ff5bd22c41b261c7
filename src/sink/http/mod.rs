//! The HTTP sink: one attempt is one request. What an answer means is in `answer`, what is sent in `content`; retries,
//! order and states belong to `delivery`.

pub mod answer;
pub mod content;
mod curl;
mod request;
mod url;

use std::time::Duration;

use async_trait::async_trait;
use http::{HeaderName, Method, Uri};

use self::content::Payload;
use self::url::Url;
use crate::error::{Error, ErrorKind, Result};
use crate::event::Spool;
use crate::net::client::{AnswerLimits, Client, Security};
use crate::net::signature::Signing;
use crate::net::tls;
use crate::setting::Secret;
use crate::sink::mask::{mask, masked};
use crate::sink::settings::{Content, DeliverySettings, HttpSettings, SignSettings};
use crate::sink::{Attempt, Outcome, Report, Sink};

/// Of an answer 64 KiB are read and 16 KiB kept.
const ANSWER: AnswerLimits = AnswerLimits { read_bytes_max: 64 * 1024, kept_bytes_max: 16 * 1024 };

/// A receiver of HTTP requests, with its own pool of connections.
#[derive(Debug)]
pub struct HttpSink {
    client: Client,
    url: Url,
    method: Method,
    headers: Vec<(HeaderName, Secret)>,
    authorization: Option<Authorization>,
    content: Content,
    sign: Option<SignSettings>,
    timeout: Duration,
    spool: Spool,
}

/// What the `Authorization` header is made of, at each attempt.
#[derive(Debug)]
enum Authorization {
    Bearer(Secret),
    Basic(Secret),
}

impl HttpSink {
    /// A sink as configured. Certificates are loaded; nothing is connected yet.
    ///
    /// # Errors
    /// `Config` with rule and remedy: an address, method or header that can't be sent, unreadable certificates.
    pub fn new(settings: &HttpSettings, delivery: &DeliverySettings, spool: Spool) -> Result<Self> {
        let url = Url::new(&settings.url)?;
        let idle_max = usize::try_from(delivery.concurrency).unwrap_or(usize::MAX).max(1);
        if url.security() == Security::Tls {
            tls::server_name(&settings.tls, url.host()?.host().unwrap_or_default())?;
        }
        let method = Method::from_bytes(settings.method.as_bytes()).ok().filter(|method| *method != Method::CONNECT);
        let method = method.ok_or_else(|| {
            Error::new(ErrorKind::Config, format!("method = \"{}\" is not a method; use POST or PUT", settings.method))
        })?;
        let authorization = match (&settings.bearer, &settings.basic) {
            (None, None) => None,
            (Some(bearer), None) => Some(Authorization::Bearer(bearer.clone())),
            (None, Some(basic)) => Some(Authorization::Basic(basic.clone())),
            (Some(_), Some(_)) => {
                return Err(Error::new(ErrorKind::Config, "bearer and basic exclude each other; give one of them"));
            }
        };
        if let Some(sign) = &settings.sign {
            // Checks header and secret now, where the secret can be read already.
            let secrets = sign.secret.reveal_all().unwrap_or_else(|_| vec!["unknown yet".into()]);
            Signing::new(sign.scheme, sign.header.as_deref(), &secrets)?;
        }
        Ok(Self {
            client: Client::new(url.security(), &settings.tls, idle_max)?,
            headers: request::check_headers(settings, authorization.is_some())?,
            url,
            method,
            authorization,
            content: settings.content,
            sign: settings.sign.clone(),
            timeout: delivery.timeout.duration(),
            spool,
        })
    }

    /// Whether requests travel unencrypted beyond this machine; worth a warning.
    pub fn is_exposed(&self) -> bool {
        self.url.is_exposed()
    }

    fn payload(&self, attempt: &Attempt<'_>) -> Result<Payload> {
        Payload::of(attempt.event, self.content)
    }
}

/// Host and port as they are written, without a login.
fn address_of(uri: &Uri) -> String {
    let host = uri.host().unwrap_or_default();
    uri.port_u16().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

#[async_trait]
impl Sink for HttpSink {
    async fn attempt(&self, attempt: Attempt<'_>) -> Result<Report> {
        let payload = self.payload(&attempt)?;
        if matches!(payload, Payload::Missing) {
            return Ok(Report::new(Outcome::Dead, "no content was captured, and content = \"raw\" has nothing else"));
        }
        let uri = match self.url.of(attempt.event) {
            Ok(uri) => uri,
            Err(e) => return Ok(Report::new(Outcome::Dead, e.to_string())),
        };
        let host = address_of(&uri);
        let request = self.request(&attempt, &payload, uri).await?;
        let secrets = self.secrets_in(request.headers());
        match self.client.exchange(request, self.timeout, ANSWER).await {
            Ok(mut answer) => {
                // Some receivers, and more debugging proxies, quote the request.
                mask(&mut answer.body, &secrets);
                let report = answer::report(answer, attempt.at);
                Ok(Report { summary: masked(report.summary, &secrets), ..report })
            }
            Err(failure) => {
                let report = answer::report_failure(failure)?;
                Ok(Report { summary: format!("{host}: {}", report.summary), ..report })
            }
        }
    }

    async fn probe(&self) -> Result<String> {
        let uri = self.url.host()?;
        let host = address_of(&uri);
        self.client.reach(uri).await.map_err(|failure| {
            Error::new(ErrorKind::Unavailable, format!("connect to {host}")).because(failure.summary)
        })
    }

    fn dry_run(&self, attempt: Attempt<'_>) -> Result<String> {
        let payload = self.payload(&attempt)?;
        self.curl(&attempt, &payload)
    }
}
