//! Letters, small and capital, as SQL has them.

/// The small letter of a character, where that is one character. (PostgreSQL, and the C library's
/// tables, change each by itself.)
pub fn lower(character: char) -> char {
    only(character.to_lowercase(), character)
}

/// The capital letter of a character, where that is one character: that of `ß` is two.
pub fn upper(character: char) -> char {
    only(character.to_uppercase(), character)
}

fn only(mut mapped: impl Iterator<Item = char>, otherwise: char) -> char {
    match (mapped.next(), mapped.next()) {
        (Some(one), None) => one,
        _ => otherwise,
    }
}
