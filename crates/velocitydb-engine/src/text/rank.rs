//! How well a document fits: Okapi BM25. Tests: below.

/// How soon more occurrences of a term stop to count.
pub const BM25_K1: f64 = 1.2;

/// How much longer documents count less: 0 not at all, 1 in proportion.
pub const BM25_B: f64 = 0.75;

/// What a term is worth that `document_frequency` of `documents` documents have: more the rarer
/// it is, never negative.
pub fn idf(documents: u64, document_frequency: u64) -> f64 {
    let (all, with) = (documents as f64, document_frequency as f64);
    (((all - with).max(0.0) + 0.5) / (with + 0.5)).ln_1p()
}

/// What one term adds to the score of a document that has it `term_frequency` times. Lengths are
/// in words. A document's score is the sum over the terms that were asked for.
pub fn bm25(idf: f64, term_frequency: u32, length: u32, average_length: f64) -> f64 {
    let frequency = f64::from(term_frequency);
    let relative = if average_length > 0.0 {
        f64::from(length) / average_length
    } else {
        1.0
    };
    idf * frequency * (BM25_K1 + 1.0) / (frequency + BM25_K1 * (1.0 - BM25_B + BM25_B * relative))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rare_terms_and_short_documents_count_more() {
        // By hand: ln(1 + (10 − 2 + 0.5) / (2 + 0.5)) = 1.48160; once in an average document.
        assert!((idf(10, 2) - 1.481_604_5).abs() < 1e-6);
        assert!((bm25(idf(10, 2), 1, 100, 100.0) - 1.481_604_5).abs() < 1e-6);

        assert!(idf(1000, 1) > idf(1000, 2) && idf(1000, 1000) > 0.0);
        assert!(idf(5, 9) > 0.0 && idf(0, 0) > 0.0);
        let score = |frequency, length| bm25(1.0, frequency, length, 100.0);
        assert!(score(2, 100) > score(1, 100));
        assert!(score(1, 50) > score(1, 100));
        assert!(score(1_000_000, 1) < BM25_K1 + 1.0);
        assert_eq!(bm25(1.0, 1, 0, 0.0), 1.0);
        assert_eq!(bm25(1.0, 0, 10, 10.0), 0.0);
    }
}
