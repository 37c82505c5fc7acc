//! Times that are compared with a time and an interval: `occurs`.

use crate::segment::{BinaryOp, Expr, Node, Value};

use super::{Place, Say, Type, all};

/// A number of units of PQL.
pub(super) struct Width {
    pub(super) text: String,
}

impl Say<'_> {
    /// `t < now() - INTERVAL '90 days'` and its like; `None` where neither side is a time moved by an interval.
    pub(super) fn moved(
        &mut self,
        op: BinaryOp,
        left: &Expr,
        right: &Expr,
        place: &Place,
    ) -> Option<Option<String>> {
        if let Some((anchor, back, width)) = shifted(right) {
            return Some(self.occurs(op, left, anchor, back, width, place));
        }
        let mirrored = match op {
            BinaryOp::Lt => BinaryOp::Gt,
            BinaryOp::LtEq => BinaryOp::GtEq,
            BinaryOp::Gt => BinaryOp::Lt,
            BinaryOp::GtEq => BinaryOp::LtEq,
            same => same,
        };
        let (anchor, back, width) = shifted(left)?;
        Some(self.occurs(mirrored, right, anchor, back, width, place))
    }

    fn occurs(
        &mut self,
        op: BinaryOp,
        time: &Expr,
        anchor: &Expr,
        back: bool,
        width: &Expr,
        place: &Place,
    ) -> Option<String> {
        let (time, anchor) = (self.value(time, place), self.value(anchor, place));
        let width = self.width(width)?;
        let (time, anchor) = (time?, anchor?);
        let offset = format!("{} {} ({})", width.text, if back { "before" } else { "after" }, anchor.text);
        let t = &time.text;
        // Each holds where the time is known and compares with the start of the anchor, moved.
        let at_most = || match back {
            true => format!("({t}) occurs >= {offset}"),
            false => format!("({t}).isNotNull() and not (({t}) occurs > {offset})"),
        };
        let before = || match back {
            true => format!("({t}) occurs > {offset}"),
            false => format!("({t}) occurs before {offset}"),
        };
        let known = |holds: String| format!("({t}).isNotNull() and not ({holds})");
        let holds = match op {
            BinaryOp::Lt => before(),
            BinaryOp::LtEq => at_most(),
            BinaryOp::GtEq => known(before()),
            BinaryOp::Gt => known(at_most()),
            BinaryOp::Eq => format!("({}) and ({})", at_most(), known(before())),
            _ => format!("({}) or ({})", before(), known(at_most())),
        };
        let is_field = !["now", "today"].contains(&anchor.text.as_str()) && !anchor.text.starts_with("date(");
        let guard = is_field.then(|| format!("({}).isNotNull()", anchor.text));
        Some(all(std::iter::once(holds).chain(guard).chain(time.guards).chain(anchor.guards)))
    }

    /// An interval as a number of one unit.
    pub(super) fn width(&mut self, expr: &Expr) -> Option<Width> {
        let Node::Literal(Value::Interval(text)) = &expr.node else {
            return self.cannot(expr.span, "an interval that is computed");
        };
        match units(text) {
            Some(text) => Some(Width { text }),
            None => self.cannot(expr.span, format!("the interval `{text}`")),
        }
    }

    /// Whether a value is a time.
    pub(super) fn is_time(of: &Type) -> bool {
        matches!(of, Type::Date | Type::Timestamp)
    }
}

/// A time that an interval is added to or taken from.
fn shifted(expr: &Expr) -> Option<(&Expr, bool, &Expr)> {
    match &expr.node {
        Node::Binary { op: op @ (BinaryOp::Plus | BinaryOp::Minus), left, right }
            if matches!(right.node, Node::Literal(Value::Interval(_))) =>
        {
            Some((left, *op == BinaryOp::Minus, right))
        }
        _ => None,
    }
}

/// `1 day 12 hours` as `36 hours`; nothing for what has no one unit.
fn units(text: &str) -> Option<String> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let (mut months, mut seconds) = (0_u64, 0_u64);
    for pair in words.chunks(2) {
        let [amount, unit] = pair else { return None };
        let amount: u64 = amount.parse().ok()?;
        let (of, factor) = match unit.to_lowercase().trim_end_matches('s') {
            "year" => (&mut months, 12),
            "month" | "mon" => (&mut months, 1),
            "week" => (&mut seconds, 7 * 86_400),
            "day" => (&mut seconds, 86_400),
            "hour" => (&mut seconds, 3600),
            "minute" | "min" => (&mut seconds, 60),
            "second" | "sec" => (&mut seconds, 1),
            _ => return None,
        };
        *of = of.checked_add(amount.checked_mul(factor)?)?;
    }
    let (amount, unit) = match (months, seconds) {
        (months, 0) if months > 0 && months.is_multiple_of(12) => (months / 12, "year"),
        (months, 0) if months > 0 => (months, "month"),
        (0, seconds) if seconds.is_multiple_of(86_400) => (seconds / 86_400, "day"),
        (0, seconds) if seconds.is_multiple_of(3600) => (seconds / 3600, "hour"),
        (0, seconds) if seconds.is_multiple_of(60) => (seconds / 60, "minute"),
        (0, seconds) => (seconds, "second"),
        _ => return None,
    };
    Some(format!("{amount} {unit}{}", if amount == 1 { "" } else { "s" }))
}

#[cfg(test)]
mod tests {
    use super::units;

    #[test]
    fn intervals_have_one_unit() {
        let check = |text| units(text).unwrap_or_default();
        assert_eq!(check("30 days"), "30 days");
        assert_eq!(check("1 day 12 hours"), "36 hours");
        assert_eq!(check("2 weeks"), "14 days");
        assert_eq!(check("24 months"), "2 years");
        assert_eq!(check("1 month 1 day"), "");
        assert_eq!(check("1.5 days"), "");
        assert_eq!(check("-1 days"), "");
    }
}
