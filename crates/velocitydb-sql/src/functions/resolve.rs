//! Chooses the row for a name and the types of arguments, as chapter 10 of PostgreSQL's manual
//! says (`parse_func.c`, `parse_oper.c`).
//!
//! Tests: `tests/it`.

use std::sync::{Arc, OnceLock};

use velocitydb_query::Scalar;
use velocitydb_types::{ScalarType, SqlType};

use super::types::{Category, category, common_type, is_implicit, is_preferred, is_same, plain};
use super::{Bound, Kind, Row, rows};
use crate::formats::Settings;

/// The function that a name and types of arguments mean.
#[derive(Debug, Clone)]
pub struct Resolved {
    /// What is called.
    pub function: Arc<dyn Scalar>,
    /// What each argument has to be cast to before.
    pub arguments: Vec<SqlType>,
    /// What it gives.
    pub result: SqlType,
}

/// Why a name and types of arguments mean no function.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct FunctionError {
    /// PostgreSQL's code.
    pub sqlstate: &'static str,
    /// What is wrong.
    pub message: String,
    /// What would be right.
    pub hint: Option<&'static str>,
}

/// What there is in the place of a function of text search.
fn of_words(name: &str) -> Option<&'static str> {
    Some(match name {
        "to_tsvector"
        | "to_tsquery"
        | "plainto_tsquery"
        | "phraseto_tsquery"
        | "websearch_to_tsquery" => {
            "There is to_tsvector('english', text) @@ websearch_to_tsquery('english', query), and its \
             like, as a condition."
        }
        "ts_rank" | "ts_rank_cd" | "ts_headline" => {
            "Ranks and highlights are answered by the search over HTTP and of the library."
        }
        _ => return None,
    })
}

impl FunctionError {
    pub(super) fn mismatch(message: String) -> FunctionError {
        FunctionError {
            sqlstate: "42804",
            message,
            hint: None,
        }
    }

    pub(super) fn missing(name: &str, types: &[Option<SqlType>]) -> FunctionError {
        if crate::absent::is_function(name) {
            return FunctionError {
                sqlstate: "0A000",
                message: format!("the function {name} is not supported"),
                hint: of_words(name),
            };
        }
        let (message, hint) = match is_operator(name) {
            true => (
                format!("operator does not exist: {}", shown(name, types)),
                "No operator matches the given name and argument types. You might need to add explicit type casts.",
            ),
            false => (
                format!("function {} does not exist", shown(name, types)),
                "No function matches the given name and argument types. You might need to add explicit type casts.",
            ),
        };
        FunctionError {
            sqlstate: "42883",
            message,
            hint: Some(hint),
        }
    }

    fn ambiguous(name: &str, types: &[Option<SqlType>]) -> FunctionError {
        let (message, hint) = match is_operator(name) {
            true => (
                format!("operator is not unique: {}", shown(name, types)),
                "Could not choose a best candidate operator. You might need to add explicit type casts.",
            ),
            false => (
                format!("function {} is not unique", shown(name, types)),
                "Could not choose a best candidate function. You might need to add explicit type casts.",
            ),
        };
        FunctionError {
            sqlstate: "42725",
            message,
            hint: Some(hint),
        }
    }
}

fn is_operator(name: &str) -> bool {
    !name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
}

/// A type without its modifiers, as messages have it; `None` is a literal or parameter.
pub fn type_name(sql: Option<SqlType>) -> String {
    match sql {
        None => "unknown".to_owned(),
        Some(SqlType::Scalar(scalar)) => scalar.row().long_name.to_owned(),
        Some(SqlType::Array(element)) => format!("{}[]", element.row().long_name),
    }
}

fn shown(name: &str, types: &[Option<SqlType>]) -> String {
    let names: Vec<String> = types.iter().map(|sql| type_name(*sql)).collect();
    match (is_operator(name), names.as_slice()) {
        (true, [a, b]) => format!("{a} {name} {b}"),
        (true, [a]) => format!("{name} {a}"),
        _ => format!("{name}({})", names.join(", ")),
    }
}

/// The rows of a name.
fn named(name: &str) -> &'static [&'static Row] {
    let rows = rows();
    let first = rows.partition_point(|row| row.name < name);
    let count = rows[first..].partition_point(|row| row.name == name);
    &rows[first..first + count]
}

/// Whether there is a function or an operator of this name.
pub fn is_function(name: &str) -> bool {
    !named(name).is_empty()
}

/// The function that a name (in lowercase, or an operator) means with arguments of these types;
/// `None` is a literal or a parameter whose type is not known yet.
///
/// # Errors
/// There is none, or which of several cannot be told.
pub fn resolve(
    name: &str,
    types: &[Option<SqlType>],
    settings: &Arc<Settings>,
) -> Result<Resolved, FunctionError> {
    let name = match name {
        "!=" => "<>",
        name => name,
    };
    if let Some(resolved) = resolve_construct(name, types, settings) {
        return resolved;
    }
    let candidates: Vec<_> = named(name)
        .iter()
        .copied()
        .filter(|row| row.takes(types.len()))
        .collect();
    let row = choose(name, types, candidates)?;
    bind(row, types, settings)
}

/// What the grammar has words for, and which takes its types from an operator or from all of its
/// arguments.
fn resolve_construct(
    name: &str,
    types: &[Option<SqlType>],
    settings: &Arc<Settings>,
) -> Option<Result<Resolved, FunctionError>> {
    let boolean = SqlType::Scalar(ScalarType::Bool);
    let comparison = match name {
        "is distinct from" | "is not distinct from" | "nullif" | "in" | "not in" => "=",
        "between" | "not between" => ">=",
        "and" | "or" | "not" | "is true" | "is not true" | "is false" | "is not false"
        | "is unknown" | "is not unknown" => {
            let wrong = types.iter().flatten().find(|given| **given != boolean)?;
            return Some(Err(FunctionError::mismatch(format!(
                "argument of {} must be type boolean, not type {}",
                name.to_uppercase(),
                type_name(Some(*wrong))
            ))));
        }
        "case" => return Some(resolve_case(types, settings)),
        _ => return None,
    };
    let row = *named(name).iter().find(|row| row.takes(types.len()))?;
    let by_operator = || {
        if let [_, _] = types {
            let operator = resolve(comparison, types, settings)?;
            let result = match row.result {
                Kind::Element => operator.arguments[0],
                _ => boolean,
            };
            return Ok(bound(row, operator.arguments, result, settings));
        }
        let common = common_type(types)
            .map_err(|(a, b)| FunctionError::missing(comparison, &[Some(a), Some(b)]))?;
        resolve(comparison, &[Some(common); 2], settings)?;
        let keep = |given: &Option<SqlType>| match given {
            Some(given) if is_same(*given, common) => *given,
            _ => common,
        };
        let arguments = types.iter().map(keep).collect();
        Ok(bound(row, arguments, boolean, settings))
    };
    Some(by_operator())
}

/// Conditions and values in turn, then perhaps the value for all else.
fn resolve_case(
    types: &[Option<SqlType>],
    settings: &Arc<Settings>,
) -> Result<Resolved, FunctionError> {
    let boolean = SqlType::Scalar(ScalarType::Bool);
    let is_condition = |position: usize| position.is_multiple_of(2) && position + 1 < types.len();
    let (mut values, mut wrong) = (Vec::new(), None);
    for (position, given) in types.iter().enumerate() {
        match given {
            _ if !is_condition(position) => values.push(*given),
            Some(given) if *given != boolean => wrong = Some(*given),
            _ => {}
        }
    }
    if let Some(wrong) = wrong {
        return Err(FunctionError::mismatch(format!(
            "argument of CASE/WHEN must be type boolean, not type {}",
            type_name(Some(wrong))
        )));
    }
    // The value for all else is asked first, as PostgreSQL does.
    if types.len() % 2 == 1 {
        values.rotate_right(1);
    }
    let common = common_type(&values).map_err(|(a, b)| cannot_be_matched("CASE", a, b))?;
    let wanted = |position: usize| {
        if is_condition(position) {
            boolean
        } else {
            common
        }
    };
    let [row] = named("case") else {
        return Err(FunctionError::missing("case", types));
    };
    let arguments = (0..types.len()).map(wanted).collect();
    Ok(bound(row, arguments, common, settings))
}

fn cannot_be_matched(construct: &str, a: SqlType, b: SqlType) -> FunctionError {
    let (a, b) = (type_name(Some(a)), type_name(Some(b)));
    FunctionError::mismatch(format!("{construct} types {a} and {b} cannot be matched"))
}

/// A row, with the types of its arguments and of its result.
pub(super) fn bound(
    row: &'static Row,
    arguments: Vec<SqlType>,
    result: SqlType,
    settings: &Arc<Settings>,
) -> Resolved {
    let bound = Bound {
        row,
        arguments: arguments.clone(),
        result,
        settings: settings.clone(),
        pattern: OnceLock::new(),
        zone: OnceLock::new(),
    };
    Resolved {
        function: Arc::new(bound),
        arguments,
        result,
    }
}

/// A row, with the types of arguments that it was chosen for.
fn bind(
    row: &'static Row,
    types: &[Option<SqlType>],
    settings: &Arc<Settings>,
) -> Result<Resolved, FunctionError> {
    let polymorphic = Polymorphic::of(row, types)?;
    let position = |(position, given): (usize, &Option<SqlType>)| {
        polymorphic.argument(row.kind(position), *given)
    };
    let arguments: Vec<SqlType> = types.iter().enumerate().map(position).collect();
    let result = polymorphic.argument(row.result, None);
    Ok(bound(row, arguments, result, settings))
}

/// The types that stand for a row's `Element` and `Common`.
#[derive(Debug, Default)]
struct Polymorphic {
    element: Option<SqlType>,
    common: Option<SqlType>,
}

impl Polymorphic {
    fn of(row: &Row, types: &[Option<SqlType>]) -> Result<Polymorphic, FunctionError> {
        let mut element = None;
        let (mut common, mut has_common, mut has_element) = (Vec::new(), false, false);
        for (position, given) in types.iter().enumerate() {
            let kind = row.kind(position);
            has_common |= matches!(kind, Kind::Common | Kind::CommonArray);
            has_element |= matches!(kind, Kind::Element | Kind::Array);
            let Some(given) = *given else {
                if kind == Kind::Common {
                    common.push(None);
                }
                continue;
            };
            let of_array = || match given {
                SqlType::Array(element) => Ok(SqlType::Scalar(element)),
                scalar => Err(FunctionError::mismatch(format!(
                    "argument declared anyarray is not an array but type {}",
                    type_name(Some(scalar))
                ))),
            };
            let found = match kind {
                Kind::Common => {
                    common.push(Some(given));
                    continue;
                }
                Kind::CommonArray => {
                    common.push(Some(of_array()?));
                    continue;
                }
                Kind::Element => given,
                Kind::Array => of_array()?,
                Kind::NonArray if matches!(given, SqlType::Array(_)) => {
                    return Err(FunctionError::mismatch(
                        "type matched to anynonarray is an array type".to_owned(),
                    ));
                }
                _ => continue,
            };
            match element {
                Some(other) if !is_same(other, found) => {
                    return Err(FunctionError::mismatch(format!(
                        "arguments declared anyelement are not all alike: {} versus {}",
                        type_name(Some(other)),
                        type_name(Some(found))
                    )));
                }
                _ => element = Some(plain(found)),
            }
        }
        if has_element && element.is_none() {
            return Err(FunctionError::mismatch(
                "could not determine polymorphic type because input has type unknown".to_owned(),
            ));
        }
        let common = match has_common {
            false => None,
            true => Some(
                common_type(&common)
                    .map_err(|(a, b)| cannot_be_matched(&row.name.to_uppercase(), a, b))?,
            ),
        };
        let of_arrays = |sql: Option<SqlType>, kind: Kind| match sql {
            Some(array @ SqlType::Array(_))
                if row.result == kind || row.arguments.contains(&kind) =>
            {
                Err(FunctionError {
                    sqlstate: "0A000",
                    message: format!("arrays of {} are not supported", type_name(Some(array))),
                    hint: None,
                })
            }
            _ => Ok(()),
        };
        of_arrays(common, Kind::CommonArray)?;
        of_arrays(element, Kind::Array)?;
        Ok(Polymorphic { element, common })
    }

    /// What an argument has to be cast to, or what the result is.
    fn argument(&self, kind: Kind, given: Option<SqlType>) -> SqlType {
        let text = SqlType::Scalar(ScalarType::Text);
        let array_of = |element: SqlType| match element {
            SqlType::Scalar(scalar) => SqlType::Array(scalar),
            array => array,
        };
        match kind {
            // There is no name for a `char` of any length: it stays as it is, or text.
            Kind::Is(ScalarType::Char(_)) => match given {
                Some(given @ SqlType::Scalar(ScalarType::Char(_))) => given,
                _ => text,
            },
            Kind::Is(scalar) => SqlType::Scalar(scalar),
            Kind::ArrayOf(element) => SqlType::Array(element),
            Kind::Any | Kind::NonArray => given.unwrap_or(text),
            Kind::Element => self.element.unwrap_or(text),
            Kind::Array => array_of(self.element.unwrap_or(text)),
            Kind::Common => self.common.unwrap_or(text),
            Kind::CommonArray => array_of(self.common.unwrap_or(text)),
        }
    }
}

/// The type that a row has at a position, unless it takes any.
fn fixed(row: &Row, position: usize) -> Option<SqlType> {
    match row.kind(position) {
        Kind::Is(scalar) => Some(SqlType::Scalar(scalar)),
        Kind::ArrayOf(element) => Some(SqlType::Array(element)),
        _ => None,
    }
}

fn choose(
    name: &str,
    types: &[Option<SqlType>],
    mut candidates: Vec<&'static Row>,
) -> Result<&'static Row, FunctionError> {
    let is_exact = |row: &&Row, types: &[Option<SqlType>]| {
        types
            .iter()
            .enumerate()
            .all(|(position, given)| match (given, fixed(row, position)) {
                (Some(given), Some(wanted)) => is_same(*given, wanted),
                _ => false,
            })
    };
    // An operator takes an operand of unknown type for one of the other's type first.
    let assumed = match (is_operator(name), types) {
        (true, [Some(a), None]) => vec![Some(*a); 2],
        (true, [None, Some(b)]) => vec![Some(*b); 2],
        _ => types.to_vec(),
    };
    if let Some(exact) = candidates.iter().find(|row| is_exact(row, &assumed)) {
        return Ok(exact);
    }
    if let ([only], true) = (candidates.as_slice(), is_construct(name)) {
        return Ok(only);
    }
    candidates.retain(|row| is_possible(row, types));
    match candidates.as_slice() {
        [] => return Err(FunctionError::missing(name, types)),
        [only] => return Ok(only),
        _ => {}
    }
    keep_best(&mut candidates, |row| {
        count(types, |position, given| {
            fixed(row, position).is_some_and(|wanted| is_same(wanted, given))
        })
    });
    keep_best(&mut candidates, |row| {
        count(types, |position, given| {
            let wanted = fixed(row, position);
            wanted.is_some_and(|wanted| {
                is_same(wanted, given)
                    || (is_preferred(wanted) && category(wanted) == category(given))
            })
        })
    });
    if candidates.len() > 1 && types.contains(&None) {
        keep_by_category(types, &mut candidates);
    }
    if candidates.len() > 1 {
        keep_by_known(types, &mut candidates);
    }
    match candidates.as_slice() {
        [only] => Ok(only),
        _ => Err(FunctionError::ambiguous(name, types)),
    }
}

/// Whether it is a construct of the grammar, whose only row says itself what does not fit.
fn is_construct(name: &str) -> bool {
    matches!(name, "array" | "coalesce" | "greatest" | "least")
}

/// Whether every argument can be what a row wants, without being asked to.
fn is_possible(row: &Row, types: &[Option<SqlType>]) -> bool {
    let fits =
        types
            .iter()
            .enumerate()
            .all(|(position, given)| match (given, fixed(row, position)) {
                (Some(given), Some(wanted)) => is_implicit(*given, wanted),
                _ => true,
            });
    // That nothing says which type the elements have, is for the message to say.
    let is_unknown = |(position, given): (usize, &Option<SqlType>)| {
        given.is_none() || !matches!(row.kind(position), Kind::Element | Kind::Array)
    };
    let needs_element = row
        .arguments
        .iter()
        .any(|kind| matches!(kind, Kind::Element | Kind::Array));
    fits && (Polymorphic::of(row, types).is_ok()
        || needs_element && types.iter().enumerate().all(is_unknown))
}

fn count(types: &[Option<SqlType>], holds: impl Fn(usize, SqlType) -> bool) -> usize {
    let given = types.iter().enumerate();
    given
        .filter(|(position, given)| given.is_some_and(|given| holds(*position, given)))
        .count()
}

fn keep_best(candidates: &mut Vec<&'static Row>, score: impl Fn(&Row) -> usize) {
    let best = candidates.iter().map(|row| score(row)).max();
    if let Some(best @ 1..) = best {
        candidates.retain(|row| score(row) == best);
    }
}

/// By the categories that the candidates want where the type is unknown: strings first.
fn keep_by_category(types: &[Option<SqlType>], candidates: &mut Vec<&'static Row>) {
    let category_at =
        |row: &Row, position: usize| fixed(row, position).map_or(Category::Polymorphic, category);
    let preferred_at = |row: &Row, position: usize| fixed(row, position).is_some_and(is_preferred);
    let mut wanted = Vec::new();
    for (position, _) in types
        .iter()
        .enumerate()
        .filter(|(_, given)| given.is_none())
    {
        let mut all = candidates.iter().map(|row| category_at(row, position));
        let Some(first) = all.next() else { return };
        let chosen = match all.all(|category| category == first) {
            true => first,
            false
                if candidates
                    .iter()
                    .any(|row| category_at(row, position) == Category::String) =>
            {
                Category::String
            }
            false => return,
        };
        let is_chosen = |row: &&&Row| category_at(row, position) == chosen;
        let prefers = candidates
            .iter()
            .filter(is_chosen)
            .any(|row| preferred_at(row, position));
        wanted.push((position, chosen, prefers));
    }
    let kept: Vec<_> = candidates
        .iter()
        .copied()
        .filter(|row| {
            wanted.iter().all(|(position, chosen, prefers)| {
                category_at(row, *position) == *chosen && (!prefers || preferred_at(row, *position))
            })
        })
        .collect();
    if !kept.is_empty() {
        *candidates = kept;
    }
}

/// When all known arguments are of one type, the unknown ones are taken for that.
fn keep_by_known(types: &[Option<SqlType>], candidates: &mut Vec<&'static Row>) {
    let mut known = types.iter().flatten();
    let Some(first) = known.next() else { return };
    if !types.contains(&None) || !known.all(|other| is_same(*other, *first)) {
        return;
    }
    let assumed = vec![Some(*first); types.len()];
    let possible: Vec<_> = candidates
        .iter()
        .copied()
        .filter(|row| is_possible(row, &assumed))
        .collect();
    if possible.len() == 1 {
        *candidates = possible;
    }
}
