//! `attribute(ts, channel, converted, model)`

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, StructArray};
use arrow::compute::kernels::cast_utils::parse_interval_month_day_nano;
use arrow::datatypes::{DataType, Field, Fields};
use datafusion::common::{Result, ScalarValue, plan_datafusion_err, plan_err};
use datafusion::logical_expr::{AggregateUDF, Documentation};
use datafusion_macros::user_doc;

use super::call::Call;
use super::events::{Input, Keep};
use super::function::{Aggregate, udaf};
use super::list::{empty_list, list_type, lists};
use super::valued::{Load, Nulls, ValuedFold, ValuedGroups};
use super::values::Interner;
use crate::args::{coerce_condition, coerce_ts, is_text, plain, wrong_arity};
use crate::kernel::attribution::{Model, credits};
use crate::kernel::events::Grouped;
use crate::kernel::span::{Scale, Span};

/// `attribute(ts, channel, converted, model)`
pub fn attribute_udaf() -> Arc<AggregateUDF> {
    udaf::<Attribute>()
}

#[user_doc(
    doc_section(label = "First and last"),
    description = "Shares the credit for each conversion among the channels that led to it. A touch is a row with a \
                   channel; the path of a conversion are the touches up to its time, since the conversion before it. \
                   Each conversion with a path gives a credit of 1. The answer is a list of `{channel, credit}`, \
                   ordered by channel; empty where nothing converted.\n\n\
                   - `'first'`, `'last'`: all to that touch.\n\
                   - `'linear'`: the same to each.\n\
                   - `'position'`: 40 % to the first, 40 % to the last, 20 % to those between.\n\
                   - `'time_decay'`, `'time_decay 3 days'`: half as much for each half-life before the conversion; \
                   7 days unless said.\n\n\
                   Touches of one time are ordered by channel; conversions of one time share one path.\n\n\
                   A group takes 20 bytes of memory for each row; each different channel is kept once for all groups.",
    syntax_example = "attribute(ts, channel, converted, model)",
    sql_example = "```sql
> SELECT share['channel'] AS channel, share['credit'] AS credit
  FROM (SELECT unnest(attribute(day, channel, converted, 'position')) AS share
        FROM (VALUES (1, 'ad', false), (2, 'mail', false), (3, 'app', false), (4, NULL, true)) AS t(day, channel, converted));
+---------+--------+
| channel | credit |
+---------+--------+
| ad      | 0.4    |
| app     | 0.4    |
| mail    | 0.2    |
+---------+--------+
```",
    argument(name = "ts", description = "Timestamp, date, or seconds. Rows where it is NULL are ignored."),
    argument(name = "channel", description = "Any type. NULL is no touch."),
    argument(name = "converted", description = "Condition. NULL does not hold."),
    argument(name = "model", description = "Constant text, see above."),
    related_udf(name = "first_touch"),
    related_udf(name = "last_touch")
)]
#[derive(Debug, Default, PartialEq, Eq, Hash)]
struct Attribute;

const MODELS: &str = "'first', 'last', 'linear', 'position', 'time_decay' or one like 'time_decay 3 days'";

/// Which argument is the value.
const VALUE: usize = 1;

impl Aggregate for Attribute {
    const NAME: &'static str = "attribute";
    type Groups = ValuedGroups<VALUE>;

    fn documentation(&self) -> Option<&Documentation> {
        self.doc()
    }

    fn coerce(types: &[DataType]) -> Result<Vec<DataType>> {
        let [ts, channel, converted, model] = types else {
            return wrong_arity(Self::NAME, "(ts, channel, converted, model)", types.len());
        };
        if !is_text(model) {
            return plan_err!("attribute: `model` must be {MODELS}, found {model}");
        }
        Ok(vec![
            coerce_ts(Self::NAME, "ts", ts)?,
            plain(channel).clone(),
            coerce_condition(Self::NAME, "converted", converted)?,
            DataType::Utf8,
        ])
    }

    fn return_type(types: &[DataType]) -> Result<DataType> {
        Ok(list_type(&DataType::Struct(share(&types[VALUE]))))
    }

    fn empty(return_type: &DataType) -> Result<ScalarValue> {
        empty_list(return_type)
    }

    fn bind(call: &Call) -> Result<Self::Groups> {
        let model = model(call.text(3, "model")?, &call.scale(0)?)?;
        let input = Input { ts: 0, conditions: 2..3, keep: Keep::Timed };
        let fold = Shares { model, channel: call.types[VALUE].clone() };
        // A conversion need not be a touch, so rows without a channel count.
        ValuedGroups::new(call, input, Nulls::Count, fold)
    }
}

fn model(text: &str, scale: &Scale) -> Result<Model> {
    let text = text.trim();
    Ok(match text {
        "first" => Model::First,
        "last" => Model::Last,
        "linear" => Model::Linear,
        "position" => Model::Position,
        _ => {
            let wrong = || plan_datafusion_err!("attribute: `model` must be {MODELS}, found '{text}'");
            let half_life = text.strip_prefix("time_decay").ok_or_else(wrong)?;
            let half_life = if half_life.is_empty() { " 7 days" } else { half_life };
            let half_life = half_life.strip_prefix(' ').ok_or_else(wrong)?;
            let interval = parse_interval_month_day_nano(half_life).map_err(|_| wrong())?;
            let interval = ScalarValue::IntervalMonthDayNano(Some(interval));
            // A half-life is a length, not a step of the calendar.
            let zoneless = match scale {
                Scale::Timestamp(unit, _) => Scale::Timestamp(*unit, None),
                other => other.clone(),
            };
            match super::call::span("attribute", "model", &interval, &zoneless)? {
                Span::Fixed { ticks, .. } if ticks > 0 => Model::TimeDecay { half_life: ticks },
                Span::Fixed { .. } => {
                    return plan_err!("attribute: the half-life of '{text}' must be above 0");
                }
                Span::Calendar { .. } => {
                    return plan_err!(
                        "attribute: the half-life of '{text}' must be in days or less, not months"
                    );
                }
            }
        }
    })
}

fn share(channel: &DataType) -> Fields {
    vec![Field::new("channel", channel.clone(), true), Field::new("credit", DataType::Float64, false)].into()
}

#[derive(Debug)]
struct Shares {
    model: Model,
    channel: DataType,
}

impl Shares {
    fn of(&self, ticks: &[i64], rows: &[Load], is_null: impl Fn(u32) -> bool) -> BTreeMap<u32, f64> {
        let mut shares = BTreeMap::new();
        let (mut path, mut times) = (vec![], vec![]);
        let mut row = 0;
        while row < ticks.len() {
            let tick = ticks[row];
            let mut conversions = 0.0;
            while row < ticks.len() && ticks[row] == tick {
                if !is_null(rows[row].value) {
                    path.push(rows[row].value);
                    times.push(tick);
                }
                conversions += f64::from(rows[row].mask & 1);
                row += 1;
            }
            if conversions > 0.0 {
                for (channel, credit) in path.drain(..).zip(credits(self.model, &times, tick)) {
                    *shares.entry(channel).or_insert(0.0) += credit * conversions;
                }
                times.clear();
            }
        }
        // A model that gives a channel nothing does not name it.
        shares.retain(|_, credit| *credit > 0.0);
        shares
    }
}

impl ValuedFold for Shares {
    fn fold(&self, groups: &Grouped<Load>, values: &Interner) -> Result<ArrayRef> {
        let (mut lengths, mut channels, mut credits) = (vec![], vec![], vec![]);
        for (ticks, rows) in groups.iter() {
            let shares = self.of(ticks, rows, |value| values.is_null(value));
            let mut shares = shares.into_iter().collect::<Vec<_>>();
            shares.sort_by(|(a, _), (b, _)| values.bytes(*a).cmp(values.bytes(*b)));
            lengths.push(shares.len());
            channels.extend(shares.iter().map(|(channel, _)| Some(*channel)));
            credits.extend(shares.iter().map(|(_, credit)| *credit));
        }
        let columns: Vec<ArrayRef> = vec![values.column(channels)?, Arc::new(Float64Array::from(credits))];
        let shares = StructArray::try_new(share(&self.channel), columns, None)?;
        lists(lengths, Arc::new(shares))
    }
}
