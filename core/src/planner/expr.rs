//! Resolved expressions as SQL text.

use std::fmt::Write;

use crate::profile::alias;
use crate::resolve::Program;
use crate::segment::{BinaryOp, Call, Expr, Node, Order, Relation, Test, UnaryOp, Value};
use crate::statement::{quote, quote_string};

/// How tightly the operators bind that are no [`BinaryOp`].
const NOT: u8 = 3;
const COMPARISON: u8 = 4;
const UNARY_MINUS: u8 = 8;
const ATOM: u8 = 9;

/// Prints resolved expressions.
pub struct Printer<'a> {
    /// What the expressions belong to.
    pub program: &'a Program,
    /// Whether columns are written with their table.
    pub qualified: bool,
    /// How each feature of the program is written.
    pub features: Vec<String>,
    /// How the key of each of the program's groups is written.
    pub groups: Vec<String>,
    /// Added to every window's `PARTITION BY`.
    pub partition: Option<String>,
}

impl Printer<'_> {
    /// The expression as SQL.
    pub fn print(&self, expr: &Expr) -> String {
        let mut out = String::new();
        self.write(expr, 0, &mut out);
        out
    }

    /// The conjuncts of a condition, each as SQL that can stand between `AND`s.
    pub fn conjuncts(&self, expr: &Expr) -> Vec<String> {
        match &expr.node {
            Node::Binary { op: BinaryOp::And, left, right } => {
                let mut parts = self.conjuncts(left);
                parts.extend(self.conjuncts(right));
                parts
            }
            _ => {
                let mut out = String::new();
                self.write(expr, BinaryOp::And.precedence(), &mut out);
                vec![out]
            }
        }
    }

    /// The name by which a table's columns are qualified.
    pub fn qualifier(&self, relation: Relation) -> String {
        let store = &self.program.store.store;
        let table = match relation {
            Relation::Profiles => Some(&store.profiles.table),
            Relation::Events(at) => store.events.get(at).map(|events| &events.table),
            Relation::Lookup(at) => store.lookups.get(at).map(|lookup| &lookup.table),
            Relation::Group(_) => None,
        };
        table.map_or(String::new(), |table| quote(&alias(table)))
    }

    /// A column as SQL.
    pub fn column(&self, relation: Relation, path: &[String]) -> String {
        if let Relation::Group(key) = relation {
            return self.groups.get(key).cloned().unwrap_or_default();
        }
        let mut out = if self.qualified { self.qualifier(relation) + "." } else { String::new() };
        for (at, name) in path.iter().enumerate() {
            if at > 0 {
                out.push('.');
            }
            out.push_str(&quote(name));
        }
        out
    }

    fn write(&self, expr: &Expr, outer: u8, out: &mut String) {
        let own = precedence(expr);
        let wrap = own < outer;
        if wrap {
            out.push('(');
        }
        self.write_bare(expr, own, out);
        if wrap {
            out.push(')');
        }
    }

    fn write_bare(&self, expr: &Expr, own: u8, out: &mut String) {
        match &expr.node {
            Node::Literal(value) => literal(value, out),
            Node::Column(path) => {
                let names: Vec<String> = path.iter().map(|name| quote(&name.value)).collect();
                out.push_str(&names.join("."));
            }
            Node::Attribute { relation, path } => out.push_str(&self.column(*relation, path)),
            Node::Feature(at) => out.push_str(self.features.get(*at).map_or("", String::as_str)),
            Node::Unary { op: UnaryOp::Not, expr } => {
                out.push_str("NOT ");
                self.write(expr, NOT, out);
            }
            Node::Unary { op: UnaryOp::Minus, expr } => {
                out.push('-');
                // `--` would begin a comment.
                self.write(expr, ATOM, out);
            }
            Node::Binary { op, left, right } => {
                // Comparisons do not chain, other operators group to the left.
                let left_bound = if own == COMPARISON { own + 1 } else { own };
                self.write(left, left_bound, out);
                push(out, format_args!(" {} ", op.as_str()));
                let chains = matches!(op, BinaryOp::And | BinaryOp::Or);
                self.write(right, if chains { own } else { own + 1 }, out);
            }
            Node::Is { expr, test: Test::Null | Test::Unknown, negated } => {
                self.write(expr, COMPARISON + 1, out);
                out.push_str(if *negated { " IS NOT NULL" } else { " IS NULL" });
            }
            Node::Is { expr, test: test @ (Test::True | Test::False), negated } => {
                let (not, otherwise) = two_valued(*test, *negated);
                push(out, format_args!("{not}coalesce("));
                self.write(expr, 0, out);
                push(out, format_args!(", {otherwise})"));
            }
            Node::In { expr, list, negated } => {
                self.write(expr, COMPARISON + 1, out);
                out.push_str(if *negated { " NOT IN (" } else { " IN (" });
                self.list(list, out);
                out.push(')');
            }
            Node::Between { expr, low, high, negated } => {
                self.write(expr, COMPARISON + 1, out);
                out.push_str(if *negated { " NOT BETWEEN " } else { " BETWEEN " });
                self.write(low, COMPARISON + 1, out);
                out.push_str(" AND ");
                self.write(high, COMPARISON + 1, out);
            }
            Node::Like { expr, pattern, escape, case_insensitive, negated } => {
                self.write(expr, COMPARISON + 1, out);
                let (not, like) =
                    (if *negated { " NOT" } else { "" }, if *case_insensitive { "ILIKE" } else { "LIKE" });
                push(out, format_args!("{not} {like} "));
                self.write(pattern, COMPARISON + 1, out);
                if let Some(escape) = escape {
                    push(out, format_args!(" ESCAPE {}", quote_string(&escape.to_string())));
                }
            }
            Node::Case { operand, branches, otherwise } => {
                out.push_str("CASE");
                if let Some(operand) = operand {
                    out.push(' ');
                    self.write(operand, 0, out);
                }
                for (when, then) in branches {
                    out.push_str(" WHEN ");
                    self.write(when, 0, out);
                    out.push_str(" THEN ");
                    self.write(then, 0, out);
                }
                if let Some(otherwise) = otherwise {
                    out.push_str(" ELSE ");
                    self.write(otherwise, 0, out);
                }
                out.push_str(" END");
            }
            Node::Cast { expr, to, lenient } => {
                out.push_str(if *lenient { "TRY_CAST(" } else { "CAST(" });
                self.write(expr, 0, out);
                push(out, format_args!(" AS {to})"));
            }
            Node::AtTimeZone { expr, zone } => {
                self.write(expr, ATOM, out);
                push(out, format_args!(" AT TIME ZONE {}", quote_string(zone)));
            }
            Node::Call(call) => self.call(call, out),
            Node::Lambda { params, body } => {
                let names: Vec<String> = params.iter().map(|param| quote(param)).collect();
                match &names[..] {
                    [name] => out.push_str(name),
                    names => push(out, format_args!("({})", names.join(", "))),
                }
                out.push_str(" -> ");
                self.write(body, 0, out);
            }
            Node::List(items) => {
                out.push('[');
                self.list(items, out);
                out.push(']');
            }
            Node::Struct(fields) => {
                out.push('{');
                for (at, (name, value)) in fields.iter().enumerate() {
                    let comma = if at > 0 { ", " } else { "" };
                    push(out, format_args!("{comma}{}: ", quote_string(name)));
                    self.write(value, 0, out);
                }
                out.push('}');
            }
            Node::Field { of, name } => {
                self.write(of, ATOM, out);
                push(out, format_args!("[{}]", quote_string(name)));
            }
            Node::Index { of, index } => {
                self.write(of, ATOM, out);
                out.push('[');
                self.write(index, 0, out);
                out.push(']');
            }
            Node::Form { form, args } => {
                // Only expressions that are not resolved hold forms: they are printed as they were written.
                push(out, format_args!("{}(", form.name()));
                self.list(args, out);
                out.push(')');
            }
        }
    }

    fn list(&self, items: &[Expr], out: &mut String) {
        for (at, item) in items.iter().enumerate() {
            if at > 0 {
                out.push_str(", ");
            }
            self.write(item, 0, out);
        }
    }

    /// A call as SQL.
    pub fn call(&self, call: &Call, out: &mut String) {
        push(out, format_args!("{}(", quote(&call.name)));
        if call.distinct {
            out.push_str("DISTINCT ");
        }
        if call.star {
            out.push('*');
        }
        self.list(&call.args, out);
        if !call.order_by.is_empty() {
            out.push_str(" ORDER BY ");
            self.orders(&call.order_by, out);
        }
        out.push(')');
        if call.ignore_nulls {
            out.push_str(" IGNORE NULLS");
        }
        if !call.within_group.is_empty() {
            out.push_str(" WITHIN GROUP (ORDER BY ");
            self.orders(&call.within_group, out);
            out.push(')');
        }
        if let Some(filter) = &call.filter {
            out.push_str(" FILTER (WHERE ");
            self.write(filter, 0, out);
            out.push(')');
        }
        if let Some(over) = &call.over {
            out.push_str(" OVER (");
            let mut parts = vec![];
            let mut partition: Vec<String> = self.partition.iter().cloned().collect();
            partition.extend(over.partition_by.iter().map(|expr| self.print(expr)));
            if !partition.is_empty() {
                parts.push(format!("PARTITION BY {}", partition.join(", ")));
            }
            if !over.order_by.is_empty() {
                let mut orders = String::from("ORDER BY ");
                self.orders(&over.order_by, &mut orders);
                parts.push(orders);
            }
            parts.extend(over.frame.clone());
            out.push_str(&parts.join(" "));
            out.push(')');
        }
    }

    fn orders(&self, orders: &[Order], out: &mut String) {
        for (at, order) in orders.iter().enumerate() {
            if at > 0 {
                out.push_str(", ");
            }
            self.write(&order.expr, 0, out);
            if order.descending {
                out.push_str(" DESC");
            }
            match order.nulls_first {
                Some(true) => out.push_str(" NULLS FIRST"),
                Some(false) => out.push_str(" NULLS LAST"),
                None => {}
            }
        }
    }
}

/// `IS [NOT] TRUE` and `IS [NOT] FALSE` as `[NOT] coalesce(…, …)`. DataFusion 55 says of the former that it is never NULL
/// when it plans, and that it may be when it runs; it refuses its own plan where two aggregates share one.
fn two_valued(test: Test, negated: bool) -> (&'static str, bool) {
    let is_true = test == Test::True;
    (if is_true == negated { "NOT " } else { "" }, !is_true)
}

fn precedence(expr: &Expr) -> u8 {
    match &expr.node {
        Node::Is { test: test @ (Test::True | Test::False), negated, .. } => {
            if two_valued(*test, *negated).0.is_empty() { ATOM } else { NOT }
        }
        Node::Unary { op: UnaryOp::Not, .. } => NOT,
        Node::Unary { op: UnaryOp::Minus, .. } => UNARY_MINUS,
        Node::Binary { op, .. } => op.precedence(),
        Node::Is { .. } | Node::In { .. } | Node::Between { .. } | Node::Like { .. } => COMPARISON,
        Node::Lambda { .. } => 0,
        Node::Literal(Value::Number(text)) if text.starts_with('-') => UNARY_MINUS,
        Node::AtTimeZone { .. } => UNARY_MINUS,
        Node::Literal(_)
        | Node::Column(_)
        | Node::Attribute { .. }
        | Node::Feature(_)
        | Node::Case { .. }
        | Node::Cast { .. }
        | Node::Call(_)
        | Node::List(_)
        | Node::Struct(_)
        | Node::Field { .. }
        | Node::Index { .. }
        | Node::Form { .. } => ATOM,
    }
}

pub(super) fn literal(value: &Value, out: &mut String) {
    match value {
        Value::Null => out.push_str("NULL"),
        Value::Boolean(true) => out.push_str("true"),
        Value::Boolean(false) => out.push_str("false"),
        Value::Number(text) => out.push_str(text),
        Value::String(text) => out.push_str(&quote_string(text)),
        Value::Typed(to, text) => push(out, format_args!("{to} {}", quote_string(text))),
        Value::Interval(text) => push(out, format_args!("INTERVAL {}", quote_string(text))),
    }
}

/// Appends formatted text; writing to a string cannot fail.
fn push(out: &mut String, text: std::fmt::Arguments<'_>) {
    let _ = out.write_fmt(text);
}
