//! Answers that are made as they are taken.
//!
//! A piece is made on a thread where blocking is allowed, the next when the connection wants it.
//! So a slow client holds its slot, a piece and what the pieces are made of (a snapshot), and no
//! thread; one that takes nothing loses its connection (`progress`). The first piece is made before
//! the head of the answer, so that what is wrong from the start has a status; what goes wrong later
//! ends the answer before its end, which every client sees. Never compressed (`coding`).
//! Tests: tests/it/transfer.rs, documents.rs.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes};
use axum::response::Response;
use hyper::body::Frame;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use tokio::task::JoinHandle;

use super::ask::Ask;
use super::problem::Problem;
use crate::app::Slot;

/// Bytes that a piece should have, about.
pub(super) const PIECE_BYTES: usize = 256 << 10;
/// Room for a piece of the answer that is made while another is sent.
const ROOM_BYTES: usize = 2 * PIECE_BYTES;

/// What makes a text piece by piece.
pub(super) trait Pieces: Send + Unpin + 'static {
    /// The next piece; `None` after the last.
    fn next(&mut self) -> Result<Option<Vec<u8>>, Problem>;
}

/// Answers with what `begin` makes, and the log index that it shows, if it is of one.
pub(super) async fn answer<P: Pieces>(
    ask: &Ask,
    kind: &'static str,
    begin: impl FnOnce() -> Result<(Option<u64>, P), Problem> + Send + 'static,
) -> Result<Response, Problem> {
    ask.slot.room(ROOM_BYTES)?;
    let first = ask.blocking(move || {
        let (index, mut pieces) = begin()?;
        let first = pieces.next()?;
        Ok((index, pieces, first))
    });
    let (index, pieces, first) = first.await?;
    let text = Text {
        slot: ask.slot.clone(),
        state: match first {
            Some(_) => State::Idle(pieces),
            None => State::Ended,
        },
        first: first.map(Bytes::from),
    };
    let mut response = Response::new(Body::new(text));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    if let Some(index) = index {
        ask.asked.answer_read(&mut response, index);
    }
    Ok(response)
}

/// The body of the answer.
struct Text<P> {
    /// Held until the last byte was taken.
    slot: Slot,
    /// Made before the head of the answer was sent.
    first: Option<Bytes>,
    state: State<P>,
}

type Made<P> = (P, Result<Option<Vec<u8>>, Problem>);

enum State<P> {
    Idle(P),
    Working(JoinHandle<Made<P>>),
    Ended,
}

fn failed(problem: Problem) -> io::Error {
    io::Error::other(problem.detail)
}

impl<P: Pieces> hyper::body::Body for Text<P> {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        if let Some(first) = self.first.take() {
            return Poll::Ready(Some(Ok(Frame::data(first))));
        }
        loop {
            match std::mem::replace(&mut self.state, State::Ended) {
                State::Ended => return Poll::Ready(None),
                State::Idle(mut pieces) => {
                    let slot = self.slot.clone();
                    self.state = State::Working(tokio::task::spawn_blocking(move || {
                        let _slot = slot;
                        let piece = pieces.next();
                        (pieces, piece)
                    }));
                }
                State::Working(mut work) => {
                    let Poll::Ready(made) = Pin::new(&mut work).poll(context) else {
                        self.state = State::Working(work);
                        return Poll::Pending;
                    };
                    let (pieces, piece) = made.map_err(io::Error::other)?;
                    let Some(piece) = piece.map_err(failed)? else {
                        return Poll::Ready(None);
                    };
                    // Documents may be larger than a piece should be.
                    self.slot.room(2 * piece.len()).map_err(failed)?;
                    self.state = State::Idle(pieces);
                    return Poll::Ready(Some(Ok(Frame::data(piece.into()))));
                }
            }
        }
    }
}
