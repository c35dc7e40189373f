//! The functions that programs ask about the catalogs.
//!
//! An argument that is a relation, a schema or a user is its name or the digits of its number, as a
//! text: numbers become texts when the call is bound. All are null when an argument is, but for
//! `format_type`. Tests: tests/it/slt/catalog_functions.slt.

use velocitydb_types::ScalarType::{self, Bool, Int4, Int8, Numeric, Text};
use velocitydb_types::{SqlType, Value};

use super::objects::{ConstraintKind, Object, Objects, split};
use super::texts::{self, index_part};
use super::{ALL, OWNER, PG_CATALOG, functions, or_null, roles};
use crate::effects::Effects;
use crate::error::{SqlError, sqlstate};
use crate::functions::{quote_ident, type_name};
use crate::parse::{folded, name_in};

/// One of the functions.
#[derive(Debug)]
pub(crate) struct CatalogCall {
    pub(crate) name: &'static str,
    /// What it may take.
    pub(crate) forms: &'static [&'static [ScalarType]],
    pub(crate) answer: SqlType,
    body: Body,
}

type Answer = Result<Value, SqlError>;
type Body = fn(&Effects, &[Value]) -> Answer;

const fn f(
    name: &'static str,
    forms: &'static [&'static [ScalarType]],
    answer: ScalarType,
    body: Body,
) -> CatalogCall {
    CatalogCall {
        name,
        forms,
        answer: SqlType::Scalar(answer),
        body,
    }
}

/// One that answers null: there is nothing of what it is asked about.
const fn nothing(name: &'static str, forms: &'static [&'static [ScalarType]]) -> CatalogCall {
    f(name, forms, Text, |_, _| Ok(Value::Null))
}

/// Whether something of a schema that is always looked in can be named without it.
const fn always_visible(name: &'static str) -> CatalogCall {
    f(name, &[&[Int8]], Bool, |_, _| Ok(Value::Bool(true)))
}

/// A relation, a schema or a user.
const OBJECT: ScalarType = Text;
const SIZE: &[&[ScalarType]] = &[&[OBJECT]];
/// Of the user, or of one that is said.
const MAY: &[&[ScalarType]] = &[&[OBJECT, Text], &[Text, OBJECT, Text]];
const MAY_COLUMN: &[&[ScalarType]] = &[&[OBJECT, Text, Text], &[Text, OBJECT, Text, Text]];

#[rustfmt::skip]
static CALLS: &[CatalogCall] = &[
    f("col_description", &[&[OBJECT, Int4]], Text, col_description),
    CatalogCall { answer: SqlType::Array(Text), ..f("current_schemas", &[&[Bool]], Text, current_schemas) },
    f("format_type", &[&[Int8, Int4]], Text, format_type),
    f("getdatabaseencoding", &[&[]], Text, |_, _| Ok("UTF8".into())),
    f("has_any_column_privilege", MAY, Bool, may_table),
    f("has_column_privilege", MAY_COLUMN, Bool, may_column),
    f("has_database_privilege", MAY, Bool, may),
    f("has_function_privilege", MAY, Bool, may),
    f("has_language_privilege", MAY, Bool, may),
    f("has_schema_privilege", MAY, Bool, may_schema),
    f("has_sequence_privilege", MAY, Bool, may_table),
    f("has_table_privilege", MAY, Bool, may_table),
    f("has_tablespace_privilege", MAY, Bool, may),
    f("has_type_privilege", MAY, Bool, may),
    f("obj_description", &[&[OBJECT], &[OBJECT, Text]], Text, obj_description),
    f("pg_char_to_encoding", &[&[Text]], Int4, |_, given| {
        let is_utf8 = matches!(&*text(&given[0]).to_uppercase(), "UTF8" | "UTF-8");
        Ok(Value::Int(if is_utf8 { 6 } else { -1 }))
    }),
    f("pg_client_encoding", &[&[]], Text, |_, _| Ok("UTF8".into())),
    always_visible("pg_collation_is_visible"),
    always_visible("pg_conversion_is_visible"),
    f("pg_database_size", &[&[OBJECT]], Int8, database_size),
    f("pg_encoding_to_char", &[&[Int4]], Text, |_, given| {
        Ok(if given[0] == Value::Int(6) { "UTF8" } else { "" }.into())
    }),
    f("pg_function_is_visible", &[&[Int8]], Bool, |_, given| {
        Ok(or_null(functions::function_name(int(&given[0])).map(|_| true)))
    }),
    f("pg_get_constraintdef", &[&[Int8], &[Int8, Bool]], Text, constraint_definition),
    // What is kept is the text.
    f("pg_get_expr", &[&[Text, OBJECT], &[Text, OBJECT, Bool]], Text, |_, given| {
        let pretty = given.get(2) == Some(&Value::Bool(true));
        Ok(if pretty { texts::without_parentheses(text(&given[0])).into() } else { given[0].clone() })
    }),
    f("pg_get_function_arguments", &[&[Int8]], Text, |_, given| {
        Ok(or_null(functions::arguments_text(int(&given[0]))))
    }),
    f("pg_get_function_identity_arguments", &[&[Int8]], Text, |_, given| {
        Ok(or_null(functions::arguments_text(int(&given[0]))))
    }),
    f("pg_get_function_result", &[&[Int8]], Text, |_, given| {
        Ok(or_null(functions::result_text(int(&given[0]))))
    }),
    nothing("pg_get_functiondef", &[&[Int8]]),
    f("pg_get_indexdef", &[&[OBJECT], &[OBJECT, Int4, Bool]], Text, index_definition),
    nothing("pg_get_partkeydef", &[&[OBJECT]]),
    nothing("pg_get_ruledef", &[&[Int8], &[Int8, Bool]]),
    f("pg_get_serial_sequence", &[&[Text, Text]], Text, serial_sequence),
    nothing("pg_get_statisticsobjdef", &[&[Int8]]),
    nothing("pg_get_triggerdef", &[&[Int8], &[Int8, Bool]]),
    f("pg_get_userbyid", &[&[Int8]], Text, |session, given| {
        let user = || session.settings().user.to_string();
        let unknown = || format!("unknown (OID={})", int(&given[0]));
        Ok(if given[0] == Value::Int(OWNER) { user() } else { unknown() }.into())
    }),
    nothing("pg_get_statisticsobjdef_columns", &[&[Int8]]),
    nothing("pg_get_viewdef", &[&[OBJECT], &[OBJECT, Bool]]),
    f("pg_has_role", MAY, Bool, may),
    f("pg_indexes_size", SIZE, Int8, |session, given| size(session, &given[0], false, true)),
    f("pg_is_in_recovery", &[&[]], Bool, |_, _| Ok(Value::Bool(false))),
    f("pg_is_other_temp_schema", &[&[Int8]], Bool, |session, given| {
        let objects = session.objects()?;
        let name = objects.schema_name(int(&given[0])).unwrap_or_default();
        let own = session.settings().search_path.temporary.in_use() == Some(name);
        Ok(Value::Bool(name.starts_with(velocitydb::TEMPORARY) && !own))
    }),
    f("pg_my_temp_schema", &[&[]], Int8, |session, _| {
        let objects = session.objects()?;
        let settings = session.settings();
        let own = settings.search_path.temporary.in_use();
        let own = own.and_then(|own| objects.schemas.iter().find(|(name, _)| name == own));
        Ok(Value::Int(own.map_or(0, |(_, oid)| *oid)))
    }),
    always_visible("pg_opclass_is_visible"),
    always_visible("pg_operator_is_visible"),
    always_visible("pg_opfamily_is_visible"),
    // PostgreSQL has no row, where this is null.
    nothing("pg_partition_ancestors", &[&[OBJECT]]),
    f("pg_relation_is_publishable", &[&[OBJECT]], Bool, |session, given| {
        let oid = known_relation(session, text(&given[0]))?;
        Ok(Value::Bool(session.objects()?.table(oid).is_some()))
    }),
    f("pg_relation_size", &[&[OBJECT], &[OBJECT, Text]], Int8, |session, given| size(session, &given[0], true, false)),
    f("pg_size_pretty", &[&[Numeric(None)]], Text, size_pretty),
    always_visible("pg_statistics_obj_is_visible"),
    f("pg_table_is_visible", &[&[Int8]], Bool, |session, given| {
        let found = display_name(session, int(&given[0]))?;
        Ok(or_null(found.map(|(_, visible)| visible)))
    }),
    f("pg_table_size", SIZE, Int8, |session, given| size(session, &given[0], true, false)),
    f("pg_tablespace_location", &[&[Int8]], Text, |_, _| Ok("".into())),
    f("pg_total_relation_size", SIZE, Int8, |session, given| size(session, &given[0], true, true)),
    always_visible("pg_ts_config_is_visible"),
    always_visible("pg_ts_dict_is_visible"),
    always_visible("pg_ts_parser_is_visible"),
    always_visible("pg_ts_template_is_visible"),
    f("pg_type_is_visible", &[&[Int8]], Bool, |_, given| {
        Ok(or_null(type_of(&given[0]).map(|_| true)))
    }),
    f("shobj_description", &[&[Int8, Text]], Text, shobj_description),
    f("to_regclass", &[&[Text]], Int8, |session, given| Ok(or_null(relation(session, text(&given[0]))?))),
    f("to_regnamespace", &[&[Text]], Int8, |session, given| Ok(or_null(schema(session, text(&given[0]))?))),
    f("to_regproc", &[&[Text]], Text, |_, given| Ok(or_null(function(text(&given[0]))?))),
    f("to_regrole", &[&[Text]], Int8, |session, given| Ok(or_null(role(session, text(&given[0]))?))),
    f("to_regtype", &[&[Text]], Int8, |_, given| Ok(or_null(type_number(text(&given[0]))))),
    // Casts, by names that no function can have; each to a number stands before that to a name.
    f("cast to regclass", &[&[Text]], Int8, |session, given| {
        let name = text(&given[0]);
        let missing = || missing("relation", sqlstate::UNDEFINED_TABLE, name);
        relation(session, name)?.map(Value::Int).ok_or_else(missing)
    }),
    f("name of regclass", &[&[Int8]], Text, |session, given| {
        let found = display_name(session, int(&given[0]))?;
        Ok(named(&given[0], found.map(|(name, _)| name)))
    }),
    f("cast to regnamespace", &[&[Text]], Int8, |session, given| {
        let name = text(&given[0]);
        let missing = || missing("schema", sqlstate::UNDEFINED_SCHEMA, name);
        schema(session, name)?.map(Value::Int).ok_or_else(missing)
    }),
    f("name of regnamespace", &[&[Int8]], Text, |session, given| {
        let objects = session.objects()?;
        Ok(named(&given[0], objects.schema_name(int(&given[0])).map(quote_ident)))
    }),
    f("cast to regproc", &[&[Text]], Text, |_, given| Ok(given[0].clone())),
    f("name of regproc", &[&[Int8]], Text, |_, given| {
        Ok(named(&given[0], functions::function_name(int(&given[0])).map(str::to_owned)))
    }),
    f("cast to regprocedure", &[&[Text]], Text, |_, given| Ok(given[0].clone())),
    f("name of regprocedure", &[&[Int8]], Text, |_, given| {
        Ok(named(&given[0], functions::function_name(int(&given[0])).map(str::to_owned)))
    }),
    f("cast to regrole", &[&[Text]], Int8, |session, given| {
        let name = text(&given[0]);
        let missing = || missing("role", sqlstate::UNDEFINED_OBJECT, name);
        role(session, name)?.map(Value::Int).ok_or_else(missing)
    }),
    f("name of regrole", &[&[Int8]], Text, |session, given| {
        let user = (given[0] == Value::Int(OWNER)).then(|| quote_ident(&session.settings().user));
        Ok(named(&given[0], user))
    }),
    f("cast to regtype", &[&[Text]], Int8, |_, given| {
        let name = text(&given[0]);
        let missing = || missing("type", sqlstate::UNDEFINED_OBJECT, name);
        type_number(name).map(Value::Int).ok_or_else(missing)
    }),
    f("name of regtype", &[&[Int8]], Text, |_, given| {
        Ok(named(&given[0], type_of(&given[0]).map(|sql| type_name(Some(sql)))))
    }),
];

impl CatalogCall {
    /// The one of this name.
    pub(crate) fn named(name: &str) -> Option<&'static CatalogCall> {
        CALLS.iter().find(|call| call.name == name)
    }

    /// The names of all that can be called by them.
    pub(crate) fn names() -> impl Iterator<Item = &'static str> {
        let names = CALLS.iter().map(|call| call.name);
        names.filter(|name| !name.contains(' '))
    }

    /// The casts to a type of objects: of a name to a number, and of a number to a name.
    pub(crate) fn casts(to: &str) -> Option<(&'static CatalogCall, &'static CatalogCall)> {
        let find = |what: &str| CatalogCall::named(&format!("{what} {to}"));
        Some((find("cast to")?, find("name of")?))
    }

    /// Its value.
    ///
    /// # Errors
    /// What an argument names is not there.
    pub(crate) fn run(&self, session: &Effects, given: &[Value]) -> Answer {
        let nulls = given.iter().filter(|value| value.is_null()).count();
        match (nulls, self.name) {
            (0, _) | (_, "format_type") => (self.body)(session, given),
            _ => Ok(Value::Null),
        }
    }
}

/// It was made one when the call was bound.
fn int(value: &Value) -> i64 {
    match value {
        Value::Int(int) => *int,
        _ => 0,
    }
}

/// It was made one when the call was bound.
fn text(value: &Value) -> &str {
    match value {
        Value::String(text) => text,
        _ => "",
    }
}

fn missing(kind: &str, state: &'static str, name: &str) -> SqlError {
    SqlError::new(state, format!("{kind} {name:?} does not exist"))
}

/// The name that a number means; else its digits, and `-` for none.
fn named(number: &Value, name: Option<String>) -> Value {
    match (name, number) {
        (Some(name), _) => name.into(),
        (None, Value::Int(0)) => "-".into(),
        (None, number) => number.to_json().into(),
    }
}

/// The number that a text is, if it is one.
fn digits(text: &str) -> Option<i64> {
    match text {
        "-" => Some(0),
        text => text.parse().ok(),
    }
}

/// The number of a relation.
fn relation(session: &Effects, text: &str) -> Result<Option<i64>, SqlError> {
    if let Some(number) = digits(text) {
        return Ok(Some(number));
    }
    let name = name_in(text)?;
    let objects = session.objects()?;
    if let Some(shown) = super::shown(&crate::statement::collection_name(&name)?) {
        return Ok(Some(shown.oid));
    }
    let mut found = None;
    session.settings().found(&name, |name| {
        found = objects.relation(name);
        found.is_some()
    })?;
    Ok(found)
}

/// The number of a relation that has to be there.
fn known_relation(session: &Effects, text: &str) -> Result<i64, SqlError> {
    let found = relation(session, text)?;
    found.ok_or_else(|| missing("relation", sqlstate::UNDEFINED_TABLE, text))
}

/// What a relation is called, with its schema where that is needed; and whether it is not.
fn display_name(session: &Effects, oid: i64) -> Result<Option<(String, bool)>, SqlError> {
    let objects = session.objects()?;
    let shown = ALL.iter().find(|shown| shown.oid == oid);
    let (schema, name) = match (shown, objects.relation_name(oid)) {
        (Some(shown), _) => (shown.schema, shown.name),
        (None, Some((schema, name))) => (objects.schema_name(schema).unwrap_or_default(), name),
        (None, None) => return Ok(None),
    };
    let visible = relation(session, &quote_ident(name))? == Some(oid);
    let name = match visible {
        true => quote_ident(name),
        false => format!("{}.{}", quote_ident(schema), quote_ident(name)),
    };
    Ok(Some((name, visible)))
}

/// A name without quotes.
fn plain(text: &str) -> Result<String, SqlError> {
    let name = name_in(text)?;
    let last = name.0.last().and_then(|part| part.as_ident());
    Ok(last.map(folded).unwrap_or_default())
}

fn schema(session: &Effects, text: &str) -> Result<Option<i64>, SqlError> {
    if let Some(number) = digits(text) {
        return Ok(Some(number));
    }
    let name = plain(text)?;
    let objects = session.objects()?;
    let found = objects.schemas.iter().find(|(known, _)| *known == name);
    Ok(found.map(|(_, oid)| *oid))
}

fn role(session: &Effects, text: &str) -> Result<Option<i64>, SqlError> {
    if let Some(number) = digits(text) {
        return Ok(Some(number));
    }
    Ok((plain(text)? == *session.settings().user).then_some(OWNER))
}

fn function(text: &str) -> Result<Option<String>, SqlError> {
    let name = plain(text)?;
    Ok(functions::function_number(&name).map(|_| name))
}

fn type_of(number: &Value) -> Option<SqlType> {
    SqlType::from_oid(u32::try_from(int(number)).ok()?)
}

fn type_number(text: &str) -> Option<i64> {
    if let Some(number) = digits(text) {
        return Some(number);
    }
    let name = text.strip_prefix("pg_catalog.").unwrap_or(text);
    let name = name.replace('"', "");
    let sql: SqlType = match name.strip_prefix('_') {
        Some(element) => format!("{element}[]").parse().ok()?,
        None => name.parse().ok()?,
    };
    Some(sql.oid().into())
}

fn format_type(_: &Effects, given: &[Value]) -> Answer {
    let [Value::Int(number), modifier] = given else {
        return Ok(Value::Null);
    };
    let Some(sql) = type_of(&given[0]) else {
        return Ok(if *number == 0 { "-" } else { "???" }.into());
    };
    let plain = match sql {
        SqlType::Scalar(scalar) | SqlType::Array(scalar) => scalar.row(),
    };
    let end = if matches!(sql, SqlType::Array(_)) {
        "[]"
    } else {
        ""
    };
    let length = match (plain.scalar, modifier) {
        (ScalarType::Varchar(_) | ScalarType::Char(_), Value::Int(modifier @ 5..)) => {
            format!("({})", modifier - 4)
        }
        (Numeric(_), Value::Int(modifier @ 5..)) => {
            let both = modifier - 4;
            format!("({},{})", both >> 16, both & 0xffff)
        }
        _ => String::new(),
    };
    // Without a length `character` would be of one.
    let is_any = plain.scalar == ScalarType::Char(1) && *modifier == Value::Int(-1);
    let name = if is_any { plain.name } else { plain.long_name };
    Ok(format!("{name}{length}{end}").into())
}

fn index_definition(session: &Effects, given: &[Value]) -> Answer {
    let objects = session.objects()?;
    let oid = known_relation(session, text(&given[0]))?;
    let part = given.get(1).map_or(0, int);
    let pretty = given.get(2) == Some(&Value::Bool(true));
    let Some((table, index)) = objects.index(oid) else {
        return Ok(Value::Null);
    };
    let name = match pretty {
        true => display_name(session, table.oid)?.map_or(String::new(), |(name, _)| name),
        false => objects.qualified(table),
    };
    Ok(or_null(match usize::try_from(part) {
        Ok(0) => Some(Objects::index_text(table, index, &name, pretty)),
        Ok(part) => Some(index_part(table, index, part - 1, false).unwrap_or_default()),
        Err(_) => None,
    }))
}

fn constraint_definition(session: &Effects, given: &[Value]) -> Answer {
    let objects = session.objects()?;
    let pretty = given.get(1) == Some(&Value::Bool(true));
    let Some((table, constraint)) = objects.constraint(int(&given[0])) else {
        return Ok(Value::Null);
    };
    let referred = match &constraint.kind {
        ConstraintKind::Reference { to: Some(at), .. } => {
            display_name(session, objects.tables[*at].oid)?
        }
        _ => None,
    };
    let referred = referred.map_or(String::new(), |(name, _)| name);
    Ok(objects
        .constraint_text(table, constraint, &referred, pretty)
        .into())
}

fn serial_sequence(session: &Effects, given: &[Value]) -> Answer {
    let oid = known_relation(session, text(&given[0]))?;
    let objects = session.objects()?;
    let column = text(&given[1]);
    let Some(table) = objects.table(oid) else {
        return Ok(Value::Null);
    };
    let Some(number) = table.column_number(column) else {
        let message = format!(
            "column {column:?} of relation {:?} does not exist",
            table.name
        );
        return Err(SqlError::new(sqlstate::UNDEFINED_COLUMN, message));
    };
    let mut sequences = objects.sequences.iter();
    let found = sequences.find(|sequence| {
        let of = sequence
            .owner
            .map(|(at, column)| (objects.tables[at].oid, column));
        of == Some((oid, number))
    });
    Ok(or_null(found.map(|sequence| {
        let (schema, name) = split(&sequence.definition.name);
        format!("{}.{}", quote_ident(schema), quote_ident(name))
    })))
}

/// What COMMENT ON has kept of an object of a catalog.
fn obj_description(session: &Effects, given: &[Value]) -> Answer {
    let catalog = given.get(1).map_or("pg_class", text);
    if catalog != "pg_class" {
        return Ok(Value::Null);
    }
    let objects = session.objects()?;
    let comment = match objects.find(known_relation(session, text(&given[0]))?) {
        Some(Object::Table(at)) => objects.tables[at].table.definition.comment.clone(),
        Some(Object::Index(at, index)) => {
            objects.tables[at].indexes[index].definition.comment.clone()
        }
        Some(Object::Sequence(at)) => objects.sequences[at].definition.comment.clone(),
        _ => None,
    };
    Ok(or_null(comment))
}

fn col_description(session: &Effects, given: &[Value]) -> Answer {
    let objects = session.objects()?;
    let table = objects.table(known_relation(session, text(&given[0]))?);
    let comment = table.and_then(|table| {
        let at = usize::try_from(int(&given[1]).wrapping_sub(1)).ok()?;
        let column = table.table.columns.get(at)?;
        let field = table.table.definition.schema.field(&column.name)?;
        field.comment.clone()
    });
    Ok(or_null(comment))
}

/// What COMMENT ON has kept of a database.
fn shobj_description(session: &Effects, given: &[Value]) -> Answer {
    let mut databases = session.database().databases().into_iter();
    let found = databases.find(|(id, _)| given[0] == Value::Int(id.0.into()));
    let comment = found.and_then(|(_, database)| database.comment);
    Ok(or_null(
        comment.filter(|_| text(&given[1]) == "pg_database"),
    ))
}

fn current_schemas(session: &Effects, given: &[Value]) -> Answer {
    let settings = session.settings();
    let objects = session.objects()?;
    let mut names: Vec<Value> = Vec::new();
    if given[0] == Value::Bool(true) {
        names.extend(settings.search_path.temporary.in_use().map(Value::from));
        names.push("pg_catalog".into());
    }
    let there = settings.schemas().filter(|schema| {
        let mut known = objects.schemas.iter();
        known.any(|(name, _)| name == schema) && !names.contains(&Value::from(*schema))
    });
    let there: Vec<_> = there.map(Value::from).collect();
    names.extend(there);
    Ok(Value::Array(names))
}

/// What is asked for is the last argument.
fn may(_: &Effects, given: &[Value]) -> Answer {
    let privileges = given.last().map_or("", text);
    roles::may(privileges, 0).map(Value::Bool)
}

fn may_schema(session: &Effects, given: &[Value]) -> Answer {
    let name = text(&given[given.len() - 2]);
    let missing = || missing("schema", sqlstate::UNDEFINED_SCHEMA, name);
    let oid = schema(session, name)?.ok_or_else(missing)?;
    let privileges = given.last().map_or("", text);
    roles::may(privileges, oid).map(Value::Bool)
}

/// Of the argument that stands so many before the last.
fn may_relation(session: &Effects, given: &[Value], before: usize) -> Answer {
    let privileges = given.last().map_or("", text);
    let oid = known_relation(session, text(&given[given.len() - 1 - before]))?;
    let shown = ALL.iter().find(|shown| shown.oid == oid);
    roles::may(privileges, shown.map_or(0, |_| PG_CATALOG)).map(Value::Bool)
}

fn may_table(session: &Effects, given: &[Value]) -> Answer {
    may_relation(session, given, 1)
}

/// The column stands between.
fn may_column(session: &Effects, given: &[Value]) -> Answer {
    may_relation(session, given, 2)
}

fn size(session: &Effects, of: &Value, itself: bool, indexes: bool) -> Answer {
    let objects = session.objects()?;
    let oid = known_relation(session, text(of))?;
    let bytes = |bytes: usize| Value::Int(bytes as i64);
    let (table, only) = match objects.find(oid) {
        Some(Object::Table(at)) => (&objects.tables[at], None),
        Some(Object::Index(at, index)) => {
            let table = &objects.tables[at];
            (table, Some(&table.indexes[index].definition.name))
        }
        Some(_) => return Ok(Value::Int(0)),
        None => {
            let is_shown = ALL.iter().any(|shown| shown.oid == oid);
            return Ok(or_null(is_shown.then_some(0)));
        }
    };
    // One that only this transaction knows has nothing that others could see.
    let Ok(collection) = session.database().collection(table.table.name()) else {
        return Ok(Value::Int(0));
    };
    let of_indexes = collection.indexes()?;
    let of_indexes = of_indexes.iter();
    let of_indexes = of_indexes.filter(|(index, _)| only.is_none_or(|only| *only == index.name));
    let of_indexes: usize = of_indexes.map(|(_, stats)| stats.bytes).sum();
    let own = collection.stats()?.bytes;
    Ok(bytes(match only {
        Some(_) => of_indexes,
        None => {
            let own = if itself {
                own.documents + own.primary
            } else {
                0
            };
            own + if indexes { of_indexes } else { 0 }
        }
    }))
}

fn database_size(session: &Effects, given: &[Value]) -> Answer {
    let wanted = text(&given[0]);
    let of = session.database().every_database().into_iter();
    let mut of = of.filter(|(name, database)| {
        name == wanted || digits(wanted) == Some(i64::from(database.id().0))
    });
    let Some((_, database)) = of.next() else {
        return Err(missing("database", sqlstate::UNDEFINED_DATABASE, wanted));
    };
    let mut bytes = 0;
    for definition in database.collections() {
        bytes += database
            .collection(&definition.name)?
            .stats()?
            .bytes
            .total();
    }
    Ok(Value::Int(bytes as i64))
}

/// As PostgreSQL's: the next unit from ten thousand of one on, rounded half away from zero.
fn size_pretty(_: &Effects, given: &[Value]) -> Answer {
    let bytes = match &given[0] {
        Value::Decimal(decimal) => crate::formats::numbers::round(decimal, 0).to_i64(),
        value => Some(int(value)),
    };
    let Some(bytes) = bytes else {
        return Err(SqlError::unsupported("a size beyond bigint"));
    };
    if bytes.unsigned_abs() < 10 * 1024 {
        return Ok(format!("{bytes} bytes").into());
    }
    let units = ["kB", "MB", "GB", "TB", "PB"];
    // With one bit more than is shown, for rounding.
    let mut halves = bytes >> 9;
    for (at, unit) in units.iter().enumerate() {
        if halves.unsigned_abs() < 20 * 1024 - 1 || at + 1 == units.len() {
            let rounded = (halves + if halves > 0 { 1 } else { 0 }) / 2;
            return Ok(format!("{rounded} {unit}").into());
        }
        halves /= 1 << 10;
    }
    unreachable!("the last unit is for all that is greater")
}
