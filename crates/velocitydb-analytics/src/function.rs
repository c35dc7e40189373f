//! Functions of SQL as functions of columns.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::DataType;
use datafusion::common::Result;
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility,
};
use velocitydb_query::{Expression, Scalar};
use velocitydb_types::{SqlType, Value};

use crate::form::{Builder, Form, key_of, value_at};
use crate::run::error_of;

/// A function that is called for one row after the other.
#[derive(Debug)]
pub(crate) struct Rowwise {
    function: Arc<dyn Scalar>,
    /// What its arguments are, and how they stand in columns.
    arguments: Vec<(SqlType, Form)>,
    result: (SqlType, Form),
    volatile: bool,
    /// What it has in common with another that is the same.
    shown: String,
    signature: Signature,
}

impl Rowwise {
    pub(crate) fn new(
        function: Arc<dyn Scalar>,
        arguments: Vec<(SqlType, Form)>,
        result: (SqlType, Form),
        volatile: bool,
    ) -> Rowwise {
        let volatility = match volatile {
            true => Volatility::Volatile,
            false => Volatility::Immutable,
        };
        let types = arguments.iter().map(|(_, form)| form.data_type()).collect();
        Rowwise {
            signature: match arguments.len() {
                0 => Signature::nullary(volatility),
                _ => Signature::exact(types, volatility),
            },
            shown: format!("{function:?} {arguments:?} {result:?} {volatile}"),
            function,
            arguments,
            result,
            volatile,
        }
    }
}

impl PartialEq for Rowwise {
    fn eq(&self, other: &Rowwise) -> bool {
        self.shown == other.shown
    }
}

impl Eq for Rowwise {}

impl Hash for Rowwise {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.shown.hash(state);
    }
}

impl ScalarUDFImpl for Rowwise {
    fn name(&self) -> &str {
        self.function.name()
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(self.result.1.data_type())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let is_scalar = |value: &ColumnarValue| matches!(value, ColumnarValue::Scalar(_));
        let once = !self.volatile && args.args.iter().all(is_scalar);
        let rows = if once { 1 } else { args.number_rows };
        let columns = args.args.iter().map(|value| value.to_array(rows));
        let columns = columns.collect::<Result<Vec<ArrayRef>>>()?;
        let nothing = columns.iter().map(|_| Expression::Literal(Value::Null));
        let mut expression = Expression::apply(Arc::clone(&self.function), nothing);
        let mut made = Builder::new(self.result.1, rows);
        for row in 0..rows {
            if let Expression::Apply(_, arguments) = &mut expression {
                let columns = columns.iter().zip(&self.arguments);
                for (argument, (column, (sql, form))) in arguments.iter_mut().zip(columns) {
                    *argument = Expression::Literal(value_at(column, row, *form, *sql));
                }
            }
            let value = expression.constant();
            made.push(&value.map_err(|error| error_of(error.into()))?);
        }
        let column = made.finish();
        Ok(match once {
            true => {
                ColumnarValue::Scalar(datafusion::common::ScalarValue::try_from_array(&column, 0)?)
            }
            false => ColumnarValue::Array(column),
        })
    }
}

/// The keys of values that are kept exactly.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct Keys(Signature);

impl Keys {
    pub(crate) fn new() -> Keys {
        Keys(Signature::exact(
            vec![DataType::Binary],
            Volatility::Immutable,
        ))
    }
}

impl ScalarUDFImpl for Keys {
    fn name(&self) -> &str {
        "key"
    }

    fn signature(&self) -> &Signature {
        &self.0
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Binary)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        use arrow::array::{AsArray, BinaryArray};
        let column = args.args[0].to_array(args.number_rows)?;
        let keys = column.as_binary::<i32>().iter();
        let keys: BinaryArray = keys.map(|bytes| bytes.map(key_of)).collect();
        Ok(ColumnarValue::Array(Arc::new(keys)))
    }
}

/// Values of one form in another.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct Reform {
    sql: SqlType,
    from: Form,
    to: Form,
    signature: Signature,
}

impl Reform {
    pub(crate) fn new(sql: SqlType, from: Form, to: Form) -> Reform {
        Reform {
            sql,
            from,
            to,
            signature: Signature::exact(vec![from.data_type()], Volatility::Immutable),
        }
    }
}

impl ScalarUDFImpl for Reform {
    fn name(&self) -> &str {
        "reform"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(self.to.data_type())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let column = args.args[0].to_array(args.number_rows)?;
        let mut made = Builder::new(self.to, args.number_rows);
        for row in 0..args.number_rows {
            made.push(&value_at(&column, row, self.from, self.sql));
        }
        Ok(ColumnarValue::Array(made.finish()))
    }
}
