//! What a pipeline begins with that a find can answer, so that the planner chooses for it.
//!
//! ```text
//!   [ $match, $sort,  $project, $limit, … ]
//!     └── the find ─┘ └── left to do ──┘
//!       with the limit
//! ```
//!
//! Tests: below; against pipelines without indexes in the embedded library's tests/it.

use velocitydb_engine::Document;

use super::sink::wanted;
use super::{Collections, Pipeline, Stage};
use crate::error::QueryError;
use crate::filter::Filter;
use crate::find::Find;
use crate::row::Aggregated;

impl Pipeline {
    /// The question for documents with which the pipeline begins, and the stages that are left to
    /// do with them: the first filter, a sort directly behind it, and of a limit further on how
    /// many documents can matter. That limit is a bound: its stage is among those that are left.
    pub fn beginning(&self) -> (Find, &[Stage]) {
        let (filter, stages) = match &self.stages[..] {
            [Stage::Match(filter), rest @ ..] => (filter.clone(), rest),
            stages => (Filter::All, stages),
        };
        let mut find = Find::new(filter).limits(self.limits);
        // Sorted by nothing is sorted by id, and a find without a sort is not.
        let stages = match stages {
            [Stage::Sort(by), rest @ ..] if !by.is_empty() => {
                find.sort.clone_from(by);
                rest
            }
            stages => stages,
        };
        find.limit = wanted(stages);
        (find, stages)
    }

    /// As [`Pipeline::run_with`], where `answer` gives the documents of [`Pipeline::beginning`], in
    /// order, to its argument, until that answers `false`.
    ///
    /// # Errors
    /// As [`Pipeline::run_with`].
    pub fn run_planned<E: From<QueryError>>(
        &self,
        collections: &dyn Collections,
        answer: impl FnOnce(&Find, &mut dyn FnMut(&Document) -> bool) -> Result<(), E>,
    ) -> Result<Vec<Aggregated>, E> {
        self.check()?;
        let (find, stages) = self.beginning();
        self.run_stages(stages, collections, |visit| answer(&find, visit))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The find as JSON, and the names of the stages that are left.
    fn beginning(pipeline: &str) -> (String, Vec<&'static str>) {
        let pipeline = Pipeline::from_json(pipeline).unwrap();
        let (find, stages) = pipeline.beginning();
        (find.to_string(), stages.iter().map(Stage::name).collect())
    }

    #[test]
    fn a_match_and_a_sort_are_a_find_and_a_limit_bounds_it() {
        let (find, left) = beginning(
            r#"[{"$match":{"a":1}},{"$sort":{"b":-1}},{"$project":{"b":1}},{"$skip":2},{"$limit":3}]"#,
        );
        assert_eq!(find, r#"{"filter":{"a":1},"sort":{"b":-1},"limit":5}"#);
        assert_eq!(left, ["$project", "$skip", "$limit"]);

        let (find, left) = beginning(r#"[{"$sort":{"b":1}},{"$limit":3}]"#);
        assert_eq!(find, r#"{"filter":{},"sort":{"b":1},"limit":3}"#);
        assert_eq!(left, ["$limit"]);
    }

    #[test]
    fn what_changes_the_number_of_rows_keeps_a_limit_to_itself() {
        for (stage, name) in [
            (r#"{"$match":{"b":1}}"#, "$match"),
            (r#"{"$unwind":"$t"}"#, "$unwind"),
            (r#"{"$count":"n"}"#, "$count"),
        ] {
            let (find, left) = beginning(&format!(
                r#"[{{"$match":{{"a":1}}}},{stage},{{"$limit":3}}]"#
            ));
            assert_eq!(find, r#"{"filter":{"a":1}}"#);
            assert_eq!(left, [name, "$limit"]);
        }
    }

    #[test]
    fn a_sort_behind_other_stages_is_theirs() {
        let (find, left) = beginning(r#"[{"$group":{"_id":"$a"}},{"$sort":{"_id":1}}]"#);
        assert_eq!(find, r#"{"filter":{}}"#);
        assert_eq!(left, ["$group", "$sort"]);
    }
}
