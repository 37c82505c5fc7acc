//! Parameters and arrays, in whatever a user asks: the types that clients declare, and `= ANY (array)`.

use std::ops::ControlFlow;

use datafusion::sql::parser::Statement as DFStatement;
use datafusion::sql::sqlparser::ast::{
    BinaryOperator, DataType, Expr, UnaryOperator, Value, Visitor, VisitorMut,
};

use super::super::visit;
use super::tree::{array_of, call, cast, is_placeholder, string, string_of, type_named, unnested};
use super::{functions, types};

/// The numbers of the types that a statement casts its parameters to, one for each of them; 0 where it does not.
pub(super) fn types(statement: &DFStatement) -> Vec<u32> {
    struct Look(Vec<u32>);
    impl Visitor for Look {
        type Break = ();
        fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
            let (expr, kind) = match expr {
                Expr::Cast { expr, data_type, .. } => (unnested(expr), number_of(data_type)),
                // Whoever does not say the type of an array means texts.
                Expr::AnyOp { right, .. } | Expr::AllOp { right, .. } => {
                    (unnested(right), pgwire::api::Type::TEXT_ARRAY.oid())
                }
                other => (other, 0),
            };
            if let Expr::Value(value) = expr
                && let Value::Placeholder(name) = &value.value
                && let Some(at) = name.strip_prefix('$').and_then(|number| number.parse::<usize>().ok())
                && (1..=65_535).contains(&at)
            {
                if self.0.len() < at {
                    self.0.resize(at, 0);
                }
                // The placeholder within a cast is met again by itself.
                if kind != 0 {
                    self.0[at - 1] = kind;
                }
            }
            ControlFlow::Continue(())
        }
    }
    let mut look = Look(vec![]);
    let DFStatement::Statement(inner) = statement else { return vec![] };
    let _ = visit::read(&**inner, &mut look);
    look.0
}

/// The number of a type as SQL writes it; 0 where PostgreSQL has none.
fn number_of(data_type: &DataType) -> u32 {
    let name = data_type.to_string().to_lowercase();
    if let Some(item) = name.strip_suffix("[]") {
        let item = pgwire::api::Type::from_oid(functions::type_number(plain(item)).unwrap_or(0));
        return item.and_then(|item| types::array_of(&item)).map_or(0, |array| array.oid());
    }
    functions::type_number(plain(&name)).unwrap_or(0)
}

/// A type's name as PostgreSQL has it, without its digits.
fn plain(name: &str) -> &str {
    let name = name.split_once('(').map_or(name, |(name, _)| name).trim();
    match name {
        "int" | "integer" => "int4",
        "decimal" | "dec" => "numeric",
        "double" | "float" | "double precision" => "float8",
        "string" | "char" | "character" => "text",
        "character varying" | "char varying" => "varchar",
        "tinyint" => "int2",
        "datetime" => "timestamp",
        other => other,
    }
}

/// Gives parameters the types that the client declares.
pub(super) struct Casts<'a>(pub(super) &'a [Option<&'static str>]);

impl VisitorMut for Casts<'_> {
    type Break = ();

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        let Expr::Value(value) = &*expr else { return ControlFlow::Continue(()) };
        let Value::Placeholder(name) = &value.value else { return ControlFlow::Continue(()) };
        let at = name.strip_prefix('$').and_then(|number| number.parse::<usize>().ok());
        if let Some(kind) = at.and_then(|at| self.0.get(at.checked_sub(1)?).copied().flatten()) {
            *expr = cast(expr.clone(), type_named(kind));
        }
        ControlFlow::Continue(())
    }
}

/// `x = ANY (array)` and `x <> ALL (array)`: whether the array holds it.
pub(super) struct Arrays;

impl VisitorMut for Arrays {
    type Break = ();

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        let (left, right, negated) = match &*expr {
            Expr::AnyOp { left, compare_op: BinaryOperator::Eq, right, .. } => (left, right, false),
            Expr::AllOp { left, compare_op: BinaryOperator::NotEq, right } => (left, right, true),
            _ => return ControlFlow::Continue(()),
        };
        let array = match unnested(right) {
            // Those DataFusion knows.
            Expr::Subquery(_) => return ControlFlow::Continue(()),
            // Whoever does not say the type of an array means texts.
            placeholder if is_placeholder(placeholder) => cast(placeholder.clone(), type_named("TEXT[]")),
            Expr::Value(value) => match &value.value {
                Value::SingleQuotedString(text) => match literal_array(text) {
                    Some(array) => array,
                    None => return ControlFlow::Continue(()),
                },
                _ => (**right).clone(),
            },
            Expr::Tuple(items) => array_of(items.clone()),
            // `ANY ('{…}'::text[])`: the items have the type of what they are compared with.
            Expr::Cast { expr: inner, .. } if string_of(inner).is_some() => {
                match string_of(inner).and_then(literal_array) {
                    Some(array) => array,
                    None => (**right).clone(),
                }
            }
            other => other.clone(),
        };
        let has = call("array_has", vec![array, (**left).clone()]);
        *expr = if negated { Expr::UnaryOp { op: UnaryOperator::Not, expr: Box::new(has) } } else { has };
        ControlFlow::Continue(())
    }
}

/// `{r,"l,e",NULL}` as an array of texts; `None` where it is no list of single values.
fn literal_array(text: &str) -> Option<Expr> {
    let mut left = text.trim().strip_prefix('{')?.strip_suffix('}')?.trim();
    // Arrays of arrays, and what is escaped, are left to whoever says their type.
    if left.contains(['{', '}', '\\']) {
        return None;
    }
    let mut items = vec![];
    while !left.is_empty() {
        let item = match left.strip_prefix('"') {
            Some(quoted) => {
                let (item, after) = quoted.split_once('"')?;
                left = after;
                string(item)
            }
            None => {
                let (item, after) = left.split_at(left.find(',').unwrap_or(left.len()));
                left = after;
                match item.trim() {
                    "" => return None,
                    null if null.eq_ignore_ascii_case("null") => Expr::Value(Value::Null.into()),
                    item => string(item),
                }
            }
        };
        items.push(item);
        left = left.trim_start();
        if let Some(more) = left.strip_prefix(',') {
            left = more.trim_start();
            if left.is_empty() {
                return None;
            }
        } else if !left.is_empty() {
            return None;
        }
    }
    Some(array_of(items))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrays_are_lists_of_single_values() {
        let shown = |text: &str| literal_array(text).map(|array| array.to_string());
        assert_eq!(shown("{}"), Some("ARRAY[]".to_owned()));
        assert_eq!(shown("{r, l,e}"), Some("ARRAY['r', 'l', 'e']".to_owned()));
        assert_eq!(shown("{\"a,b\",NULL,\"null\"}"), Some("ARRAY['a,b', NULL, 'null']".to_owned()));
        for text in ["r,l", "{{1},{2}}", "{a,}", "{,a}", "{\"a}", "{\"a\"b}", "{a\\,b}"] {
            assert_eq!(shown(text), None, "{text}");
        }
    }
}
