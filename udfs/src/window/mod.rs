//! Functions that exist only with `OVER`, one per file.

pub mod rfm_score;
pub mod sessionize;

use datafusion::common::Result;
use datafusion::logical_expr::Expr;
use datafusion::logical_expr::function::WindowFunctionSimplification;

use crate::aggregate::call::Call;

/// Checks the constants of a call when it is planned; nothing is rewritten.
fn checked(function: &'static str, check: fn(&Call) -> Result<()>) -> WindowFunctionSimplification {
    Box::new(move |call, context| {
        if let Some(call) = Call::logical(function, &call.params.args, call.params.distinct, context)? {
            check(&call)?;
        }
        Ok(Expr::from(call))
    })
}
