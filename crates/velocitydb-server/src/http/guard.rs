//! Who may be answered: by name (`Host`, `Origin`), and whether there is room, for the request
//! and for its answer.
//!
//! A page that a browser loaded from anywhere can send requests to this machine's loopback
//! address, and a name that its owner points there later makes them look like the page's own
//! (DNS rebinding). So the name in `Host` must be one that is meant: an address of this server
//! as digits, `localhost`, or a configured one; and so must that in `Origin`, which browsers add.
//! Ports are not compared: a forwarded port is still this server.
//!
//! Tests: below for names; tests/it for the rest.

use std::net::{IpAddr, SocketAddrV4};
use std::sync::OnceLock;

use axum::extract::{MatchedPath, Request};
use axum::response::{IntoResponse, Response};
use axum::routing::Route as Handler;
use hyper::body::Body as _;
use hyper::header::{HOST, HeaderMap, ORIGIN};
use hyper::http::uri::Authority;
use hyper::{Method, Uri};
use tokio::time::Instant;
use tower::Service;

use super::Door;
use super::ask::query;
use super::describe::WithoutQuery;
use super::headers::single;
use super::problem::Problem;
use crate::app::Slot;
use crate::reload::Live;

/// What the routes of operators begin with.
pub(super) const ADMIN: &str = "/v1/admin/";

/// The longest name with a port that is looked at.
const AUTHORITY_BYTES_MAX: usize = 512;

/// Lets a request through to the route. The slot that it gets goes into `kept`.
pub(super) async fn guard(
    door: &Door,
    (started, live): (Instant, &Live),
    mut request: Request,
    handler: &Handler,
    kept: &OnceLock<Slot>,
) -> Response {
    let app = &door.app;
    let names = Names {
        bound: app.local_addr.ip(),
        others: &app.config.host_names,
        origins: &app.config.cors_origins,
    };
    let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
    let slot = names
        .check(request.uri(), request.headers())
        .and_then(
            |()| match takes_no_parameters(&request, &door.without_query) {
                true => query(request.uri(), []).map(|_: [_; 0]| ()),
                false => Ok(()), // the route looks at them
            },
        )
        .and_then(|()| match is_for_operators(request.uri().path()) {
            true => Ok(app.exempt(started, live)),
            false => app.admit(started, live),
        });
    let slot = match slot {
        Ok(slot) => kept.get_or_init(|| slot),
        Err(problem) => return problem.into_response(),
    };
    request.extensions_mut().insert(slot.clone());
    let Ok(response) = handler.clone().call(request).await;
    let bytes = response.body().size_hint().exact().unwrap_or(0);
    // What was read is not sent without room. The answer of a write goes out all the same: its
    // handler saw to the room before the write was made.
    match slot.room(usize::try_from(bytes).unwrap_or(usize::MAX)) {
        Err(problem) if is_read => problem.into_response(),
        _ => response,
    }
}

/// Whether there are parameters behind the question mark for a route that takes none. What no route
/// takes is answered so, whatever it asks for.
fn takes_no_parameters(request: &Request, without_query: &WithoutQuery) -> bool {
    request.uri().query().is_some()
        && request
            .extensions()
            .get::<MatchedPath>()
            .is_some_and(|route| without_query.has(request.method(), route.as_str()))
}

/// Whether a path must be answered however busy the server is.
fn is_for_operators(path: &str) -> bool {
    path == "/metrics"
        || path == "/health"
        || path.starts_with("/health/")
        || path.starts_with(ADMIN)
}

/// The names that the server answers to.
struct Names<'a> {
    bound: IpAddr,
    others: &'a [String],
    /// Whose pages may ask besides.
    origins: &'a [String],
}

impl Names<'_> {
    fn check(&self, uri: &Uri, headers: &HeaderMap) -> Result<(), Problem> {
        let host = single(headers, &HOST, AUTHORITY_BYTES_MAX)?;
        let host = uri
            .authority()
            .map(Authority::as_str)
            .or(host)
            .ok_or_else(|| {
                Problem::new("invalid_header", "host: HTTP/1.1 requests must have it")
            })?;
        if !self.allow(host) {
            let detail = format!("the server does not answer to {host:?}");
            return Err(Problem::new("host_not_allowed", detail));
        }
        let Some(origin) = single(headers, &ORIGIN, AUTHORITY_BYTES_MAX)? else {
            return Ok(());
        };
        let scheme_and_rest = origin.split_once("://");
        let allowed = scheme_and_rest.is_some_and(|(scheme, authority)| {
            matches!(scheme, "http" | "https") && self.allow(authority)
        }) || self.origins.iter().any(|known| known == origin);
        match allowed {
            true => Ok(()),
            false => {
                let detail = format!("pages of {origin:?} may not use the server");
                Err(Problem::new("origin_not_allowed", detail))
            }
        }
    }

    fn allow_address(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        address.is_loopback() || self.bound.is_unspecified() || address == self.bound
    }

    /// `authority` is a name or an address, with or without a port.
    fn allow(&self, authority: &str) -> bool {
        // The form that most clients send needs no copy to be read.
        if let Ok(address) = authority.parse::<SocketAddrV4>() {
            return self.allow_address((*address.ip()).into());
        }
        let Ok(parsed) = authority.parse::<Authority>() else {
            return false;
        };
        if authority.contains('@') {
            return false;
        }
        let name = parsed.host().to_ascii_lowercase();
        let name = name.strip_suffix('.').unwrap_or(&name);
        let digits = name
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'));
        match digits.unwrap_or(name).parse::<IpAddr>() {
            Ok(address) => self.allow_address(address),
            Err(_) => {
                name == "localhost"
                    || name.ends_with(".localhost")
                    || self
                        .others
                        .iter()
                        .any(|other| other.eq_ignore_ascii_case(name))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(bound: &str, others: &[&str], authority: &str) -> bool {
        let others: Vec<String> = others.iter().map(ToString::to_string).collect();
        Names {
            bound: bound.parse().unwrap(),
            others: &others,
            origins: &[],
        }
        .allow(authority)
    }

    #[test]
    fn names_of_this_server() {
        for good in [
            "127.0.0.1",
            "127.0.0.1:7480",
            "localhost",
            "LocalHost:1",
            "localhost.",
            "[::1]",
            "[::1]:7480",
            "db.localhost",
            "[::ffff:127.0.0.1]:1",
        ] {
            assert!(allowed("127.0.0.1", &[], good), "{good}");
        }
        for bad in [
            "evil.example",
            "localhost.evil.example",
            "notlocalhost",
            "10.0.0.1",
            "10.0.0.1:7480",
            "",
            "user@localhost",
            "127.0.0.1.evil.example:7480",
            "[::2]",
            "local host",
        ] {
            assert!(!allowed("127.0.0.1", &[], bad), "{bad}");
        }
    }

    #[test]
    fn addresses_and_names_that_are_meant() {
        assert!(allowed("10.0.0.1", &[], "10.0.0.1:7480"));
        assert!(!allowed("10.0.0.1", &[], "10.0.0.2:7480"));
        assert!(
            allowed("0.0.0.0", &[], "10.0.0.2:7480"),
            "any address is this server's"
        );
        assert!(!allowed("0.0.0.0", &[], "db.example"));
        assert!(allowed("0.0.0.0", &["db.example"], "DB.example:80"));
    }
}
