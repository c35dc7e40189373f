//! Functions that make rows, as functions that make lists: a plan unfolds the lists.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BooleanArray, ListArray};
use arrow::buffer::{OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{DataType, Field as ArrowField};
use datafusion::common::Result;
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility,
};
use velocitydb_sql::relation::Function;
use velocitydb_types::{SqlType, Value};

use crate::form::{Builder, Form, value_at};
use crate::run::error_of;

/// Functions, each with what its arguments are and how they stand in columns.
pub(crate) type Calls = Arc<[(Function, Vec<(SqlType, Form)>)]>;

/// Makes a list of what one of several functions makes of each row.
#[derive(Debug)]
pub(crate) struct Listed {
    /// The functions.
    calls: Calls,
    /// Which of them, and which column of it; `None`: numbers from 1, as many as the longest has rows.
    wanted: Option<(usize, usize)>,
    form: Form,
    /// What it has in common with another that is the same.
    shown: String,
    signature: Signature,
}

impl Listed {
    pub(crate) fn new(calls: &Calls, wanted: Option<(usize, usize)>, form: Form) -> Listed {
        let types = calls.iter().flat_map(|(_, arguments)| arguments);
        let types = types.map(|(_, form)| form.data_type()).collect();
        Listed {
            calls: Arc::clone(calls),
            wanted,
            form,
            shown: format!("{calls:?} {wanted:?} {form:?}"),
            signature: Signature::exact(types, Volatility::Immutable),
        }
    }

    fn item(&self) -> Arc<ArrowField> {
        Arc::new(ArrowField::new("item", self.form.data_type(), true))
    }
}

/// True of any values, which have to be there for it.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct Kept(Signature);

impl Kept {
    pub(crate) fn new() -> Kept {
        Kept(Signature::variadic_any(Volatility::Volatile))
    }
}

impl ScalarUDFImpl for Kept {
    fn name(&self) -> &str {
        "kept"
    }

    fn signature(&self) -> &Signature {
        &self.0
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Boolean)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let all = BooleanArray::from(vec![true; args.number_rows]);
        Ok(ColumnarValue::Array(Arc::new(all)))
    }
}

impl PartialEq for Listed {
    fn eq(&self, other: &Listed) -> bool {
        self.shown == other.shown
    }
}

impl Eq for Listed {}

impl Hash for Listed {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.shown.hash(state);
    }
}

impl ScalarUDFImpl for Listed {
    fn name(&self) -> &str {
        "listed"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::List(self.item()))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let columns = args
            .args
            .iter()
            .map(|value| value.to_array(args.number_rows));
        let columns = columns.collect::<Result<Vec<ArrayRef>>>()?;
        let mut items = Builder::new(self.form, args.number_rows);
        let (mut ends, mut made) = (vec![0_i32], 0_usize);
        for row in 0..args.number_rows {
            let mut columns = columns.iter();
            let mut longest = 0;
            for (at, (function, types)) in self.calls.iter().enumerate() {
                let arguments = types.iter().zip(columns.by_ref());
                let arguments: Vec<Value> = arguments
                    .map(|((sql, form), column)| value_at(column, row, *form, *sql))
                    .collect();
                if self.wanted.is_some_and(|(wanted, _)| wanted != at) {
                    continue;
                }
                let mut rows = 0;
                let called = function.rows(&arguments, &mut |values| {
                    rows += 1;
                    if let Some((_, column)) = self.wanted {
                        items.push(&values[column]);
                    }
                    Ok(())
                });
                called.map_err(error_of)?;
                longest = longest.max(rows);
            }
            if self.wanted.is_none() {
                (1..=longest).for_each(|number| items.push(&Value::Int(number as i64)));
            }
            made += longest;
            let end = i32::try_from(made).map_err(|_| {
                datafusion::error::DataFusionError::ResourcesExhausted(
                    "too many rows of a function at once".into(),
                )
            })?;
            ends.push(end);
        }
        let offsets = OffsetBuffer::new(ScalarBuffer::from(ends));
        let list = ListArray::try_new(self.item(), offsets, items.finish(), None)?;
        Ok(ColumnarValue::Array(Arc::new(list) as Arc<dyn Array>))
    }
}
