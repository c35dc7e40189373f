//! Expressions that indexes are of: what of SQL the engine's language says the same, and which parts
//! of a condition are such an expression.
//!
//! The engine keeps an index by an expression in its own language
//! ([`velocitydb_types::expression`]), since it judges documents from all doors, and replays them.
//! [`kept`] says a bound expression in that language, or not: only what gives the same value there.
//! A query finds the index by asking the same of its own parts: [`Indexed::replaced`] puts columns in
//! the place of those that an index is of, and what is known of such a column
//! ([`crate::conditions`]) is for the planner. The condition itself is asked of every document.
//!
//! Tests: slt/expression_indexes.slt, slt/json_indexes.slt, and tests/it/indexed.rs against scans.

use std::collections::HashMap;

use velocitydb::Definition;
use velocitydb_types::{Expression, Path, ScalarType, SqlType, Value};

use crate::bound::Bound;

/// The expressions that the indexes of a table are of.
#[derive(Debug, Clone, Default)]
pub(crate) struct Indexed {
    paths: Vec<Path>,
}

/// What the operators of jsonb that an index serves ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Terms {
    Keys,
    Paths,
}

impl Terms {
    /// What the engine's language calls them.
    pub(crate) fn function(self) -> &'static str {
        match self {
            Terms::Keys => "json_terms",
            Terms::Paths => "json_path_terms",
        }
    }

    /// Those that a path stands for, if it does for any.
    pub(crate) fn of(path: &Path) -> Option<Terms> {
        let text = path.first().strip_prefix("_(")?;
        let is = |terms: &Terms| {
            let rest = text.strip_prefix(terms.function());
            rest.is_some_and(|rest| rest.starts_with('('))
        };
        [Terms::Keys, Terms::Paths].into_iter().find(is)
    }
}

impl Indexed {
    pub(crate) fn new(definition: &Definition) -> Indexed {
        let fields = definition.indexes.iter().flat_map(|index| &index.fields);
        let made = fields.filter(|field| field.expression.is_some());
        Indexed {
            paths: made.map(|field| field.path.clone()).collect(),
        }
    }

    /// The path that stands for an expression, if an index is of it.
    pub(crate) fn stands_for(&self, bound: &Bound) -> Option<Path> {
        if self.paths.is_empty() || !matches!(bound, Bound::Apply { .. }) {
            return None;
        }
        self.path(&kept(bound)?)
    }

    fn path(&self, text: &str) -> Option<Path> {
        let path = text.parse::<Expression>().ok()?.stand_in();
        self.paths.contains(&path).then_some(path)
    }

    /// A condition with columns in the place of what indexes are of; `None` where there is nothing
    /// of that. The types of the columns are added to `types`.
    pub(crate) fn replaced(
        &self,
        bound: &Bound,
        types: &mut HashMap<Path, SqlType>,
    ) -> Option<Bound> {
        let Bound::Apply {
            function,
            arguments,
            types: own,
            volatile: false,
        } = bound
        else {
            return None;
        };
        if self.paths.is_empty() {
            return None;
        }
        if let Some(path) = self.stands_for(bound)
            && let Some(sql) = function.result()
        {
            types.insert(path.clone(), sql);
            return Some(Bound::Column(path));
        }
        let of_json = match (function.name(), &own[..]) {
            ("@>", [sql, _]) | ("?" | "?|" | "?&", [sql, _]) if is_jsonb(*sql) => Some(0),
            ("<@", [_, sql]) if is_jsonb(*sql) => Some(1),
            _ => None,
        };
        if let Some(at) = of_json {
            let whole = matches!(function.name(), "@>" | "<@").then_some(Terms::Paths);
            let text = kept(&arguments[at])?;
            let mut kinds = whole.into_iter().chain([Terms::Keys]);
            let path = kinds.find_map(|terms| self.path(&format!("{}({text})", terms.function())));
            let mut arguments = arguments.clone();
            arguments[at] = Bound::Column(path?);
            return Some(Bound::Apply {
                function: function.clone(),
                arguments,
                types: own.clone(),
                volatile: false,
            });
        }
        let mut found = false;
        let arguments = arguments.iter().map(|argument| {
            let replaced = self.replaced(argument, types);
            found |= replaced.is_some();
            replaced.unwrap_or_else(|| argument.clone())
        });
        let arguments = arguments.collect();
        found.then(|| Bound::Apply {
            function: function.clone(),
            arguments,
            types: own.clone(),
            volatile: false,
        })
    }
}

fn is_jsonb(sql: SqlType) -> bool {
    sql == ScalarType::Jsonb.into()
}

/// An expression in the engine's language, if that gives the same value for every row.
pub(crate) fn kept(bound: &Bound) -> Option<String> {
    match bound {
        Bound::Column(path) if path.rest().is_empty() && !path.first().starts_with('_') => {
            Some(format!("\"{}\"", path.first().replace('"', "\"\"")))
        }
        Bound::Constant(Value::String(text)) => Some(format!("'{}'", text.replace('\'', "''"))),
        Bound::Apply {
            function,
            arguments,
            types,
            volatile: false,
        } => call(function.name(), arguments, types, function.result()?),
        _ => None,
    }
}

fn call(name: &str, arguments: &[Bound], types: &[SqlType], result: SqlType) -> Option<String> {
    use ScalarType::{Int2, Int4, Int8, Json, Jsonb, Timestamp, Timestamptz};
    let scalars = types.iter().map(|sql| match sql {
        SqlType::Scalar(scalar) => Some(*scalar),
        SqlType::Array(_) => None,
    });
    let scalars = scalars.collect::<Option<Vec<_>>>()?;
    let are_texts = scalars.iter().all(|scalar| scalar.is_text());
    let made = || {
        let made = arguments.iter().map(kept).collect::<Option<Vec<_>>>();
        made.map(|made| made.join(", "))
    };
    let called = |name: &str| Some(format!("{name}({})", made()?));
    // A number that stands in the text.
    let count = |at: usize| match &arguments[at] {
        Bound::Constant(Value::Int(int)) => Some(int.to_string()),
        _ => None,
    };
    let between =
        |sign: &str, right: String| Some(format!("({} {sign} {right})", kept(&arguments[0])?));
    match (name, &scalars[..]) {
        ("lower" | "upper" | "md5", [_]) if are_texts => called(name),
        ("length" | "char_length" | "character_length", [_]) if are_texts => called("length"),
        ("trim" | "btrim", [_] | [_, _]) if are_texts => called("btrim"),
        ("ltrim" | "rtrim", [_] | [_, _]) if are_texts => called(name),
        ("left" | "right", [text, Int4]) if text.is_text() => {
            Some(format!("{name}({}, {})", kept(&arguments[0])?, count(1)?))
        }
        ("||", [_, _]) if are_texts => between("||", kept(&arguments[1])?),
        ("->" | "->>", [Json | Jsonb, step]) => match step {
            Int4 => between(name, count(1)?),
            step if step.is_text() => between(name, kept(&arguments[1])?),
            _ => None,
        },
        ("abs", [scalar]) if scalar.is_number() => called("abs"),
        ("+" | "-" | "*", [one, other]) if one == other => match result {
            SqlType::Scalar(Int2 | Int4 | Int8) => {
                let sum = between(name, kept(&arguments[1])?)?;
                Some(format!("{}{sum}", width(result)?))
            }
            _ => None,
        },
        ("coalesce", [first, rest @ ..]) if rest.iter().all(|scalar| scalar == first) => {
            called("coalesce")
        }
        ("date_trunc", [_, Timestamp]) => called("date_trunc"),
        ("timezone", [_, Timestamptz]) => match &arguments[0] {
            Bound::Constant(Value::String(zone)) if zone.eq_ignore_ascii_case("UTC") => {
                Some(format!("timezone('UTC', {})", kept(&arguments[1])?))
            }
            _ => None,
        },
        ("cast", [from]) if from.is_text() || matches!(from, Int2 | Int4 | Int8) => {
            Some(format!("{}({})", width(result)?, made()?))
        }
        ("cast", [Timestamp]) if result == ScalarType::Date.into() => called("date"),
        _ => None,
    }
}

/// The function of the engine's language that makes integers of a type.
fn width(sql: SqlType) -> Option<&'static str> {
    match sql {
        SqlType::Scalar(ScalarType::Int2) => Some("int2"),
        SqlType::Scalar(ScalarType::Int4) => Some("int4"),
        SqlType::Scalar(ScalarType::Int8) => Some("int8"),
        _ => None,
    }
}

/// Whether an expression has the same value at any time and in any session. What PostgreSQL calls
/// STABLE or VOLATILE has not.
pub(crate) fn is_immutable(bound: &Bound) -> bool {
    let Bound::Apply {
        function,
        arguments,
        types,
        volatile,
    } = bound
    else {
        return !matches!(
            bound,
            Bound::Moment(_) | Bound::Parameter(_) | Bound::Query(_)
        );
    };
    use ScalarType::{Date, Interval, Timestamp, Timestamptz};
    let is = |sql: &SqlType, wanted: &[ScalarType]| {
        let (SqlType::Scalar(scalar) | SqlType::Array(scalar)) = sql;
        wanted.contains(scalar)
    };
    let is_text = |sql: &SqlType| {
        let (SqlType::Scalar(scalar) | SqlType::Array(scalar)) = sql;
        scalar.is_text()
    };
    let of_zone = types.iter().any(|sql| is(sql, &[Timestamptz]));
    let result = function.result();
    let result = result.as_ref();
    let to_zone = result.is_some_and(|sql| is(sql, &[Timestamptz]));
    let is_stable = match function.name() {
        "to_char" | "to_date" | "to_timestamp" | "concat" | "concat_ws" | "format" | "to_json"
        | "to_jsonb" | "array_to_json" | "json_build_array" | "jsonb_build_array"
        | "json_build_object" | "jsonb_build_object" => true,
        "||" => types
            .iter()
            .any(|sql| is(sql, &[Date, Timestamp, Timestamptz, Interval])),
        "date_trunc" | "extract" | "date_part" | "age" => of_zone,
        "+" | "-" => of_zone && types.iter().any(|sql| is(sql, &[Interval])),
        // The zone and the forms of the session stand between.
        "cast" => {
            let of_time = types
                .iter()
                .any(|sql| is(sql, &[Date, Timestamp, Timestamptz]));
            let to_time = result.is_some_and(|sql| is(sql, &[Date, Timestamp, Timestamptz]));
            of_zone != to_zone
                || of_time && result.is_some_and(is_text)
                || to_time && types.iter().any(is_text)
        }
        _ => false,
    };
    !volatile && !is_stable && arguments.iter().all(is_immutable)
}
