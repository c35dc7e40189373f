//! What PostgreSQL's grammar has, and neither sqlparser's nor ours: it is refused as what it is, not
//! as an error of syntax.
//!
//! Looked at when a statement is no SQL for the parser, so that nothing which it does know is refused
//! here. `docs/sql/support.md` lists all of it; tests/it/support.rs runs the examples there.

use sqlparser::ast::Statement;
use sqlparser::tokenizer::{Location, Token, TokenWithSpan, Tokenizer};

use super::Postgres;

/// Statements of PostgreSQL 15 that there are not.
pub(crate) const COMMANDS: &[&str] = &[
    "ALTER AGGREGATE",
    "ALTER COLLATION",
    "ALTER CONVERSION",
    "ALTER DATABASE",
    "ALTER DEFAULT PRIVILEGES",
    "ALTER DOMAIN",
    "ALTER EVENT TRIGGER",
    "ALTER EXTENSION",
    "ALTER FOREIGN DATA WRAPPER",
    "ALTER FOREIGN TABLE",
    "ALTER FUNCTION",
    "ALTER GROUP",
    "ALTER INDEX",
    "ALTER LANGUAGE",
    "ALTER LARGE OBJECT",
    "ALTER MATERIALIZED VIEW",
    "ALTER OPERATOR",
    "ALTER OPERATOR CLASS",
    "ALTER OPERATOR FAMILY",
    "ALTER POLICY",
    "ALTER PROCEDURE",
    "ALTER PUBLICATION",
    "ALTER ROLE",
    "ALTER ROUTINE",
    "ALTER RULE",
    "ALTER SCHEMA",
    "ALTER SERVER",
    "ALTER STATISTICS",
    "ALTER SUBSCRIPTION",
    "ALTER SYSTEM",
    "ALTER TABLE ALL IN TABLESPACE",
    "ALTER TABLESPACE",
    "ALTER TEXT SEARCH CONFIGURATION",
    "ALTER TEXT SEARCH DICTIONARY",
    "ALTER TEXT SEARCH PARSER",
    "ALTER TEXT SEARCH TEMPLATE",
    "ALTER TRIGGER",
    "ALTER TYPE",
    "ALTER USER",
    "ALTER USER MAPPING",
    "ALTER VIEW",
    "CALL",
    "CHECKPOINT",
    "CLUSTER",
    "COMMIT AND CHAIN",
    "COMMIT PREPARED",
    "CREATE ACCESS METHOD",
    "CREATE AGGREGATE",
    "CREATE CAST",
    "CREATE COLLATION",
    "CREATE CONSTRAINT TRIGGER",
    "CREATE CONVERSION",
    "CREATE DEFAULT CONVERSION",
    "CREATE DOMAIN",
    "CREATE EVENT TRIGGER",
    "CREATE EXTENSION",
    "CREATE FOREIGN DATA WRAPPER",
    "CREATE FOREIGN TABLE",
    "CREATE FUNCTION",
    "CREATE GROUP",
    "CREATE LANGUAGE",
    "CREATE MATERIALIZED VIEW",
    "CREATE OPERATOR",
    "CREATE OPERATOR CLASS",
    "CREATE OPERATOR FAMILY",
    "CREATE OR REPLACE",
    "CREATE POLICY",
    "CREATE PROCEDURE",
    "CREATE PUBLICATION",
    "CREATE RECURSIVE VIEW",
    "CREATE ROLE",
    "CREATE RULE",
    "CREATE SERVER",
    "CREATE STATISTICS",
    "CREATE SUBSCRIPTION",
    "CREATE TABLESPACE",
    "CREATE TEMPORARY VIEW",
    "CREATE TEXT SEARCH CONFIGURATION",
    "CREATE TEXT SEARCH DICTIONARY",
    "CREATE TEXT SEARCH PARSER",
    "CREATE TEXT SEARCH TEMPLATE",
    "CREATE TRANSFORM",
    "CREATE TRIGGER",
    "CREATE TRUSTED LANGUAGE",
    "CREATE TYPE",
    "CREATE UNLOGGED SEQUENCE",
    "CREATE UNLOGGED TABLE",
    "CREATE USER",
    "CREATE USER MAPPING",
    "CREATE VIEW",
    "DO",
    "DROP ACCESS METHOD",
    "DROP AGGREGATE",
    "DROP CAST",
    "DROP COLLATION",
    "DROP CONVERSION",
    "DROP DOMAIN",
    "DROP EVENT TRIGGER",
    "DROP EXTENSION",
    "DROP FOREIGN DATA WRAPPER",
    "DROP FOREIGN TABLE",
    "DROP FUNCTION",
    "DROP GROUP",
    "DROP INDEX CONCURRENTLY",
    "DROP LANGUAGE",
    "DROP MATERIALIZED VIEW",
    "DROP OPERATOR",
    "DROP OPERATOR CLASS",
    "DROP OPERATOR FAMILY",
    "DROP OWNED",
    "DROP POLICY",
    "DROP PROCEDURE",
    "DROP PUBLICATION",
    "DROP ROLE",
    "DROP ROUTINE",
    "DROP RULE",
    "DROP SERVER",
    "DROP STATISTICS",
    "DROP SUBSCRIPTION",
    "DROP TABLESPACE",
    "DROP TEXT SEARCH CONFIGURATION",
    "DROP TEXT SEARCH DICTIONARY",
    "DROP TEXT SEARCH PARSER",
    "DROP TEXT SEARCH TEMPLATE",
    "DROP TRANSFORM",
    "DROP TRIGGER",
    "DROP TYPE",
    "DROP USER",
    "DROP USER MAPPING",
    "DROP VIEW",
    "GRANT",
    "IMPORT FOREIGN SCHEMA",
    "LOAD",
    "LOCK",
    "MERGE",
    "PREPARE TRANSACTION",
    "REASSIGN OWNED",
    "REFRESH MATERIALIZED VIEW",
    "REVOKE",
    "ROLLBACK AND CHAIN",
    "ROLLBACK PREPARED",
    "SECURITY LABEL",
    "SET CONSTRAINTS",
    "SET ROLE",
    "SET SESSION AUTHORIZATION",
    "SET TRANSACTION SNAPSHOT",
    "TABLE",
];

/// Clauses where the parser ends.
const CLAUSES: &[&str] = &[
    "ALTER CONSTRAINT",
    "ATTACH PARTITION",
    "CLUSTER ON",
    "COLLATE",
    "COMPRESSION",
    "CURRENT OF",
    "DEFERRABLE",
    "DETACH PARTITION",
    "DROP EXPRESSION",
    "DROP IDENTITY",
    "EXCLUDE",
    "EXCLUDING",
    "GROUP BY DISTINCT",
    "INCLUDE",
    "INCLUDING",
    "INHERIT",
    "INHERITS",
    "NO INHERIT",
    "NOT DEFERRABLE",
    "NOT OF",
    "NULLS DISTINCT",
    "NULLS NOT DISTINCT",
    "OF",
    "ONLY",
    "OWNER TO",
    "RENAME TO",
    "ROWS FROM",
    "SET (",
    "SET ACCESS METHOD",
    "SET COMPRESSION",
    "SET DEFAULT (",
    "SET GENERATED",
    "SET LOGGED",
    "SET NULL (",
    "SET SCHEMA",
    "SET STATISTICS",
    "SET STORAGE",
    "SET TABLESPACE",
    "SET UNLOGGED",
    "SET WITHOUT CLUSTER",
    "SET WITHOUT OIDS",
    "SIMILAR",
    "STORAGE",
    "TABLE",
    "TABLESPACE",
    "USING",
    "VARIADIC",
    "WITH (",
    "WITHOUT OIDS",
    "XMLELEMENT ( NAME",
    "XMLPARSE ( DOCUMENT",
];

/// The statement that begins so, if it is one of [`COMMANDS`].
pub(crate) fn command<'w>(words: impl Iterator<Item = &'w str> + Clone) -> Option<&'static str> {
    let begins = |command: &&&str| {
        let mut words = words.clone();
        command.split(' ').all(|wanted| {
            let word = words.next();
            word.is_some_and(|word| {
                word.eq_ignore_ascii_case(wanted)
                    || wanted == "TEMPORARY" && word.eq_ignore_ascii_case("TEMP")
            })
        })
    };
    let commands = COMMANDS.iter().filter(begins);
    commands.max_by_key(|command| command.len()).copied()
}

/// The most words of a statement's name or a clause.
const WORDS_MAX: usize = 6;

/// What a statement of these tokens has that is not supported, and where; `place` is where the parser
/// has ended; `None`: at the end.
pub(super) fn found<'t>(
    tokens: impl Iterator<Item = &'t TokenWithSpan> + Clone,
    place: Option<Location>,
) -> Option<(&'static str, Location)> {
    let first = tokens.clone().next()?;
    let begin: Vec<String> = tokens.clone().take(WORDS_MAX).map(word).collect();
    if let Some(command) = command(begin.iter().map(String::as_str)) {
        return Some((command, first.span.start));
    }
    // Those around that place.
    let is_before = |of: &&TokenWithSpan| place.is_none_or(|place| of.span.start < place);
    let count = tokens.clone().take_while(is_before).count();
    let around: Vec<_> = tokens
        .skip(count.saturating_sub(WORDS_MAX))
        .take(2 * WORDS_MAX)
        .collect();
    let at = count.min(WORDS_MAX);
    let words: Vec<String> = around.iter().copied().map(word).collect();
    let stands = |clause: &'static str| {
        let count = clause.split(' ').count();
        let first = (at.saturating_sub(count)..=at).find(|first| {
            let mut words = words.iter().skip(*first);
            clause.split(' ').all(|wanted| {
                let word = words.next();
                word.is_some_and(|word| word.eq_ignore_ascii_case(wanted))
            })
        });
        first.map(|first| (clause, around[first].span.start))
    };
    let clauses = CLAUSES.iter().filter_map(|clause| stands(clause));
    clauses.max_by_key(|(clause, _)| clause.len())
}

fn word(of: &TokenWithSpan) -> String {
    match &of.token {
        Token::Word(word) if word.quote_style.is_none() => word.value.clone(),
        token => token.to_string(),
    }
}

/// Words of other dialects that the parser takes without a trace: behind a column's type, and before
/// an index.
const LOST_OF_TABLES: &[&str] = &[
    "AS",
    "ASC",
    "AUTO_INCREMENT",
    "AUTOINCREMENT",
    "DESC",
    "GENERATED",
    "IDENTITY",
    "PROJECTION",
    "SRID",
    "UPDATE",
];
const LOST_OF_INDEXES: &[&str] = &["GLOBAL", "LOCAL", "TEMP", "TEMPORARY", "TRANSIENT"];

/// A word of a definition that is not in its tree.
pub(super) fn lost<'t>(
    tokens: impl Iterator<Item = &'t TokenWithSpan> + Clone,
    tree: &Statement,
) -> Option<&'t TokenWithSpan> {
    let lost = match tree {
        Statement::CreateTable(_) | Statement::AlterTable(_) => LOST_OF_TABLES,
        Statement::CreateIndex(_) => LOST_OF_INDEXES,
        _ => return None,
    };
    let is = |token: &Token, wanted: &str| match token {
        Token::Word(word) => word.quote_style.is_none() && word.value.eq_ignore_ascii_case(wanted),
        _ => false,
    };
    let text = tree.to_string();
    let kept = Tokenizer::new(&Postgres, &text).tokenize().ok()?;
    lost.iter().find_map(|wanted| {
        let said = || tokens.clone().filter(|of| is(&of.token, wanted));
        let kept = kept.iter().filter(|token| is(token, wanted)).count();
        (said().count() > kept).then(|| said().last()).flatten()
    })
}
