//! `sequence_linked(counts, links, ts, fields, e1, … en)`

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, DynComparator, make_comparator};
use arrow::buffer::NullBuffer;
use arrow::compute::SortOptions;
use arrow::datatypes::{DataType, Field as ArrowField, Fields};
use datafusion::common::{Result, ScalarValue, internal_err, plan_datafusion_err, plan_err};
use datafusion::logical_expr::binary::comparison_coercion;
use datafusion::logical_expr::{AggregateUDF, Documentation};
use datafusion_macros::user_doc;

use super::call::Call;
use super::function::{Aggregate, udaf};
use super::steps;
use super::valued::{Load, Nulls, ValuedFold, ValuedGroups};
use super::values::Interner;
use crate::args::{coerce_counts, coerce_ts, is_text, plain, wrong_arity, wrong_type};
use crate::kernel::events::Grouped;
use crate::kernel::links::{Field, Link, Operator};
use crate::kernel::steps::Steps;

/// `sequence_linked(counts, links, ts, fields, e1, … en)`
pub fn sequence_linked_udaf() -> Arc<AggregateUDF> {
    udaf::<SequenceLinked>()
}

#[user_doc(
    doc_section(label = "Sequence"),
    description = "As [`sequence_steps`](#sequence_steps), of rows that have something to do with each other: the rows of the \
                   steps must satisfy `links`, comparisons of a field of one step's row with a field of another's, \
                   combined with AND, OR, NOT and parentheses: `'2.sku = 1.sku AND 2.time <= 1.latest'`. A comparison \
                   with NULL does not hold. A step that needs several rows may be linked to earlier ones, later ones \
                   not to it.\n\n\
                   If the earliest row of a step leads nowhere, later ones are tried. Where each step is linked to the one \
                   before, that takes as long as there are pairs of rows; a group that takes more than a hundred million \
                   tries is an error. A group takes 20 bytes of memory for each row where a condition holds, and each \
                   different value of `fields` once for all groups.",
    syntax_example = "sequence_linked(counts, links, ts, fields, e1, … en)",
    sql_example = "```sql
> SELECT sequence_linked([1, 1], '2.sku = 1.sku', ts, {sku: sku}, kind = 'view', kind = 'order') AS bought
  FROM (VALUES (TIMESTAMP '2026-01-01T10:00:00', 'view', 'shoe'), (TIMESTAMP '2026-01-01T10:30:00', 'view', 'hat'),
               (TIMESTAMP '2026-01-01T12:00:00', 'order', 'hat')) AS t(ts, kind, sku);
+--------+
| bought |
+--------+
| true   |
+--------+
```",
    argument(name = "counts", description = "Constant array: how many rows each step needs, 1 or more."),
    argument(name = "links", description = "Constant text, see above; empty for none."),
    argument(name = "ts", description = "Timestamp, date, or seconds. Rows where it is NULL are ignored."),
    argument(name = "fields", description = "Struct of the row's fields that `links` compares."),
    argument(name = "e1, … en", description = "Up to 32 conditions, one for each step. NULL does not hold."),
    related_udf(name = "sequence_steps")
)]
#[derive(Debug, Default, PartialEq, Eq, Hash)]
struct SequenceLinked;

const SYNTAX: &str = "(counts, links, ts, fields, e1, … en)";

/// Which argument the fields are.
const FIELDS: usize = 3;

impl Aggregate for SequenceLinked {
    const NAME: &'static str = "sequence_linked";
    type Groups = ValuedGroups<FIELDS>;

    fn documentation(&self) -> Option<&Documentation> {
        self.doc()
    }

    fn coerce(types: &[DataType]) -> Result<Vec<DataType>> {
        let [counts, links, ts, fields, steps @ ..] = types else {
            return wrong_arity(Self::NAME, SYNTAX, types.len());
        };
        if !is_text(links) {
            return Err(wrong_type(Self::NAME, "links", "a text like `2.sku = 1.sku`", links));
        }
        let DataType::Struct(of_row) = fields else {
            return Err(wrong_type(Self::NAME, "fields", "a struct like {sku: sku}", fields));
        };
        let of_row = of_row.iter().map(|field| {
            let of = plain(field.data_type()).clone();
            Arc::new(ArrowField::new(field.name(), of, true))
        });
        let coerced = [
            coerce_counts(Self::NAME, counts),
            Ok(DataType::Utf8),
            coerce_ts(Self::NAME, "ts", ts),
            Ok(DataType::Struct(of_row.collect())),
        ];
        coerced.into_iter().chain(steps::coerce_steps(Self::NAME, SYNTAX, steps)?).collect()
    }

    fn return_type(_: &[DataType]) -> Result<DataType> {
        Ok(DataType::Boolean)
    }

    fn empty(_: &DataType) -> Result<ScalarValue> {
        Ok(ScalarValue::Boolean(Some(false)))
    }

    fn bind(call: &Call) -> Result<Self::Groups> {
        let first = FIELDS + 1;
        let counts = steps::counts(call, 0, call.n_args() - first)?;
        let DataType::Struct(fields) = &call.types[FIELDS] else {
            return internal_err!("sequence_linked planned with {}", call.types[FIELDS]);
        };
        let names = fields.iter().map(|field| field.name().as_str()).collect::<Vec<_>>();
        let text = call.text(1, "links")?;
        let links = Link::parse(text, counts.len(), &names)
            .map_err(|error| plan_datafusion_err!("sequence_linked: `links` '{text}' {error}"))?;
        let mut tests = vec![];
        for link in &links {
            collect_tests(link, fields, &mut tests)?;
        }
        let steps = Steps::new(counts, links).map_err(|step| {
            let step = step + 1;
            plan_datafusion_err!(
                "sequence_linked: step {step} needs several rows, none of which a later step could be linked to"
            )
        })?;
        let input = steps::input(FIELDS - 1, first..call.n_args());
        ValuedGroups::new(call, input, Nulls::Count, Linked { steps, tests })
    }
}

/// Fields that are compared, and the type that they are compared as.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Test {
    left: usize,
    right: usize,
    data_type: DataType,
}

/// What the links of a step ask of rows.
fn collect_tests(link: &Link, fields: &Fields, tests: &mut Vec<Test>) -> Result<()> {
    let of = |field: &Field| fields[field.field].data_type();
    let name = |field: &Field| format!("{}.{}", field.step + 1, fields[field.field].name());
    let test = match link {
        Link::All(links) | Link::Any(links) => {
            return links.iter().try_for_each(|link| collect_tests(link, fields, tests));
        }
        Link::Not(link) => return collect_tests(link, fields, tests),
        Link::True(field) => {
            if *of(field) != DataType::Boolean {
                return plan_err!(
                    "sequence_linked: `{}` must be a condition, found {}; compare it with something",
                    name(field),
                    of(field)
                );
            }
            Test { left: field.field, right: field.field, data_type: DataType::Boolean }
        }
        Link::Compare(left, _, right) => {
            let Some(data_type) = comparison_coercion(of(left), of(right)) else {
                return plan_err!(
                    "sequence_linked: `{}` and `{}` cannot be compared, they are {} and {}",
                    name(left),
                    name(right),
                    of(left),
                    of(right)
                );
            };
            Test { left: left.field, right: right.field, data_type }
        }
    };
    if !tests.contains(&test) {
        tests.push(test);
    }
    Ok(())
}

#[derive(Debug)]
struct Linked {
    steps: Steps,
    tests: Vec<Test>,
}

impl ValuedFold for Linked {
    fn fold(&self, groups: &Grouped<Load>, values: &Interner) -> Result<ArrayRef> {
        let fields = values.column(groups.iter().flat_map(|(_, rows)| rows).map(|row| Some(row.value)))?;
        let comparisons = Comparisons::new(&self.tests, &fields)?;
        let mut answers = Vec::with_capacity(groups.len());
        let mut masks = vec![];
        let mut start = 0;
        for (ticks, rows) in groups.iter() {
            masks.clear();
            masks.extend(rows.iter().map(|row| row.mask));
            let taken = self.steps.taken(ticks, &masks, |link, at| comparisons.hold(link, at, start));
            answers.push(taken.map_err(steps::too_hard(SequenceLinked::NAME))?);
            start += rows.len();
        }
        Ok(Arc::new(BooleanArray::from(answers)))
    }
}

/// The fields of all rows, ready to be compared.
struct Comparisons {
    /// By the fields: left, then right.
    by_fields: Vec<((usize, usize), Compared)>,
}

struct Compared {
    order: DynComparator,
    left_nulls: Option<NullBuffer>,
    right_nulls: Option<NullBuffer>,
    /// The left field, if it is a condition.
    truths: Option<BooleanArray>,
}

impl Comparisons {
    fn new(tests: &[Test], fields: &ArrayRef) -> Result<Self> {
        let fields = fields.as_struct();
        let compared = |test: &Test| {
            let as_type = |field: usize| arrow::compute::cast(fields.column(field), &test.data_type);
            let (left, right) = (as_type(test.left)?, as_type(test.right)?);
            let compared = Compared {
                order: make_comparator(&left, &right, SortOptions::default())?,
                left_nulls: left.logical_nulls(),
                right_nulls: right.logical_nulls(),
                truths: left.as_boolean_opt().cloned(),
            };
            Ok(((test.left, test.right), compared))
        };
        Ok(Self { by_fields: tests.iter().map(compared).collect::<Result<_>>()? })
    }

    /// Whether a link holds of rows counted from `start`.
    fn hold(&self, link: &Link, rows: &[usize], start: usize) -> bool {
        let row = |field: &Field| start + rows[field.step];
        match link {
            Link::True(field) => {
                let truths = self.of(field, field).and_then(|compared| compared.truths.as_ref());
                truths.is_some_and(|truths| truths.is_valid(row(field)) && truths.value(row(field)))
            }
            Link::Compare(left, operator, right) => {
                self.of(left, right).is_some_and(|compared| compared.holds(*operator, row(left), row(right)))
            }
            Link::All(_) | Link::Any(_) | Link::Not(_) => false,
        }
    }

    fn of(&self, left: &Field, right: &Field) -> Option<&Compared> {
        let wanted = (left.field, right.field);
        self.by_fields.iter().find_map(|(fields, compared)| (*fields == wanted).then_some(compared))
    }
}

impl Compared {
    fn holds(&self, operator: Operator, left: usize, right: usize) -> bool {
        let known = |nulls: &Option<NullBuffer>, row| nulls.as_ref().is_none_or(|nulls| nulls.is_valid(row));
        known(&self.left_nulls, left)
            && known(&self.right_nulls, right)
            && operator.holds((self.order)(left, right))
    }
}
