//! Functions that ask how many elements satisfy a condition.

use std::fmt::Debug;
use std::hash::Hash;
use std::sync::Arc;

use arrow::array::{Array, BooleanArray};
use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::{Result, internal_err};
use datafusion::logical_expr::{
    ColumnarValue, Documentation, HigherOrderFunctionArgs, HigherOrderReturnFieldArgs, HigherOrderSignature,
    HigherOrderUDFImpl, LambdaParametersProgress, ValueOrLambda, Volatility,
};

use super::elements::{Elements, coerce_collection, collection_parameters, list_type, map_type};
use crate::args::wrong_type;

/// What a condition said of the elements of one row.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Seen {
    /// It was true of some element.
    pub(crate) yes: bool,
    /// It was false of some element.
    pub(crate) no: bool,
    /// It was NULL for some element.
    pub(crate) unknown: bool,
}

impl Seen {
    /// Whether the condition was true of some element, as OR has it.
    pub(crate) fn some(self) -> Option<bool> {
        if self.yes { Some(true) } else { (!self.unknown).then_some(false) }
    }

    /// Whether it was true of every element, as AND has it.
    pub(crate) fn every(self) -> Option<bool> {
        if self.no { Some(false) } else { (!self.unknown).then_some(true) }
    }
}

/// The collection a quantifier looks into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Over {
    Array,
    Map,
}

/// One function: what it makes of what was seen.
pub(crate) trait Quantifier: Debug + Default + Eq + Hash + Send + Sync + 'static {
    const NAME: &'static str;
    const OVER: Over;
    /// The answer for a NULL collection.
    const OF_NULL: Option<bool>;
    /// The answer for a collection, be it empty.
    fn answer(seen: Seen) -> Option<bool>;
    fn documentation(&self) -> Option<&Documentation>;
}

/// The function of a [`Quantifier`].
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct Quantified<Q> {
    signature: HigherOrderSignature,
    quantifier: Q,
}

impl<Q: Quantifier> Default for Quantified<Q> {
    fn default() -> Self {
        Self {
            signature: HigherOrderSignature::user_defined(Volatility::Immutable),
            quantifier: Q::default(),
        }
    }
}

impl<Q: Quantifier> Quantified<Q> {
    const SYNTAX: &'static str = match Q::OVER {
        Over::Array => "(array, element -> condition)",
        Over::Map => "(map, (key, value) -> condition)",
    };

    /// Whether the answer can be NULL for a collection that is not.
    fn is_three_valued() -> bool {
        Q::answer(Seen { yes: false, no: false, unknown: true }).is_none()
    }
}

impl<Q: Quantifier> HigherOrderUDFImpl for Quantified<Q> {
    fn name(&self) -> &str {
        Q::NAME
    }

    fn signature(&self) -> &HigherOrderSignature {
        &self.signature
    }

    fn coerce_value_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        let coerce = match Q::OVER {
            Over::Array => list_type,
            Over::Map => map_type,
        };
        coerce_collection(Q::NAME, Self::SYNTAX, arg_types, coerce)
    }

    fn lambda_parameters(
        &self,
        _step: usize,
        fields: &[ValueOrLambda<FieldRef, Option<FieldRef>>],
    ) -> Result<LambdaParametersProgress> {
        collection_parameters(Q::NAME, Self::SYNTAX, fields)
    }

    fn return_field_from_args(&self, args: HigherOrderReturnFieldArgs) -> Result<FieldRef> {
        let [ValueOrLambda::Value(collection), ValueOrLambda::Lambda(condition)] = args.arg_fields else {
            return internal_err!("{} planned with other arguments than it takes", Q::NAME);
        };
        if !matches!(condition.data_type(), DataType::Boolean | DataType::Null) {
            return Err(wrong_type(Q::NAME, "condition", "true or false", condition.data_type()));
        }
        let nullable = (Q::OF_NULL.is_none() && collection.is_nullable())
            || (Self::is_three_valued() && condition.is_nullable());
        Ok(Arc::new(Field::new(Q::NAME, DataType::Boolean, nullable)))
    }

    fn invoke_with_args(&self, args: HigherOrderFunctionArgs) -> Result<ColumnarValue> {
        let [ValueOrLambda::Value(collection), ValueOrLambda::Lambda(condition)] = args.args.as_slice()
        else {
            return internal_err!("{} planned with other arguments than it takes", Q::NAME);
        };
        let elements = Elements::of(&collection.to_array(args.number_rows)?)?;
        let matches = elements.condition(condition)?;
        let answers = (0..elements.n_rows())
            .map(|row| {
                if elements.is_null(row) {
                    Q::OF_NULL
                } else {
                    Q::answer(look(&matches, elements.places(row)))
                }
            })
            .collect::<BooleanArray>();
        Ok(ColumnarValue::Array(Arc::new(answers)))
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.quantifier.documentation()
    }
}

fn look(matches: &BooleanArray, places: std::ops::Range<usize>) -> Seen {
    let mut seen = Seen { yes: false, no: false, unknown: false };
    for place in places {
        if matches.is_null(place) {
            seen.unknown = true;
        } else if matches.value(place) {
            seen.yes = true;
        } else {
            seen.no = true;
        }
    }
    seen
}
