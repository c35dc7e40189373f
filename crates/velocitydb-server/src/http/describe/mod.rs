//! A route and its description in OpenAPI 3.1, in one place.
//!
//! Each module of `http` has a `routes()`; a [`Route`] in it is the path, the method, the handler,
//! and what clients are told of them. Both the router and the description are made from that list
//! alone, so that neither has what the other has not. What many routes share (headers, problems)
//! has a method here: [`Route::reads`], [`Route::writes`], [`Route::conditional`].
//!
//! The schemas of bodies are in `schemas`: derived for types of this crate, written by hand for
//! those of the library, which knows nothing of OpenAPI. What keeps them right is the harness of
//! tests/it: it holds every answer that any test gets against the description, its status, its
//! headers, its problem code and its body. Tests: below; tests/it/described.rs.

mod schemas;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::Arc;

use axum::Router;
use axum::handler::Handler;
use axum::routing::{self, MethodRouter};
use hyper::header::HeaderName;
use serde_json::{Value as Json, json};
use utoipa::openapi::path::{OperationBuilder, Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::schema::{KnownFormat, ObjectBuilder, SchemaFormat, Type};
use utoipa::openapi::{
    ComponentsBuilder, Content, HeaderBuilder, HttpMethod, InfoBuilder, License, OpenApiBuilder,
    PathItem, PathsBuilder, Ref, RefOr, Required, ResponseBuilder, Schema, tag::TagBuilder,
};

use super::problem::{PROBLEMS, ProblemRow};
use crate::app::App;

/// What the routes are sorted under, and what that is.
const TAGS: [(&str, &str); 10] = [
    ("Documents", "Reading and changing documents"),
    (
        "Collections",
        "What collections there are, and what each is",
    ),
    (
        "Databases",
        "Namespaces beside each other, each with collections of its own",
    ),
    ("Queries", "Finding, counting and aggregating documents"),
    ("Indexes", "What makes queries fast"),
    ("Transactions", "Several reads and writes as one"),
    ("Changes", "What is written, as it is written"),
    ("Import and export", "Many documents at once"),
    ("Schemas", "Schemas of databases, by version"),
    ("Operation", "For those who run the server"),
];

/// A parameter behind the question mark.
#[derive(Debug, Clone, Copy)]
pub(super) enum Query {
    /// A whole number between these; `usize::MAX` for no upper bound.
    Number(usize, usize),
    /// Any number from 0 on.
    Real,
    Text,
    /// Text that a regular expression describes.
    Pattern(&'static str),
    /// A time of RFC 3339.
    Time,
    Flag,
    OneOf(&'static [&'static str]),
}

/// The body of an answer.
#[derive(Debug, Clone, Copy)]
pub(super) enum Body {
    Empty,
    /// JSON that this schema describes.
    Json(&'static str),
    /// A page that this schema describes, or lines.
    Lines(&'static str),
    /// A plan as JSON or text.
    Explained,
    /// Of these media types.
    Of(&'static [&'static str]),
}

/// One method of one path, and what is told of it.
pub(super) struct Route {
    pub(super) path: &'static str,
    method: HttpMethod,
    handler: MethodRouter<Arc<App>>,
    operation: OperationBuilder,
    answers: Vec<(u16, &'static str, Body)>,
    /// What the headers of answers without a problem may be.
    headers: Vec<&'static str>,
    problems: BTreeSet<&'static str>,
    /// Whether anything may stand behind the question mark.
    takes_query: bool,
}

macro_rules! method {
    ($name:ident, $method:expr) => {
        /// A route of this method.
        pub(super) fn $name<H, T>(path: &'static str, handler: H) -> Route
        where
            H: Handler<T, Arc<App>>,
            T: 'static,
        {
            Route::new($method, path, routing::$name(handler))
        }
    };
}

method!(get, HttpMethod::Get);
method!(put, HttpMethod::Put);
method!(post, HttpMethod::Post);
method!(patch, HttpMethod::Patch);
method!(delete, HttpMethod::Delete);

impl Route {
    fn new(method: HttpMethod, path: &'static str, handler: MethodRouter<Arc<App>>) -> Route {
        let mut operation = OperationBuilder::new().parameter_ref(parameter_named("X-Request-Id"));
        let variables = path
            .split('/')
            .filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
        for name in variables {
            operation = operation.parameter(path_parameter(path, name));
        }
        let route = Route {
            path,
            method,
            handler,
            operation,
            answers: Vec::new(),
            headers: Vec::new(),
            problems: BTreeSet::new(),
            takes_query: false,
        };
        let route = route.problems(&[
            "invalid_header",
            "invalid_query",
            "host_not_allowed",
            "origin_not_allowed",
            "internal",
        ]);
        match path.contains('{') {
            true => route.problems(&["invalid_request"]),
            false => route,
        }
    }

    /// Its tag, its name in generated clients, and a line on what it does.
    pub(super) fn about(mut self, tag: &'static str, id: &'static str, what: &'static str) -> Self {
        self.operation = self
            .operation
            .tag(tag)
            .operation_id(Some(id))
            .summary(Some(what));
        self
    }

    /// More on what it does; Markdown.
    pub(super) fn detail(mut self, what: &'static str) -> Self {
        self.operation = self.operation.description(Some(what));
        self
    }

    /// It counts against the limits of the server.
    pub(super) fn limited(self) -> Self {
        self.problems(&["overloaded", "busy", "timeout"])
    }

    /// It reads the state at one index of the log.
    pub(super) fn reads(self) -> Self {
        self.limited()
            .header_in("Velocity-Consistency")
            .headers_out(&["Velocity-Consistency", "Velocity-Index"])
            .problems(&["deadline_exceeded", "snapshot_too_old", "closed"])
    }

    /// It makes an entry of the log.
    pub(super) fn writes(self) -> Self {
        self.limited()
            .header_in("Velocity-Consistency")
            .header_in("Velocity-Durability")
            .headers_out(&[
                "Velocity-Consistency",
                "Velocity-Durability",
                "Velocity-Index",
            ])
            .problems(&[
                "closed",
                "damaged",
                "deadline_exceeded",
                "disk_full",
                "io",
                "memory_limit",
                "outcome_unknown",
            ])
    }

    /// It changes documents: it may be repeated with a key.
    pub(super) fn writes_documents(self) -> Self {
        self.writes()
            .header_in("Idempotency-Key")
            .headers_out(&["Velocity-Repeated"])
            .problems(&[
                "idempotency_key_expired",
                "idempotency_key_reused",
                "refused_earlier",
            ])
            .document_refusals()
    }

    /// Documents may be refused for what they are.
    pub(super) fn document_refusals(self) -> Self {
        self.problems(&[
            "already_exists",
            "beyond_retention",
            "collection_full",
            "document_too_large",
            "invalid_id",
            "invalid_update",
            "mixed_persistence",
            "no_index_value",
            "not_found",
            "primary_key_changed",
            "reference_violation",
            "schema_violation",
            "too_many_changes",
            "unique_violation",
            "unknown_collection",
        ])
    }

    /// The documents it writes may be given a time to expire.
    pub(super) fn expires(self) -> Self {
        self.header_in("Velocity-Expires-In")
            .header_in("Velocity-Expires-At")
            .header_in("Velocity-Expires")
    }

    /// It takes `If-Match` and `If-None-Match`, and answers `ETag`.
    pub(super) fn conditional(self) -> Self {
        self.header_in("If-Match")
            .header_in("If-None-Match")
            .headers_out(&["ETag"])
            .problems(&["precondition_failed"])
    }

    /// It takes a header of [`HEADERS_IN`].
    pub(super) fn header_in(mut self, name: &'static str) -> Self {
        self.operation = self.operation.parameter_ref(parameter_named(name));
        self
    }

    /// Its answers without a problem may have these headers of [`HEADERS_OUT`].
    pub(super) fn headers_out(mut self, names: &[&'static str]) -> Self {
        self.headers.extend(names);
        self
    }

    /// It takes a parameter behind the question mark.
    pub(super) fn query(self, name: &'static str, what: &'static str, kind: Query) -> Self {
        self.parameter(name, what, kind, Required::False)
    }

    /// The same, which must be there.
    pub(super) fn needs(self, name: &'static str, what: &'static str, kind: Query) -> Self {
        self.parameter(name, what, kind, Required::True)
    }

    fn parameter(
        mut self,
        name: &'static str,
        what: &'static str,
        kind: Query,
        required: Required,
    ) -> Self {
        let parameter = ParameterBuilder::new()
            .name(name)
            .parameter_in(ParameterIn::Query)
            .required(required)
            .description(Some(what))
            .schema(Some(query_schema(kind)))
            .build();
        self.operation = self.operation.parameter(parameter);
        self.takes_query = true;
        self
    }

    /// It takes a body of JSON, which this schema describes.
    pub(super) fn takes_json(self, schema: &'static str) -> Self {
        let content = Content::new(Some(schema_named(schema)));
        self.takes_content(&["application/json"], content)
            .problems(&["invalid_json"])
    }

    /// The body that it takes need not be there.
    pub(super) fn body_may_be_left_out(mut self) -> Self {
        let mut operation = self.operation.build();
        if let Some(RefOr::T(body)) = &mut operation.request_body {
            body.required = Some(Required::False);
        }
        self.operation = operation.into();
        self
    }

    /// It takes a body of these media types.
    pub(super) fn takes(self, kinds: &[&'static str]) -> Self {
        self.takes_content(kinds, Content::new(None::<Schema>))
    }

    fn takes_content(mut self, kinds: &[&'static str], content: Content) -> Self {
        let mut body = RequestBodyBuilder::new().required(Some(Required::True));
        for kind in kinds {
            body = body.content(*kind, content.clone());
        }
        self.operation = self.operation.request_body(Some(body.build()));
        self.problems(&[
            "body_timeout",
            "body_too_large",
            "invalid_request",
            "unsupported_media_type",
        ])
    }

    /// What it answers when all is well.
    pub(super) fn answers(mut self, status: u16, what: &'static str, body: Body) -> Self {
        self.answers.push((status, what, body));
        self
    }

    /// The codes of the problems that it may answer.
    pub(super) fn problems(mut self, codes: &[&'static str]) -> Self {
        self.problems.extend(codes);
        self
    }

    /// The whole of its description.
    fn described(self) -> OperationBuilder {
        let mut operation = self.operation;
        for (status, what, body) in self.answers {
            let mut answer = ResponseBuilder::new()
                .description(what)
                .header_ref("X-Request-Id", header_named("X-Request-Id"));
            for name in &self.headers {
                answer = answer.header_ref(*name, header_named(name));
            }
            match body {
                Body::Empty => {}
                Body::Json(schema) => {
                    let content = Content::new(Some(schema_named(schema)));
                    answer = answer.content("application/json", content);
                }
                Body::Lines(schema) => {
                    let page = Content::new(Some(schema_named(schema)));
                    answer = answer
                        .content("application/json", page)
                        .content("application/x-ndjson", Content::new(None::<Schema>));
                }
                Body::Explained => {
                    let json = Content::new(Some(schema_named("Explained")));
                    answer = answer
                        .content("application/json", json)
                        .content("text/plain", Content::new(None::<Schema>));
                }
                Body::Of(kinds) => {
                    for kind in kinds {
                        answer = answer.content(*kind, Content::new(None::<Schema>));
                    }
                }
            }
            operation = operation.response(status.to_string(), answer.build());
        }
        let mut by_status: BTreeMap<u16, Vec<&ProblemRow>> = BTreeMap::new();
        for row in PROBLEMS
            .iter()
            .filter(|row| self.problems.contains(row.code))
        {
            by_status.entry(row.status).or_default().push(row);
        }
        for (status, rows) in by_status {
            operation = operation.response(status.to_string(), problem_answer(&rows));
        }
        operation
    }
}

/// The answer of a status, with the codes that it may have.
fn problem_answer(rows: &[&ProblemRow]) -> utoipa::openapi::Response {
    let mut what = String::new();
    for ProblemRow { code, title, .. } in rows {
        writeln!(what, "- `{code}`: {title}").expect("writing to memory");
    }
    let codes = ObjectBuilder::new()
        .schema_type(Type::String)
        .enum_values(Some(rows.iter().map(|row| row.code)));
    let this = ObjectBuilder::new().property("code", codes);
    let schema = utoipa::openapi::AllOfBuilder::new()
        .item(Ref::from_schema_name("Problem"))
        .item(this);
    ResponseBuilder::new()
        .description(what)
        .header_ref("X-Request-Id", header_named("X-Request-Id"))
        .header_ref("Retry-After", header_named("Retry-After"))
        .content(
            "application/problem+json",
            Content::new(Some(Schema::AllOf(schema.build()))),
        )
        .build()
}

/// The headers that a request may have, besides those that every page may send.
pub(super) fn headers_in() -> Vec<HeaderName> {
    let names = HEADERS_IN.iter().map(|(name, ..)| *name);
    let names = names.chain(["content-type", "content-encoding"]);
    names.filter_map(|name| name.parse().ok()).collect()
}

/// The headers of answers, besides those that every page may see.
pub(super) fn headers_out() -> Vec<HeaderName> {
    let names = HEADERS_OUT.iter().map(|(name, _)| *name);
    names.filter_map(|name| name.parse().ok()).collect()
}

/// The router of these routes.
pub(super) fn router(routes: Vec<Route>) -> Router<Arc<App>> {
    let add = |router: Router<Arc<App>>, route: Route| router.route(route.path, route.handler);
    routes.into_iter().fold(Router::new(), add)
}

/// The methods and paths that take something behind the question mark.
#[derive(Debug, Clone)]
pub(super) struct WithoutQuery(Arc<[(hyper::Method, &'static str)]>);

impl WithoutQuery {
    pub(super) fn of(routes: &[Route]) -> WithoutQuery {
        let without = routes.iter().filter(|route| !route.takes_query);
        WithoutQuery(
            without
                .map(|route| (http_method(&route.method), route.path))
                .collect(),
        )
    }

    /// HEAD goes wherever GET goes.
    pub(super) fn has(&self, method: &hyper::Method, path: &str) -> bool {
        let method = match *method {
            hyper::Method::HEAD => &hyper::Method::GET,
            _ => method,
        };
        self.0
            .iter()
            .any(|(known, route)| known == method && *route == path)
    }
}

/// The description of these routes, in JSON.
pub(super) fn document(routes: Vec<Route>) -> Json {
    let mut paths = PathsBuilder::new();
    for route in routes {
        let (path, method) = (route.path, route.method.clone());
        let item = PathItem::new(method, route.described());
        paths = paths.path(path, item);
    }
    let mut components = ComponentsBuilder::new().build();
    for (name, what, kind) in HEADERS_IN {
        let parameter = ParameterBuilder::new()
            .name(*name)
            .parameter_in(ParameterIn::Header)
            .description(Some(*what))
            .schema(Some(query_schema(*kind)))
            .build();
        components
            .parameters
            .insert((*name).to_owned(), RefOr::T(parameter));
    }
    for (name, what) in HEADERS_OUT {
        let header = HeaderBuilder::new()
            .schema(Some(query_schema(Query::Text)))
            .description(Some(*what))
            .build();
        components
            .headers
            .insert((*name).to_owned(), RefOr::T(header));
    }
    let info = InfoBuilder::new()
        .title("VelocityDB")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(include_str!("about.md")))
        .license(Some(License::new("MIT OR Apache-2.0")))
        .build();
    let tag =
        |(name, what): (&str, &str)| TagBuilder::new().name(name).description(Some(what)).build();
    let document = OpenApiBuilder::new()
        .info(info)
        .paths(paths)
        .components(Some(components))
        .tags(Some(TAGS.map(tag)))
        .build();
    let mut document = serde_json::to_value(document).expect("strings and numbers are JSON");
    // There is no user yet whom a request could name.
    document["security"] = json!([]);
    document["components"]["schemas"] = Json::Object(schemas::all());
    document
}

fn http_method(method: &HttpMethod) -> hyper::Method {
    match method {
        HttpMethod::Put => hyper::Method::PUT,
        HttpMethod::Post => hyper::Method::POST,
        HttpMethod::Patch => hyper::Method::PATCH,
        HttpMethod::Delete => hyper::Method::DELETE,
        _ => hyper::Method::GET,
    }
}

fn path_parameter(path: &str, name: &str) -> Parameter {
    let what = match name {
        "id" => "The document's id as text: see docs/operating/http.md",
        "transaction" => "The id of an open transaction",
        "index" => "The index's name",
        "name" if path.starts_with("/v1/schemas") => "The schema's name",
        _ => "The collection's name",
    };
    ParameterBuilder::new()
        .name(name)
        .parameter_in(ParameterIn::Path)
        .required(Required::True)
        .description(Some(what))
        .schema(Some(query_schema(Query::Text)))
        .build()
}

fn query_schema(kind: Query) -> Schema {
    let object = ObjectBuilder::new();
    let object = match kind {
        Query::Number(least, most) => object
            .schema_type(Type::Integer)
            .minimum(Some(least))
            .maximum((most < usize::MAX).then_some(most)),
        Query::Real => object.schema_type(Type::Number).minimum(Some(0)),
        Query::Text => object.schema_type(Type::String),
        Query::Pattern(pattern) => object.schema_type(Type::String).pattern(Some(pattern)),
        Query::Time => {
            let format = SchemaFormat::KnownFormat(KnownFormat::DateTime);
            object.schema_type(Type::String).format(Some(format))
        }
        Query::Flag => object.schema_type(Type::Boolean),
        Query::OneOf(names) => object
            .schema_type(Type::String)
            .enum_values(Some(names.iter().copied())),
    };
    Schema::Object(object.build())
}

fn schema_named(name: &str) -> Ref {
    Ref::from_schema_name(name)
}

fn parameter_named(name: &str) -> Ref {
    debug_assert!(
        HEADERS_IN.iter().any(|(known, ..)| *known == name),
        "{name}"
    );
    Ref::new(format!("#/components/parameters/{name}"))
}

fn header_named(name: &str) -> Ref {
    debug_assert!(
        HEADERS_OUT.iter().any(|(known, _)| *known == name),
        "{name}"
    );
    Ref::new(format!("#/components/headers/{name}"))
}

/// Entity tags, or `*`.
const TAGS_PATTERN: Query = Query::Pattern(r#"^(\*|(W/)?"[!#-+\--~]*"(, (W/)?"[!#-+\--~]*")*)$"#);

/// Headers of requests, as `headers` reads them.
#[rustfmt::skip]
const HEADERS_IN: &[(&str, &str, Query)] = &[
    ("X-Request-Id", "An id for the request, 1 to 128 visible characters: it comes back, and stands in the log", Query::Pattern("^[!-~]{1,128}$")),
    ("Velocity-Consistency", "How far the answer must agree with other nodes; `strong` unless it is said", Query::OneOf(&["local", "eventual", "quorum", "strong"])),
    ("Velocity-Durability", "What must have happened to the write before it is answered; the server's own level unless it is said", Query::OneOf(&["none", "memory", "os", "full"])),
    ("Last-Event-ID", "The position to go on behind, which wins over `after`: browsers send it when they come back", Query::Text),
    ("Idempotency-Key", "1 to 255 visible characters: a write with a key is made once, however often it is sent; its outcome is kept for a day", Query::Pattern("^[!-~]{1,255}$")),
    ("If-Match", "`*`, or entity tags: only if the document is in this state", TAGS_PATTERN),
    ("If-None-Match", "`*`, or for reads entity tags: only if the document is not there, or not in this state", TAGS_PATTERN),
    ("Velocity-Expires-In", "Seconds until the document expires", Query::Number(1, u32::MAX as usize)),
    ("Velocity-Expires-At", "When the document expires, RFC 3339", Query::Time),
    ("Velocity-Expires", "`never`: whatever the collection says", Query::OneOf(&["never"])),
];

/// Headers of answers.
#[rustfmt::skip]
const HEADERS_OUT: &[(&str, &str)] = &[
    ("X-Request-Id", "The request's id"),
    ("Velocity-Consistency", "The consistency that was really given"),
    ("Velocity-Durability", "The durability that was really given"),
    ("Velocity-Index", "The log index of the change, or of the state that was read"),
    ("Velocity-Repeated", "`true`: the kept outcome of an earlier request with this key"),
    ("ETag", "The log index of the document's last change, for `If-Match` and `If-None-Match`"),
    ("Location", "The path of what was made"),
    ("Retry-After", "Seconds after which it may be tried again"),
];
