//! A connection's two buffers and its stream: what messages are taken from and put into.
//!
//! Invariants: between messages the input holds at most what one read brings; a message that is
//! longer is gathered as it comes, up to the limit, and a copy's data are handed on without being
//! gathered. An idle connection keeps [`KEEP_BYTES`] for each direction at most. Once the client is
//! gone ([`Link::is_lost`]) nothing is written any more.
//!
//! Tests: below for what is kept; tests/it/copy.rs, tests/it/bounds.rs.

use std::io;

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::watch;

use crate::backend::{Client, Format};
use crate::error::PgError;
use crate::messages::{Message, STARTUP_BYTES_MAX, head, parse};
use crate::output::Output;
use crate::stream::Stream;

/// What an idle connection may keep for what comes in.
const KEEP_BYTES: usize = 4 << 10;

/// What a read asks for at first, and at most.
const READ_BYTES: usize = 1 << 10;
const READ_BYTES_MAX: usize = 64 << 10;

pub(crate) struct Link {
    stream: Stream,
    pub(crate) input: BytesMut,
    pub(crate) out: Output,
    /// The longest message that is taken.
    pub(crate) message_bytes_max: usize,
    read_bytes: usize,
    /// Bytes of a copy's message that are still to come.
    copy_left: usize,
    /// What [`Client::copy_chunk`] answered last.
    chunk: BytesMut,
    /// Changes when somebody asks to cancel what this connection does.
    cancels: watch::Receiver<()>,
    lost: bool,
}

impl Link {
    /// A connection on which nobody has proved who they are: its messages are short.
    pub(crate) fn new(stream: Stream, cancels: watch::Receiver<()>) -> Link {
        Link {
            stream,
            input: BytesMut::new(),
            out: Output::new(),
            message_bytes_max: STARTUP_BYTES_MAX,
            read_bytes: READ_BYTES,
            copy_left: 0,
            chunk: BytesMut::new(),
            cancels,
            lost: false,
        }
    }

    /// The same connection, its stream changed: encrypted from now on.
    pub(crate) async fn try_map_stream<F: Future<Output = io::Result<Stream>>>(
        self,
        map: impl FnOnce(Stream) -> F,
    ) -> io::Result<Link> {
        let stream = map(self.stream).await?;
        Ok(Link { stream, ..self })
    }

    /// Whether the client is gone.
    pub(crate) fn is_lost(&self) -> bool {
        self.lost
    }

    /// What was cancelled before does not concern what begins now.
    pub(crate) fn begin(&mut self) {
        self.cancels.mark_unchanged();
    }

    /// The next message that has arrived whole. Data of a copy that has ended are passed over.
    pub(crate) fn message(&mut self) -> Result<Option<(u8, BytesMut)>, PgError> {
        loop {
            let skipped = self.copy_left.min(self.input.len());
            self.input.advance(skipped);
            self.copy_left -= skipped;
            match head(&self.input, self.message_bytes_max)? {
                Some((b'd', body)) => {
                    self.input.advance(5);
                    self.copy_left = body;
                }
                Some((kind, body)) if self.input.len() - 5 >= body => {
                    self.input.advance(5);
                    return Ok(Some((kind, self.input.split_to(body))));
                }
                Some((_, body)) => {
                    let missing = body + 5 - self.input.len();
                    self.read_bytes = missing.clamp(self.read_bytes, READ_BYTES_MAX);
                    return Ok(None);
                }
                None => return Ok(None),
            }
        }
    }

    /// Waits for more. Dropped early, it has lost nothing.
    pub(crate) async fn read(&mut self) -> Result<(), PgError> {
        self.input.reserve(self.read_bytes);
        let room = self.input.capacity() - self.input.len();
        let read = self.stream.read_buf(&mut self.input).await;
        match read {
            Ok(bytes) if bytes > 0 => {
                if bytes == room {
                    self.read_bytes = (self.read_bytes * 2).min(READ_BYTES_MAX);
                }
                Ok(())
            }
            _ => Err(self.lose()),
        }
    }

    /// Sends what was written.
    pub(crate) async fn flush(&mut self) -> Result<(), PgError> {
        if self.lost {
            return Err(PgError::connection_lost());
        }
        let sent = async {
            self.stream.write_all(self.out.bytes()).await?;
            self.stream.flush().await
        };
        let sent = sent.await;
        self.out.clear();
        sent.map_err(|_| self.lose())
    }

    /// Gives back what an idle connection does not need.
    pub(crate) fn shrink(&mut self) {
        if self.out.bytes().is_empty() {
            self.out.shrink();
        }
        self.chunk = BytesMut::new();
        if self.input.is_empty() {
            self.read_bytes = READ_BYTES;
            if self.input.try_reclaim(KEEP_BYTES + 1) {
                self.input = BytesMut::new();
            }
        }
    }

    /// Ends the connection, after what was written.
    pub(crate) async fn close(&mut self) {
        if self.flush().await.is_ok() {
            let _ = self.stream.shutdown().await;
        }
    }

    fn lose(&mut self) -> PgError {
        self.lost = true;
        PgError::connection_lost()
    }

    /// The next message of a client that was asked for a copy's data, if it has arrived.
    fn copy_message(&mut self) -> Result<CopyMessage, PgError> {
        self.chunk = BytesMut::new(); // so that its room can be used again
        loop {
            if self.copy_left > 0 {
                let bytes = self.copy_left.min(self.input.len());
                if bytes == 0 {
                    return Ok(CopyMessage::Missing);
                }
                self.chunk = self.input.split_to(bytes);
                self.copy_left -= bytes;
                return Ok(CopyMessage::Data);
            }
            let Some((kind, body)) = head(&self.input, self.message_bytes_max)? else {
                return Ok(CopyMessage::Missing);
            };
            if kind == b'd' {
                self.input.advance(5);
                self.copy_left = body;
                continue;
            }
            if self.input.len() - 5 < body {
                return Ok(CopyMessage::Missing);
            }
            self.input.advance(5);
            let body = self.input.split_to(body);
            match parse(kind, &body)? {
                // Clients send them behind the request that began the copy.
                Message::Flush | Message::Sync => {}
                Message::CopyDone => return Ok(CopyMessage::Done),
                Message::CopyFail(why) => {
                    let message = format!("COPY from stdin failed: {why}");
                    return Err(PgError::new("57014", message));
                }
                _ => {
                    let message =
                        format!("unexpected message type {kind:#04x} during COPY from stdin");
                    return Err(PgError::protocol(message));
                }
            }
        }
    }
}

enum CopyMessage {
    /// It is in the link's chunk.
    Data,
    Done,
    Missing,
}

impl Client for Link {
    fn out(&mut self) -> &mut Output {
        &mut self.out
    }

    async fn drain(&mut self) -> Result<(), PgError> {
        self.flush().await
    }

    fn ends_here(&self) -> bool {
        self.copy_left == 0 && self.input.first() == Some(&b'S')
    }

    async fn copy_in(&mut self, format: Format, columns: usize) -> Result<(), PgError> {
        self.out.copy_in(format, columns);
        self.flush().await?;
        self.read_bytes = READ_BYTES_MAX;
        Ok(())
    }

    async fn copy_chunk(&mut self) -> Result<Option<&[u8]>, PgError> {
        loop {
            match self.copy_message()? {
                CopyMessage::Data => return Ok(Some(&self.chunk)),
                CopyMessage::Done => return Ok(None),
                CopyMessage::Missing => {}
            }
            let mut cancels = self.cancels.clone();
            tokio::select! {
                read = self.read() => read?,
                Ok(()) = cancels.changed() => {
                    let message = "canceling statement due to user request";
                    return Err(PgError::new("57014", message));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};
    use tokio::sync::watch;

    use super::{KEEP_BYTES, Link};
    use crate::stream::Stream;

    /// Ten megabytes in and ten out; then the connection is idle, and keeps little.
    #[tokio::test]
    async fn large_messages_leave_no_large_buffers() {
        const BODY_BYTES: usize = 10 << 20;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut client = TcpStream::connect(address).await.unwrap();
        let (server, _) = listener.accept().await.unwrap();
        let (_cancels, cancelled) = watch::channel(());
        let mut link = Link::new(Stream::Plain(server), cancelled);
        link.message_bytes_max = BODY_BYTES;
        let mut message = vec![0; 5 + BODY_BYTES];
        let length = u32::try_from(BODY_BYTES + 4).unwrap();
        message[0] = b'Q';
        message[1..5].copy_from_slice(&length.to_be_bytes());

        let write = client.write_all(&message);
        let read = async {
            loop {
                if let Some((_, body)) = link.message().unwrap() {
                    break body;
                }
                link.read().await.unwrap();
            }
        };
        let (written, body) = tokio::join!(write, read);
        written.unwrap();
        assert_eq!(body.len(), BODY_BYTES);
        drop(body);

        let answer = vec![0; BODY_BYTES];
        link.out
            .message(b'D', |body| body.extend_from_slice(&answer));
        let mut answer = vec![0; 5 + BODY_BYTES];
        let (read, sent) = tokio::join!(client.read_exact(&mut answer), link.flush());
        read.unwrap();
        sent.unwrap();

        link.shrink();
        assert!(!has_room(&mut link.input, KEEP_BYTES + 1));
        assert!(link.out.capacity() <= KEEP_BYTES);
        client.write_all(&message[..7]).await.unwrap();
        link.read().await.unwrap();
        assert_eq!(link.input.len(), 7);
        assert!(!has_room(&mut link.input, KEEP_BYTES + 1));
    }

    /// Whether the buffer has that much, without asking for more.
    fn has_room(buffer: &mut BytesMut, bytes: usize) -> bool {
        buffer.try_reclaim(bytes)
    }
}
