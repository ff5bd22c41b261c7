//! Requests and replies over one SSH channel: many requests may be under way, and each waits for its own reply.
//! What is asked, and how long is waited, belongs to `session` and those above it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};

use bytes::{Bytes, BytesMut};
use russh::client::Msg;
use russh::{Channel, ChannelMsg, ChannelReadHalf, ChannelWriteHalf};
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use super::failure::of_malformed;
use super::packet::{Malformed, Reply, Request, next_packet, parse};
use crate::change::key::shown;
use crate::error::{Error, ErrorKind, Result};

/// What a server's shell prints beside the protocol is kept up to here, for the message.
const NOISE_BYTES_MAX: usize = 200;

/// An SFTP channel.
pub struct Wire {
    writer: tokio::sync::Mutex<ChannelWriteHalf<Msg>>,
    waiting: Arc<Mutex<Waiting>>,
}

/// A request under way.
pub struct Pending {
    reply: oneshot::Receiver<Reply>,
    waiting: Arc<Mutex<Waiting>>,
}

struct Waiting {
    place: String,
    last_id: u32,
    replies: HashMap<u32, oneshot::Sender<Reply>>,
    ended: Option<End>,
}

#[derive(Clone)]
struct End {
    kind: ErrorKind,
    why: String,
}

impl Wire {
    /// Takes over a channel on which the subsystem was started; `place` names the server in messages.
    pub fn new(channel: Channel<Msg>, place: &str, runtime: &Handle) -> Self {
        let (reader, writer) = channel.split();
        let waiting = Waiting { place: place.to_owned(), last_id: 0, replies: HashMap::new(), ended: None };
        let waiting = Arc::new(Mutex::new(waiting));
        // Ends with the channel, at the latest when the connection is dropped.
        runtime.spawn(read_replies(reader, Arc::clone(&waiting)));
        Self { writer: tokio::sync::Mutex::new(writer), waiting }
    }

    /// Whether nothing more will come.
    pub fn is_ended(&self) -> bool {
        lock(&self.waiting).ended.is_some()
    }

    /// Nothing that comes is to be trusted or waited for any more.
    pub fn give_up(&self, kind: ErrorKind, why: impl Into<String>) {
        lock(&self.waiting).end(kind, why);
    }

    /// Sends the first packet, to which the version is the answer.
    pub async fn init(&self) -> Result<Pending> {
        let pending = self.expect(|waiting| {
            waiting.last_id = 0;
            0
        })?;
        self.write(Request::init()).await?;
        Ok(pending.1)
    }

    /// Sends a request. Its reply may be waited for later, or never.
    ///
    /// # Errors
    /// The connection has ended.
    pub async fn send(&self, request: Request) -> Result<Pending> {
        let (id, pending) = self.expect(|waiting| {
            // 0 is kept for the version.
            waiting.last_id = waiting.last_id.checked_add(1).unwrap_or(1);
            waiting.last_id
        })?;
        self.write(request.with_id(id)).await?;
        Ok(pending)
    }

    fn expect(&self, id: impl FnOnce(&mut Waiting) -> u32) -> Result<(u32, Pending)> {
        let mut waiting = lock(&self.waiting);
        if waiting.ended.is_some() {
            return Err(waiting.error());
        }
        let id = id(&mut waiting);
        let (sender, reply) = oneshot::channel();
        waiting.replies.insert(id, sender);
        Ok((id, Pending { reply, waiting: Arc::clone(&self.waiting) }))
    }

    async fn write(&self, packet: Bytes) -> Result<()> {
        let writer = self.writer.lock().await;
        if writer.data_bytes(packet).await.is_err() {
            let mut waiting = lock(&self.waiting);
            waiting.end(ErrorKind::Unavailable, "the connection was lost");
            return Err(waiting.error());
        }
        Ok(())
    }
}

impl Pending {
    /// The reply, once it has come.
    ///
    /// # Errors
    /// The connection ended before: `Unavailable`, or `Invalid` when the server sent nonsense.
    pub async fn reply(&mut self) -> Result<Reply> {
        (&mut self.reply).await.map_err(|_| lock(&self.waiting).error())
    }

    /// The reply when it is there already, or will never come; otherwise as [`Pending::reply`].
    pub fn reply_now(&mut self) -> Option<Result<Reply>> {
        match self.reply.try_recv() {
            Ok(reply) => Some(Ok(reply)),
            Err(oneshot::error::TryRecvError::Empty) => None,
            Err(oneshot::error::TryRecvError::Closed) => Some(Err(lock(&self.waiting).error())),
        }
    }
}

impl Waiting {
    fn end(&mut self, kind: ErrorKind, why: impl Into<String>) {
        self.ended.get_or_insert_with(|| End { kind, why: why.into() });
        self.replies.clear();
    }

    fn error(&self) -> Error {
        match &self.ended {
            Some(End { kind, why }) => Error::new(*kind, format!("{}: {why}", self.place)),
            None => Error::new(ErrorKind::Unavailable, format!("{}: the connection was lost", self.place)),
        }
    }

    fn take(&mut self, packet: Bytes) -> Result<(), Malformed> {
        let (id, reply) = parse(packet)?;
        let waits = self.replies.remove(&id).ok_or(Malformed("an answer to a request that was never made"))?;
        // Whoever asked may have lost interest meanwhile.
        drop(waits.send(reply));
        Ok(())
    }
}

fn lock(waiting: &Mutex<Waiting>) -> MutexGuard<'_, Waiting> {
    waiting.lock().expect("nobody panics while holding the list of requests")
}

async fn read_replies(mut reader: ChannelReadHalf, waiting: Arc<Mutex<Waiting>>) {
    let mut come = BytesMut::new();
    let mut noise = Vec::new();
    let mut why = String::from("the connection was lost");
    while let Some(message) = reader.wait().await {
        match message {
            ChannelMsg::Data { data } => {
                come.extend_from_slice(&data);
                let mut waiting = lock(&waiting);
                loop {
                    let taken = match next_packet(&mut come) {
                        Ok(Some(packet)) => waiting.take(packet),
                        Ok(None) => break,
                        Err(malformed) => Err(malformed),
                    };
                    if let Err(malformed) = taken {
                        let error = of_malformed(&waiting.place, malformed);
                        tracing::debug!(%error, "an SFTP server broke the protocol");
                        waiting.end(ErrorKind::Invalid, format!("the server sent {}", malformed.0));
                        return;
                    }
                }
            }
            ChannelMsg::ExtendedData { data, .. } => {
                let room = NOISE_BYTES_MAX.saturating_sub(noise.len()).min(data.len());
                noise.extend_from_slice(&data[..room]);
            }
            ChannelMsg::Failure => {
                why = "the server refused to start SFTP for this account".into();
                break;
            }
            ChannelMsg::Eof | ChannelMsg::Close => {
                why = "the server ended the SFTP session".into();
                break;
            }
            ChannelMsg::ExitStatus { exit_status } => why = format!("the SFTP server exited with {exit_status}"),
            _ => {}
        }
    }
    if !noise.is_empty() {
        why = format!("{why}; it said \"{}\"", shown(noise.trim_ascii()));
    }
    lock(&waiting).end(ErrorKind::Unavailable, why);
}
