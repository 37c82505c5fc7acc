//! What a scalar function says of itself.

use std::fmt::Debug;
use std::hash::Hash;
use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::{Result, ScalarValue, plan_err};
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::{
    ColumnarValue, Documentation, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl,
    Signature, Volatility,
};

/// One function.
pub(crate) trait Function: Debug + Default + Eq + Hash + Send + Sync + 'static {
    const NAME: &'static str;
    fn documentation(&self) -> Option<&Documentation>;
    /// The types the arguments are read as.
    fn coerce(types: &[DataType]) -> Result<Vec<DataType>>;
    fn return_type(types: &[DataType]) -> Result<DataType>;
    /// What the argument at `i` is called if it must be a constant.
    fn constant(_i: usize) -> Option<String> {
        None
    }
    /// Refuses constants that will not do. Arguments that are not constant, or not yet, are `None`.
    fn check(_types: &[DataType], _constants: &[Option<&ScalarValue>]) -> Result<()> {
        Ok(())
    }
    /// The answers for `n_rows` rows.
    fn invoke(args: &[ColumnarValue], n_rows: usize) -> Result<ArrayRef>;
}

/// Refuses arguments that depend on rows where a constant is needed, `name` giving their names. Before expressions are
/// simplified a constant may be a cast or a parameter, so this is not known when the types are.
pub(crate) fn expect_constants(
    function: &str,
    args: &[Expr],
    name: impl Fn(usize) -> Option<String>,
) -> Result<()> {
    for (i, arg) in args.iter().enumerate() {
        if let Some(argument) = name(i).filter(|_| !arg.column_refs().is_empty()) {
            return plan_err!(
                "{function}: `{argument}` must be a constant, found an expression over columns"
            );
        }
    }
    Ok(())
}

/// The scalar function of a [`Function`].
pub(crate) fn scalar_udf<F: Function>() -> Arc<ScalarUDF> {
    Arc::new(ScalarUDF::new_from_impl(Scalar {
        function: F::default(),
        signature: Signature::user_defined(Volatility::Immutable),
    }))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Scalar<F> {
    function: F,
    signature: Signature,
}

impl<F: Function> ScalarUDFImpl for Scalar<F> {
    fn name(&self) -> &str {
        F::NAME
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        F::coerce(arg_types)
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        F::return_type(arg_types)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let types = args.arg_fields.iter().map(|field| field.data_type().clone()).collect::<Vec<_>>();
        F::check(&types, args.scalar_arguments)?;
        Ok(Arc::new(Field::new(F::NAME, F::return_type(&types)?, true)))
    }

    fn simplify(&self, args: Vec<Expr>, _: &SimplifyContext) -> Result<ExprSimplifyResult> {
        expect_constants(F::NAME, &args, F::constant)?;
        Ok(ExprSimplifyResult::Original(args))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        if args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_))) {
            let answer = F::invoke(&args.args, 1)?;
            return Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&answer, 0)?));
        }
        Ok(ColumnarValue::Array(F::invoke(&args.args, args.number_rows)?))
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.function.documentation()
    }
}
