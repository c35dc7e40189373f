//! The description of the routes: every answer of every test is held against it, and every body
//! that was taken.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use serde_json::{Value as Json, json};
use velocitydb_server::PROBLEMS;

use crate::harness::{Reply, Served, served, with_things};

static DESCRIPTION: LazyLock<Json> =
    LazyLock::new(|| serde_json::from_str(velocitydb_server::openapi()).unwrap());

/// The operation that a request is of, if there is one, and its path.
fn operation(method: &str, path: &str) -> Option<(&'static Json, &'static str)> {
    let path = path.split('?').next().unwrap_or_default();
    let method = method.to_ascii_lowercase().replace("head", "get");
    let parts: Vec<_> = path.split('/').collect();
    let fits = |template: &str| {
        let wanted: Vec<_> = template.split('/').collect();
        let same = |(wanted, part): (&&str, &&str)| {
            wanted == part || (wanted.starts_with('{') && !part.is_empty())
        };
        wanted.len() == parts.len() && wanted.iter().zip(&parts).all(same)
    };
    let paths = DESCRIPTION["paths"].as_object().unwrap();
    let (template, item) = paths.iter().find(|(template, _)| fits(template))?;
    Some((item.get(method)?, template))
}

/// Follows a reference within the description.
fn resolve(mut value: &'static Json) -> &'static Json {
    while let Some(place) = value["$ref"].as_str() {
        let found = DESCRIPTION.pointer(place.strip_prefix('#').unwrap());
        value = found.unwrap_or_else(|| panic!("nothing is at {place}"));
    }
    value
}

/// What is wrong with a value, by the keywords that the description uses.
fn fits(value: &Json, schema: &'static Json) -> Result<(), String> {
    let schema = resolve(schema);
    let wrong = |what: &str| Err(format!("{what}: {value} by {schema}"));
    for (keyword, rule) in schema.as_object().unwrap() {
        match keyword.as_str() {
            "allOf" => rule
                .as_array()
                .unwrap()
                .iter()
                .try_for_each(|one| fits(value, one))?,
            "anyOf" | "oneOf" => {
                if !rule
                    .as_array()
                    .unwrap()
                    .iter()
                    .any(|one| fits(value, one).is_ok())
                {
                    return wrong("none of these");
                }
            }
            "type" => {
                let kind = match value {
                    Json::Null => "null",
                    Json::Bool(_) => "boolean",
                    Json::Number(number) if number.is_f64() => "number",
                    Json::Number(_) => "integer",
                    Json::String(_) => "string",
                    Json::Array(_) => "array",
                    Json::Object(_) => "object",
                };
                let kinds = rule.as_array().cloned().unwrap_or(vec![rule.clone()]);
                let whole = kind == "integer" && kinds.contains(&json!("number"));
                if !whole && !kinds.contains(&json!(kind)) {
                    return wrong("another type");
                }
            }
            "enum" if !rule.as_array().unwrap().contains(value) => return wrong("not among"),
            "minimum" if value.is_number() && value.as_f64() < rule.as_f64() => {
                return wrong("too small");
            }
            "maximum" if value.as_f64() > rule.as_f64() => return wrong("too large"),
            "minItems" | "maxItems" => {
                let count = value.as_array().map_or(0, Vec::len) as u64;
                let limit = rule.as_u64().unwrap();
                if (keyword == "minItems" && count < limit)
                    || (keyword == "maxItems" && count > limit)
                {
                    return wrong("another number of items");
                }
            }
            "items" => {
                let items = value.as_array().into_iter().flatten();
                items.into_iter().try_for_each(|item| fits(item, rule))?;
            }
            "required" => {
                let missing = |name: &&Json| value.get(name.as_str().unwrap()).is_none();
                if let Some(name) = rule.as_array().unwrap().iter().find(missing) {
                    return wrong(&format!("{name} is not there"));
                }
            }
            "properties" => {
                for (name, rule) in rule.as_object().unwrap() {
                    value.get(name).map_or(Ok(()), |value| fits(value, rule))?;
                }
            }
            "additionalProperties" => {
                let known = &schema["properties"];
                for (name, value) in value.as_object().into_iter().flatten() {
                    match rule {
                        _ if known.get(name).is_some() => {}
                        Json::Bool(true) => {}
                        Json::Bool(false) => return wrong(&format!("{name} is not described")),
                        rule => fits(value, rule)?,
                    }
                }
            }
            "enum" | "minimum" | "maximum" => {}
            "description" | "example" | "format" | "default" | "contentEncoding" => {}
            other => panic!("the keyword {other} is not known here: {schema}"),
        }
    }
    Ok(())
}

/// Checks that an answer is one that the description has, and that a body which was taken is one
/// that it takes. For every test, by the harness.
#[track_caller]
pub fn check(method: &str, path: &str, body: &str, reply: &Reply) {
    // What is in a database is described as that of `velocity`.
    let within = path.strip_prefix("/v1/databases/");
    let within = within.and_then(|rest| rest.split_once('/'));
    let within = within.map(|(_database, rest)| format!("/v1/{rest}"));
    let codes = ["\"unknown_database\"", "\"no_such_route\""];
    if within.is_some() && codes.iter().any(|code| reply.text.contains(code)) {
        return;
    }
    let path = within.as_deref().unwrap_or(path);
    let Some((operation, template)) = operation(method, path) else {
        let code = reply.json()["code"].clone();
        let known = [
            "no_such_route",
            "method_not_allowed",
            "host_not_allowed",
            "invalid_header",
        ];
        assert!(
            known.iter().any(|known| code == *known),
            "{method} {path}: {reply:?}"
        );
        return;
    };
    let place = format!("{method} {template}");
    let taken = &operation["requestBody"]["content"]["application/json"]["schema"];
    if reply.status.is_success() && !taken.is_null() && !body.is_empty() {
        // What is too deep for this reader is left to the server's.
        let body = serde_json::from_str(body).map(|body: Json| fits(&body, taken));
        body.map_or(Ok(()), |fits| fits)
            .unwrap_or_else(|what| panic!("the body of {place}: {what}"));
    }
    let status = reply.status.as_u16().to_string();
    let answer = operation["responses"].get(&status);
    let answer = answer.unwrap_or_else(|| panic!("{place}: {status} is not described: {reply:?}"));
    for name in reply.headers.keys() {
        let name = name.as_str();
        let ours = ["etag", "location", "retry-after", "x-request-id"].contains(&name);
        if ours || name.starts_with("velocity-") {
            let described = answer["headers"].as_object().into_iter().flatten();
            let mut names = described.map(|(name, _)| name.to_ascii_lowercase());
            assert!(
                names.any(|known| known == name),
                "{place} {status}: {name} is not described"
            );
        }
    }
    let kind = reply
        .headers
        .get("content-type")
        .map(|kind| kind.to_str().unwrap());
    let kind = kind.and_then(|kind| kind.split(';').next());
    let (Some(kind), false) = (kind, method == "HEAD") else {
        return;
    };
    let content = answer["content"].get(kind);
    let content = content.unwrap_or_else(|| panic!("{place} {status}: {kind} is not described"));
    if kind.ends_with("json") && content.get("schema").is_some() {
        fits(&reply.json(), &content["schema"])
            .unwrap_or_else(|what| panic!("{place} {status}: {what}"));
    }
}

fn operations() -> impl Iterator<Item = (String, &'static String, &'static Json)> {
    let paths = DESCRIPTION["paths"].as_object().unwrap();
    paths.iter().flat_map(|(path, item)| {
        let item = item.as_object().unwrap();
        item.iter()
            .map(move |(method, operation)| (method.to_uppercase(), path, operation))
    })
}

/// Asks a path with something in place of its variables.
fn ask(served: &Served, method: &str, path: &str, query: &str) -> Reply {
    let path = path.replace("{name}", "things").replace("{id}", "a");
    let path = path.replace("{transaction}", "0");
    served.ask(method, &format!("{path}{query}"), &[], "")
}

#[test]
fn the_server_shows_its_description() {
    let served = served();
    let reply = served.get("/v1/openapi.json");
    assert_eq!(reply.header("content-type"), "application/json");
    assert_eq!(reply.json(), *DESCRIPTION);
    assert!(DESCRIPTION["openapi"].as_str().unwrap().starts_with("3.1."));
}

/// Every operation is answered by the router, and the router takes no method that is not described.
#[test]
fn the_description_and_the_router_agree() {
    let served = with_things();
    let mut methods: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for (method, path, _) in operations() {
        if method != "DELETE" {
            // A stream of changes has no end, unless it cannot begin.
            let ends = match path.ends_with("/changes") {
                true => "?after=999",
                false => "",
            };
            let reply = ask(&served, &method, path, ends);
            assert_ne!(reply.status, 405, "{method} {path}");
            assert!(
                !reply.text.contains("no_such_route"),
                "{method} {path}: {reply:?}"
            );
        }
        methods.entry(path).or_default().insert(method);
    }
    for (path, mut described) in methods {
        if described.contains("GET") {
            described.insert("HEAD".into());
        }
        let refused = ask(&served, "OPTIONS", path, "");
        refused.problem(405, "method_not_allowed");
        let allowed = refused.header("allow").split(',');
        let allowed: BTreeSet<_> = allowed.map(|one| one.trim().to_owned()).collect();
        assert_eq!(allowed, described, "{path}");
    }
}

/// A route that takes parameters says which when it is given another; those are the described ones.
#[test]
fn the_parameters_behind_the_question_mark_are_those_described() {
    let served = with_things();
    for (method, path, operation) in operations() {
        let parameters = operation["parameters"].as_array().unwrap();
        let described = parameters.iter().filter(|one| one["in"] == "query");
        let described: BTreeSet<_> = described.map(|one| one["name"].as_str().unwrap()).collect();
        let path_asked = path.replace("{name}", "things").replace("{id}", "a");
        let taken = operation["requestBody"]["content"].as_object();
        let taken = taken.and_then(|kinds| kinds.keys().next());
        let kind = [("content-type", taken.map_or("text/plain", String::as_str))];
        let url = format!("{}?nonsense=1", path_asked.replace("{transaction}", "0"));
        let reply = served.ask(&method, &url, &kind, "x");
        let problem = reply.problem(400, "invalid_query");
        let detail = problem["detail"].as_str().unwrap();
        let known = detail
            .split_once("only ")
            .map_or("", |(_, known)| known)
            .split(", ");
        let known: BTreeSet<_> = known.filter(|name| !name.is_empty()).collect();
        assert_eq!(known, described, "{method} {path}: {detail}");
    }
}

/// What a reader of the description relies on: references that lead somewhere, names that stand
/// once, every variable of a path described, codes that there are.
#[test]
fn the_description_is_sound() {
    fn references(value: &'static Json) {
        if value.get("$ref").is_some() {
            resolve(value);
        }
        match value {
            Json::Array(items) => items.iter().for_each(references),
            Json::Object(fields) => fields.values().for_each(references),
            _ => {}
        }
    }
    references(&DESCRIPTION);
    let mut ids = BTreeSet::new();
    let mut codes = BTreeSet::new();
    for (method, path, operation) in operations() {
        let place = format!("{method} {path}");
        assert!(
            ids.insert(operation["operationId"].as_str().unwrap()),
            "{place}"
        );
        assert!(
            !operation["summary"].as_str().unwrap().is_empty(),
            "{place}"
        );
        let tag = &operation["tags"][0];
        let tags = DESCRIPTION["tags"].as_array().unwrap();
        assert!(
            tags.iter().any(|known| known["name"] == *tag),
            "{place}: {tag}"
        );
        let parameters = operation["parameters"].as_array().unwrap();
        let mut names = BTreeSet::new();
        for parameter in parameters.iter().map(resolve) {
            let name = (
                parameter["in"].as_str().unwrap(),
                parameter["name"].as_str().unwrap(),
            );
            assert!(names.insert(name), "{place}: {name:?} twice");
            let required = parameter["required"] == json!(true);
            let expected = match name.0 {
                "query" => required,
                place => place == "path",
            };
            assert_eq!(required, expected, "{place}: {name:?}");
        }
        let described: BTreeSet<_> = names.iter().filter(|name| name.0 == "path").collect();
        let variables = path.split('/').filter(|part| part.starts_with('{')).count();
        assert_eq!(described.len(), variables, "{place}");
        let answers = operation["responses"].as_object().unwrap();
        assert!(
            answers.keys().any(|status| status.starts_with('2')),
            "{place}"
        );
        for answer in answers.values() {
            let code = "/content/application~1problem+json/schema/allOf/1/properties/code/enum";
            let these = answer.pointer(code).and_then(Json::as_array);
            codes.extend(
                these
                    .into_iter()
                    .flatten()
                    .map(|code| code.as_str().unwrap()),
            );
        }
    }
    // Every code has a route that may answer it, but for those of no route and of the start.
    let elsewhere = [
        "no_such_route",
        "method_not_allowed",
        "in_use",
        "unsupported_format",
    ];
    let later = ["unknown_index", "index_exists"];
    for row in PROBLEMS {
        let known = codes.contains(row.code);
        let excused = elsewhere.contains(&row.code) || later.contains(&row.code);
        assert!(known || excused, "{} is not described", row.code);
    }
}

#[test]
fn the_page_needs_no_network() {
    let served = served();
    let page = served.get("/docs");
    assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
    for file in ["/docs", "/docs/page.js", "/docs/page.css"] {
        let reply = served.get(file);
        assert_eq!(reply.status, 200, "{file}");
        assert!(!reply.text.is_empty());
        let policy = reply.header("content-security-policy");
        assert!(policy.contains("default-src 'none'") && policy.contains("connect-src 'self'"));
        assert!(!policy.contains("unsafe"), "{policy}");
        for outside in ["http://", "https://", "//cdn", "innerHTML", "eval("] {
            assert!(!reply.text.contains(outside), "{file}: {outside}");
        }
    }
    for file in ["/docs/page.js", "/docs/page.css"] {
        assert!(page.text.contains(file), "{file}");
    }
    // Inline code would be refused by the policy.
    assert!(!page.text.contains("<style") && !page.text.contains("<script>"));
    assert!(!page.text.contains(" onclick=") && !page.text.contains(" style="));
}
