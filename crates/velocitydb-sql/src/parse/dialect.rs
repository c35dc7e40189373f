//! The language as sqlparser has it for PostgreSQL, without what makes it parse a part twice: parts
//! of parts it would parse four times, and so on; and
//! with the precedence of signs.

use std::any::TypeId;

use sqlparser::ast::{Expr, UnaryOperator};
use sqlparser::dialect::{Dialect, PostgreSqlDialect, Precedence};
use sqlparser::keywords::Keyword;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::Token;

/// See the module.
#[derive(Debug)]
pub(crate) struct Postgres;

/// Above `COLLATE`, below `[`, as [`PostgreSqlDialect`] numbers them.
const SIGN_PRECEDENCE: u8 = 121;

const BASE: PostgreSqlDialect = PostgreSqlDialect {};

macro_rules! as_it_is {
    ($($name:ident($($argument:ident: $of:ty),*) -> $answer:ty;)*) => {
        $(fn $name(&self, $($argument: $of),*) -> $answer {
            BASE.$name($($argument),*)
        })*
    };
}

impl Dialect for Postgres {
    fn dialect(&self) -> TypeId {
        BASE.dialect()
    }

    /// With names that are expressions, each argument would be parsed as a name first.
    fn supports_named_fn_args_with_expr_name(&self) -> bool {
        false
    }

    /// Those that PostgreSQL reserves: what is wrong behind them is not tried again as a call of a
    /// function of that name.
    fn is_reserved_for_identifier(&self, keyword: Keyword) -> bool {
        use Keyword::{ARRAY, CASE, CAST, NOT};
        matches!(keyword, ARRAY | CASE | CAST | NOT) || BASE.is_reserved_for_identifier(keyword)
    }

    /// Signs bind closer than all operators but subscripts and casts.
    fn parse_prefix(&self, parser: &mut Parser<'_>) -> Option<Result<Expr, ParserError>> {
        let op = match parser.peek_token_ref().token {
            Token::Minus => UnaryOperator::Minus,
            Token::Plus => UnaryOperator::Plus,
            _ => return None,
        };
        parser.advance_token();
        let of = parser.parse_subexpr(SIGN_PRECEDENCE);
        Some(of.map(|expr| Expr::UnaryOp {
            op,
            expr: Box::new(expr),
        }))
    }

    // All others of the trait that `PostgreSqlDialect` has.
    as_it_is! {
        identifier_quote_style(identifier: &str) -> Option<char>;
        is_delimited_identifier_start(ch: char) -> bool;
        is_identifier_start(ch: char) -> bool;
        is_identifier_part(ch: char) -> bool;
        supports_unicode_string_literal() -> bool;
        is_custom_operator_part(ch: char) -> bool;
        get_next_precedence(parser: &Parser<'_>) -> Option<Result<u8, ParserError>>;
        supports_filter_during_aggregation() -> bool;
        supports_group_by_expr() -> bool;
        prec_value(precedence: Precedence) -> u8;
        allow_extract_custom() -> bool;
        allow_extract_single_quotes() -> bool;
        supports_create_index_with_clause() -> bool;
        supports_explain_with_utility_options() -> bool;
        supports_listen_notify() -> bool;
        supports_factorial_operator() -> bool;
        supports_bitwise_shift_operators() -> bool;
        supports_comment_on() -> bool;
        supports_load_extension() -> bool;
        supports_named_fn_args_with_colon_operator() -> bool;
        supports_empty_projections() -> bool;
        supports_nested_comments() -> bool;
        supports_string_escape_constant() -> bool;
        supports_numeric_literal_underscores() -> bool;
        supports_array_typedef_with_brackets() -> bool;
        supports_geometric_types() -> bool;
        supports_set_names() -> bool;
        supports_alter_column_type_using() -> bool;
        supports_notnull_operator() -> bool;
        supports_interval_options() -> bool;
        supports_insert_table_alias() -> bool;
        supports_create_table_like_parenthesized() -> bool;
        supports_select_wildcard_with_alias() -> bool;
        supports_comma_separated_trim() -> bool;
        supports_xml_expressions() -> bool;
        supports_comment_optimizer_hint() -> bool;
    }
}
