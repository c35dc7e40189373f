//! How deep the tree of a text can be, told by its tokens before there is a tree.
//!
//! The parser counts what nests, but `1 + 1 + 1 + …` is for it a loop, whose tree is as deep as it
//! is long; whoever walks that tree, and be it to drop it, needs a stack as deep. And some parts it
//! parses twice: a table in two parentheses, and what is wrong behind a word that may be a name.

use sqlparser::keywords::Keyword;
use sqlparser::parser::ParserError;
use sqlparser::tokenizer::{Token, TokenWithSpan};

/// How many tokens may follow each other without a comma between, those around them included.
const CHAIN_MAX: usize = 8192;

/// How many parts that are parsed twice may be in each other.
const DOUBLED_MAX: usize = 8;

/// What is between two parentheses.
#[derive(Default)]
struct Level {
    /// Tokens since the last comma.
    chain: usize,
    /// The deepest of what is in parentheses since then.
    within: usize,
    /// The deepest of what stands before the last comma.
    before: usize,
    /// What UNION and its like add, whatever commas there are between them.
    queries: usize,
    /// Whether a table may stand here.
    table: bool,
    /// Parts that are parsed twice, up to here.
    doubled: usize,
}

impl Level {
    fn depth(&self) -> usize {
        self.queries + self.before.max(self.chain + self.within)
    }
}

/// Whether a word begins an expression of its own kind, but may be the name of a function or column.
fn may_be_name(keyword: Keyword) -> bool {
    use Keyword::{
        CEIL, CONVERT, EXTRACT, FLOOR, INTERVAL, OVERLAY, POSITION, SAFE_CAST, SUBSTR, SUBSTRING,
        TRY_CAST, TRY_CONVERT,
    };
    matches!(
        keyword,
        CEIL | CONVERT
            | EXTRACT
            | FLOOR
            | INTERVAL
            | OVERLAY
            | POSITION
            | SAFE_CAST
            | SUBSTR
            | SUBSTRING
            | TRY_CAST
            | TRY_CONVERT
    )
}

/// Refuses statements whose trees would be too deep.
///
/// # Errors
/// One is.
pub(super) fn check(tokens: &[TokenWithSpan]) -> Result<(), ParserError> {
    let mut levels: Vec<Level> = Vec::new();
    let (mut level, mut last) = (Level::default(), &Token::SemiColon);
    for TokenWithSpan { token, .. } in tokens {
        if matches!(token, Token::Whitespace(_)) {
            continue;
        }
        // One with a text behind it is no part with parts.
        if matches!(last, Token::Word(word) if word.keyword == Keyword::INTERVAL)
            && !matches!(token, Token::SingleQuotedString(_) | Token::LParen)
        {
            level.doubled += 1;
        }
        match token {
            Token::LParen | Token::LBracket => {
                let table = match last {
                    Token::LParen => level.table,
                    Token::Comma => true,
                    Token::Word(word) => {
                        use Keyword::{FROM, JOIN, LATERAL, UPDATE, USING};
                        matches!(word.keyword, FROM | JOIN | LATERAL | UPDATE | USING)
                    }
                    _ => false,
                };
                let is_second = match last {
                    Token::LParen => table,
                    Token::Word(word) => may_be_name(word.keyword),
                    _ => false,
                };
                let within = Level {
                    table,
                    doubled: level.doubled + usize::from(is_second),
                    ..Level::default()
                };
                levels.push(std::mem::replace(&mut level, within));
            }
            Token::RParen | Token::RBracket => {
                if let Some(around) = levels.pop() {
                    let within = std::mem::replace(&mut level, around);
                    level.within = level.within.max(within.depth());
                    level.chain += 1;
                }
            }
            Token::Comma => {
                level.before = level.before.max(level.chain + level.within);
                (level.chain, level.within) = (0, 0);
                level.doubled = levels.last().map_or(0, |around| around.doubled);
            }
            Token::SemiColon => {
                levels.clear();
                level = Level::default();
            }
            // These are operators without a second operand.
            Token::ExclamationMark => level.chain += 2,
            Token::Word(word) => {
                use Keyword::{EXCEPT, INTERSECT, MINUS, NOTNULL, UNION};
                match word.keyword {
                    NOTNULL => level.chain += 2,
                    // Trees of queries take more.
                    UNION | EXCEPT | INTERSECT | MINUS => level.queries += 16,
                    _ => level.chain += 1,
                }
            }
            _ => level.chain += 1,
        }
        if level.depth() > CHAIN_MAX || level.doubled > DOUBLED_MAX {
            return Err(ParserError::RecursionLimitExceeded);
        }
        last = token;
    }
    Ok(())
}
