//! `rfm_score(recency, frequency, monetary, …)`

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, StructArray};
use arrow::datatypes::{DataType, Field, FieldRef, Fields, Float64Type};
use datafusion::common::{Result, ScalarValue, plan_err};
use datafusion::logical_expr::function::{
    PartitionEvaluatorArgs, WindowFunctionSimplification, WindowUDFFieldArgs,
};
use datafusion::logical_expr::{
    Documentation, PartitionEvaluator, Signature, Volatility, WindowUDF, WindowUDFImpl,
};
use datafusion_macros::user_doc;

use super::checked;
use crate::aggregate::call::Call;
use crate::args::{plain, wrong_arity};
use crate::kernel::score::{cut_scores, quantile_scores};

/// `rfm_score(recency, frequency, monetary, …)`
pub fn rfm_score_udwf() -> Arc<WindowUDF> {
    Arc::new(WindowUDF::from(RfmScore::default()))
}

#[user_doc(
    doc_section(label = "Recency, frequency, monetary"),
    description = "Scores each row against its partition: `{r, f, m, score}`, each of the first three from 1 to the \
                   number of classes, higher being better, and `score` their digits in a row, 555 for the best of \
                   five classes. A small `recency` is a good one: it counts days since. NULL where the argument is; \
                   `score` is NULL where any of the three is.\n\n\
                   Classes are quantiles of the partition, equal values being in the same class, that of the lowest \
                   of them; or they begin at fixed cuts, three sorted lists of constants.",
    syntax_example = "rfm_score(recency, frequency, monetary [, classes]) OVER (…)",
    alternative_syntax = "rfm_score(recency, frequency, monetary, recency_cuts, frequency_cuts, monetary_cuts) OVER (…)",
    sql_example = "```sql
> SELECT who, s['r'] AS r, s['f'] AS f, s['m'] AS m, s['score'] AS score
  FROM (SELECT who, rfm_score(days, orders, spent, 3) OVER () AS s
        FROM (VALUES ('ada', 1, 9, 500.0), ('bob', 30, 2, 90.0), ('eve', 300, 1, 95.0)) AS t(who, days, orders, spent))
  ORDER BY who;
+-----+---+---+---+-------+
| who | r | f | m | score |
+-----+---+---+---+-------+
| ada | 3 | 3 | 3 | 333   |
| bob | 2 | 2 | 1 | 221   |
| eve | 1 | 1 | 2 | 112   |
+-----+---+---+---+-------+
> SELECT rfm_score(10, 3, 99.0, [7, 30], [2, 5], [100]) OVER () AS s;
+--------------------------------+
| s                              |
+--------------------------------+
| {r: 2, f: 2, m: 1, score: 221} |
+--------------------------------+
```",
    argument(name = "recency", description = "Number; less is better. [`days_since`](#days_since), say."),
    argument(name = "frequency", description = "Number; more is better."),
    argument(name = "monetary", description = "Number; more is better."),
    argument(name = "classes", description = "Constant number of quantiles, 2 to 9; 5 unless said."),
    argument(
        name = "…_cuts",
        description = "Constant sorted list of up to 8 numbers. A value is in the class that begins at the last cut it reaches, the first class being below all cuts."
    ),
    related_udf(name = "days_since")
)]
#[derive(Debug, PartialEq, Eq, Hash)]
struct RfmScore {
    signature: Signature,
}

impl Default for RfmScore {
    fn default() -> Self {
        Self { signature: Signature::user_defined(Volatility::Immutable) }
    }
}

const SYNTAX: &str = "(recency, frequency, monetary [, classes]) or three lists of cuts instead of `classes`";
const ARGUMENTS: [&str; 3] = ["recency", "frequency", "monetary"];
const CUTS: [&str; 3] = ["recency_cuts", "frequency_cuts", "monetary_cuts"];

fn fields() -> Fields {
    ["r", "f", "m", "score"].map(|name| Field::new(name, DataType::Int64, true)).to_vec().into()
}

impl WindowUDFImpl for RfmScore {
    fn name(&self) -> &str {
        "rfm_score"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        if !matches!(types.len(), 3 | 4 | 6) {
            return wrong_arity("rfm_score", SYNTAX, types.len());
        }
        for (argument, found) in ARGUMENTS.iter().zip(types) {
            if !plain(found).is_numeric() && !found.is_null() {
                return plan_err!("rfm_score: `{argument}` must be a number, found {found}");
            }
        }
        let mut coerced = vec![DataType::Float64; 3];
        if let [classes] = &types[3..] {
            if !plain(classes).is_integer() {
                return plan_err!("rfm_score: `classes` must be a whole number, found {classes}");
            }
            coerced.push(DataType::Int64);
        }
        if types.len() == 6 {
            for (argument, found) in CUTS.iter().zip(&types[3..]) {
                match found {
                    DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _)
                        if plain(item.data_type()).is_numeric() =>
                    {
                        coerced.push(DataType::new_list(DataType::Float64, true));
                    }
                    found => {
                        return plan_err!("rfm_score: `{argument}` must be a list of numbers, found {found}");
                    }
                }
            }
        }
        Ok(coerced)
    }

    fn field(&self, args: WindowUDFFieldArgs) -> Result<FieldRef> {
        Ok(Arc::new(Field::new(args.name(), DataType::Struct(fields()), false)))
    }

    fn simplify(&self) -> Option<WindowFunctionSimplification> {
        Some(checked("rfm_score", |call| Scores::bind(call).map(drop)))
    }

    fn partition_evaluator(&self, args: PartitionEvaluatorArgs) -> Result<Box<dyn PartitionEvaluator>> {
        let call = Call::of("rfm_score", args.input_fields(), args.input_exprs());
        Ok(Box::new(Scores::bind(&call)?))
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.doc()
    }
}

fn cuts(call: &Call, i: usize) -> Result<Vec<f64>> {
    let argument = CUTS[i];
    let ScalarValue::List(list) = call.value(3 + i, argument)? else {
        return plan_err!("rfm_score: `{argument}` must be a list of numbers");
    };
    let list = list.value(0);
    let cuts = list.as_primitive::<Float64Type>();
    if cuts.null_count() > 0 || cuts.len() > 8 || !cuts.values().is_sorted() {
        return plan_err!("rfm_score: `{argument}` must be up to 8 numbers from low to high, without NULL");
    }
    Ok(cuts.values().to_vec())
}

#[derive(Debug)]
enum Classes {
    Quantiles(usize),
    Cuts([Vec<f64>; 3]),
}

#[derive(Debug)]
struct Scores {
    classes: Classes,
}

impl Scores {
    fn bind(call: &Call) -> Result<Self> {
        let classes = match call.n_args() {
            3 => Classes::Quantiles(5),
            4 => match usize::try_from(call.integer(3, "classes")?) {
                Ok(n @ 2..=9) => Classes::Quantiles(n),
                _ => {
                    return plan_err!(
                        "rfm_score: `classes` must be 2 to 9, found {}",
                        call.integer(3, "classes")?
                    );
                }
            },
            _ => Classes::Cuts([cuts(call, 0)?, cuts(call, 1)?, cuts(call, 2)?]),
        };
        Ok(Self { classes })
    }
}

impl PartitionEvaluator for Scores {
    fn evaluate_all(&mut self, values: &[ArrayRef], _: usize) -> Result<ArrayRef> {
        let mut scores = vec![];
        for (i, column) in values.iter().take(3).enumerate() {
            let numbers = column.as_primitive::<Float64Type>().iter();
            let of = |values: &[Option<f64>]| match &self.classes {
                Classes::Quantiles(n) => quantile_scores(values, *n),
                Classes::Cuts(cuts) => cut_scores(values, &cuts[i]),
            };
            if i > 0 {
                scores.push(of(&numbers.collect::<Vec<_>>()));
                continue;
            }
            // Of days since, few are good. Quantiles turn with the sign; classes between cuts are
            // counted from the other end.
            scores.push(match &self.classes {
                Classes::Quantiles(n) => {
                    let negated = numbers.map(|days| days.map(|days| -days)).collect::<Vec<_>>();
                    quantile_scores(&negated, *n)
                }
                Classes::Cuts(cuts) => {
                    let turned = i64::try_from(cuts[0].len()).unwrap_or(i64::MAX) + 2;
                    let counted = of(&numbers.collect::<Vec<_>>());
                    counted.into_iter().map(|class| class.map(|class| turned - class)).collect()
                }
            });
        }
        let digits = (0..scores[0].len())
            .map(|row| Some(scores[0][row]? * 100 + scores[1][row]? * 10 + scores[2][row]?))
            .collect::<Int64Array>();
        let mut columns = scores
            .into_iter()
            .map(|scores| Arc::new(Int64Array::from(scores)) as ArrayRef)
            .collect::<Vec<_>>();
        columns.push(Arc::new(digits));
        Ok(Arc::new(StructArray::try_new(fields(), columns, None)?))
    }
}
