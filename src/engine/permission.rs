//! What a statement needs a role or a grant for. Checked where statements are planned, so on every road to the engine.

use datafusion::common::TableReference;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::logical_expr::{DdlStatement, LogicalPlan, Statement as PlannedStatement};

use crate::error::{Error, Result};
use crate::session::CATALOG;
use crate::statement::Command;

use super::principal::{Principal, Role};
use super::scope::Scope;

/// Checks one of coterie's own statements.
pub(super) fn check_command(principal: &Principal, command: &Command) -> Result<()> {
    match command {
        Command::Sql(_)
        | Command::ShowProfileStores
        | Command::ShowSegments
        // Whose query it is, is known when it is looked for.
        | Command::CancelQuery { .. } => Ok(()),
        Command::ShowCreateSegment(name)
        | Command::DescribeSegment(name)
        | Command::ExplainSegment(name) => principal.require_segment(&name.value),
        Command::CreateProfileStore(_) => principal.require(Role::Author, "create profile stores"),
        Command::DropProfileStore { .. } => principal.require(Role::Author, "drop profile stores"),
        Command::CreateSegment(_) => principal.require(Role::Author, "create segments"),
        Command::DropSegment { .. } => principal.require(Role::Author, "drop segments"),
        Command::Evaluate { run, explain } if run.dry_run || *explain => {
            // Without names it is about all segments.
            if run.names.is_empty() && principal.grants.is_some() {
                return principal.require(Role::Author, "look at all segments");
            }
            run.names.iter().try_for_each(|name| principal.require_segment(&name.value))
        }
        Command::Evaluate { .. } => principal.require(Role::Author, "evaluate segments"),
        Command::OptimizeEvents(_) => principal.require(Role::Author, "lay out events"),
    }
}

/// Checks the tables that a statement names. Views and live segments read what they are made of on their own account.
pub(super) fn check_tables(principal: &Principal, tables: &[TableReference]) -> Result<()> {
    if principal.grants.is_none() {
        return Ok(());
    }
    let here = tables.iter().filter(|table| table.catalog().is_none_or(|catalog| catalog == CATALOG));
    here.into_iter().try_for_each(|table| principal.require_table(table.schema(), table.table()))
}

/// Checks what a planned statement would do.
pub(super) fn check_plan(scope: &Scope, plan: &LogicalPlan) -> Result<()> {
    let mut refused: Result<()> = Ok(());
    let walked = plan.apply_with_subqueries(|node| {
        refused = check_node(scope, node);
        Ok(if refused.is_err() { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    });
    walked.map_err(Error::from)?;
    refused
}

fn check_node(scope: &Scope, node: &LogicalPlan) -> Result<()> {
    let principal = &scope.principal;
    match node {
        LogicalPlan::Copy(_) => principal.require(Role::Admin, "write files"),
        LogicalPlan::Dml(change) if scope.keeps(&change.table_name)? => {
            principal.require(Role::Author, "change tables")
        }
        LogicalPlan::Dml(_) => principal.require(Role::Admin, "write into tables over files"),
        LogicalPlan::Ddl(DdlStatement::CreateExternalTable(_)) => {
            principal.require(Role::Admin, "declare tables over files")
        }
        LogicalPlan::Ddl(ddl) => principal.require(Role::Author, what(ddl)),
        LogicalPlan::Statement(PlannedStatement::SetVariable(set)) => check_setting(principal, &set.variable),
        LogicalPlan::Statement(PlannedStatement::ResetVariable(reset)) => {
            check_setting(principal, &reset.variable)
        }
        _ => Ok(()),
    }
}

fn what(ddl: &DdlStatement) -> &'static str {
    match ddl {
        DdlStatement::DropTable(_) | DdlStatement::DropView(_) => "drop tables and views",
        _ => "create tables and views",
    }
}

/// How large batches are and on how many threads a query runs is the business of who shares the machine.
pub(super) fn check_setting(principal: &Principal, variable: &str) -> Result<()> {
    let variable = variable.to_lowercase();
    let shared =
        variable.starts_with("datafusion.execution.") && variable != "datafusion.execution.time_zone";
    if shared { principal.require(Role::Admin, "change settings of execution") } else { Ok(()) }
}
