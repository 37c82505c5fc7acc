//! What there is to name, for whoever completes names.

use crate::error::Result;
use crate::profile::column_names;
use crate::segment::Form;
use crate::session::PUBLIC;
use crate::warehouse::Kind;

use super::{Session, system};

/// What a statement can name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    /// Tables and views of all schemas.
    pub tables: Vec<TableName>,
    /// Functions, and the short forms of rules.
    pub functions: Vec<String>,
    /// Segments.
    pub segments: Vec<String>,
}

/// A table with its columns.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TableName {
    /// `public`, `segment`, `audience` or `coterie`.
    pub schema: String,
    /// The name within the schema.
    pub name: String,
    /// Its columns; left out where finding them would mean running something.
    pub columns: Vec<String>,
}

impl Session {
    /// What a statement that is typed now can name. A table that cannot be opened has no columns here.
    pub async fn names(&self) -> Result<Names> {
        let scope = self.scope().await?;
        scope.list_audiences().await?;
        let mut tables = vec![];
        for name in scope.names(Kind::Table) {
            let columns = match scope.schema(name).await {
                Ok(schema) => column_names(&schema).map(str::to_owned).collect(),
                Err(_) => vec![],
            };
            tables.push(TableName { schema: PUBLIC.to_owned(), name: name.to_owned(), columns });
        }
        let segments: Vec<String> = scope.names(Kind::Segment).into_iter().map(str::to_owned).collect();
        let mut add = |schema: &str, name: &str| {
            tables.push(TableName { schema: schema.to_owned(), name: name.to_owned(), columns: vec![] });
        };
        segments.iter().for_each(|name| add("segment", name));
        scope.audience_names().iter().for_each(|name| add("audience", name));
        system::NAMES.iter().for_each(|name| add("coterie", name));
        let state = scope.state();
        let mut functions: Vec<String> = Form::ALL.iter().map(|form| form.name().to_owned()).collect();
        functions.extend(state.scalar_functions().keys().cloned());
        functions.extend(state.aggregate_functions().keys().cloned());
        functions.extend(state.window_functions().keys().cloned());
        functions.extend(state.higher_order_functions().keys().cloned());
        functions.sort();
        functions.dedup();
        Ok(Names { tables, functions, segments })
    }
}
