//! Whether two words differ by a typing error or two. Tests: below.

/// The most edits that a fuzzy term allows.
pub const EDITS_MAX: u8 = 2;

/// The words within a number of edits of one word. An edit puts a letter in, takes one out, replaces
/// one or swaps two neighbours (optimal string alignment: no part is edited twice).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fuzzy {
    word: Box<str>,
    edits: u8,
    /// Which places of the word have a letter, one bit for each place: by the letter for ASCII, in
    /// a list for others.
    ascii: Box<[u64; 128]>,
    others: Vec<(char, u64)>,
    letters: u32,
}

impl Fuzzy {
    /// The words within `edits` (at most [`EDITS_MAX`]) of a word, of which the first 64
    /// letters count.
    pub fn new(word: &str, edits: u8) -> Self {
        let end = word.char_indices().nth(64).map_or(word.len(), |(at, _)| at);
        let word = &word[..end];
        let mut fuzzy = Self {
            word: word.into(),
            edits: edits.min(EDITS_MAX),
            ascii: Box::new([0; 128]),
            others: Vec::new(),
            letters: 0,
        };
        for (place, letter) in word.chars().enumerate() {
            fuzzy.letters += 1;
            let places = match fuzzy.ascii.get_mut(letter as usize) {
                Some(places) => places,
                None => {
                    let known = fuzzy.others.iter().position(|(other, _)| *other == letter);
                    let index = known.unwrap_or_else(|| {
                        fuzzy.others.push((letter, 0));
                        fuzzy.others.len() - 1
                    });
                    &mut fuzzy.others[index].1
                }
            };
            *places |= 1 << place;
        }
        fuzzy
    }

    /// The word.
    pub fn word(&self) -> &str {
        &self.word
    }

    /// How many edits it allows.
    pub fn edits(&self) -> u8 {
        self.edits
    }

    /// Whether a term is within the edits.
    pub fn accepts(&self, term: &str) -> bool {
        let edits = u32::from(self.edits);
        // Most terms of a dictionary are too long or too short, which bytes show (a letter has
        // at most 4), or letters do.
        let shortest = self.letters.saturating_sub(edits) as usize;
        if term.len() < shortest || term.len() > 4 * (self.letters + edits) as usize {
            return false;
        }
        let length = if term.is_ascii() {
            term.len()
        } else {
            term.chars().count()
        };
        if length.abs_diff(self.letters as usize) > edits as usize {
            return false;
        }
        if self.letters == 0 {
            return true;
        }
        self.distance_within(term, length as u32, edits)
    }

    /// The columns of the usual table of distances, each as differences in the bits of a word
    /// (Myers 1999; with swaps, Hyyrö 2003).
    fn distance_within(&self, term: &str, length: u32, edits: u32) -> bool {
        let last = 1_u64 << (self.letters - 1);
        // Where the column rises by one from place to place, where it falls.
        let (mut rises, mut falls) = (u64::MAX, 0_u64);
        // Where the diagonal stays, and which places had the letter before.
        let (mut stays, mut before) = (0_u64, 0_u64);
        let mut distance = self.letters;
        let mut left = length;
        for letter in term.chars() {
            let places = self.places(letter);
            let swaps = ((!stays & places) << 1) & before;
            stays = ((places & rises).wrapping_add(rises) ^ rises) | places | falls | swaps;
            let across_rises = falls | !(stays | rises);
            let across_falls = stays & rises;
            distance += u32::from(across_rises & last != 0);
            distance -= u32::from(across_falls & last != 0);
            let across_rises = across_rises << 1 | 1;
            rises = across_falls << 1 | !(stays | across_rises);
            falls = across_rises & stays;
            before = places;
            // Each letter that is left lowers the distance by one at most.
            left -= 1;
            if distance > edits + left {
                return false;
            }
        }
        distance <= edits
    }

    fn places(&self, letter: char) -> u64 {
        match self.ascii.get(letter as usize) {
            Some(places) => *places,
            None => {
                let known = self.others.iter().find(|(other, _)| *other == letter);
                known.map_or(0, |(_, places)| *places)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn typing_errors() {
        for (word, term, edits) in [
            ("library", "library", 0),
            ("libary", "library", 1),
            ("librarry", "library", 1),
            ("lobrary", "library", 1),
            ("lirbary", "library", 1),
            ("lirbarry", "library", 2),
            ("abc", "ca", 3),
            ("größe", "grösse", 2),
            ("日本", "本日", 1),
            ("", "ab", 2),
            ("a", "", 1),
        ] {
            for allowed in 0..=EDITS_MAX {
                let accepted = Fuzzy::new(word, allowed).accepts(term);
                assert_eq!(accepted, edits <= allowed, "{word} {term} {allowed}");
            }
        }
    }

    /// The definition, letter by letter.
    fn distance(a: &str, b: &str) -> usize {
        let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
        let mut table = vec![vec![0; b.len() + 1]; a.len() + 1];
        for i in 0..=a.len() {
            for j in 0..=b.len() {
                table[i][j] = match (i, j) {
                    (0, n) | (n, 0) => n,
                    _ => {
                        let replaced = table[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
                        let mut least = replaced.min(table[i - 1][j] + 1).min(table[i][j - 1] + 1);
                        if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                            least = least.min(table[i - 2][j - 2] + 1);
                        }
                        least
                    }
                };
            }
        }
        table[a.len()][b.len()]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(5000))]

        #[test]
        fn accepts_what_the_definition_says(
            a in "[abcä]{0,8}",
            b in "[abcä]{0,8}",
            tail in "[ab]{0,56}",
            edits in 0_u8..3,
        ) {
            for (a, b) in [(a.clone(), b.clone()), (a + &tail, b + &tail)] {
                let expected = distance(&a, &b) <= usize::from(edits);
                prop_assert_eq!(Fuzzy::new(&a, edits).accepts(&b), expected, "{} {}", a, b);
            }
        }
    }
}
