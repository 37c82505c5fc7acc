use std::sync::Arc;
use datafusion::datasource::MemTable;
use datafusion::prelude::*;
use crate::fixture::table;

#[tokio::test]
async fn probe() {
    let config = SessionConfig::new().set_str("datafusion.sql_parser.dialect", "duckdb").set_str("datafusion.sql_parser.enable_ident_normalization", "true");
    let ctx = SessionContext::new_with_config(config);
    for name in ["profiles", "events"] {
        let batch = table(name);
        ctx.register_table(name, Arc::new(MemTable::try_new(batch.schema(), vec![vec![batch]]).unwrap())).unwrap();
    }
    let text = std::fs::read_to_string("/tmp/probe.sql").unwrap();
    for sql in text.split(";\n") {
        if sql.trim().is_empty() { continue; }
        println!("--- {}", sql.trim());
        let shown = async { ctx.sql(sql).await?.collect().await }.await;
        match shown {
            Ok(b) => { if let Some(f) = b.first() { println!("{:?}", f.schema().fields().iter().map(|f| f.data_type().to_string().chars().take(120).collect::<String>()).collect::<Vec<_>>()); }
              println!("{}", arrow::util::pretty::pretty_format_batches(&b).unwrap()) },
            Err(e) => println!("ERROR {}", e.to_string().chars().take(300).collect::<String>()),
        }
    }
}
