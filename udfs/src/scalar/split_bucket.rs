//! `split_bucket`

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int32Array};
use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::{Result, ScalarValue, exec_datafusion_err, exec_err, internal_err, plan_err};
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::{
    ColumnarValue, Documentation, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl,
    Signature, Volatility,
};
use datafusion_macros::user_doc;

use super::function::expect_constants;
use crate::args::{plain, wrong_arity, wrong_type};
use crate::kernel::split::{Shares, hash};

const NAME: &str = "split_bucket";

/// `split_bucket(key, salt, weight1, weight2, …)`
pub fn split_bucket_udf() -> Arc<ScalarUDF> {
    Arc::new(ScalarUDF::new_from_impl(SplitBucket {
        signature: Signature::user_defined(Volatility::Immutable),
    }))
}

#[user_doc(
    doc_section(label = "Splits"),
    description = "The bucket, 1 for the first, that a key falls into when all keys are dealt in the proportion of the weights. The answer depends on nothing but the arguments, so a key stays in its bucket; another salt deals anew. If weights change, only keys between the old and the new boundary of two neighbours change buckets. NULL if the key or the salt is NULL.

The bucket can be computed in any SQL. Be `h` the number that the first 8 hexadecimal digits of `md5(salt || ':' || key)` write, and `total` the sum of the weights: the key falls on the point `(h * total) >> 32`, from 0 to `total - 1`, and its bucket is 1 more than the number of running sums of the weights that are not greater than the point. The point in Postgres: `(('x' || left(md5(salt || ':' || key), 8))::bit(32)::bigint * total) >> 32`; in Snowflake: `BITSHIFTRIGHT(TO_NUMBER(LEFT(MD5(salt || ':' || key), 8), 'XXXXXXXX') * total, 32)`.",
    syntax_example = "split_bucket(key, salt, weight1, weight2, ...)",
    sql_example = "```sql
> SELECT key, split_bucket(key, 'exp-1', 90, 10) AS bucket, ['control', 'variant'][split_bucket(key, 'exp-1', 90, 10)] AS arm
  FROM (VALUES ('ada'), ('bob'), ('eve')) AS t(key);
+-----+--------+---------+
| key | bucket | arm     |
+-----+--------+---------+
| ada | 2      | variant |
| bob | 1      | control |
| eve | 1      | control |
+-----+--------+---------+
```",
    argument(
        name = "key",
        description = "What is dealt: a string, or an integer, taken as its decimal digits."
    ),
    argument(name = "salt", description = "Name of the split, a string."),
    argument(
        name = "weight",
        description = "Constant whole numbers of 1 or more, one for each bucket; their sum is at most 2147483647."
    )
)]
#[derive(Debug, PartialEq, Eq, Hash)]
struct SplitBucket {
    signature: Signature,
}

impl ScalarUDFImpl for SplitBucket {
    fn name(&self) -> &str {
        NAME
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        let [key, salt, weights @ ..] = arg_types else {
            return wrong_arity(NAME, "(key, salt, weight1, weight2, ...)", arg_types.len());
        };
        if weights.is_empty() {
            return wrong_arity(NAME, "(key, salt, weight1, weight2, ...)", arg_types.len());
        }
        let is_text = |found: &DataType| plain(found).is_string() || plain(found).is_null();
        if !is_text(key) && !plain(key).is_integer() {
            return Err(wrong_type(NAME, "key", "a string or an integer", key));
        }
        if !is_text(salt) {
            return Err(wrong_type(NAME, "salt", "a string", salt));
        }
        let mut coerced = vec![DataType::Utf8View; 2];
        for (i, weight) in weights.iter().enumerate() {
            if !plain(weight).is_integer() {
                let expected = "a whole number of 1 or more (for 0.5 and 0.5 write 1, 1)";
                return Err(wrong_type(NAME, &format!("weight{}", i + 1), expected, weight));
            }
            coerced.push(DataType::Int64);
        }
        Ok(coerced)
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Int32)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let weights = args.scalar_arguments.get(2..).unwrap_or_default();
        // Those that are still to be folded are looked at when they are.
        if let Some(weights) = weights.iter().copied().collect::<Option<Vec<_>>>() {
            shares(&weights)?;
        }
        let nullable = args.arg_fields.iter().take(2).any(|field| field.is_nullable());
        Ok(Arc::new(Field::new(NAME, DataType::Int32, nullable)))
    }

    fn simplify(&self, args: Vec<Expr>, _: &SimplifyContext) -> Result<ExprSimplifyResult> {
        expect_constants(NAME, &args, |i| (i > 1).then(|| format!("weight{}", i - 1)))?;
        Ok(ExprSimplifyResult::Original(args))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [key, salt, weights @ ..] = args.args.as_slice() else {
            return internal_err!("{NAME} planned with {} arguments", args.args.len());
        };
        let weights = weights.iter().map(|weight| match weight {
            ColumnarValue::Scalar(weight) => Ok(weight),
            ColumnarValue::Array(_) => exec_err!("{NAME}: the weights must be constants"),
        });
        let shares = shares(&weights.collect::<Result<Vec<_>>>()?)?;
        let constant = [key, salt].iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let n_rows = if constant { 1 } else { args.number_rows };
        let keys = key.to_array(n_rows)?;
        let salts = salt.to_array(n_rows)?;
        let buckets = buckets(&keys, &salts, &shares)?;
        if constant {
            return Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&buckets, 0)?));
        }
        Ok(ColumnarValue::Array(buckets))
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.doc()
    }
}

fn shares(weights: &[&ScalarValue]) -> Result<Shares> {
    let mut counts = Vec::with_capacity(weights.len());
    for (i, weight) in weights.iter().enumerate() {
        let argument = i + 1;
        let count = match weight.cast_to(&DataType::Int64)? {
            ScalarValue::Int64(Some(count)) => u64::try_from(count).ok().filter(|count| *count > 0),
            _ => None,
        };
        match count {
            Some(count) => counts.push(count),
            None => return plan_err!("{NAME}: `weight{argument}` must be 1 or more, found {weight}"),
        }
    }
    match Shares::new(&counts) {
        Some(shares) => Ok(shares),
        None => plan_err!("{NAME}: the weights must sum to at most {}", Shares::MAX_TOTAL),
    }
}

fn buckets(keys: &ArrayRef, salts: &ArrayRef, shares: &Shares) -> Result<ArrayRef> {
    let (keys, salts) = (keys.as_string_view(), salts.as_string_view());
    let bucket = |key: Option<&str>, salt: Option<&str>| -> Result<Option<i32>> {
        let (Some(key), Some(salt)) = (key, salt) else { return Ok(None) };
        let index = i32::try_from(shares.index(hash(salt, key)) + 1);
        index.map(Some).map_err(|_| exec_datafusion_err!("{NAME}: more buckets than integers"))
    };
    let buckets = keys.iter().zip(salts.iter()).map(|(key, salt)| bucket(key, salt));
    Ok(Arc::new(buckets.collect::<Result<Int32Array>>()?))
}
