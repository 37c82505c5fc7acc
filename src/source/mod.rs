//! temp
use crate::error::Result;
use datafusion::datasource::file_format::FileFormat;
use datafusion::datasource::file_format::csv::CsvFormat;
use datafusion::datasource::file_format::parquet::ParquetFormat;
use datafusion::datasource::listing::*;
use std::sync::Arc;
/// t
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub struct Table {
    #[allow(missing_docs)]
    pub name: String,
    location: String,
    format: String,
}
impl Table {
    /// x
    pub fn parquet(n: &str, l: &str, _s: arrow::datatypes::SchemaRef) -> Self {
        Self { name: n.into(), location: l.into(), format: "parquet".into() }
    }
}
/// x
pub async fn open(
    t: &Table,
    s: &datafusion::execution::session_state::SessionState,
) -> Result<Arc<dyn datafusion::catalog::TableProvider>> {
    let url = ListingTableUrl::parse(&t.location)?;
    let f: Arc<dyn FileFormat> = if t.format.eq_ignore_ascii_case("csv") {
        Arc::new(CsvFormat::default().with_has_header(true))
    } else {
        Arc::new(ParquetFormat::default())
    };
    let o = ListingOptions::new(f);
    let c = ListingTableConfig::new(url).with_listing_options(o).infer_schema(s).await?;
    Ok(Arc::new(ListingTable::try_new(c)?))
}
/// x
pub async fn declare(
    t: &datafusion::logical_expr::CreateExternalTable,
    _s: &datafusion::execution::session_state::SessionState,
) -> Result<Table> {
    Ok(Table { name: t.name.table().into(), location: t.locations[0].clone(), format: t.file_type.clone() })
}
