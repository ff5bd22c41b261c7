//! The body of a request: bytes at hand, or a file that is streamed with its length announced.

use std::fs::File;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_util::Stream;
use hyper::body::{Frame, SizeHint};
use tokio_util::io::ReaderStream;

use super::failure::BodyBroken;

/// Bytes read from a file at a time.
const READ_BYTES: usize = 64 * 1024;

/// What is sent.
#[derive(Debug)]
pub enum Body {
    /// Bytes at hand; `None` once sent.
    Whole(Option<Bytes>),
    /// A file, of which `left` bytes are still to be sent.
    File {
        /// The file.
        stream: ReaderStream<tokio::fs::File>,
        /// Bytes still to be sent.
        left: u64,
    },
}

impl Body {
    /// A body of these bytes.
    pub fn whole(bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        Self::Whole((!bytes.is_empty()).then_some(bytes))
    }

    /// The first `size` bytes of `file`; the request fails when the file ends earlier.
    pub fn file(file: File, size: u64) -> Self {
        let stream = ReaderStream::with_capacity(tokio::fs::File::from_std(file), READ_BYTES);
        Self::File { stream, left: size }
    }
}

impl hyper::body::Body for Body {
    type Data = Bytes;
    type Error = BodyBroken;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyBroken>>> {
        match self.get_mut() {
            Self::Whole(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Self::File { left: 0, .. } => Poll::Ready(None),
            Self::File { stream, left } => match ready!(Pin::new(stream).poll_next(context)) {
                Some(Ok(mut bytes)) => {
                    bytes.truncate(usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len()));
                    *left -= bytes.len() as u64;
                    Poll::Ready(Some(Ok(Frame::data(bytes))))
                }
                Some(Err(e)) => Poll::Ready(Some(Err(BodyBroken { why: format!("read the content: {e}") }))),
                None => {
                    let why = format!("the content ends {left} bytes before its announced size");
                    Poll::Ready(Some(Err(BodyBroken { why })))
                }
            },
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Whole(None) | Self::File { left: 0, .. })
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(match self {
            Self::Whole(bytes) => bytes.as_ref().map_or(0, |bytes| bytes.len() as u64),
            Self::File { left, .. } => *left,
        })
    }
}
