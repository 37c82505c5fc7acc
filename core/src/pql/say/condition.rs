//! Conditions: written so that they hold where SQL's is TRUE, or where it is FALSE.

use crate::segment::{BinaryOp, Call, Expr, Form, Node, Test, UnaryOp, Value};

use super::{Place, Say, Term, Type, all, quote};

impl Say<'_> {
    /// PQL that holds where the condition is TRUE (`want`) or where it is FALSE. NULL is neither.
    pub(super) fn condition(&mut self, expr: &Expr, place: &Place, want: bool) -> Option<String> {
        let constant = |holds: bool| Some(holds.to_string());
        match &expr.node {
            Node::Literal(Value::Boolean(value)) => constant(*value == want),
            Node::Literal(Value::Null) => constant(false),
            Node::Unary { op: UnaryOp::Not, expr } => self.condition(expr, place, !want),
            Node::Binary { op: op @ (BinaryOp::And | BinaryOp::Or), left, right } => {
                let word = if (*op == BinaryOp::And) == want { "and" } else { "or" };
                // Both are looked at, so that all that cannot be said is said.
                let (left, right) = (self.condition(left, place, want), self.condition(right, place, want));
                Some(format!("({}) {word} ({})", left?, right?))
            }
            Node::Binary { op, left, right } => self.comparison(*op, left, right, place, want, expr),
            Node::Is { expr: inner, test: Test::Null, negated } => {
                let term = self.value(inner, place)?;
                let known = std::iter::once(format!("({}).isNotNull()", term.text)).chain(term.guards);
                Some(complement(all(known), *negated == want))
            }
            Node::Is { expr: inner, test, negated } => {
                let holds = match test {
                    Test::True => self.condition(inner, place, true)?,
                    Test::False => self.condition(inner, place, false)?,
                    Test::Unknown | Test::Null => {
                        let (yes, no) =
                            (self.condition(inner, place, true)?, self.condition(inner, place, false)?);
                        format!("not ({yes}) and not ({no})")
                    }
                };
                Some(complement(holds, *negated != want))
            }
            Node::In { expr: inner, list, negated } => self.among(inner, list, place, *negated != want),
            Node::Between { expr: inner, low, high, negated } => {
                let within = *negated != want;
                let (above, below) =
                    if within { (BinaryOp::GtEq, BinaryOp::LtEq) } else { (BinaryOp::Lt, BinaryOp::Gt) };
                let low = self.comparison(above, inner, low, place, true, expr);
                let high = self.comparison(below, inner, high, place, true, expr);
                Some(format!("({}) {} ({})", low?, if within { "and" } else { "or" }, high?))
            }
            Node::Like { expr: inner, pattern, escape, case_insensitive, negated } => {
                let term = self.value(inner, place)?;
                let matches = match &pattern.node {
                    Node::Literal(Value::String(pattern)) => {
                        like(&term.text, pattern, escape.unwrap_or('\\'), *case_insensitive)
                    }
                    _ => return self.cannot(pattern.span, "a pattern that is no text"),
                };
                Some(self.known_or_not(matches, &[term], *negated != want))
            }
            Node::Case { operand: None, branches, otherwise } => {
                let mut text = match otherwise {
                    Some(otherwise) => self.condition(otherwise, place, want)?,
                    None => "false".to_owned(),
                };
                for (when, then) in branches.iter().rev() {
                    let (when, then) =
                        (self.condition(when, place, true)?, self.condition(then, place, want)?);
                    text = format!("(({when}) and ({then})) or (not ({when}) and ({text}))");
                }
                Some(text)
            }
            Node::Form { form, args } => self.form_condition(*form, args, place, want, expr),
            Node::Call(call) => match self.call_condition(call, place, want) {
                Some(said) => said,
                None => self.boolean(expr, place, want),
            },
            _ => self.boolean(expr, place, want),
        }
    }

    /// A value that is a boolean.
    fn boolean(&mut self, expr: &Expr, place: &Place, want: bool) -> Option<String> {
        let term = self.value(expr, place)?;
        if term.of != Type::Boolean {
            return self.cannot(expr.span, "this condition");
        }
        let holds = if want { term.text } else { format!("{} = false", term.text) };
        Some(all(std::iter::once(holds).chain(term.guards)))
    }

    fn comparison(
        &mut self,
        op: BinaryOp,
        left: &Expr,
        right: &Expr,
        place: &Place,
        want: bool,
        whole: &Expr,
    ) -> Option<String> {
        let op = match (op, want) {
            (BinaryOp::Match | BinaryOp::NotMatch, _) => {
                let term = self.value(left, place)?;
                let Node::Literal(Value::String(pattern)) = &right.node else {
                    return self.cannot(right.span, "a pattern that is no text");
                };
                let matches = format!("({}).matches({})", term.text, quote(pattern));
                return Some(self.known_or_not(matches, &[term], (op == BinaryOp::Match) == want));
            }
            (BinaryOp::IsDistinctFrom | BinaryOp::IsNotDistinctFrom, _) => {
                let (a, b) = (self.value(left, place)?, self.value(right, place)?);
                if !a.guards.is_empty() || !b.guards.is_empty() {
                    return self.cannot(whole.span, "this comparison");
                }
                let same = format!("({0}) = ({1}) or ({0}).isNull() and ({1}).isNull()", a.text, b.text);
                return Some(complement(same, (op == BinaryOp::IsNotDistinctFrom) == want));
            }
            (BinaryOp::Eq, true) | (BinaryOp::NotEq, false) => BinaryOp::Eq,
            (BinaryOp::Eq, false) | (BinaryOp::NotEq, true) => BinaryOp::NotEq,
            (BinaryOp::Lt, true) | (BinaryOp::GtEq, false) => BinaryOp::Lt,
            (BinaryOp::LtEq, true) | (BinaryOp::Gt, false) => BinaryOp::LtEq,
            (BinaryOp::Gt, true) | (BinaryOp::LtEq, false) => BinaryOp::Gt,
            (BinaryOp::GtEq, true) | (BinaryOp::Lt, false) => BinaryOp::GtEq,
            _ => return self.cannot(whole.span, format!("the operator `{}`", op.as_str())),
        };
        if let Some(said) = self.lowered(op, left, right, place) {
            return said;
        }
        if let Some(said) = self.moved(op, left, right, place) {
            return said;
        }
        let (a, b) = (self.value(left, place), self.value(right, place));
        let (a, b) = (a?, b?);
        // What PQL has where SQL has NULL makes no difference where the comparison fails with it.
        let is_idle = a.zero && zero_fails(op, right);
        let sign = match op {
            BinaryOp::Eq => "=",
            BinaryOp::NotEq => "!=",
            other => other.as_str(),
        };
        let holds = format!("({}) {sign} ({})", a.text, b.text);
        let guards = a.guards.into_iter().filter(|_| !is_idle).chain(b.guards);
        Some(all(std::iter::once(holds).chain(guards)))
    }

    /// `lower(x) = 'text'`.
    fn lowered(&mut self, op: BinaryOp, left: &Expr, right: &Expr, place: &Place) -> Option<Option<String>> {
        let (Node::Call(call), Node::Literal(Value::String(text))) = (&left.node, &right.node) else {
            return None;
        };
        let is_lower = call.name == "lower" && *text == text.to_lowercase();
        let [inner] = &call.args[..] else { return None };
        let method = match op {
            BinaryOp::Eq if is_lower => "equals",
            BinaryOp::NotEq if is_lower => "notEqualTo",
            _ => return None,
        };
        let said = |term: Term| format!("({}).{method}({}, false)", term.text, quote(text));
        Some(self.value(inner, place).map(said))
    }

    fn among(&mut self, inner: &Expr, list: &[Expr], place: &Place, is_in: bool) -> Option<String> {
        let term = self.value(inner, place)?;
        let has_null = list.iter().any(|item| item.node == Node::Literal(Value::Null));
        // `x NOT IN (…, NULL)` is never TRUE.
        if has_null && !is_in {
            return Some("false".to_owned());
        }
        let mut items = vec![];
        for item in list.iter().filter(|item| item.node != Node::Literal(Value::Null)) {
            let item = self.value(item, place)?;
            items.push(item.text);
        }
        let word = if is_in { "in" } else { "notIn" };
        let holds = format!("({}) {word} [{}]", term.text, items.join(", "));
        Some(all(std::iter::once(holds).chain(term.guards)))
    }

    /// Functions that are conditions; `None` for others.
    fn call_condition(&mut self, call: &Call, place: &Place, want: bool) -> Option<Option<String>> {
        let said = match (call.name.as_str(), &call.args[..]) {
            ("array_has" | "array_contains" | "list_has" | "list_contains", [list, item]) => {
                let (list, item) = (self.value(list, place), self.value(item, place));
                let (Some(list), Some(item)) = (list, item) else { return Some(None) };
                let holds = format!("({}).includes({})", list.text, item.text);
                Some(self.known_or_not(holds, &[list, item], want))
            }
            ("array_has_any" | "arrays_overlap", [a, b]) => {
                let (Some(a), Some(b)) = (self.value(a, place), self.value(b, place)) else {
                    return Some(None);
                };
                let holds = format!("({}).intersects({})", a.text, b.text);
                Some(self.known_or_not(holds, &[a, b], want))
            }
            ("array_any_match" | "any_match" | "list_any_match", [list, lambda]) => {
                self.any_match(list, lambda, place, want)
            }
            ("starts_with" | "ends_with" | "contains" | "regexp_like", [text, part]) => {
                let method = match call.name.as_str() {
                    "starts_with" => "startsWith",
                    "ends_with" => "endsWith",
                    "contains" => "contains",
                    _ => "matches",
                };
                let (Some(text), Some(part)) = (self.value(text, place), self.value(part, place)) else {
                    return Some(None);
                };
                let holds = format!("({}).{method}({})", text.text, part.text);
                Some(self.known_or_not(holds, &[text, part], want))
            }
            ("bool_or" | "bool_and", [inner]) if call.over.is_none() => {
                self.bool_aggregate(call, inner, place, want)
            }
            _ => return None,
        };
        Some(said)
    }

    fn any_match(&mut self, list: &Expr, lambda: &Expr, place: &Place, want: bool) -> Option<String> {
        let term = self.value(list, place)?;
        let (Type::Array(item), Node::Lambda { params, body }) = (&term.of, &lambda.node) else {
            return self.cannot(lambda.span, "this condition on a list");
        };
        let [param] = &params[..] else { return self.cannot(lambda.span, "this lambda") };
        self.params.push((param.clone(), (**item).clone()));
        let body = self.condition(body, &Self::within(place), want);
        self.params.pop();
        let (list, body) = (term.text, body?);
        Some(match want {
            true => format!("({list}).exists({param} => {body})"),
            false => format!("({list}).isNotNull() and ({list}).forall({param} => {body})"),
        })
    }

    /// A test that is false where a value is null; as the complement, true where none is and the test fails.
    pub(super) fn known_or_not(&mut self, holds: String, terms: &[Term], want: bool) -> String {
        let guards = terms.iter().flat_map(|term| term.guards.iter().cloned());
        if want {
            return all(std::iter::once(holds).chain(guards));
        }
        let is_literal = |term: &&Term| term.text.starts_with('"');
        let known = terms.iter().filter(|term| !is_literal(term));
        let known = known.map(|term| format!("({}).isNotNull()", term.text));
        all(known.chain([format!("not ({holds})")]).chain(guards))
    }

    fn form_condition(
        &mut self,
        form: Form,
        args: &[Expr],
        place: &Place,
        want: bool,
        whole: &Expr,
    ) -> Option<String> {
        let holds = match form {
            Form::Did => format!("{}.count() > 0", self.matching(&args[0], args.get(1), whole.span)?),
            Form::DidThen => self.did_then(args, whole.span)?,
            Form::DidWithout => self.did_without(args, whole.span)?,
            Form::AnyPer => format!("{} > 0", self.count_per(args, whole.span)?.text),
            Form::InSegment => match &args[0].node {
                Node::Literal(Value::String(name)) => format!("inSegment({})", quote(name)),
                _ => return self.cannot(whole.span, "this"),
            },
            Form::TopPercent | Form::TopN => {
                return self.cannot(whole.span, format!("`{}`, a rank among all profiles,", form.name()));
            }
            Form::Times | Form::FirstTime | Form::LastTime | Form::NthTime | Form::CountPer => {
                return self.boolean(whole, place, want);
            }
        };
        Some(complement(holds, want))
    }
}

/// A condition of two values, or its complement.
fn complement(holds: String, want: bool) -> String {
    if want { holds } else { format!("not ({holds})") }
}

/// Whether `0 op literal` is false.
fn zero_fails(op: BinaryOp, right: &Expr) -> bool {
    let Node::Literal(Value::Number(text)) = &right.node else { return false };
    let Ok(limit) = text.parse::<f64>() else { return false };
    match op {
        BinaryOp::Eq => limit != 0.0,
        BinaryOp::NotEq => limit == 0.0,
        BinaryOp::Lt => limit <= 0.0,
        BinaryOp::LtEq => limit < 0.0,
        BinaryOp::Gt => limit >= 0.0,
        BinaryOp::GtEq => limit > 0.0,
        _ => false,
    }
}

/// `LIKE` and `ILIKE` with a pattern that is known.
fn like(text: &str, pattern: &str, escape: char, case_insensitive: bool) -> String {
    // The pattern as pieces: a character, or a wildcard.
    let mut pieces: Vec<Result<char, char>> = vec![];
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        match c {
            c if c == escape => pieces.push(Ok(chars.next().unwrap_or(c))),
            '%' | '_' => pieces.push(Err(c)),
            c => pieces.push(Ok(c)),
        }
    }
    if !case_insensitive {
        let mut pattern = String::new();
        for piece in pieces {
            match piece {
                Ok(c @ ('%' | '_' | '\\')) => pattern.extend(['\\', c]),
                Ok(c) | Err(c) => pattern.push(c),
            }
        }
        return format!("({text}) like {}", quote(&pattern));
    }
    let (open, close) = (pieces.first() == Some(&Err('%')), pieces.last() == Some(&Err('%')));
    let inner = &pieces[usize::from(open)..pieces.len() - usize::from(close && pieces.len() > 1)];
    let plain: Option<String> = inner.iter().map(|piece| piece.ok()).collect();
    match (open, plain, close) {
        (true, Some(part), true) if pieces.len() > 1 => format!("({text}).contains({}, false)", quote(&part)),
        (true, Some(part), false) => format!("({text}).endsWith({}, false)", quote(&part)),
        (false, Some(part), true) => format!("({text}).startsWith({}, false)", quote(&part)),
        (false, Some(part), false) => format!("({text}).equals({}, false)", quote(&part)),
        _ => {
            let mut expression = String::from("(?is)^");
            for piece in pieces {
                match piece {
                    Err('%') => expression.push_str(".*"),
                    Err(_) => expression.push('.'),
                    Ok(c) => expression.push_str(&regex::escape(c.encode_utf8(&mut [0; 4]))),
                }
            }
            expression.push('$');
            format!("({text}).matches({})", quote(&expression))
        }
    }
}
