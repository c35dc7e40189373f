//! Statements that ask: `find`, `search`, `near`, `count`, `explain`, `aggregate`, and those of
//! indexes.

use super::{Json, LIST_DOCUMENTS_MAX, Statement, Words};
use crate::complaint::Complaint;

/// A question for documents, or a pipeline.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Question<'t> {
    /// Which documents.
    pub filter: Option<Json<'t>>,
    /// In which order.
    pub sort: Option<Json<'t>>,
    /// Which parts of them.
    pub project: Option<Json<'t>>,
    /// How many at most.
    pub limit: Option<usize>,
    /// Where to go on.
    pub after: Option<&'t str>,
    /// Which index must be used; `scan`: none.
    pub hint: Option<&'t str>,
    /// The stages of a pipeline, in place of everything else.
    pub pipeline: Option<Json<'t>>,
}

impl<'t> Question<'t> {
    /// Its JSON, in the order in which targets write it.
    pub fn arguments(&self) -> Vec<Json<'t>> {
        [self.filter, self.sort, self.project, self.pipeline]
            .into_iter()
            .flatten()
            .collect()
    }
}

/// A question for documents in an order of its own.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ranked<'t> {
    /// What they are sorted by.
    pub wanted: Wanted<'t>,
    /// Which documents.
    pub filter: Option<Json<'t>>,
    /// Which parts of them.
    pub project: Option<Json<'t>>,
    /// How many at most.
    pub limit: Option<usize>,
}

/// What a [`Ranked`] question is about.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Wanted<'t> {
    /// Words of texts.
    Text {
        /// What was typed: a word, or JSON text.
        text: &'t str,
        /// Whether one of the words is enough.
        any: bool,
        /// Which full-text index; `None`: the only one.
        index: Option<&'t str>,
    },
    /// A place.
    Place {
        /// Where the points are.
        path: &'t str,
        /// The place: longitude and latitude in degrees.
        point: [f64; 2],
        /// Not farther than this, in metres.
        within_m: Option<f64>,
    },
}

impl<'t> Ranked<'t> {
    /// Its JSON, in the order in which targets write it.
    pub fn arguments(&self) -> Vec<Json<'t>> {
        [self.filter, self.project].into_iter().flatten().collect()
    }
}

/// What is meant by a word, or by JSON text in quotes.
pub(crate) fn unquoted(text: &str) -> String {
    match text.starts_with('"') {
        true => serde_json::from_str(text).unwrap_or_default(),
        false => text.to_owned(),
    }
}

/// Whether a plan is only made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Explain {
    /// It is.
    Plan,
    /// It is carried out, too.
    Analyze,
}

impl<'t> Words<'t> {
    fn json_if_any(&mut self, what: &str) -> Result<Option<Json<'t>>, Complaint> {
        match self.follows_json() {
            true => self.json(what).map(Some),
            false => Ok(None),
        }
    }

    pub(super) fn find(&mut self) -> Result<Statement<'t>, Complaint> {
        let name = self.collection()?;
        let (question, _) = self.question(Default::default())?;
        Ok(Statement::Find(name, question))
    }

    pub(super) fn search(&mut self) -> Result<Statement<'t>, Complaint> {
        let name = self.collection()?;
        let token = self.next("what to search for")?;
        let text = token.text;
        if token.is_json() {
            let what = "what to search for is missing before this";
            return Err(self.wrong(what.to_owned(), token.start));
        }
        if text.starts_with('"') && serde_json::from_str::<String>(text).is_err() {
            let what = "expected a string as in JSON".to_owned();
            return Err(self.wrong(what, token.start));
        }
        let (any, index) = (false, None);
        self.ranked(name, Wanted::Text { text, any, index })
    }

    pub(super) fn near(&mut self) -> Result<Statement<'t>, Complaint> {
        let (name, path) = (self.collection()?, self.word("the path of points")?);
        let point = self.json("a place [lon,lat]")?;
        let wrong = |_| self.wrong("expected a place [lon,lat]".to_owned(), point.start);
        let wanted = Wanted::Place {
            path,
            point: serde_json::from_str(point.text).map_err(wrong)?,
            within_m: None,
        };
        self.ranked(name, wanted)
    }

    /// What follows what is wanted.
    fn ranked(
        &mut self,
        name: &'t str,
        mut wanted: Wanted<'t>,
    ) -> Result<Statement<'t>, Complaint> {
        let filter = self.json_if_any("a filter {…}")?;
        let (mut project, mut limit) = (None, None);
        while let Some(token) = self.tokens.next() {
            match (token.text, &mut wanted) {
                ("any", Wanted::Text { any, .. }) => *any = true,
                ("index", Wanted::Text { index, .. }) => *index = Some(self.word("an index")?),
                ("within", Wanted::Place { within_m, .. }) => *within_m = Some(self.metres()?),
                ("project", _) => project = Some(self.json("fields [\"…\"]")?),
                ("limit", _) => limit = Some(self.limit()?),
                (other, _) => {
                    let what = format!("nothing is expected here, found `{other}`");
                    return Err(self.wrong(what, token.start));
                }
            }
        }
        let ranked = Ranked {
            wanted,
            filter,
            project,
            limit,
        };
        Ok(Statement::Ranked(name, ranked))
    }

    fn metres(&mut self) -> Result<f64, Complaint> {
        let number = self.next("a number of metres")?;
        let parsed = number.text.parse().ok();
        let parsed = parsed.filter(|metres: &f64| metres.is_finite() && *metres >= 0.0);
        parsed.ok_or_else(|| {
            self.wrong(
                "expected a number of metres, 0 or more".to_owned(),
                number.start,
            )
        })
    }

    pub(super) fn explain(&mut self) -> Result<Statement<'t>, Complaint> {
        let name = self.collection()?;
        let pipeline = match self.tokens.as_slice().first() {
            Some(token) if token.text.starts_with('[') => Some(self.json("stages […]")?),
            _ => None,
        };
        let (question, explain) = self.question(Question {
            pipeline,
            ..Question::default()
        })?;
        Ok(Statement::Explain(name, question, explain))
    }

    /// What follows the name of a collection.
    fn question(
        &mut self,
        mut question: Question<'t>,
    ) -> Result<(Question<'t>, Explain), Complaint> {
        let mut explain = Explain::Plan;
        let finds = question.pipeline.is_none();
        if finds {
            question.filter = self.json_if_any("a filter {…}")?;
        }
        let explains = self.row.name == "explain";
        while let Some(token) = self.tokens.next() {
            match token.text {
                "analyze" if explains => explain = Explain::Analyze,
                "sort" if finds => question.sort = Some(self.json("an order {\"field\": 1}")?),
                "project" if finds => question.project = Some(self.json("fields [\"…\"]")?),
                "limit" if finds => question.limit = Some(self.limit()?),
                "after" if finds => question.after = Some(self.word("a cursor")?),
                "hint" if finds => question.hint = Some(self.word("an index, or `scan`,")?),
                other => {
                    let what = format!("nothing is expected here, found `{other}`");
                    return Err(self.wrong(what, token.start));
                }
            }
        }
        Ok((question, explain))
    }

    /// The number after `limit`.
    pub(super) fn limit(&mut self) -> Result<usize, Complaint> {
        let number = self.next("a number")?;
        let parsed = number.text.parse().ok();
        let parsed = parsed.filter(|limit| (1..=LIST_DOCUMENTS_MAX).contains(limit));
        parsed.ok_or_else(|| {
            let what = format!("expected a whole number from 1 to {LIST_DOCUMENTS_MAX}");
            self.wrong(what, number.start)
        })
    }

    pub(super) fn count(&mut self) -> Result<Statement<'t>, Complaint> {
        let name = self.collection()?;
        let filter = self.json_if_any("a filter {…}")?;
        Ok(Statement::Count(name, filter))
    }

    /// `create C …` or `create index C …`: a definition follows the name of a collection at once.
    pub(super) fn create(&mut self) -> Result<Statement<'t>, Complaint> {
        let name = self.collection()?;
        if name == "index" && !self.rest_is_empty() && !self.follows_json() {
            let name = self.collection()?;
            return Ok(Statement::CreateIndex(name, self.json("an index {…}")?));
        }
        if name == "database" && !self.rest_is_empty() && !self.follows_json() {
            return Ok(Statement::CreateDatabase(self.database()?));
        }
        let definition = match self.rest_is_empty() {
            true => None,
            false => Some(self.json("a definition {…}")?),
        };
        Ok(Statement::Create(name, definition))
    }

    /// `C NAME`
    pub(super) fn index(&mut self) -> Result<(&'t str, &'t str), Complaint> {
        Ok((self.collection()?, self.word("the name of an index")?))
    }

    /// `drop C`, `drop index C NAME` or `drop database DATABASE`.
    pub(super) fn drop(&mut self) -> Result<Statement<'t>, Complaint> {
        let name = self.collection()?;
        if name == "index" && !self.rest_is_empty() {
            let (name, index) = self.index()?;
            return Ok(Statement::DropIndex(name, index));
        }
        if name == "database" && !self.rest_is_empty() {
            return Ok(Statement::DropDatabase(self.database()?));
        }
        Ok(Statement::Drop(name))
    }
}

#[cfg(test)]
mod tests {
    use super::super::parse;
    use super::*;

    #[test]
    fn questions_are_taken_apart() {
        let json = |text, start| Some(Json { text, start });
        let question = Question {
            filter: json("{\"a\": 1}", 7),
            sort: json("{}", 21),
            limit: Some(2),
            hint: Some("scan"),
            ..Question::default()
        };
        assert_eq!(
            parse("find t {\"a\": 1} sort {} limit 2 hint scan"),
            Ok(Statement::Find("t", question))
        );
        assert_eq!(
            parse("explain t [] analyze"),
            Ok(Statement::Explain(
                "t",
                Question {
                    pipeline: json("[]", 10),
                    ..Question::default()
                },
                Explain::Analyze
            ))
        );
        let text = r#""quick \"brown fox\"""#;
        assert_eq!(unquoted(text), "quick \"brown fox\"");
        let ranked = Ranked {
            wanted: Wanted::Text {
                text,
                any: true,
                index: Some("words"),
            },
            filter: json("{}", 31),
            project: None,
            limit: Some(2),
        };
        assert_eq!(
            parse(&format!("search t {text} {{}} any index words limit 2")),
            Ok(Statement::Ranked("t", ranked))
        );
        let ranked = Ranked {
            wanted: Wanted::Place {
                path: "at",
                point: [1.0, 2.0],
                within_m: Some(5.5),
            },
            filter: None,
            project: json("[\"a\"]", 35),
            limit: None,
        };
        assert_eq!(
            parse("near t at [1,2] within 5.5 project [\"a\"]"),
            Ok(Statement::Ranked("t", ranked))
        );
        // A collection may be called so, too.
        assert_eq!(parse("create index"), Ok(Statement::Create("index", None)));
        assert_eq!(parse("drop index"), Ok(Statement::Drop("index")));
        assert_eq!(
            parse("drop index t by_a"),
            Ok(Statement::DropIndex("t", "by_a"))
        );
        for (text, what) in [
            ("find t sort", "an order {\"field\": 1} is missing"),
            (
                "find t analyze",
                "nothing is expected here, found `analyze`",
            ),
            (
                "explain t [] limit 1",
                "nothing is expected here, found `limit`",
            ),
            ("create index t", "an index {…} is missing"),
            ("drop index t by_a x", "nothing is expected here, found `x`"),
            ("aggregate t", "stages […] is missing"),
            ("search t", "what to search for is missing"),
            ("search t {}", "what to search for is missing before this"),
            ("search t \"a\\x\"", "expected a string as in JSON"),
            (
                "search t fox within 5",
                "nothing is expected here, found `within`",
            ),
            ("near t at", "a place [lon,lat] is missing"),
            ("near t at [1]", "expected a place [lon,lat]"),
            (
                "near t at [1,2] within -1",
                "expected a number of metres, 0 or more",
            ),
        ] {
            assert_eq!(parse(text).unwrap_err().what(), what, "{text}");
        }
    }
}
