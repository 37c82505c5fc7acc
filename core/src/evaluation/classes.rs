//! Values as classes: two values of a subject are of one class where every test has the same answer for both.
//!
//! A test is answered once for each distinct value (of strings, of a lookup's rows) or for each interval between
//! constants (of numbers and times), never for each row.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use aho_corasick::AhoCorasick;
use arrow::array::{
    Array, ArrayRef, ArrowPrimitiveType, AsArray, BooleanArray, Int32Array, PrimitiveArray, RecordBatch,
    StringArray, StringViewArray,
};
use arrow::buffer::{BooleanBuffer, NullBuffer, ScalarBuffer};
use arrow::compute::{cast, ilike, like};
use arrow::datatypes::{
    ArrowNativeType, DataType, Date32Type, Int32Type, Int64Type, SchemaRef, UInt8Type, UInt16Type, UInt32Type,
};
use datafusion::physical_expr::PhysicalExpr;
use hashbrown::HashMap;

use crate::bug;
use crate::compile::{Literal, Questions, Subject, Test, Want, float_key};
use crate::error::Result;

use super::bits::{Bits, small};
use super::dictionary::Dictionary;

/// So few bounds are compared with a value one by one: it takes less than guessing wrong in a search.
const FEW_BOUNDS: usize = 8;

/// The answer of a test: TRUE, FALSE or NULL.
type Truth = Option<bool>;

/// The classes of one subject's values, found as values appear.
#[derive(Debug)]
pub(super) struct Classes {
    /// The literals about the subject: a test and the truth value asked for.
    literals: Vec<(usize, Want)>,
    /// Which literals hold, by class.
    holds: Vec<Bits>,
    by_holds: HashMap<Bits, u32>,
    /// The class of NULL.
    null: u32,
    kind: Kind,
    dictionary: Dictionary,
}

#[derive(Debug)]
enum Kind {
    Text {
        tests: Vec<TextTest>,
        index: Box<TextIndex>,
        known: HashMap<Box<str>, u32>,
    },
    /// The class of each interval: below a bound, at it, up to the next.
    Ordered {
        bounds: Vec<i64>,
        classes: Vec<u32>,
    },
    Boolean {
        is_false: u32,
        is_true: u32,
    },
    Elements {
        /// The tests that hold for a list with this element, as bits.
        tests: HashMap<String, Vec<u64>>,
        /// For each word of such bits where it leads from where those before it do, the first from 0: to a number that no
        /// other words lead to, the last to the class.
        steps: Vec<HashMap<(u32, u64), u32>>,
    },
    Lookup {
        by_key: HashMap<Box<str>, u32>,
    },
}

/// What a subject's expressions are computed by: over one column with the subject's name and type.
#[derive(Clone, Debug)]
pub(super) struct Bound {
    /// The expression.
    pub(super) expr: Arc<dyn PhysicalExpr>,
    /// The schema it is bound to.
    pub(super) schema: SchemaRef,
}

#[derive(Debug)]
enum TextTest {
    Null,
    /// Answered by the index.
    Indexed,
    Pattern {
        lower: bool,
        pattern: String,
        case_insensitive: bool,
    },
    Expr(Bound),
}

/// Tests of strings that are answered together.
#[derive(Debug, Default)]
struct TextIndex {
    equal: HashMap<String, Vec<usize>>,
    equal_lower: HashMap<String, Vec<usize>>,
    holding: Option<(AhoCorasick, Vec<Vec<usize>>)>,
    holding_lower: Option<(AhoCorasick, Vec<Vec<usize>>)>,
    /// What strings begin with, and the lengths of these beginnings.
    beginning: HashMap<String, Vec<usize>>,
    lengths: BTreeSet<usize>,
}

/// What the values of a subject look like in a batch.
pub(super) enum Values {
    /// The class of each row.
    Rows(Vec<u32>),
    /// The class of each dictionary value, and each row's code.
    Codes { classes: Arc<[u32]>, codes: Int32Array, null: u32 },
    /// Every row is of this class.
    Same(u32),
}

impl Values {
    /// The rows of a batch whose class is among those that are `wanted`.
    pub(super) fn rows(&self, n_rows: usize, wanted: &[bool]) -> Vec<u32> {
        if !wanted.contains(&false) {
            return (0..small(n_rows)).collect();
        }
        match self {
            Self::Rows(classes) => positions(n_rows, |row| wanted[classes[row] as usize]),
            Self::Codes { classes, codes, null } => {
                let of_code: Vec<bool> = classes.iter().map(|class| wanted[*class as usize]).collect();
                let nulls = codes.nulls().filter(|nulls| nulls.null_count() > 0);
                let of_null = nulls.is_some() && wanted[*null as usize];
                if !of_null && !of_code.contains(&true) {
                    return vec![];
                }
                let codes = codes.values();
                match nulls {
                    None => positions(n_rows, |row| of_code[codes[row].cast_unsigned() as usize]),
                    Some(nulls) => positions(n_rows, |row| {
                        let of_code = of_code.get(codes[row].cast_unsigned() as usize) == Some(&true);
                        let is_valid = nulls.is_valid(row);
                        is_valid & of_code | !is_valid & of_null
                    }),
                }
            }
            Self::Same(class) => {
                if wanted[*class as usize] {
                    (0..small(n_rows)).collect()
                } else {
                    vec![]
                }
            }
        }
    }

    /// The classes of all rows, of which there are so many, in as few bytes as they need.
    pub(super) fn narrow(&self, n_classes: usize, n_rows: usize) -> Result<ArrayRef> {
        if n_classes <= 1 << 8 {
            self.rows_as::<UInt8Type>(n_rows)
        } else if n_classes <= 1 << 16 {
            self.rows_as::<UInt16Type>(n_rows)
        } else {
            self.rows_as::<UInt32Type>(n_rows)
        }
    }

    fn rows_as<T: ArrowPrimitiveType>(&self, n_rows: usize) -> Result<ArrayRef>
    where
        T::Native: TryFrom<u32>,
    {
        let narrow = |class: &u32| T::Native::try_from(*class).map_err(|_| bug!("class {class} of fewer"));
        let rows: Vec<T::Native> = match self {
            Self::Rows(classes) => {
                // The greatest fits, and so do all: to ask each of them would take longer than all the rest.
                classes.iter().max().map(narrow).transpose()?;
                classes.iter().map(|class| T::Native::usize_as(*class as usize)).collect()
            }
            Self::Codes { classes, codes, null } => {
                let of_code = classes.iter().map(narrow).collect::<Result<Vec<_>>>()?;
                let of = |code: &i32| of_code.get(code.cast_unsigned() as usize).copied().unwrap_or_default();
                let mut rows: Vec<T::Native> = codes.values().iter().map(of).collect();
                set_nulls(&mut rows, codes.nulls(), narrow(null)?);
                rows
            }
            Self::Same(class) => vec![narrow(class)?; n_rows],
        };
        Ok(Arc::new(PrimitiveArray::<T>::new(rows.into(), None)))
    }

    /// What is made of the classes of some rows.
    pub(super) fn classes(&self, rows: &[u32], of: impl Fn(u32) -> u32) -> Vec<u32> {
        match self {
            Self::Rows(classes) => rows.iter().map(|row| of(classes[*row as usize])).collect(),
            Self::Codes { classes, codes, null } => {
                let of_code: Vec<u32> = classes.iter().map(|class| of(*class)).collect();
                let nulls = codes.nulls().filter(|nulls| nulls.null_count() > 0);
                let of_null = nulls.map_or(0, |_| of(*null));
                let codes = codes.values();
                let code =
                    |row: usize| of_code.get(codes[row].cast_unsigned() as usize).copied().unwrap_or(of_null);
                match nulls {
                    None => rows.iter().map(|row| code(*row as usize)).collect(),
                    Some(nulls) => rows
                        .iter()
                        .map(|row| if nulls.is_valid(*row as usize) { code(*row as usize) } else { of_null })
                        .collect(),
                }
            }
            Self::Same(class) => vec![of(*class); rows.len()],
        }
    }

    /// The class of a row.
    #[inline]
    pub(super) fn class(&self, row: usize) -> u32 {
        match self {
            Self::Rows(classes) => classes[row],
            Self::Codes { classes, codes, null } => {
                if codes.is_null(row) {
                    *null
                } else {
                    classes[codes.value(row).cast_unsigned() as usize]
                }
            }
            Self::Same(class) => *class,
        }
    }
}

/// Where something holds. Whether it does is as good as random, so that rows become bits first: looking for those that are set
/// guesses wrong once in 64 rows.
fn positions(n_rows: usize, holds: impl FnMut(usize) -> bool) -> Vec<u32> {
    let bits = BooleanBuffer::collect_bool(n_rows, holds);
    let mut found = Vec::with_capacity(bits.count_set_bits());
    found.extend(bits.set_indices_u32());
    found
}

/// Gives the rows of NULL their class.
fn set_nulls<T: Copy>(rows: &mut [T], nulls: Option<&NullBuffer>, null: T) {
    if let Some(nulls) = nulls.filter(|nulls| nulls.null_count() > 0) {
        (!nulls.inner()).set_indices().for_each(|row| rows[row] = null);
    }
}

impl Classes {
    /// The classes of a subject. `bound` holds the expressions of its [`Test::Expr`] tests, by test; `lookup` the
    /// keys and test results of a lookup's rows.
    pub(super) fn new(
        questions: &Questions,
        at: usize,
        bound: &[Option<Bound>],
        lookup: Option<&LookupRows>,
    ) -> Result<Self> {
        let subject = &questions.subjects[at];
        let literals: Vec<(usize, Want)> = questions
            .literals
            .iter()
            .filter(|literal| literal.subject == at)
            .map(|Literal { test, want, .. }| (*test, *want))
            .collect();
        let mut classes = Self {
            literals,
            holds: vec![],
            by_holds: HashMap::new(),
            null: 0,
            kind: Kind::Boolean { is_false: 0, is_true: 0 },
            dictionary: Dictionary::default(),
        };
        classes.kind = classes.kind(subject, bound, lookup)?;
        classes.null = match &classes.kind {
            Kind::Text { tests, .. } => {
                let truths = null_truths(tests)?;
                classes.class(|test| truths[test])
            }
            Kind::Lookup { .. } => classes.null,
            _ => {
                let tests = subject.tests.clone();
                classes.class(|test| matches!(tests[test], Test::Null).then_some(true))
            }
        };
        Ok(classes)
    }

    /// The classes of a condition that is asked for being TRUE alone.
    pub(super) fn condition() -> Self {
        let mut classes = Self {
            literals: vec![(0, Want::True)],
            holds: vec![],
            by_holds: HashMap::new(),
            null: 0,
            kind: Kind::Boolean { is_false: 0, is_true: 0 },
            dictionary: Dictionary::default(),
        };
        classes.null = classes.class(|_| None);
        classes.kind = Kind::Boolean {
            is_false: classes.class(|_| Some(false)),
            is_true: classes.class(|_| Some(true)),
        };
        classes
    }

    fn kind(
        &mut self,
        subject: &Subject,
        bound: &[Option<Bound>],
        lookup: Option<&LookupRows>,
    ) -> Result<Kind> {
        use crate::compile::Of;
        Ok(match &subject.of {
            Of::Text(_) => {
                let index = Box::new(TextIndex::new(&subject.tests)?);
                let tests = subject.tests.iter().zip(bound).map(|(test, bound)| text_test(test, bound));
                Kind::Text { tests: tests.collect::<Result<_>>()?, index, known: HashMap::new() }
            }
            Of::Ordered(_) => {
                let mut bounds: Vec<i64> = subject.tests.iter().flat_map(test_bounds).collect();
                bounds.sort_unstable();
                bounds.dedup();
                // Classes in the order of the values, so that the classes of a range are neighbours.
                let n = bounds.len() * 2 + 1;
                let places: Vec<Places> =
                    subject.tests.iter().map(|test| Places::new(test, &bounds)).collect();
                let mut classes = Vec::with_capacity(n);
                for interval in 0..n {
                    classes.push(self.class(|test| Some(places[test].hold(interval))));
                }
                Kind::Ordered { bounds, classes }
            }
            Of::Boolean(_) | Of::Row(_) => {
                let of = |value| {
                    let tests = &subject.tests;
                    move |test: usize| Some(if matches!(tests[test], Test::Null) { false } else { value })
                };
                Kind::Boolean { is_false: self.class(of(false)), is_true: self.class(of(true)) }
            }
            Of::Elements(_) => {
                let n_words = subject.tests.len().div_ceil(64).max(1);
                let mut tests: HashMap<String, Vec<u64>> = HashMap::new();
                for (at, test) in subject.tests.iter().enumerate() {
                    if let Test::Has(value) = test {
                        tests.entry(value.clone()).or_insert_with(|| vec![0; n_words])[at / 64] |=
                            1 << (at % 64);
                    }
                }
                Kind::Elements { tests, steps: vec![HashMap::new(); n_words] }
            }
            Of::Lookup(_) => {
                let rows = lookup.ok_or_else(|| bug!("a lookup was not read"))?;
                let mut by_key = HashMap::with_capacity(rows.keys.len());
                for row in 0..rows.keys.len() {
                    if rows.keys.is_valid(row) {
                        let class = self.class(|test| rows.truth(test, row));
                        by_key.insert(Box::from(rows.keys.value(row)), class);
                    }
                }
                self.null = self.class(|test| rows.missing[test]);
                Kind::Lookup { by_key }
            }
        })
    }

    /// The class of values for which tests have these answers.
    fn class(&mut self, truth: impl Fn(usize) -> Truth) -> u32 {
        let mut holds = Bits::new(self.literals.len());
        for (at, (test, want)) in self.literals.iter().enumerate() {
            if want.holds(truth(*test)) {
                holds.insert(at);
            }
        }
        self.class_of(holds)
    }

    /// The class of values for which these literals hold.
    fn class_of(&mut self, holds: Bits) -> u32 {
        let all = &mut self.holds;
        *self.by_holds.entry(holds).or_insert_with_key(|holds| {
            all.push(holds.clone());
            small(all.len() - 1)
        })
    }

    /// The own classes of those that another thread found for the same subject.
    pub(super) fn adopt(&mut self, other: &Self) -> Vec<u32> {
        let own = other.holds.iter().map(|holds| self.class_of(holds.clone()));
        own.collect()
    }

    /// How many classes there are so far.
    pub(super) fn len(&self) -> usize {
        self.holds.len()
    }

    /// Whether a literal of the subject, by its position among them, holds for a class.
    pub(super) fn holds(&self, class: u32, literal: usize) -> bool {
        self.holds[class as usize].contains(literal)
    }

    /// The classes of a column's values.
    pub(super) fn of(&mut self, column: &ArrayRef) -> Result<Values> {
        if let DataType::Dictionary(_, values) = column.data_type() {
            let dictionary = column.as_any_dictionary();
            if !matches!(**values, DataType::Utf8) {
                let values =
                    cast(column, values).map_err(|error| bug!("a dictionary cannot be read: {error}"))?;
                return self.of(&values);
            }
            let mut known = std::mem::take(&mut self.dictionary);
            let classes = known.of(dictionary.values(), || match self.of(dictionary.values())? {
                Values::Rows(classes) => Ok(classes),
                Values::Same(class) => Ok(vec![class; dictionary.values().len()]),
                Values::Codes { .. } => Err(bug!("a dictionary of dictionaries")),
            });
            self.dictionary = known;
            let classes = classes?;
            let codes = cast(dictionary.keys(), &DataType::Int32).map_err(|error| bug!("codes: {error}"))?;
            let codes = codes.as_primitive::<Int32Type>().clone();
            return Ok(Values::Codes { classes, codes, null: self.null });
        }
        let null = self.null;
        if column.null_count() == column.len() {
            return Ok(Values::Same(null));
        }
        match &mut self.kind {
            Kind::Text { .. } => self.texts(column).map(Values::Rows),
            Kind::Ordered { .. } => self.ordered(column),
            Kind::Boolean { is_false, is_true } => {
                let (is_false, is_true) = (*is_false, *is_true);
                let values = column.as_boolean_opt().ok_or_else(|| bug!("a condition is no boolean"))?;
                let class = |value| if value { is_true } else { is_false };
                let mut rows: Vec<u32> = values.values().iter().map(class).collect();
                set_nulls(&mut rows, values.nulls(), null);
                Ok(Values::Rows(rows))
            }
            Kind::Elements { .. } => self.elements(column).map(Values::Rows),
            Kind::Lookup { by_key } => {
                let view = views(column)?;
                let class = |key: Option<&str>| key.and_then(|key| by_key.get(key)).copied().unwrap_or(null);
                Ok(Values::Rows(view.iter().map(class).collect()))
            }
        }
    }

    fn texts(&mut self, column: &ArrayRef) -> Result<Vec<u32>> {
        let view = views(column)?;
        let mut out = Vec::with_capacity(view.len());
        let mut fresh: Vec<usize> = vec![];
        {
            let Kind::Text { known, .. } = &self.kind else { return Err(bug!("no texts")) };
            for (row, value) in view.iter().enumerate() {
                out.push(match value {
                    None => self.null,
                    Some(value) => known.get(value).copied().unwrap_or_else(|| {
                        fresh.push(row);
                        u32::MAX
                    }),
                });
            }
        }
        if !fresh.is_empty() {
            self.learn(&view, &fresh)?;
            let Kind::Text { known, .. } = &self.kind else { return Err(bug!("no texts")) };
            for row in fresh {
                out[row] =
                    known.get(view.value(row)).copied().ok_or_else(|| bug!("a value without a class"))?;
            }
        }
        Ok(out)
    }

    /// Finds the classes of values not seen before.
    fn learn(&mut self, view: &StringViewArray, rows: &[usize]) -> Result<()> {
        let mut kind = std::mem::replace(&mut self.kind, Kind::Boolean { is_false: 0, is_true: 0 });
        let learnt = self.learn_into(&mut kind, view, rows);
        self.kind = kind;
        learnt
    }

    fn learn_into(&mut self, kind: &mut Kind, view: &StringViewArray, rows: &[usize]) -> Result<()> {
        let Kind::Text { tests, index, known } = kind else { return Err(bug!("no texts")) };
        let mut values: Vec<&str> = rows.iter().map(|&row| view.value(row)).collect();
        values.sort_unstable();
        values.dedup();
        let array: ArrayRef = Arc::new(StringArray::from(values.clone()));
        let answers = tests.iter().map(|test| test.answers(&array)).collect::<Result<Vec<_>>>()?;
        let mut truths: Vec<Truth> = vec![];
        for (at, value) in values.into_iter().enumerate() {
            truths.clear();
            truths.extend(answers.iter().map(|answer| match answer {
                None => Some(false),
                Some(answer) => answer.is_valid(at).then(|| answer.value(at)),
            }));
            index.mark(value, &mut truths);
            let class = self.class(|test| truths[test]);
            known.insert(Box::from(value), class);
        }
        Ok(())
    }

    fn ordered(&self, column: &ArrayRef) -> Result<Values> {
        let Kind::Ordered { bounds, classes } = &self.kind else { return Err(bug!("no order")) };
        let keys = order_keys(column)?;
        let interval = |key: i64| {
            if bounds.len() <= FEW_BOUNDS {
                let places =
                    bounds.iter().map(|bound| usize::from(key >= *bound) + usize::from(key > *bound));
                return places.sum();
            }
            match bounds.binary_search(&key) {
                Ok(at) => at * 2 + 1,
                Err(at) => at * 2,
            }
        };
        // Most batches lie between two bounds: nothing is looked up for each row then.
        if column.null_count() == 0
            && let (Some(least), Some(most)) = (keys.iter().min(), keys.iter().max())
            && interval(*least) == interval(*most)
        {
            return Ok(Values::Same(classes[interval(*least)]));
        }
        let mut rows: Vec<u32> = keys.iter().map(|key| classes[interval(*key)]).collect();
        set_nulls(&mut rows, column.nulls(), self.null);
        Ok(Values::Rows(rows))
    }

    fn elements(&mut self, column: &ArrayRef) -> Result<Vec<u32>> {
        let list = column.as_list_opt::<i32>().ok_or_else(|| bug!("no list"))?;
        let mut kind = std::mem::replace(&mut self.kind, Kind::Boolean { is_false: 0, is_true: 0 });
        let Kind::Elements { tests, steps } = &mut kind else { return Err(bug!("no elements")) };
        let (values, codes) = coded(list.values())?;
        let nothing = vec![0; steps.len()];
        let of_value = |value: Option<&str>| value.and_then(|value| tests.get(value)).unwrap_or(&nothing);
        let tests_of: Vec<&Vec<u64>> = values.iter().map(of_value).chain([&nothing]).collect();
        let of_word = |word: usize| tests_of.iter().map(|tests| tests[word]).collect();
        let words: Vec<Vec<u64>> = (0..steps.len()).map(of_word).collect();
        let codes_of = |row: usize| {
            let [start, end] = [row, row + 1].map(|at| list.value_offsets()[at].cast_unsigned() as usize);
            &codes[start..end]
        };
        let found = |row: usize, of_code: &[u64]| {
            codes_of(row).iter().fold(0, |found, code| found | of_code[*code as usize])
        };
        let mut out = vec![0; list.len()];
        for (at, (steps, of_code)) in steps.iter_mut().zip(&words).enumerate() {
            for (row, out) in out.iter_mut().enumerate() {
                let next = small(steps.len());
                *out =
                    *steps.entry((*out, found(row, of_code))).or_insert_with(|| match at + 1 < words.len() {
                        true => next,
                        false => {
                            self.class(|test| Some(found(row, &words[test / 64]) >> (test % 64) & 1 == 1))
                        }
                    });
            }
        }
        set_nulls(&mut out, list.nulls(), self.null);
        self.kind = kind;
        Ok(out)
    }
}

/// Texts, and for each row which of them it has; NULLs have the one after the last.
fn coded(column: &ArrayRef) -> Result<(StringViewArray, Vec<u32>)> {
    let Some(dictionary) = column.as_any_dictionary_opt() else {
        let texts = views(column)?;
        let codes = (0..small(texts.len())).collect();
        return Ok((texts, codes));
    };
    let texts = views(dictionary.values())?;
    let codes = cast(dictionary.keys(), &DataType::Int32).map_err(|error| bug!("codes: {error}"))?;
    let codes = codes.as_primitive::<Int32Type>();
    let mut of_rows: Vec<u32> = codes.values().iter().map(|code| code.cast_unsigned()).collect();
    set_nulls(&mut of_rows, codes.nulls(), small(texts.len()));
    Ok((texts, of_rows))
}

/// The rows of a lookup, tested.
#[derive(Debug)]
pub(super) struct LookupRows {
    /// The key of each row.
    pub(super) keys: StringArray,
    /// The answers of each test, by row.
    pub(super) answers: Vec<BooleanArray>,
    /// The answers of each test for what has no row.
    pub(super) missing: Vec<Truth>,
}

impl LookupRows {
    fn truth(&self, test: usize, row: usize) -> Truth {
        let answers = &self.answers[test];
        answers.is_valid(row).then(|| answers.value(row))
    }
}

impl TextTest {
    /// The answers for some values; `None` where the index has them.
    fn answers(&self, values: &ArrayRef) -> Result<Option<BooleanArray>> {
        match self {
            Self::Null | Self::Indexed => Ok(None),
            Self::Pattern { lower, pattern, case_insensitive } => {
                let values = if *lower { lowered(values) } else { Arc::clone(values) };
                let pattern = StringArray::new_scalar(pattern);
                let answers =
                    if *case_insensitive { ilike(&values, &pattern) } else { like(&values, &pattern) };
                Ok(Some(answers.map_err(|error| bug!("a pattern cannot be matched: {error}"))?))
            }
            Self::Expr(bound) => bound.answers(values).map(Some),
        }
    }
}

impl Bound {
    fn answers(&self, values: &ArrayRef) -> Result<BooleanArray> {
        let values =
            cast(values, self.schema.field(0).data_type()).map_err(|error| bug!("values: {error}"))?;
        let n = values.len();
        let batch = RecordBatch::try_new(Arc::clone(&self.schema), vec![values])
            .map_err(|error| bug!("values: {error}"))?;
        let answers = self.expr.evaluate(&batch)?.into_array(n)?;
        let answers = cast(&answers, &DataType::Boolean).map_err(|error| bug!("a condition: {error}"))?;
        Ok(answers.as_boolean().clone())
    }
}

fn text_test(test: &Test, bound: &Option<Bound>) -> Result<TextTest> {
    Ok(match test {
        Test::Null => TextTest::Null,
        Test::Equals { .. } => TextTest::Indexed,
        Test::Like { pattern, case_insensitive: false, .. } if substring(pattern).is_some() => {
            TextTest::Indexed
        }
        Test::Like { lower: false, pattern, case_insensitive: false } if beginning(pattern).is_some() => {
            TextTest::Indexed
        }
        Test::Like { lower, pattern, case_insensitive } => {
            TextTest::Pattern { lower: *lower, pattern: pattern.clone(), case_insensitive: *case_insensitive }
        }
        _ => TextTest::Expr(bound.clone().ok_or_else(|| bug!("a test of a text is not bound"))?),
    })
}

/// The answers of tests for NULL.
fn null_truths(tests: &[TextTest]) -> Result<Vec<Truth>> {
    let mut truths = vec![];
    for test in tests {
        truths.push(match test {
            TextTest::Null => Some(true),
            TextTest::Indexed | TextTest::Pattern { .. } => None,
            TextTest::Expr(bound) => {
                let null: ArrayRef = Arc::new(StringArray::from(vec![None::<&str>]));
                let answers = bound.answers(&null)?;
                answers.is_valid(0).then(|| answers.value(0))
            }
        });
    }
    Ok(truths)
}

impl TextIndex {
    fn new(tests: &[Test]) -> Result<Self> {
        let mut index = Self::default();
        let mut patterns: [BTreeMap<&str, Vec<usize>>; 2] = Default::default();
        for (at, test) in tests.iter().enumerate() {
            match test {
                Test::Equals { lower, values } => {
                    let equal = if *lower { &mut index.equal_lower } else { &mut index.equal };
                    for value in values {
                        equal.entry(value.clone()).or_default().push(at);
                    }
                }
                Test::Like { lower, pattern, case_insensitive: false } => {
                    if let Some(part) = substring(pattern) {
                        patterns[usize::from(*lower)].entry(part).or_default().push(at);
                    } else if let Some(part) = beginning(pattern).filter(|_| !lower) {
                        index.beginning.entry(part.to_owned()).or_default().push(at);
                        index.lengths.insert(part.len());
                    }
                }
                _ => {}
            }
        }
        let [plain, lower] = patterns.map(|patterns| -> Result<Option<(AhoCorasick, Vec<Vec<usize>>)>> {
            if patterns.is_empty() {
                return Ok(None);
            }
            let (texts, tests): (Vec<&str>, Vec<Vec<usize>>) = patterns.into_iter().unzip();
            let automaton = AhoCorasick::new(texts).map_err(|error| bug!("substrings: {error}"))?;
            Ok(Some((automaton, tests)))
        });
        (index.holding, index.holding_lower) = (plain?, lower?);
        Ok(index)
    }

    /// Marks the tests that are TRUE of a value.
    fn mark(&self, value: &str, truths: &mut [Truth]) {
        let mut mark = |tests: &Vec<usize>| tests.iter().for_each(|&test| truths[test] = Some(true));
        self.equal.get(value).into_iter().for_each(&mut mark);
        if let Some((automaton, tests)) = &self.holding {
            automaton.find_overlapping_iter(value).for_each(|found| mark(&tests[found.pattern().as_usize()]));
        }
        for length in self.lengths.iter().take_while(|length| **length <= value.len()) {
            let tests = value.get(..*length).and_then(|part| self.beginning.get(part));
            tests.into_iter().for_each(&mut mark);
        }
        if self.equal_lower.is_empty() && self.holding_lower.is_none() {
            return;
        }
        let lower = value.to_lowercase();
        self.equal_lower.get(&lower).into_iter().for_each(&mut mark);
        if let Some((automaton, tests)) = &self.holding_lower {
            automaton
                .find_overlapping_iter(&lower)
                .for_each(|found| mark(&tests[found.pattern().as_usize()]));
        }
    }
}

/// The text that `%text%` looks for.
fn substring(pattern: &str) -> Option<&str> {
    let part = pattern.strip_prefix('%')?.strip_suffix('%')?;
    (!part.is_empty() && !part.contains(['%', '_'])).then_some(part)
}

/// The text that `text%` asks a string to begin with.
fn beginning(pattern: &str) -> Option<&str> {
    let part = pattern.strip_suffix('%')?;
    (!part.is_empty() && !part.contains(['%', '_'])).then_some(part)
}

fn lowered(values: &ArrayRef) -> ArrayRef {
    let values = values.as_string::<i32>();
    Arc::new(values.iter().map(|value| value.map(str::to_lowercase)).collect::<StringArray>())
}

/// A column of strings as views.
fn views(column: &ArrayRef) -> Result<StringViewArray> {
    let view = cast(column, &DataType::Utf8View).map_err(|error| bug!("a column is no text: {error}"))?;
    Ok(view.as_string_view().clone())
}

/// The values of a column as numbers in the same order; where it is NULL, any.
pub(super) fn order_keys(column: &ArrayRef) -> Result<ScalarBuffer<i64>> {
    let to = |to: &DataType| cast(column, to).map_err(|error| bug!("a column is no number: {error}"));
    Ok(match column.data_type() {
        DataType::Float32 | DataType::Float64 => {
            let values = to(&DataType::Float64)?;
            let values = values.as_primitive::<arrow::datatypes::Float64Type>();
            values.values().iter().map(|value| float_key(*value)).collect()
        }
        DataType::Date32 => {
            column.as_primitive::<Date32Type>().values().iter().copied().map(i64::from).collect()
        }
        DataType::Int32 => {
            column.as_primitive::<Int32Type>().values().iter().copied().map(i64::from).collect()
        }
        _ => to(&DataType::Int64)?.as_primitive::<Int64Type>().values().clone(),
    })
}

fn test_bounds(test: &Test) -> Vec<i64> {
    match test {
        Test::Among(keys) => keys.clone(),
        Test::Below { bound, .. } => vec![*bound],
        _ => vec![],
    }
}

/// The intervals for which a test is true, where the odd ones are the bounds themselves.
enum Places {
    /// All up to one.
    Upto(usize),
    /// These, in order.
    Among(Vec<usize>),
}

impl Places {
    fn new(test: &Test, bounds: &[i64]) -> Self {
        match test {
            Test::Below { bound, or_equal } => match bounds.binary_search(bound) {
                Ok(at) => Self::Upto(at * 2 + 1 + usize::from(*or_equal)),
                Err(at) => Self::Upto(at * 2),
            },
            Test::Among(keys) => {
                let place = |key: &i64| bounds.binary_search(key).ok().map(|at| at * 2 + 1);
                Self::Among(keys.iter().filter_map(place).collect())
            }
            _ => Self::Upto(0),
        }
    }

    fn hold(&self, interval: usize) -> bool {
        match self {
            Self::Upto(end) => interval < *end,
            Self::Among(places) => places.binary_search(&interval).is_ok(),
        }
    }
}
