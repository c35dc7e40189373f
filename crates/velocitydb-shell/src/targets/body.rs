//! JSON made of what the user wrote and what the shell adds, with the way back: from the place
//! that a reader of JSON names to the user's own text.
//!
//! Tests: below.

use std::ops::Range;

use super::LIST_DOCUMENTS;
use crate::statement::{Question, Ranked, Wanted, unquoted};

/// Text for a reader of JSON, and which parts of it the user wrote.
#[derive(Default)]
pub(super) struct Body {
    pub(super) text: String,
    arguments: Vec<Range<usize>>,
}

impl Body {
    pub(super) fn of(json: &str) -> Body {
        Body::default().argument(json)
    }

    /// A definition with the name before what the user wrote, on the same line.
    pub(super) fn definition(collection: &str, definition: &str) -> Body {
        Body::default().with_definition(collection, definition)
    }

    /// An alteration.
    pub(super) fn alteration(
        collection: &str,
        definition: &str,
        rename: Option<&str>,
        drop: Option<&str>,
    ) -> Body {
        let body = Body::default().with("{\"definition\":");
        let mut body = body.with_definition(collection, definition);
        for (name, json) in [("rename", rename), ("drop", drop)] {
            if let Some(json) = json {
                body = body.with(&format!(",\"{name}\":")).argument(json);
            }
        }
        body.with("}")
    }

    /// A question.
    pub(super) fn question(question: &Question<'_>) -> Body {
        let Question {
            filter,
            sort,
            project,
            limit,
            after,
            hint,
            pipeline,
        } = question;
        let mut body = Body::default();
        for (name, json) in [
            ("filter", filter),
            ("sort", sort),
            ("project", project),
            ("pipeline", pipeline),
        ] {
            if let Some(json) = json {
                body = body.member(name).argument(json.text);
            }
        }
        if pipeline.is_none() {
            let limit = limit.unwrap_or(LIST_DOCUMENTS);
            body = body.member("limit").with(&limit.to_string());
        }
        for (name, text) in [("after", after), ("hint", hint)] {
            if let Some(text) = text {
                let text = serde_json::Value::from(*text).to_string();
                body = body.member(name).with(&text);
            }
        }
        body.with("}")
    }

    /// The stages of a pipeline.
    pub(super) fn pipeline(stages: &str) -> Body {
        let body = Body::default().member("pipeline").argument(stages);
        body.with("}")
    }

    /// A search, or a question for what is near.
    pub(super) fn ranked(ranked: &Ranked<'_>) -> Body {
        let mut body = Body::default();
        for (name, json) in [("filter", ranked.filter), ("project", ranked.project)] {
            if let Some(json) = json {
                body = body.member(name).argument(json.text);
            }
        }
        let quoted = |text: &str| serde_json::Value::from(text).to_string();
        match ranked.wanted {
            Wanted::Text { text, any, index } => {
                body = body.member("text").with(&quoted(&unquoted(text)));
                if any {
                    body = body.member("require").with("\"any\"");
                }
                if let Some(index) = index {
                    body = body.member("index").with(&quoted(index));
                }
            }
            Wanted::Place {
                path,
                point,
                within_m,
            } => {
                let number = |number: f64| serde_json::Value::from(number).to_string();
                let [lon, lat] = point.map(number);
                body = body.member("point").with(&format!("[{lon},{lat}]"));
                body = body.member("path").with(&quoted(path));
                if let Some(metres) = within_m {
                    body = body.member("within_m").with(&number(metres));
                }
            }
        }
        let limit = ranked.limit.unwrap_or(LIST_DOCUMENTS);
        body.member("limit").with(&limit.to_string()).with("}")
    }

    /// The beginning of a member of an object.
    fn member(self, name: &str) -> Body {
        let before = if self.text.is_empty() { "{" } else { "," };
        self.with(&format!("{before}\"{name}\":"))
    }

    fn with_definition(self, collection: &str, definition: &str) -> Body {
        let name = serde_json::Value::from(collection);
        let inner = definition.strip_prefix('{').unwrap_or(definition);
        let comma = match inner.trim_start().starts_with('}') {
            true => "",
            false => ",",
        };
        let mut body = self.with(&format!("{{\"name\":{name}{comma}"));
        // The brace that the user wrote stands for the byte before.
        let start = body.text.len() - (definition.len() - inner.len());
        body = body.with(inner);
        body.arguments.push(start..body.text.len());
        body
    }

    pub(super) fn with(mut self, text: &str) -> Body {
        self.text += text;
        self
    }

    pub(super) fn argument(mut self, json: &str) -> Body {
        let start = self.text.len();
        self.text += json;
        self.arguments.push(start..self.text.len());
        self
    }

    /// The argument and its byte at a place in the body.
    pub(super) fn place(&self, line: usize, column: usize) -> Option<(usize, usize)> {
        let at = byte_at(&self.text, line, column);
        let holds = |range: &Range<usize>| (range.start..=range.end).contains(&at);
        let argument = self.arguments.iter().position(holds)?;
        Some((argument, at - self.arguments[argument].start))
    }
}

/// The byte at a line and column (both from 1, columns in bytes) as readers of JSON give them.
pub(super) fn byte_at(text: &str, line: usize, column: usize) -> usize {
    let before = text
        .split_inclusive('\n')
        .take(line.saturating_sub(1))
        .map(str::len)
        .sum::<usize>();
    (before + column.saturating_sub(1)).min(text.len())
}

/// What an error says, without the place at its end that is shown otherwise.
pub(super) fn without_place(what: &str, line: usize, column: usize) -> String {
    let place = format!(" at line {line} column {column}");
    what.strip_suffix(&place).unwrap_or(what).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_in_a_body_are_places_in_an_argument() {
        let body = Body::default().with("{\"expected\":").argument("{\n}");
        let body = body.with(",\"update\":").argument("{x}").with("}");
        assert_eq!(body.place(1, 13), Some((0, 0)));
        assert_eq!(body.place(2, 1), Some((0, 2)));
        assert_eq!(body.place(2, 13), Some((1, 1)));
        assert_eq!(body.place(1, 2), None);
    }

    #[test]
    fn a_definition_gets_its_name() {
        for (definition, text) in [
            ("{}", "{\"name\":\"c\"}"),
            ("{ \n}", "{\"name\":\"c\" \n}"),
            ("{\"a\":1}", "{\"name\":\"c\",\"a\":1}"),
        ] {
            assert_eq!(Body::definition("c", definition).text, text);
        }
        // `{"name":"c","a":1}`: the first quote of the user is his byte 1.
        let body = Body::definition("c", "{\"a\":1}");
        assert_eq!(body.place(1, 13), Some((0, 1)));
        assert_eq!(body.place(1, 3), None);
    }
}
