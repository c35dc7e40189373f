//! `…/search`: documents whose texts answer what was typed, the best first.
//!
//! The index is looked up here, so that each thing that may be wrong with it has a code of its own;
//! the library searches. Tests: tests/it/search.rs.

use std::collections::BTreeMap;

use velocitydb::query::{Find, Json};
use velocitydb::text::{Fragment, HighlightOptions, Require, TextQuery};
use velocitydb::{
    CollectionView, ErrorClass, Found, IndexDefinition, IndexKind, IndexStats, Path, Search,
};

use super::describe::{Query, Route, get, post};
use super::problem::Problem;
use super::query::{self, invalid};
use super::ranked::{self, Hit, Question};

const SEARCH: &str = "/v1/collections/{name}/search";

/// Fragments of a field at most.
const FRAGMENTS_MAX: usize = 100;
/// Bytes of a fragment at most.
const FRAGMENT_BYTES_MAX: usize = 10_000;

pub(super) fn routes() -> Vec<Route> {
    let about = |route: Route, id| {
        let route = route
            .about("Queries", id, "Documents whose texts have words")
            .detail(
                "By a full-text index, the best first: words, `\"phrases\"`, `prefixes*`, \
                 `misspelt~` words, and `-words` that must not be there. A page at a time, or with \
                 `Accept: application/x-ndjson` the same as lines. See docs/operating/search.md.",
            );
        ranked::described(route, "SearchFound").problems(&[
            "index_building",
            "invalid_search",
            "unknown_index",
            "wrong_index",
        ])
    };
    let by_parameters = ranked::parameters(get(SEARCH, ranked::by_parameters::<Asked>))
        .needs("text", "What was typed", Query::Text)
        .query(
            "index",
            "Which full-text index; not needed where there is one",
            Query::Text,
        )
        .query(
            "require",
            "Whether all the words must be there, or any; all unless it is said",
            Query::OneOf(&["all", "any"]),
        )
        .query(
            "highlight",
            "The paths whose texts are shown where they have the words, with commas between; \
             `true`: all of the index",
            Query::Text,
        );
    vec![
        about(by_parameters, "search"),
        about(post(SEARCH, ranked::by_body::<Asked>), "searchByBody").takes_json("Search"),
    ]
}

/// What is asked of texts.
struct Asked {
    text: String,
    require: Require,
    index: Option<String>,
    highlight: Option<Highlight>,
}

/// Which texts are shown, and how much of them.
struct Highlight {
    /// `None`: those of the index.
    fields: Option<Vec<Path>>,
    options: HighlightOptions,
}

impl Question for Asked {
    const MEMBERS: &'static [&'static str] = &["text", "index", "require", "highlight"];
    const EXAMPLE: &'static str = r#"{"text": "quick fox"}"#;

    fn parameter(name: &str, text: String) -> Result<Json, Problem> {
        Ok(match (name, text.as_str()) {
            ("highlight", "true") => Json::Bool(true),
            ("highlight", "false") => Json::Bool(false),
            ("highlight", paths) => Json::Array(paths.split(',').map(Json::from).collect()),
            _ => Json::String(text),
        })
    }

    fn take(question: &mut Json) -> Result<Asked, Problem> {
        let text = match question.take("text") {
            Some(Json::String(text)) => text,
            _ => return Err(invalid("expected a text: {\"text\": \"quick fox\"}")),
        };
        let index = match question.take("index") {
            None | Some(Json::Null) => None,
            Some(Json::String(index)) => Some(index),
            Some(_) => return Err(invalid("index: expected its name")),
        };
        let require = match question.take("require") {
            None => Require::All,
            Some(Json::String(all)) if all == "all" => Require::All,
            Some(Json::String(any)) if any == "any" => Require::Any,
            Some(_) => return Err(invalid("require: all or any")),
        };
        TextQuery::parse(&text, require).map_err(|error| {
            let code = match error.class() {
                ErrorClass::Limit => "query_limit",
                _ => "invalid_search",
            };
            Problem::new(code, error.to_string())
        })?;
        let highlight = question.take("highlight");
        Ok(Asked {
            text,
            require,
            index,
            highlight: highlight.map(read_highlight).transpose()?.flatten(),
        })
    }

    fn hits(self, view: &CollectionView, find: &Find, limit: usize) -> Result<Vec<Hit>, Problem> {
        let index = full_text_index(view, self.index.as_deref())?;
        let mut search = Search::new(self.text)
            .index(&index.name)
            .filter(find.filter.clone())
            .offset(find.offset)
            .limit(limit)
            .limits(find.limits);
        search.require = self.require;
        let mut shown = None;
        if let Some(highlight) = self.highlight {
            let fields = highlight.fields.unwrap_or_else(|| paths(&index));
            if let Some(other) = fields.iter().find(|field| !paths(&index).contains(field)) {
                let what = format!("highlight: the index {:?} has no {other}", index.name);
                return Err(invalid(what));
            }
            search = search.highlight(highlight.options);
            shown = Some(fields);
        }
        let found = view.search(&search)?.into_iter();
        Ok(found.map(|found| hit(found, shown.as_deref())).collect())
    }
}

fn paths(index: &IndexDefinition) -> Vec<Path> {
    let fields = index.fields.iter();
    fields.map(|field| field.path.clone()).collect()
}

/// The full-text index of this name; without a name, the only one.
fn full_text_index(view: &CollectionView, name: Option<&str>) -> Result<IndexDefinition, Problem> {
    let all = view.indexes();
    let is_text = |(index, _): &&(IndexDefinition, IndexStats)| index.kind == IndexKind::FullText;
    let texts: Vec<_> = all.iter().filter(is_text).collect();
    let names = || texts.iter().map(|(index, _)| index.name.as_str());
    let among = || match texts.is_empty() {
        true => "the collection has no full-text index".to_owned(),
        false => format!("there are {}", names().collect::<Vec<_>>().join(", ")),
    };
    let (index, stats) = match name {
        Some(name) => match all.iter().find(|(index, _)| index.name == name) {
            Some(named) if is_text(&named) => named,
            Some(_) => {
                let what = format!("the index {name:?} is no full-text index: {}", among());
                return Err(Problem::new("wrong_index", what));
            }
            None => {
                let what = format!("there is no index {name:?}: {}", among());
                return Err(Problem::new("unknown_index", what));
            }
        },
        None => match texts[..] {
            [only] => only,
            [] => return Err(Problem::new("unknown_index", among())),
            _ => {
                return Err(invalid(format!(
                    "index: expected the name of one: {}",
                    among()
                )));
            }
        },
    };
    match stats.built {
        None => Ok(index.clone()),
        Some(_) => {
            let what = format!("the index {:?} is still being built", index.name);
            Err(Problem::new("index_building", what))
        }
    }
}

/// Reads `true`, `["title"]` or `{"fields": ["title"], "fragments": 3, "fragment_bytes": 160}`.
fn read_highlight(json: Json) -> Result<Option<Highlight>, Problem> {
    let mut options = HighlightOptions::default();
    let fields = match json {
        Json::Null | Json::Bool(false) => return Ok(None),
        Json::Bool(true) => None,
        Json::Array(fields) => Some(read_fields(fields)?),
        mut object @ Json::Object(_) => {
            let fields = match object.take("fields") {
                None | Some(Json::Null) => None,
                Some(Json::Array(fields)) => Some(read_fields(fields)?),
                Some(_) => return Err(invalid("highlight.fields: a list of paths")),
            };
            for (name, option, max) in [
                ("fragments", &mut options.fragments_max, FRAGMENTS_MAX),
                (
                    "fragment_bytes",
                    &mut options.fragment_bytes_max,
                    FRAGMENT_BYTES_MAX,
                ),
            ] {
                let Some(asked) = object.take(name) else {
                    continue;
                };
                let asked = match asked {
                    Json::Int(asked) => usize::try_from(asked).ok(),
                    _ => None,
                };
                *option = asked
                    .filter(|asked| (1..=max).contains(asked))
                    .ok_or_else(|| {
                        invalid(format!("highlight.{name}: a whole number from 1 to {max}"))
                    })?;
            }
            query::no_more(&object, "fields, fragments, fragment_bytes")?;
            fields
        }
        _ => {
            let what = "highlight: true, paths such as [\"title\"], or an object such as \
                        {\"fields\": [\"title\"], \"fragments\": 3}";
            return Err(invalid(what));
        }
    };
    Ok(Some(Highlight { fields, options }))
}

fn read_fields(fields: Vec<Json>) -> Result<Vec<Path>, Problem> {
    let fields = fields.into_iter().map(|field| match field {
        Json::String(text) => text
            .parse()
            .map_err(|error| invalid(format!("highlight: {text:?} is no path: {error}"))),
        other => Err(invalid(format!("highlight: {other} is no path"))),
    });
    fields.collect()
}

/// What is said of a document; with highlights of some fields, where they are asked for.
fn hit(found: Found, shown: Option<&[Path]>) -> Hit {
    let mut about = format!("\"score\":{},", Json::Float(found.score));
    if let Some(shown) = shown {
        let fields = found.highlights.iter();
        let fields = fields.filter(|(path, ..)| shown.contains(path));
        let fields: BTreeMap<String, Vec<Vec<&str>>> = fields
            .map(|(path, text, fragments)| {
                let fragments = fragments.iter().map(|fragment| parts(text, fragment));
                (path.to_string(), fragments.collect())
            })
            .collect();
        let fields = serde_json::to_string(&fields).expect("strings are JSON");
        about.push_str(&format!("\"highlights\":{fields},"));
    }
    Hit {
        document: found.document,
        about,
    }
}

/// A fragment in parts, of which every second is a word that was found: so nobody has to count
/// characters as this server does.
fn parts<'t>(text: &'t str, fragment: &Fragment) -> Vec<&'t str> {
    let (mut parts, mut at) = (Vec::new(), fragment.range.start);
    for mark in &fragment.marks {
        parts.push(&text[at..mark.start]);
        parts.push(&text[mark.clone()]);
        at = mark.end;
    }
    parts.push(&text[at..fragment.range.end]);
    parts
}
