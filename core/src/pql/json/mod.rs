//! `pql/json`, a query as a tree of JSON nodes → the surface tree that `pql/text` gives.

mod value;

use crate::diagnostic::{Diagnostic, Kind, Result, Span};

use super::ast::{self, Argument, Binding, Comparison, Name, Operator, Quantifier, Query};
use value::{Node, Value};

/// The query that the JSON text is.
pub fn parse_json(text: &str) -> Result<Query, Vec<Diagnostic>> {
    let query = value::read(text).and_then(|value| Ok(Query { params: None, body: expr(&value, 0)? }));
    query.map_err(|fault| vec![fault])
}

/// How deep nodes may nest, as in `pql/text`.
const DEPTH: usize = 100;

fn fault(message: impl Into<String>, span: Span) -> Diagnostic {
    Diagnostic::new(Kind::Parse, message).at(span)
}

fn member<'a>(node: &'a Value, name: &str) -> Result<&'a Value> {
    node.member(name).ok_or_else(|| fault(format!("the node has no `{name}`"), node.span))
}

fn text<'a>(node: &'a Value, name: &str) -> Result<&'a str> {
    let value = member(node, name)?;
    value.text().ok_or_else(|| fault(format!("`{name}` must be a string"), value.span))
}

fn list<'a>(node: &'a Value, name: &str) -> Result<&'a [Value]> {
    let value = member(node, name)?;
    match &value.node {
        Node::List(items) => Ok(items),
        Node::Null | Node::Boolean(_) | Node::Number(_) | Node::String(_) | Node::Object(_) => {
            Err(fault(format!("`{name}` must be a list"), value.span))
        }
    }
}

/// A word that stands for a name in the tree; JSON could hold any text.
fn name(node: &Value, member_name: &str) -> Result<Name> {
    let value = member(node, member_name)?;
    let word = text(node, member_name)?;
    let letters = word.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    if !letters || word.is_empty() || word.starts_with(|c: char| c.is_ascii_digit()) {
        return Err(fault(format!("`{word}` is not a name"), value.span));
    }
    Ok(Name { text: word.to_owned(), span: value.span })
}

const NODE_TYPES: &[&str] = &["fnApply", "fieldLookup", "parameterReference", "literal", "select", "varRef"];

fn expr(node: &Value, depth: usize) -> Result<ast::Expr> {
    if depth > DEPTH {
        return Err(fault(format!("the query nests deeper than {DEPTH} levels"), node.span));
    }
    let kind = text(node, "nodeType")?;
    let made = match kind {
        "fnApply" => return apply(node, depth),
        "fieldLookup" => {
            let of = Box::new(expr(member(node, "object")?, depth + 1)?);
            ast::Node::Field { of, name: name(node, "fieldName")? }
        }
        "parameterReference" => ast::Node::Parameter(position(node)?),
        "literal" => literal(node)?,
        "select" => {
            let bindings = list(node, "variables")?.iter().map(|binding| variable(binding, depth + 1));
            let bindings = bindings.collect::<Result<Vec<_>>>()?;
            if bindings.is_empty() {
                return Err(fault("`variables` must not be empty", node.span));
            }
            ast::Node::Quantifier { kind: Quantifier::Select, bindings }
        }
        "varRef" => ast::Node::Variable(name(node, "varName")?.text),
        other => {
            let fault = fault(format!("unknown node type `{other}`"), member(node, "nodeType")?.span);
            return Err(fault.suggest(other, NODE_TYPES.iter().copied()));
        }
    };
    Ok(ast::Expr { node: made, span: node.span })
}

fn position(node: &Value) -> Result<u64> {
    let value = member(node, "position")?;
    let number = match &value.node {
        Node::Number(text) => text.parse().ok(),
        Node::Null | Node::Boolean(_) | Node::String(_) | Node::List(_) | Node::Object(_) => None,
    };
    number.ok_or_else(|| fault("`position` must be a whole number", value.span))
}

fn variable(node: &Value, depth: usize) -> Result<Binding> {
    let kind = text(node, "nodeType")?;
    if kind != "varDecl" {
        return Err(fault(format!("expected a `varDecl`, found `{kind}`"), node.span));
    }
    let variable = name(node, "varName")?;
    if ast::is_reserved(&variable.text) {
        return Err(fault(format!("`{}` is reserved", variable.text), variable.span));
    }
    let source = expr(member(node, "from")?, depth)?;
    let condition = node.member("where").map(|condition| expr(condition, depth)).transpose()?;
    Ok(Binding { variable, source, condition })
}

fn literal(node: &Value) -> Result<ast::Node> {
    let value = member(node, "value")?;
    let kind = text(node, "literalType")?;
    let wrong = || fault(format!("this is not a {kind}"), value.span);
    match kind {
        "List" => {
            let items = list(node, "value")?.iter().map(|item| {
                Ok(ast::Expr {
                    node: scalar(item).ok_or_else(|| fault("not a scalar", item.span))?,
                    span: item.span,
                })
            });
            Ok(ast::Node::Array(items.collect::<Result<_>>()?))
        }
        "XDMObject" => match value.text() {
            Some("profile") => Ok(ast::Node::Parameter(1)),
            _ => Err(fault("an XDMObject must be \"profile\"", value.span)),
        },
        "String" | "Boolean" | "Integer" | "Double" => {
            let found = scalar(value).ok_or_else(wrong)?;
            match (kind, &found) {
                ("String", ast::Node::String(_)) | ("Boolean", ast::Node::Boolean(_)) => Ok(found),
                ("Integer", _) if integer(&found).is_some() => Ok(found),
                ("Double", ast::Node::Double(_)) => Ok(found),
                // A whole number is a double as well.
                ("Double", _) => match &value.node {
                    Node::Number(text) => Ok(number(text.parse().map_err(|_| wrong())?)),
                    Node::Null | Node::Boolean(_) | Node::String(_) | Node::List(_) | Node::Object(_) => {
                        Err(wrong())
                    }
                },
                _ => Err(wrong()),
            }
        }
        other => {
            let known = ["String", "Boolean", "Integer", "Double", "List", "XDMObject"];
            let fault = fault(format!("unknown literal type `{other}`"), member(node, "literalType")?.span);
            Err(fault.suggest(other, known))
        }
    }
}

fn integer(node: &ast::Node) -> Option<i64> {
    match node {
        ast::Node::Integer(value) => Some(*value),
        ast::Node::Negate(operand) => integer(&operand.node).map(|value| -value),
        _ => None,
    }
}

/// A double; the text form has no negative literals.
fn number(value: f64) -> ast::Node {
    if value.is_sign_negative() {
        let operand = ast::Expr { node: ast::Node::Double(-value), span: Span::default() };
        ast::Node::Negate(Box::new(operand))
    } else {
        ast::Node::Double(value)
    }
}

fn scalar(value: &Value) -> Option<ast::Node> {
    match &value.node {
        Node::Boolean(value) => Some(ast::Node::Boolean(*value)),
        Node::String(value) => Some(ast::Node::String(value.clone())),
        Node::Number(text) => match text.parse::<i64>() {
            Ok(whole) if whole < 0 => {
                let operand = ast::Expr { node: ast::Node::Integer(whole.checked_neg()?), span: value.span };
                Some(ast::Node::Negate(Box::new(operand)))
            }
            Ok(whole) => Some(ast::Node::Integer(whole)),
            Err(_) => text.parse().ok().filter(|value: &f64| value.is_finite()).map(number),
        },
        Node::Null | Node::List(_) | Node::Object(_) => None,
    }
}

/// Functions that stand alone; all others have their receiver as the first parameter.
const GLOBAL: &[&str] =
    &["if", "date", "inSegment", "currentMonth", "currentYear", "currentDayOfMonth", "mapEntry"];

fn apply(node: &Value, depth: usize) -> Result<ast::Expr> {
    let function = text(node, "fnName")?.to_owned();
    let function_span = member(node, "fnName")?.span;
    let params = list(node, "params")?.iter().map(|param| expr(param, depth + 1));
    let mut params = params.collect::<Result<Vec<_>>>()?;
    let count = params.len();
    let arity = |wanted: &str| {
        Err(fault(format!("`{function}` takes {wanted} parameters, found {count}"), node.span))
    };
    let made = match function.as_str() {
        "and" if count >= 2 => ast::Node::And(params),
        "or" if count >= 2 => ast::Node::Or(params),
        "and" | "or" => return arity("two or more"),
        "not" => match (params.pop(), params.is_empty()) {
            (Some(operand), true) => ast::Node::Not(Box::new(operand)),
            _ => return arity("one"),
        },
        _ => {
            if let Some(op) = operator(&function) {
                let (Some(right), Some(left), true) = (params.pop(), params.pop(), params.is_empty()) else {
                    return arity("two");
                };
                ast::Node::Binary { op, left: Box::new(left), right: Box::new(right) }
            } else {
                call(node, function_span, params)?
            }
        }
    };
    Ok(ast::Expr { node: made, span: node.span })
}

fn operator(function: &str) -> Option<Operator> {
    Some(match function {
        "in" => Operator::In,
        "notIn" => Operator::NotIn,
        "like" => Operator::Like,
        "+" => Operator::Add,
        "-" => Operator::Subtract,
        "*" => Operator::Multiply,
        "/" => Operator::Divide,
        "%" => Operator::Modulo,
        other => Operator::Compare(Comparison::from_word(other)?),
    })
}

fn call(node: &Value, span: Span, mut params: Vec<ast::Expr>) -> Result<ast::Node> {
    let name = Name { text: name(node, "fnName")?.text, span };
    if GLOBAL.contains(&name.text.as_str()) {
        let args = params.into_iter().map(Argument::Expr).collect();
        return Ok(ast::Node::Call { name, args });
    }
    if params.is_empty() {
        return Ok(ast::Node::Call { name, args: vec![] });
    }
    let of = Box::new(params.remove(0));
    Ok(ast::Node::Method { of, name, args: params.into_iter().map(Argument::Expr).collect() })
}
