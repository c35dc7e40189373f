//! The order of an answer, by an index and by pages; against scans in `queries`.

use velocitydb::query::{Direction, Filter, Find, Hint, Nulls};
use velocitydb::{
    CollectionView, Database, Definition, Document, IndexDefinition, IndexField, Options, Path,
    Value,
};

const ASC: Direction = Direction::Ascending;
const DESC: Direction = Direction::Descending;

pub(crate) fn ids(documents: &[Document]) -> Vec<String> {
    documents
        .iter()
        .map(|document| document.id().to_string())
        .collect()
}

/// The ids of an answer that is read by pages.
pub(crate) fn in_pages(view: &CollectionView, find: &Find, size: usize) -> Vec<String> {
    let (mut after, mut all) = (None, Vec::new());
    loop {
        let page = find.clone().limit(size).page(after);
        let found = view.find(&page).unwrap();
        let Some(last) = found.last() else {
            return all;
        };
        after = Some(page.cursor_at(last));
        all.extend(ids(&found));
    }
}

/// The first one by a field that may be null is found at one end of an index, wherever nulls stand.
#[test]
fn nulls_are_read_on_the_side_where_they_are_wanted() {
    let db = Database::open(Options::in_memory()).unwrap();
    let docs = db.create_collection(Definition::new("docs")).unwrap().value;
    let n = || IndexField::from("n".parse::<Path>().unwrap());
    for id in 0..100_i64 {
        let n = if id < 10 { Value::Null } else { id.into() };
        docs.upsert(id, [("n", n)]).unwrap();
    }
    for index in [
        IndexDefinition::btree("n", [n()]),
        IndexDefinition::btree("n_desc", [n().descending()]),
    ] {
        docs.create_index(index).unwrap();
    }
    let view = docs.view().unwrap();
    for (filter, direction, nulls, expected) in [
        (Filter::All, ASC, Nulls::Smallest, "0"),
        (Filter::All, ASC, Nulls::Greatest, "10"),
        (Filter::All, DESC, Nulls::Smallest, "99"),
        (Filter::All, DESC, Nulls::Greatest, "9"),
        (Filter::ne("n", Value::Null), DESC, Nulls::Greatest, "99"),
    ] {
        let find = Find::new(filter).sort([("n", direction)]).nulls(nulls);
        let all = ids(&view.find(&find.clone().hint(Hint::Scan)).unwrap());
        for name in ["n", "n_desc"] {
            let find = find.clone().hint(Hint::Index(name.into()));
            assert_eq!(in_pages(&view, &find, 3), all, "{find:?}");
            let find = find.limit(1);
            let explained = view.explain_analyze(&find).unwrap();
            assert_eq!(ids(&view.find(&find).unwrap()), [expected], "{find:?}");
            let reached = explained.steps.last().and_then(|step| step.rows);
            assert_eq!(reached, Some(1), "{explained}");
        }
    }
}

/// Clients keep cursors across an upgrade: that of a plain question is made of what it always was.
#[test]
fn a_cursor_stays_good_in_later_versions() {
    let db = Database::open(Options::in_memory()).unwrap();
    let docs = db.create_collection(Definition::new("docs")).unwrap().value;
    for id in 0..4_i64 {
        docs.upsert(id, [("n", Value::from(id))]).unwrap();
    }
    let view = docs.view().unwrap();
    let find = Find::new(Filter::ge("n", 1)).sort([("n", DESC)]).limit(1);
    let first = view.find(&find).unwrap();
    let cursor = find.cursor_at(&first[0]);
    assert_eq!(
        cursor.to_string(),
        "0d2f2fff0000000ae73ff7fffffffffffffe80e73ff7fffffffffffffe"
    );
    let second = view.find(&find.clone().page(Some(cursor))).unwrap();
    assert_eq!(ids(&second), ["2"]);
}
