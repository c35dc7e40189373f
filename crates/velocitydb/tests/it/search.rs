//! Full-text search: what is found, in what order, at which snapshot.

use std::sync::atomic::Ordering;

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use velocitydb::query::{Filter, Find, Limits};
use velocitydb::text::{
    Analyzer, Diacritics, HighlightOptions, Language, Require, Scratch, TextQuery,
};
use velocitydb::{
    Collection, Database, Definition, Error, IndexDefinition, Options, Path, Search, Value,
};

use crate::support::asking;

fn collection() -> Collection {
    let db = Database::open(Options::in_memory()).unwrap();
    db.create_collection(Definition::new("texts"))
        .unwrap()
        .value
}

fn body() -> Path {
    Path::field("body")
}

fn put(texts: &Collection, id: i64, text: &str) {
    texts.upsert(id, [("body", text.into())]).unwrap();
}

#[track_caller]
fn check(texts: &Collection, search: &str, expected: &[i64]) {
    let found = texts.search(&Search::new(search).limit(100)).unwrap();
    let ids: Vec<_> = found
        .iter()
        .filter_map(|f| f.document.id().to_value().as_int())
        .collect();
    assert_eq!(ids, expected, "{search}");
}

#[test]
fn words_phrases_prefixes_and_misspelt_words() {
    let texts = collection();
    put(&texts, 1, "The quick brown fox jumps over the lazy dog");
    put(&texts, 2, "A quick answer: foxes are quick, quick, quick");
    put(&texts, 3, "Brown bread and a fox");
    texts
        .create_index(IndexDefinition::full_text("words", [body()], "english"))
        .unwrap();
    put(&texts, 4, "Nothing of interest");
    check(&texts, "fox", &[3, 2, 1]);
    check(&texts, "quick fox", &[2, 1]);
    check(&texts, "running", &[]);
    check(&texts, "jumping", &[1]);
    check(&texts, "\"brown fox\"", &[1]);
    check(&texts, "\"fox brown\"", &[]);
    check(&texts, "inter*", &[4]);
    check(&texts, "qick~", &[2, 1]);
    check(&texts, "fox -lazy", &[3, 2]);
    let any = Search::new("bread interest").any();
    assert_eq!(texts.search(&any).unwrap().len(), 2);
    let filtered = Search::new("fox")
        .filter(Filter::eq("_id", 1))
        .highlight(HighlightOptions::default());
    let found = texts.search(&filtered).unwrap();
    let (path, text, fragments) = &found[0].highlights[0];
    let mark = fragments[0].marks[0].clone();
    assert_eq!((path, &text[mark]), (&body(), "fox"));
    assert!(
        texts
            .search(&Search::new("fox \"open"))
            .unwrap_err()
            .to_string()
            .contains("a phrase ends with")
    );
}

#[test]
fn an_index_that_is_not_there_is_told() {
    let texts = collection();
    let error = texts.search(&Search::new("a")).unwrap_err().to_string();
    assert!(error.contains("needs one full-text index"), "{error}");
    let klingon = IndexDefinition::full_text("i", [body()], "klingon");
    assert!(texts.create_index(klingon).is_err());
}

/// What the index finds is what each text says of itself, while documents come, change and go, at
/// older snapshots too.
#[test]
fn the_index_finds_what_the_texts_match() {
    const WORDS: [&str; 12] = [
        "fox", "foxes", "quick", "quickly", "bread", "breads", "the", "of", "nation", "national",
        "übung", "ubung",
    ];
    for seed in 0..6 {
        let random = &mut StdRng::seed_from_u64(seed);
        let texts = collection();
        let text = |random: &mut StdRng| {
            let count = random.random_range(0..8);
            let words: Vec<_> = (0..count).map(|_| *WORDS.choose(random).unwrap()).collect();
            words.join(" ")
        };
        let change = |random: &mut StdRng| {
            let id = random.random_range(0..60_i64);
            match random.random_range(0..4) {
                0 => drop(texts.delete(id)),
                1 => drop(texts.update(
                    id,
                    velocitydb::Update::new().set("other", random.random_range(0..9)),
                )),
                _ => put(&texts, id, &text(random)),
            }
        };
        (0..100).for_each(|_| change(random));
        texts
            .create_index(IndexDefinition::full_text("words", [body()], "english"))
            .unwrap();
        let before = texts.view().unwrap();
        (0..150).for_each(|_| change(random));
        let analyzer = Analyzer::new(Language::English, Diacritics::Fold);
        let mut scratch = Scratch::default();
        for view in [before, texts.view().unwrap()] {
            for _ in 0..60 {
                let word = |random: &mut StdRng| *WORDS.choose(random).unwrap();
                let query = match random.random_range(0..6) {
                    0 => format!("\"{} {}\"", word(random), word(random)),
                    1 => format!("{}*", &word(random)[..2]),
                    2 => format!("{}~", word(random)),
                    3 => format!("{} -{}", word(random), word(random)),
                    4 => format!("{} {}", word(random), word(random)),
                    _ => word(random).to_owned(),
                };
                let terms = TextQuery::parse(&query, Require::All)
                    .unwrap()
                    .terms(&analyzer);
                let mut expected = Vec::new();
                view.scan(|document| {
                    let text = document.get("body").and_then(|value| value.as_str());
                    if text.is_some_and(|text| terms.matches(&analyzer, &mut scratch, text)) {
                        expected.push(document.id().to_value());
                    }
                    true
                })
                .unwrap();
                let found = view.search(&Search::new(&query).limit(1000)).unwrap();
                assert!(found.is_sorted_by(|a, b| a.score >= b.score));
                let mut found: Vec<Value> =
                    found.iter().map(|f| f.document.id().to_value()).collect();
                expected.sort();
                found.sort();
                assert_eq!(found, expected, "seed {seed}: {query}");
            }
        }
    }
}

/// 2000 texts, each with a word that all have and one of its own.
fn many() -> Collection {
    let texts = collection();
    texts
        .create_index(IndexDefinition::full_text("words", [body()], "simple"))
        .unwrap();
    for id in 0..2000 {
        put(&texts, id, &format!("common ground a{id:04}"));
    }
    texts
}

/// Searches that look at much of the index of [`many`], whatever they find.
const WIDE: [&str; 6] = [
    "common",
    "a*",
    "a1000~2",
    "comon~2 -\"ground common\"",
    "\"common ground\"",
    "zzzzzz~1",
];

#[test]
fn a_search_ends_when_it_is_told_to() {
    let texts = many();
    for query in WIDE {
        let search = Search::new(query).limit(10_000_000);
        let mut stop_at = 1;
        loop {
            let (view, asked) = asking(&texts, Some(stop_at));
            let answer = view.search(&search);
            let asked = asked.load(Ordering::Relaxed);
            if answer.is_ok() {
                assert!(asked > 5, "{query}: asked only {asked} times");
                break;
            }
            assert!(matches!(answer, Err(Error::QueryTimeout)), "{query}");
            assert_eq!(asked, stop_at, "{query}: it ended at once");
            stop_at += 1;
        }
    }
}

#[test]
fn a_find_by_words_ends_when_it_is_told_to() {
    let texts = many();
    let scan = Find::new(Filter::text("body", "common", Language::English));
    let explained = texts.view().unwrap().explain(&scan).unwrap().to_string();
    assert!(
        explained.contains("scan") && !explained.contains("index"),
        "{explained}"
    );
    let (view, asked) = asking(&texts, None);
    assert_eq!(view.find(&scan).unwrap().len(), 2000);
    assert_eq!(asked.load(Ordering::Relaxed), 1 + 2000 / 8);

    for (query, asked_at_least) in [("common", 7), ("a*", 7), ("zzzzzz~1", 7), ("a1000~2", 7)] {
        let find = Find::new(Filter::text("body", query, Language::Simple));
        let explained = texts.view().unwrap().explain(&find).unwrap().to_string();
        assert!(explained.contains("index words"), "{explained}");
        for stop_at in 1..=asked_at_least {
            let (view, asked) = asking(&texts, Some(stop_at));
            let answer = view.find(&find);
            assert!(
                matches!(answer, Err(Error::QueryTimeout)),
                "{query} {stop_at}"
            );
            assert_eq!(asked.load(Ordering::Relaxed), stop_at, "{query}");
        }
    }
}

#[test]
fn a_search_keeps_no_more_than_it_may() {
    let texts = many();
    let bytes = |bytes_max| Limits {
        bytes_max,
        ..Limits::default()
    };
    for query in &WIDE[..5] {
        let search = Search::new(*query).limit(10_000_000);
        assert!(texts.search(&search.clone().limits(bytes(1 << 20))).is_ok());
        let error = texts.search(&search.limits(bytes(2000))).unwrap_err();
        assert!(matches!(error, Error::QueryLimit(_)), "{query}: {error}");
        assert!(error.to_string().contains("2000 bytes"), "{error}");
    }
    let all = Search::new("common").limit(10_000_000);
    assert_eq!(texts.search(&all).unwrap().len(), 2000);
    let rows = Limits {
        rows_max: 1999,
        ..Limits::default()
    };
    let error = texts.search(&all.clone().limits(rows)).unwrap_err();
    assert!(error.to_string().contains("more than 1999 rows"), "{error}");
    assert_eq!(texts.search(&all.offset(10_000_000)).unwrap().len(), 0);
    for long in [
        format!("\"{}\"", "a ".repeat(1000)),
        "word ".repeat(1000),
        "a ".repeat(65),
    ] {
        let error = texts.search(&Search::new(long)).unwrap_err();
        assert!(matches!(error, Error::QueryLimit(_)), "{error}");
        assert!(error.to_string().contains("at most"), "{error}");
    }
}
