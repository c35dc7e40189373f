//! Filters in JSON.
//!
//! An object of fields and what is asked of them, all of which must hold:
//! `{"state":"waiting","priority":{"$gt":3}}`. Conditions on elements of arrays begin at the
//! element: `{"scores":{"$elemMatch":{"$gte":80,"$lt":90}}}`.

use velocitydb_types::{Path, Value};

use super::{Json, Place, areas, texts, values};
use crate::error::QueryError;
use crate::filter::{ELEMENT, Filter, Regex, VALUE_TYPES, ValueType};

/// What stands beside fields.
const LOGICAL: [&str; 4] = ["$and", "$or", "$nor", "$not"];

/// What is asked of one field.
const OPERATORS: [&str; 22] = [
    "$eq",
    "$ne",
    "$gt",
    "$gte",
    "$lt",
    "$lte",
    "$in",
    "$nin",
    "$exists",
    "$type",
    "$size",
    "$all",
    "$elemMatch",
    "$regex",
    "$options",
    "$prefix",
    "$contains",
    "$not",
    "$withinRadius",
    "$withinBox",
    "$withinPolygon",
    "$text",
];

/// Reads a filter. In the conditions of an element, operators may stand where fields do.
pub(super) fn read(json: &Json, place: &Place<'_>) -> Result<Filter, QueryError> {
    read_within(json, place, false)
}

fn read_within(json: &Json, place: &Place<'_>, element: bool) -> Result<Filter, QueryError> {
    let members = place.object(json)?;
    let mut conditions = Vec::new();
    for (name, json) in members {
        let here = place.name(name);
        let list = || -> Result<Vec<Filter>, QueryError> {
            let filters = here.array(json)?.iter().enumerate();
            filters
                .map(|(at, json)| read_within(json, &here.index(at), element))
                .collect()
        };
        match name.as_str() {
            "$and" => conditions.push(Filter::And(list()?)),
            "$or" => conditions.push(Filter::Or(list()?)),
            "$nor" => conditions.push(Filter::Not(Box::new(Filter::Or(list()?)))),
            "$not" => {
                let inner = read_within(json, &here, element)?;
                conditions.push(Filter::Not(Box::new(inner)));
            }
            operator if operator.starts_with('$') && element => {
                let path = Path::field(ELEMENT);
                conditions.extend(operator_of(&path, operator, json, members, &here)?);
            }
            operator if OPERATORS.contains(&operator) => {
                return Err(here.error(format!(
                    "{operator} asks something of a field: {{\"field\":{{\"{operator}\":…}}}}"
                )));
            }
            operator if operator.starts_with('$') => {
                return Err(here.unknown("operator", operator, LOGICAL));
            }
            field => {
                let path = place.path(field)?;
                conditions.extend(conditions_on(&path, json, &here)?);
            }
        }
    }
    Ok(joined(conditions))
}

/// One condition is itself, none is all documents.
fn joined(mut conditions: Vec<Filter>) -> Filter {
    match (conditions.pop(), conditions.is_empty()) {
        (None, _) => Filter::All,
        (Some(only), true) => only,
        (Some(last), false) => {
            conditions.push(last);
            Filter::And(conditions)
        }
    }
}

/// What is asked of a field: a value, or operators.
fn conditions_on(path: &Path, json: &Json, place: &Place<'_>) -> Result<Vec<Filter>, QueryError> {
    let operators = match json {
        Json::Object(members) if !values::is_tagged(members) => {
            let count = members
                .iter()
                .filter(|(name, _)| name.starts_with('$'))
                .count();
            if count > 0 && count < members.len() {
                return Err(place.error(
                    "operators and names are mixed: write operators alone, or {\"$eq\":{…}} for a \
                     map of these names",
                ));
            }
            Some(members).filter(|_| count > 0)
        }
        _ => None,
    };
    let Some(operators) = operators else {
        return Ok(vec![Filter::Eq(path.clone(), values::read(json, place)?)]);
    };
    let mut conditions = Vec::new();
    for (operator, json) in operators {
        let here = place.name(operator);
        conditions.extend(operator_of(path, operator, json, operators, &here)?);
    }
    Ok(conditions)
}

/// The condition of one operator; none of `$options`, which belongs to its `$regex`.
fn operator_of(
    path: &Path,
    operator: &str,
    json: &Json,
    siblings: &[(String, Json)],
    here: &Place<'_>,
) -> Result<Option<Filter>, QueryError> {
    let sibling = |wanted: &str| siblings.iter().find(|(name, _)| name == wanted);
    let value = || values::read(json, here);
    let list = || -> Result<Vec<Value>, QueryError> {
        let elements = here.array(json)?.iter().enumerate();
        elements
            .map(|(at, json)| values::read(json, &here.index(at)))
            .collect()
    };
    let path = path.clone();
    Ok(Some(match operator {
        "$eq" => Filter::Eq(path, value()?),
        "$ne" => Filter::Ne(path, value()?),
        "$gt" => Filter::Gt(path, value()?),
        "$gte" => Filter::Ge(path, value()?),
        "$lt" => Filter::Lt(path, value()?),
        "$lte" => Filter::Le(path, value()?),
        "$in" => Filter::In(path, list()?.into_iter().collect()),
        "$nin" => !Filter::In(path, list()?.into_iter().collect()),
        "$all" => Filter::ContainsAll(path, list()?.into_iter().collect()),
        "$contains" => Filter::Contains(path, value()?),
        "$exists" => match here.bool(json)? {
            true => Filter::Exists(path),
            false => !Filter::Exists(path),
        },
        "$type" => Filter::Type(path, types(json, here)?),
        "$size" => Filter::Size(path, here.count(json)?),
        "$prefix" => Filter::Prefix(path, here.string(json)?.to_owned()),
        "$elemMatch" => Filter::ElemMatch(path, Box::new(read_within(json, here, true)?)),
        "$not" => {
            // In an element's conditions a `$not` was met before, as one beside fields.
            Filter::Not(Box::new(joined(conditions_on(&path, json, here)?)))
        }
        "$regex" => {
            let options = match sibling("$options") {
                Some((_, options)) => here.string(options)?,
                None => "",
            };
            let regex = Regex::new(here.string(json)?, options);
            Filter::Regex(path, regex.map_err(|error| here.wrap(&error))?)
        }
        "$withinRadius" | "$withinBox" | "$withinPolygon" => {
            match areas::read(&path, operator, json, here)? {
                Filter::Invalid(error) => return Err(here.wrap(&error)),
                filter => filter,
            }
        }
        "$text" => Filter::Text(path, texts::read(json, here)?),
        "$options" if sibling("$regex").is_some() => return Ok(None),
        "$options" => return Err(here.error("$options stands beside a $regex")),
        unknown => return Err(here.unknown("operator", unknown, OPERATORS)),
    }))
}

fn types(json: &Json, place: &Place<'_>) -> Result<Vec<ValueType>, QueryError> {
    let one = |json: &Json, place: &Place<'_>| {
        let name = place.string(json)?;
        ValueType::from_name(name)
            .ok_or_else(|| place.unknown("type", name, VALUE_TYPES.map(|(_, name)| name)))
    };
    match json {
        Json::Array(names) => {
            let names = names.iter().enumerate();
            names
                .map(|(at, json)| one(json, &place.index(at)))
                .collect()
        }
        json => Ok(vec![one(json, place)?]),
    }
}

/// Writes a filter, so that [`read`] gives it back.
pub(super) fn write(filter: &Filter) -> Json {
    Writer { element: false }.filter(filter)
}

/// Writes filters.
#[derive(Clone, Copy)]
struct Writer {
    /// Whether they are conditions of an element, whose own operators stand where fields do.
    element: bool,
}

/// A condition, taken apart.
enum Part<'f> {
    /// Operators on a field.
    Field(&'f Path, Vec<(String, Json)>),
    Logical(&'static str, Json),
}

impl Writer {
    fn filter(self, filter: &Filter) -> Json {
        match filter {
            Filter::All => Json::Object(Vec::new()),
            Filter::And(filters) => self
                .flat(filters)
                .unwrap_or_else(|| Json::object("$and", self.list(filters))),
            filter => match self.part(filter) {
                Part::Field(path, operators) => {
                    let mut members = Vec::new();
                    self.add(path, operators, &mut members);
                    Json::Object(members)
                }
                Part::Logical(name, json) => Json::object(name, json),
            },
        }
    }

    fn list(self, filters: &[Filter]) -> Json {
        Json::Array(filters.iter().map(|filter| self.filter(filter)).collect())
    }

    fn part(self, filter: &Filter) -> Part<'_> {
        let list = |values: &[Value]| Json::Array(values.iter().map(values::write).collect());
        let (path, operator, json) = match filter {
            Filter::Eq(path, value) => (path, "$eq", values::write(value)),
            Filter::Ne(path, value) => (path, "$ne", values::write(value)),
            Filter::Lt(path, value) => (path, "$lt", values::write(value)),
            Filter::Le(path, value) => (path, "$lte", values::write(value)),
            Filter::Gt(path, value) => (path, "$gt", values::write(value)),
            Filter::Ge(path, value) => (path, "$gte", values::write(value)),
            Filter::In(path, values) => (path, "$in", list(values.as_slice())),
            Filter::Exists(path) => (path, "$exists", Json::Bool(true)),
            Filter::Prefix(path, prefix) => (path, "$prefix", prefix.as_str().into()),
            Filter::Contains(path, value) => (path, "$contains", values::write(value)),
            Filter::ContainsAll(path, values) => (path, "$all", list(values.as_slice())),
            Filter::ElemMatch(path, condition) => {
                let inside = Writer { element: true };
                (path, "$elemMatch", inside.filter(condition))
            }
            Filter::Size(path, count) => (path, "$size", Json::count(*count)),
            Filter::Type(path, types) => match &types[..] {
                [only] => (path, "$type", only.name().into()),
                types => {
                    let names = types.iter().map(|wanted| wanted.name().into());
                    (path, "$type", Json::Array(names.collect()))
                }
            },
            Filter::Within(path, area) => {
                let (operator, json) = areas::write(area);
                (path, operator, json)
            }
            Filter::Text(path, text) => (path, "$text", texts::write(text)),
            Filter::Regex(path, regex) => {
                let mut operators = vec![("$regex".to_owned(), regex.pattern().into())];
                if !regex.options().is_empty() {
                    operators.push(("$options".to_owned(), regex.options().into()));
                }
                return Part::Field(path, operators);
            }
            Filter::Not(inner) => match &**inner {
                Filter::In(path, values) => (path, "$nin", list(values.as_slice())),
                Filter::Exists(path) => (path, "$exists", Json::Bool(false)),
                Filter::Or(filters) => return Part::Logical("$nor", self.list(filters)),
                inner => return Part::Logical("$not", self.filter(inner)),
            },
            Filter::All => return Part::Logical("$and", Json::Array(Vec::new())),
            Filter::And(filters) => return Part::Logical("$and", self.list(filters)),
            Filter::Or(filters) => return Part::Logical("$or", self.list(filters)),
            Filter::Invalid(error) => {
                return Part::Logical("$invalid", Json::String(error.to_string()));
            }
        };
        Part::Field(path, vec![(operator.to_owned(), json)])
    }

    /// Adds what is asked of a field to an object, as short as it can be said.
    fn add(self, path: &Path, operators: Vec<(String, Json)>, object: &mut Vec<(String, Json)>) {
        if self.element && path.first() == ELEMENT && path.rest().is_empty() {
            object.extend(operators);
            return;
        }
        let asked = match &operators[..] {
            [(operator, json)] if operator == "$eq" => match json {
                Json::Object(members) if !values::is_tagged(members) => Json::Object(operators),
                json => json.clone(),
            },
            _ => Json::Object(operators),
        };
        object.push((name_of(path), asked));
    }

    /// Conditions on different fields as one object; `None` where an object could not say them in
    /// this order.
    fn flat(self, filters: &[Filter]) -> Option<Json> {
        if filters.len() < 2 {
            return None;
        }
        let mut object = Vec::new();
        let mut open: Option<(&Path, Vec<(String, Json)>)> = None;
        for filter in filters {
            match (self.part(filter), &mut open) {
                (Part::Logical("$and", _), _) => return None,
                (Part::Field(path, operators), Some((last, known))) if *last == path => {
                    known.extend(operators);
                }
                (part, _) => {
                    if let Some((path, operators)) = open.take() {
                        self.close(path, operators, &mut object)?;
                    }
                    match part {
                        Part::Field(path, operators) => open = Some((path, operators)),
                        Part::Logical(name, json) => object.push((name.to_owned(), json)),
                    }
                }
            }
        }
        if let Some((path, operators)) = open {
            self.close(path, operators, &mut object)?;
        }
        unique(&object).then_some(Json::Object(object))
    }

    fn close(
        self,
        path: &Path,
        operators: Vec<(String, Json)>,
        object: &mut Vec<(String, Json)>,
    ) -> Option<()> {
        unique(&operators).then(|| self.add(path, operators, object))
    }
}

fn unique(members: &[(String, Json)]) -> bool {
    let mut seen = std::collections::BTreeSet::new();
    members.iter().all(|(name, _)| seen.insert(name))
}

/// A path as the name of a member: quoted where it would be taken for an operator.
pub(super) fn name_of(path: &Path) -> String {
    let text = path.to_string();
    match text.strip_prefix(path.first()) {
        Some(rest) if text.starts_with('$') => format!("`{}`{rest}", path.first()),
        _ => text,
    }
}
