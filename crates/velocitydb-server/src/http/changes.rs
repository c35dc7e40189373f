//! `GET /v1/changes` and `GET /v1/collections/{name}/changes`: changes as they are made, as
//! server-sent events, or over a WebSocket when the request asks for one.
//!
//! Both carry the same JSON objects, whose first member says what each is: `begin`, `change`,
//! `position`, `end`. What ends a stream has a code of the table of problems. A body is made when
//! the connection wants it, some changes at a time, and what it takes from memory is room of the
//! server (`Slot::room`). Tests: tests/it/changes.rs.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use axum::body::Bytes;
use axum::extract::FromRequestParts;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade};
use axum::response::Response;
use hyper::body::Frame;
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue, UPGRADE};
use hyper::http::request::Parts;
use hyper::{HeaderMap, Uri};
use velocitydb::query::Filter;
use velocitydb::{Change, ChangesRequest, Crossing, Position};

use super::ask::{Ask, Params, query};
use super::describe::{Body, Query, Route, get};
use super::headers::single;
use super::json;
use super::problem::Problem;
use crate::app::App;
use crate::streams::{Feed, Next};

/// Text of changes after which what is ready is sent.
const CHUNK_BYTES: usize = 32 << 10;
/// Milliseconds after which a client comes back when its connection is lost.
const RETRY_MS: u32 = 1_000;
/// What a client may send over a WebSocket: nothing but control frames is looked at.
const MESSAGE_BYTES_MAX: usize = 4 << 10;

const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// Close codes of WebSockets: going away, as RFC 6455 has it, and the status of a problem.
const GOING_AWAY: u16 = 1001;
const CLOSE_BASE: u16 = 4000;

pub(super) fn routes() -> Vec<Route> {
    let all = get("/v1/changes", all).about("Changes", "changes", "Changes of all collections");
    let one = get("/v1/collections/{name}/changes", one)
        .about("Changes", "collectionChanges", "Changes of a collection")
        .problems(&["unknown_collection"]);
    let common =
        |route: Route| {
            route
            .detail(
                "Server-sent events, or JSON messages over a WebSocket when the request asks for \
                 an upgrade. See docs/changes.md.",
            )
            .query(
                "after",
                "The position, or log index, to go on behind; from now on unless it is said",
                Query::Text,
            )
            .query("filter", "Only changes of documents that match: a filter in JSON", Query::Text)
            .query("before", "Documents also as they were before", Query::Flag)
            .header_in("Last-Event-ID")
            .answers(101, "A WebSocket", Body::Empty)
            .answers(200, "The changes, as they are made", Body::Of(&["text/event-stream"]))
            .problems(&[
                "busy",
                "closed",
                "invalid_request",
                "outcome_unknown",
                "position_gone",
                "stopping",
                "timeout",
                "too_many_streams",
            ])
        };
    vec![common(all), common(one)]
}

/// The upgrade of a request that asks for one.
struct Upgrade(Option<WebSocketUpgrade>);

impl FromRequestParts<Arc<App>> for Upgrade {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Upgrade, Problem> {
        if !parts.headers.contains_key(UPGRADE) {
            return Ok(Upgrade(None));
        }
        let upgrade = WebSocketUpgrade::from_request_parts(parts, app).await;
        let upgrade = upgrade.map_err(|rejection| {
            Problem::new(
                "invalid_header",
                format!("upgrade: {}", rejection.body_text()),
            )
        })?;
        let upgrade = upgrade.max_message_size(MESSAGE_BYTES_MAX);
        Ok(Upgrade(Some(upgrade.max_frame_size(MESSAGE_BYTES_MAX))))
    }
}

async fn all(
    ask: Ask,
    upgrade: Upgrade,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let asked = Asked::read(&uri, &headers)?;
    let request = ask.database().changes();
    serve(ask, upgrade, asked.put_into(request)).await
}

async fn one(
    ask: Ask,
    Params(name): Params<String>,
    upgrade: Upgrade,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let asked = Asked::read(&uri, &headers)?;
    let request = ask.database().collection(&name)?.changes();
    serve(ask, upgrade, asked.put_into(request)).await
}

/// What a client wants to be told.
struct Asked {
    after: Option<Position>,
    filter: Option<Filter>,
    before: bool,
}

impl Asked {
    fn read(uri: &Uri, headers: &HeaderMap) -> Result<Asked, Problem> {
        let [after, filter, before] = query(uri, ["after", "filter", "before"])?;
        let invalid =
            |name: &str, what: String| Problem::new("invalid_query", format!("{name}: {what}"));
        // A browser that comes back asks the same address, and says in the header how far it was.
        let last = single(headers, &LAST_EVENT_ID, 64)?;
        let after = match (last, after) {
            (Some(last), _) => Some(last.parse().map_err(|error: velocitydb::Error| {
                Problem::new("invalid_header", format!("last-event-id: {error}"))
            })?),
            (None, Some(after)) => {
                let read = after.parse();
                Some(read.map_err(|error: velocitydb::Error| invalid("after", error.to_string()))?)
            }
            (None, None) => None,
        };
        let filter = filter.as_deref().map(Filter::from_json).transpose();
        let filter = filter.map_err(|error| invalid("filter", error.to_string()))?;
        let before = match before.as_deref() {
            None | Some("false") => false,
            Some("true") => true,
            Some(_) => return Err(invalid("before", "true or false".into())),
        };
        Ok(Asked {
            after,
            filter,
            before,
        })
    }

    fn put_into(self, mut request: ChangesRequest) -> ChangesRequest {
        if let Some(after) = self.after {
            request = request.after(after);
        }
        if let Some(filter) = self.filter {
            request = request.filter(filter);
        }
        match self.before {
            true => request.with_before(),
            false => request,
        }
    }
}

async fn serve(ask: Ask, upgrade: Upgrade, request: ChangesRequest) -> Result<Response, Problem> {
    // Not the request's slot: that is for what ends soon.
    let slot = ask.app.admit_stream()?;
    let changes = ask.blocking(move || Ok(request.open()?)).await?;
    let (app, database) = (&ask.app, ask.database().clone());
    let feed = app
        .streams
        .feed(changes, database, slot, app.config.heartbeat);
    if let Upgrade(Some(upgrade)) = upgrade {
        return Ok(upgrade.on_upgrade(|socket| converse(socket, feed)));
    }
    let begin = begin(feed.position());
    let first = format!(
        "retry: {RETRY_MS}\nid: {}\nevent: begin\ndata: {begin}\n\n",
        feed.position()
    );
    let events = Events {
        first: Some(first.into()),
        state: State::Idle(Box::new(feed)),
    };
    let mut response = Response::new(axum::body::Body::new(events));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    Ok(response)
}

fn begin(position: Position) -> String {
    format!("{{\"event\":\"begin\",\"position\":\"{position}\"}}")
}

fn end(problem: &Problem) -> String {
    let [code, detail] = [problem.row.code, &problem.detail]
        .map(|text| serde_json::to_string(text).expect("strings are JSON"));
    format!("{{\"event\":\"end\",\"code\":{code},\"detail\":{detail}}}")
}

fn write_change(change: &Change, out: &mut Vec<u8>) {
    let string = |text: &str| serde_json::to_string(text).expect("strings are JSON");
    let head = format!(
        "{{\"event\":\"change\",\"position\":\"{}\",\"index\":{},\"last\":{},\"time\":\"{}\",\
         \"collection\":{},\"kind\":\"{}\"",
        change.position,
        change.index,
        change.last,
        change.time,
        string(&change.collection),
        change.kind.name(),
    );
    out.extend_from_slice(head.as_bytes());
    let mut member = |name: &str, write: &dyn Fn(&mut Vec<u8>)| {
        out.extend_from_slice(format!(",\"{name}\":").as_bytes());
        write(out);
    };
    if let Some(id) = &change.id {
        let id = id.to_value().to_json();
        member("id", &|out| out.extend_from_slice(id.as_bytes()));
    }
    match change.crossing {
        Crossing::Stays => {}
        Crossing::Enters => member("filter", &|out| out.extend_from_slice(b"\"enters\"")),
        Crossing::Leaves => member("filter", &|out| out.extend_from_slice(b"\"leaves\"")),
    }
    for (name, document) in [("before", &change.before), ("after", &change.after)] {
        if let Some(document) = document {
            member(name, &|out| json::write_document(document, out));
        }
    }
    if let Some(definition) = &change.definition {
        let definition = serde_json::to_vec(&**definition);
        let definition = definition.expect("names are strings and memory takes all bytes");
        member("definition", &|out| out.extend_from_slice(&definition));
    }
    out.push(b'}');
}

/// Server-sent events, as the body of an answer.
struct Events {
    first: Option<Bytes>,
    state: State,
}

type Making = Pin<Box<dyn Future<Output = (Box<Feed>, Chunk)> + Send>>;

enum State {
    Idle(Box<Feed>),
    Making(Making),
    Ended,
}

/// Some events, and whether they are the last.
struct Chunk {
    text: Vec<u8>,
    ends: bool,
}

/// Waits for something to tell, and takes what else there is.
async fn events(mut feed: Box<Feed>) -> (Box<Feed>, Chunk) {
    // What was made before has been taken.
    feed.slot.give_room_back();
    let mut chunk = Chunk {
        text: Vec::new(),
        ends: false,
    };
    let mut next = Some(feed.next().await);
    while let Some(told) = next {
        let text = &mut chunk.text;
        match told {
            Next::Change(change) => {
                text.extend_from_slice(format!("id: {}\ndata: ", change.position).as_bytes());
                write_change(&change, text);
                text.extend_from_slice(b"\n\n");
            }
            Next::Beat(None) => text.extend_from_slice(b":\n\n"),
            // An event without data moves the client's position and is not shown to it.
            Next::Beat(Some(position)) => {
                text.extend_from_slice(format!(":\nid: {position}\n\n").as_bytes());
            }
            Next::End(problem) => {
                let end = format!("event: end\ndata: {}\n\n", end(&problem));
                text.extend_from_slice(end.as_bytes());
                chunk.ends = true;
                return (feed, chunk);
            }
        }
        if let Err(problem) = feed.slot.room(text.capacity()) {
            chunk.text = format!("event: end\ndata: {}\n\n", end(&problem)).into();
            chunk.ends = true;
            return (feed, chunk);
        }
        next = match chunk.text.len() < CHUNK_BYTES {
            true => feed.now(),
            false => None,
        };
    }
    (feed, chunk)
}

impl hyper::body::Body for Events {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if let Some(first) = self.first.take() {
            return Poll::Ready(Some(Ok(Frame::data(first))));
        }
        loop {
            match &mut self.state {
                State::Ended => return Poll::Ready(None),
                State::Making(making) => {
                    let (feed, chunk) = ready!(making.as_mut().poll(context));
                    self.state = match chunk.ends {
                        true => State::Ended,
                        false => State::Idle(feed),
                    };
                    return Poll::Ready(Some(Ok(Frame::data(chunk.text.into()))));
                }
                State::Idle(_) => {
                    if let State::Idle(feed) = std::mem::replace(&mut self.state, State::Ended) {
                        self.state = State::Making(Box::pin(events(feed)));
                    }
                }
            }
        }
    }
}

/// A conversation over a WebSocket, in which the client has nothing to say.
async fn converse(mut socket: WebSocket, mut feed: Feed) {
    if socket
        .send(Message::text(begin(feed.position())))
        .await
        .is_err()
    {
        return;
    }
    // Whether the client has answered since the last ping.
    let mut heard = true;
    loop {
        feed.slot.give_room_back();
        let next = tokio::select! {
            received = socket.recv() => match received {
                Some(Ok(Message::Close(_)) | Err(_)) | None => return,
                Some(Ok(_)) => {
                    heard = true;
                    continue;
                }
            },
            next = feed.next() => next,
        };
        let sent = match next {
            Next::Change(change) => {
                let mut text = Vec::new();
                write_change(&change, &mut text);
                if let Err(problem) = feed.slot.room(text.capacity()) {
                    return hang_up(socket, &problem).await;
                }
                let text = String::from_utf8(text).expect("JSON is UTF-8");
                socket.send(Message::text(text)).await
            }
            Next::Beat(further) => {
                if !std::mem::take(&mut heard) {
                    return;
                }
                if let Some(position) = further {
                    let text = format!("{{\"event\":\"position\",\"position\":\"{position}\"}}");
                    if socket.send(Message::text(text)).await.is_err() {
                        return;
                    }
                }
                socket.send(Message::Ping(Bytes::new())).await
            }
            Next::End(problem) => return hang_up(socket, &problem).await,
        };
        if sent.is_err() {
            return;
        }
    }
}

/// Says why, and closes.
async fn hang_up(mut socket: WebSocket, problem: &Problem) {
    let code = match problem.row.code {
        "stopping" => GOING_AWAY,
        _ => CLOSE_BASE + problem.row.status,
    };
    let close = CloseFrame {
        code,
        reason: problem.row.code.into(),
    };
    // Whether it arrives is up to the client.
    if socket.send(Message::text(end(problem))).await.is_ok() {
        let _ = socket.send(Message::Close(Some(close))).await;
    }
}
