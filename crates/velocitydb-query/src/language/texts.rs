//! Words in texts, in JSON: `{"$text":"red \"apple pie\""}`, or
//! `{"$text":{"$search":"red apples","$language":"english","$require":"any"}}`.

use super::{Json, Place};
use crate::error::QueryError;
use crate::filter::Text;

/// What may be said of a text.
const MEMBERS: [&str; 3] = ["$search", "$language", "$require"];

pub(super) fn read(json: &Json, place: &Place<'_>) -> Result<Text, QueryError> {
    let (mut words, mut language, mut any) = (None, None, false);
    if let Json::String(only) = json {
        words = Some(only.as_str());
    } else {
        let Json::Object(members) = json else {
            return Err(place.expected("a string, or an object with $search", json));
        };
        for (name, json) in members {
            let here = place.name(name);
            match name.as_str() {
                "$search" => words = Some(here.string(json)?),
                "$language" => language = Some(here.string(json)?),
                "$require" => {
                    any = match here.string(json)? {
                        "all" => false,
                        "any" => true,
                        unknown => return Err(here.unknown("word", unknown, ["all", "any"])),
                    };
                }
                unknown => return Err(place.unknown("member", unknown, MEMBERS)),
            }
        }
    }
    let words = words.ok_or_else(|| place.error("$search is missing: the words to look for"))?;
    Text::named(words, language, any).map_err(|error| place.wrap(&error))
}

pub(super) fn write(text: &Text) -> Json {
    let mut members = vec![("$search".to_owned(), text.words().into())];
    if text.language() != "simple" {
        members.push(("$language".to_owned(), text.language().into()));
    }
    if text.is_any() {
        members.push(("$require".to_owned(), "any".into()));
    }
    match &members[..] {
        [_] => text.words().into(),
        _ => Json::Object(members),
    }
}
