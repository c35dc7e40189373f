//! Casts, as the evaluator applies them; and the texts of values.

use std::sync::Arc;

use velocitydb_query::{Arguments, Cell, QueryError, Scalar};
use velocitydb_types::{ScalarType as T, SqlType, View};

use super::fault;
use super::types::is_same;
use crate::casts::{self, CastContext, cast_context};
use crate::formats::{FormatError, Settings, write_text};

/// A cast, for the evaluator.
#[derive(Clone)]
struct Cast {
    from: SqlType,
    to: SqlType,
    context: CastContext,
    settings: Arc<Settings>,
}

/// What two casts have to have in common to be the same.
impl std::fmt::Debug for Cast {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "cast({} as {}) {:?}", self.from, self.to, self.context)?;
        super::write_settings(&self.settings, [&self.from, &self.to], f)
    }
}

/// A cast that a statement makes.
#[derive(Debug, Clone)]
pub enum Conversion {
    /// The values are those of the other type as they are.
    None,
    /// What is applied to the value.
    Function(Arc<dyn Scalar>),
}

/// The cast from one type to another, made by a statement of this context: an assignment refuses
/// what a column has no room for, an explicit cast cuts it. `None`: there is none, or not in this
/// context.
pub fn conversion(
    from: SqlType,
    to: SqlType,
    context: CastContext,
    settings: &Arc<Settings>,
) -> Option<Conversion> {
    if cast_context(from, to)? > context {
        return None;
    }
    let is_text = |sql| matches!(sql, SqlType::Scalar(T::Text | T::Varchar(_) | T::Char(_)));
    // A `char` is kept without its blanks, so any text is one as it is.
    let is_as_it_is =
        from == to || to.modifier() == -1 && (is_same(from, to) || is_text(from) && is_text(to));
    if is_as_it_is {
        return Some(Conversion::None);
    }
    let cast = Cast {
        from,
        to,
        context,
        settings: settings.clone(),
    };
    Some(Conversion::Function(Arc::new(cast)))
}

impl Scalar for Cast {
    fn name(&self) -> &str {
        "cast"
    }

    fn result(&self) -> Option<SqlType> {
        Some(self.to)
    }

    fn call<'a>(&self, arguments: &Arguments<'a>) -> Result<Cell<'a>, QueryError> {
        let cell = arguments.get(0)?;
        if cell.is_null() {
            return Ok(cell);
        }
        let cast = casts::cast(
            cell.into_value(),
            self.from,
            self.to,
            self.context,
            &self.settings,
        );
        cast.map(Cell::Owned).map_err(of_format)
    }
}

pub(super) fn of_format(error: FormatError) -> QueryError {
    fault(error.code, error.message)
}

/// The text of a value, as `::text` gives it.
pub(super) fn text(
    view: View<'_>,
    sql: SqlType,
    settings: &Settings,
) -> Result<String, QueryError> {
    match view {
        View::Bool(bool) if sql == SqlType::Scalar(T::Bool) => Ok(bool.to_string()),
        // Blanks at the end of a char are nothing.
        View::Str(bytes) if matches!(sql, SqlType::Scalar(T::Char(_))) => {
            Ok(String::from_utf8_lossy(bytes)
                .trim_end_matches(' ')
                .to_owned())
        }
        view => shown(view, sql, settings),
    }
}

/// The text of a value, as clients get it.
pub(super) fn shown(
    view: View<'_>,
    sql: SqlType,
    settings: &Settings,
) -> Result<String, QueryError> {
    let mut out = Vec::new();
    write_text(view, sql, settings, &mut out).map_err(of_format)?;
    String::from_utf8(out)
        .map_err(|_| fault("22021", "invalid byte sequence for encoding \"UTF8\""))
}
