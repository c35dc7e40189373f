//! What analysis, queries and highlights do, as a user sees it, and what holds for any text.

use proptest::prelude::*;

use super::*;

fn english() -> Analyzer {
    Analyzer::new(Language::English, Diacritics::Fold)
}

fn terms(analyzer: &Analyzer, text: &str) -> Vec<(String, u32)> {
    let mut terms = Vec::new();
    analyzer.analyze(&mut Scratch::default(), text, |term, position, _| {
        terms.push((term.to_owned(), position));
    });
    terms
}

fn finds(analyzer: &Analyzer, query: &str, text: &str) -> bool {
    let query = TextQuery::parse(query, Require::All).unwrap();
    let query = query.terms(analyzer);
    query.matches(analyzer, &mut Scratch::default(), text)
}

/// One form of a word finds another.
#[test]
fn each_language_has_its_stems() {
    for (language, query, text) in [
        (Language::English, "running", "she runs"),
        (Language::German, "Häuser", "das Haus"),
        (Language::French, "continuellement", "continuelle"),
        (Language::Spanish, "bibliotecas", "una biblioteca"),
        (Language::Italian, "finestre", "la finestra"),
        (Language::Portuguese, "cidades", "a cidade"),
        (Language::Dutch, "boeken", "het boek"),
        (Language::Swedish, "flickorna", "en flicka"),
        (Language::Danish, "husene", "et hus"),
        (Language::Norwegian, "bøkene", "bøker"),
        (Language::Finnish, "taloissa", "talot"),
        (Language::Hungarian, "házak", "a ház"),
        (Language::Romanian, "copiilor", "copii"),
        (Language::Russian, "книги", "новая книга"),
        (Language::Turkish, "kitaplar", "kitap"),
    ] {
        let analyzer = Analyzer::new(language, Diacritics::Fold);
        assert!(finds(&analyzer, query, text), "{language}: {query}, {text}");
        let simple = Analyzer::new(Language::Simple, Diacritics::Fold);
        assert!(!finds(&simple, query, text), "simple: {query}, {text}");
    }
}

#[test]
fn words_become_terms_with_positions() {
    let expected = |terms: &[(&str, u32)]| -> Vec<(String, u32)> {
        let terms = terms.iter();
        terms.map(|(term, at)| ((*term).to_owned(), *at)).collect()
    };
    for (text, terms_of) in [
        // Stop words keep their places.
        ("The state of the art!", &[("state", 1), ("art", 4)][..]),
        ("Libraries, library’s", &[("librari", 0), ("librari", 1)]),
        (
            "e-mail: a@example.com",
            &[("e", 0), ("mail", 1), ("example.com", 3)],
        ),
        (
            "Luleå 東京 3.14",
            &[("lulea", 0), ("東", 1), ("京", 2), ("3.14", 3)],
        ),
        ("…", &[]),
    ] {
        assert_eq!(terms(&english(), text), expected(terms_of), "{text}");
    }
    let keep = Analyzer::new(Language::Simple, Diacritics::Keep);
    assert_eq!(
        terms(&keep, "The LULEÅ"),
        expected(&[("the", 0), ("luleå", 1)])
    );
}

#[test]
fn of_a_long_word_the_beginning_counts() {
    let long = "x".repeat(200);
    assert_eq!(terms(&english(), &long), [("x".repeat(64), 0)]);
    assert!(finds(&english(), &long, &"x".repeat(300)));
}

#[test]
fn what_queries_find() {
    let text = "The quick brown fox, a friend of the Library, jumps over lazy dogs at the café.";
    for (query, expected) in [
        ("fox", true),
        ("FOX jumping", true),
        ("fox cat", false),
        ("fox OR cat", true),
        ("cat OR fox dog", true),
        ("cat OR cow dog", false),
        ("fox AND dog", true),
        // Stop words hinder nothing, and find nothing.
        ("the fox", true),
        ("the", false),
        // Phrases, also across stop words, which have a place but not a name.
        ("\"quick brown fox\"", true),
        ("\"brown quick\"", false),
        ("\"friend of the library\"", true),
        ("\"friend at a library\"", true),
        ("\"friend library\"", false),
        ("\"the dog\"", true),
        ("quick-brown", true),
        ("brown-quick", false),
        // Beginnings.
        ("librar*", true),
        ("libraries*", true),
        ("the*", false),
        ("lib* do*", true),
        ("zi*", false),
        // Typing errors.
        ("libary~", true),
        ("libary", false),
        ("quikc~", true),
        ("quit~", false),
        ("quit~2", true),
        // Excluded.
        ("fox -cat", true),
        ("fox -dog", false),
        ("fox -\"lazy dog\"", false),
        ("fox -\"lazy cat\"", true),
        ("fox -qui*", false),
        ("fox -the", true),
        // Diacritics and what is no word.
        ("cafe", true),
        ("CAFÉ", true),
        ("fox & dog", true),
        ("fox \u{345}*", true),
        ("\u{345}*", false),
    ] {
        assert_eq!(finds(&english(), query, text), expected, "{query}");
    }
}

#[test]
fn any_word_is_enough_where_it_is_asked_for() {
    let query = TextQuery::parse("cat fox -cow", Require::Any).unwrap();
    let query = query.terms(&english());
    let matches = |text| query.matches(&english(), &mut Scratch::default(), text);
    assert!(matches("a fox") && matches("a cat"));
    assert!(!matches("a dog") && !matches("a fox and a cow"));
}

/// What an index is asked for.
#[test]
fn a_query_names_its_terms() {
    let query = "running OR walks \"state of the art\" lib* libary~ -dogs the";
    let query = TextQuery::parse(query, Require::All).unwrap();
    let term = |term: &str| Part::Term(term.into());
    let expected = TermQuery {
        required: vec![
            vec![term("run"), term("walk")],
            vec![Part::Phrase(vec![("state".into(), 0), ("art".into(), 3)])],
            vec![Part::Prefix {
                prefix: "lib".into(),
                stem: "lib".into(),
            }],
            vec![Part::Fuzzy(Fuzzy::new("libari", 1))],
        ],
        excluded: vec![term("dog")],
    };
    assert_eq!(query.terms(&english()), expected);
}

#[test]
fn what_is_no_query_says_where() {
    let many = "a ".repeat(PARTS_MAX + 1);
    let long = "é".repeat(QUERY_BYTES_MAX);
    for (query, message) in [
        ("", "a query has at least one word (character 1)"),
        (" &", "a query has at least one word (character 3)"),
        (
            "-fox",
            "a query says what to look for, not only what to exclude (character 5)",
        ),
        ("é \"fox", "a phrase ends with a second `\"` (character 3)"),
        (
            "\"fox\"*",
            "`*` and `~` stand at one word, not at a phrase (character 6)",
        ),
        (
            "OR fox",
            "`OR` stands between two words or phrases (character 1)",
        ),
        (
            "fox OR",
            "`OR` stands between two words or phrases (character 5)",
        ),
        (
            "fox OR OR dog",
            "`OR` stands between two words or phrases (character 8)",
        ),
        (
            "fox OR -dog",
            "what is excluded is no side of an `OR` (character 8)",
        ),
        ("*", "`*` stands at the end of a word (character 1)"),
        (
            "fox e-ma*",
            "`*` stands at one word, and `e-ma` is several (character 5)",
        ),
        (
            "fox~3",
            "a word may have at most 2 errors: `~2` (character 4)",
        ),
        (
            &many,
            "a query has at most 64 words and phrases (character 129)",
        ),
        (&long, "a query has at most 4096 bytes (character 2049)"),
    ] {
        let error = TextQuery::parse(query, Require::All).unwrap_err();
        assert_eq!(error.to_string(), message, "{query}");
    }
}

#[test]
fn languages_have_names() {
    assert_eq!(
        serde_json::to_string(&Language::English).unwrap(),
        "\"english\""
    );
    for language in Language::all() {
        assert_eq!(language.name().parse(), Ok(language));
        let json = format!("\"{language}\"");
        assert_eq!(serde_json::from_str::<Language>(&json).unwrap(), language);
    }
    let error = "klingon".parse::<Language>().unwrap_err();
    assert!(error.starts_with("no language `klingon`; there are simple, english, "));
}

/// The fragments of a text, with their marks in brackets.
fn shown(query: &str, text: &str, fragments_max: usize, fragment_bytes_max: usize) -> Vec<String> {
    let query = TextQuery::parse(query, Require::Any).unwrap();
    let options = HighlightOptions {
        fragments_max,
        fragment_bytes_max,
    };
    let query = query.terms(&english());
    let fragments = highlight(&query, &english(), &mut Scratch::default(), text, options);
    let shown = fragments.into_iter().map(|fragment| {
        let mut shown = String::new();
        let mut at = fragment.range.start;
        for mark in fragment.marks {
            shown += &format!("{}[{}]", &text[at..mark.start], &text[mark.clone()]);
            at = mark.end;
        }
        shown + &text[at..fragment.range.end]
    });
    shown.collect()
}

#[test]
fn highlights_show_what_was_found() {
    let text = "Call me Ishmael. Some years ago, having little money, I thought I would sail about \
        a little and see the watery part of the world. It is a way I have of driving off the \
        spleen. Whenever it is a damp November in my soul, I account it high time to get to sea.";
    for (query, fragments_max, fragment_bytes_max, expected) in [
        (
            "november",
            1,
            40,
            &["it is a damp [November] in my soul, I"][..],
        ),
        // Two words of the query are better than one, wherever they are.
        (
            "little november soul",
            1,
            40,
            &["is a damp [November] in my [soul], I"],
        ),
        (
            "little sailing",
            2,
            40,
            &[
                "[little] money, I thought I would [sail]",
                "about a [little] and see the watery part",
            ],
        ),
        // Where a phrase is looked for, its words are not marked alone.
        (
            "\"watery part\" \"little years\" sea",
            9,
            30,
            &[
                "see the [watery] [part] of the",
                "it high time to get to [sea].",
            ],
        ),
        ("ishmael", 3, 1000, &[&text.replace("Ishmael", "[Ishmael]")]),
        // No room for the word.
        ("november", 1, 5, &[]),
        ("whale", 3, 100, &[]),
    ] {
        let shown = shown(query, text, fragments_max, fragment_bytes_max);
        assert_eq!(shown, expected, "{query}");
    }
    // No fragment goes into the next, also where no space is between them.
    assert_eq!(shown("fox", "fox-fox", 2, 6), ["[fox]-", "[fox]"]);
}

/// Words of few letters, so that queries find something, and anything else.
fn any_text() -> impl Strategy<Value = String> {
    prop_oneof![
        "([abéß]{1,3}[ ,.'-]{0,2}){0,30}",
        "(the |run|ning |ly |a|İ|I|ı|’s |日|ﬁ|\u{301}){0,20}",
        any::<String>(),
    ]
}

fn any_query() -> impl Strategy<Value = String> {
    prop_oneof![
        "(-?[abé]{1,3}[*~]?2? ?|\"[ab]{1,2} [ab]\" |OR ){1,5}",
        any::<String>(),
    ]
}

fn any_language() -> impl Strategy<Value = Language> {
    prop::sample::select(Language::all().collect::<Vec<_>>())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn any_text_becomes_terms(text in any_text(), language in any_language(), keep in any::<bool>()) {
        let diacritics = if keep { Diacritics::Keep } else { Diacritics::Fold };
        let analyzer = Analyzer::new(language, diacritics);
        let mut scratch = Scratch::default();
        // From here on it remembers.
        analyzer.analyze(&mut scratch, &"a ".repeat(100), |_, _, _| {});
        let mut first = Vec::new();
        let mut ends = 0;
        let words = analyzer.analyze(&mut scratch, &text, |term, position, range| {
            assert!((1..=TERM_BYTES_MAX).contains(&term.len()));
            assert!(range.start >= ends && !text[range.clone()].is_empty());
            ends = range.end;
            first.push((term.to_owned(), position));
        });
        prop_assert!(first.windows(2).all(|pair| pair[0].1 < pair[1].1));
        prop_assert!(first.last().is_none_or(|(_, position)| *position < words));
        // What a scratch remembers changes nothing, for this analyzer and for another.
        let mut again = Vec::new();
        analyzer.analyze(&mut scratch, &text, |term, at, _| again.push((term.to_owned(), at)));
        prop_assert_eq!(&first, &again);
        let simple = Analyzer::new(Language::Simple, Diacritics::Keep);
        again.clear();
        simple.analyze(&mut scratch, &text, |term, at, _| again.push((term.to_owned(), at)));
        prop_assert_eq!(terms(&simple, &text), again);
    }

    /// What a query finds follows from the terms of a text and from nothing else.
    #[test]
    fn matching_is_what_an_index_of_terms_would_find(
        text in any_text(),
        query in any_query(),
        language in any_language(),
        any in any::<bool>(),
    ) {
        let require = if any { Require::Any } else { Require::All };
        let Ok(query) = TextQuery::parse(&query, require) else {
            return Ok(());
        };
        let analyzer = Analyzer::new(language, Diacritics::Fold);
        let query = query.terms(&analyzer);
        let index = terms(&analyzer, &text);
        let finds = |part: &Part| match part {
            Part::Phrase(phrase) => index.iter().any(|(_, start)| {
                let has = |(term, offset): &(Box<str>, u32)| {
                    index.contains(&(term.to_string(), start + offset))
                };
                phrase.iter().all(has)
            }),
            part => index.iter().any(|(term, _)| part.accepts(term)),
        };
        let expected = !query.required.is_empty()
            && query.required.iter().all(|parts| parts.iter().any(finds))
            && !query.excluded.iter().any(finds);
        let found = query.matches(&analyzer, &mut Scratch::default(), &text);
        prop_assert_eq!(found, expected, "{:?}", query);
    }

    #[test]
    fn highlights_are_within_their_bounds(
        text in any_text(),
        query in any_query(),
        fragments_max in 0_usize..4,
        fragment_bytes_max in 0_usize..50,
    ) {
        let Ok(query) = TextQuery::parse(&query, Require::Any) else {
            return Ok(());
        };
        let query = query.terms(&english());
        let options = HighlightOptions { fragments_max, fragment_bytes_max };
        let mut scratch = Scratch::default();
        let fragments = highlight(&query, &english(), &mut scratch, &text, options);
        prop_assert!(fragments.len() <= fragments_max);
        let mut end = 0;
        for fragment in &fragments {
            prop_assert!(fragment.range.start >= end && fragment.range.end <= text.len());
            end = fragment.range.end;
            // Slicing would panic inside of a character.
            prop_assert!(text[fragment.range.clone()].len() <= fragment_bytes_max);
            prop_assert!(!fragment.marks.is_empty());
            let mut marked = fragment.range.start;
            for mark in &fragment.marks {
                prop_assert!(mark.start >= marked && mark.end <= fragment.range.end);
                prop_assert!(!text[mark.clone()].is_empty());
                marked = mark.end;
            }
        }
        // Something is shown where something is found, if there is room for it.
        if fragment_bytes_max > 0 && fragments.is_empty() && fragments_max > 0 {
            let roomy = HighlightOptions { fragments_max, fragment_bytes_max: usize::MAX >> 1 };
            for fragment in highlight(&query, &english(), &mut scratch, &text, roomy) {
                prop_assert!(fragment.marks.iter().all(|mark| mark.len() > fragment_bytes_max));
            }
        }
    }
}
