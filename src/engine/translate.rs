//! A rule that nobody keeps, stage by stage.

use datafusion::physical_plan::displayable;

use crate::diagnostic::{Source, Span};
use crate::error::{Error, Result};
use crate::planner;
use crate::pql;
use crate::segment::{Expr, Language, Name, Segment};

use super::Session;
use super::execute::store_of;
use super::scope::parse_rule;

/// The stages of a translation.
#[derive(Clone, Debug)]
pub struct Translation {
    /// The rule as it was understood, before tables were looked at.
    pub rule: Expr,
    /// SQL that runs as it stands.
    pub sql: String,
    /// DataFusion's plan of it.
    pub plan: String,
}

impl Session {
    /// Translates a rule about a profile store; about the only one there is, if none is named.
    pub async fn translate(
        &self,
        source: &Source,
        language: Language,
        store: Option<&str>,
    ) -> Result<Translation> {
        let scope = self.scope().await?;
        let segment = Segment {
            name: "rule".to_owned(),
            store: store_of(&scope, store.map(Name::new).as_ref(), Span::new(0, source.text.len()))?,
            id: None,
            comment: None,
            language,
            rule: source.text.to_string(),
        };
        let bound = scope.bound(&segment.store).await?;
        let rule = parse_rule(&scope, &segment, &bound).map_err(|error| error.in_source(source))?;
        let program = scope.resolve(&segment.name, &rule, &bound).map_err(|error| error.in_source(source))?;
        let sql = planner::to_sql(&program);
        let state = scope.state();
        let plan = state.optimize(&scope.plan_sql(&sql).await?)?;
        let physical = state.create_physical_plan(&plan).await?;
        let plan = displayable(physical.as_ref()).indent(false).to_string();
        Ok(Translation { rule, sql, plan })
    }

    /// A rule in canonical PQL; says what PQL cannot say.
    pub async fn translate_to_pql(
        &self,
        source: &Source,
        language: Language,
        store: Option<&str>,
    ) -> Result<String> {
        let scope = self.scope().await?;
        let store = store_of(&scope, store.map(Name::new).as_ref(), Span::new(0, source.text.len()))?;
        let bound = scope.bound(&store).await?;
        let rule = source.text.to_string();
        let segment = Segment { name: "rule".to_owned(), store, id: None, comment: None, language, rule };
        let expr = parse_rule(&scope, &segment, &bound).map_err(|error| error.in_source(source))?;
        scope.resolve(&segment.name, &expr, &bound).map_err(|error| error.in_source(source))?;
        let said = match language {
            Language::Sql => {
                let known = |id: &str| scope.segment_known_as(&segment.store, id);
                pql::say(&expr, &pql::Context { store: &bound, now: scope.now, segment: &known })
            }
            Language::Pql | Language::PqlJson => {
                pql::parse_rule(&segment.rule, language).map(|query| pql::format(&query))
            }
        };
        said.map_err(|faults| Error::from(faults).in_source(source))
    }

    /// The SQL of a segment.
    pub async fn segment_sql(&self, name: &str) -> Result<String> {
        self.scope().await?.segment_sql(name).await
    }
}
