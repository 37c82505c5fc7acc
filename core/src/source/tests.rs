use std::fs;
use std::path::Path;

use datafusion::arrow::util::pretty::pretty_format_batches;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::logical_expr::{DdlStatement, LogicalPlan};
use datafusion::prelude::{SessionConfig, SessionContext};
use tempfile::TempDir;

use super::*;
use crate::diagnostic::Kind;
use crate::error::Error;
use crate::storage::Stores;

/// A folder and a session to look at it.
struct Shop {
    folder: TempDir,
    ctx: SessionContext,
}

impl Shop {
    fn new() -> Self {
        let runtime =
            RuntimeEnvBuilder::new().with_object_store_registry(Arc::new(Stores::new())).build_arc();
        let config = SessionConfig::new().with_information_schema(true).with_target_partitions(2);
        Self {
            folder: tempfile::tempdir().unwrap(),
            ctx: SessionContext::new_with_config_rt(config, runtime.unwrap()),
        }
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        let path = self.folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    /// Writes the rows of a query to a file of the format that its name ends in.
    async fn copy(&self, query: &str, name: &str) {
        let path = self.folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let format = path.extension().unwrap().to_str().unwrap().to_uppercase();
        let sql = format!("COPY ({query}) TO '{}' STORED AS {format}", path.display());
        self.ctx.sql(&sql).await.unwrap().collect().await.unwrap();
    }

    /// Declares a table by a statement where `@` stands for the folder.
    async fn declare(&self, sql: &str) -> Result<Table> {
        let sql = sql.replace('@', self.folder.path().to_str().unwrap());
        let state = self.ctx.state();
        let LogicalPlan::Ddl(DdlStatement::CreateExternalTable(statement)) =
            state.create_logical_plan(&sql).await.unwrap()
        else {
            panic!("not a declaration: {sql}")
        };
        let table = declare(&statement, &state).await?;
        // What is used is what the catalog gives back.
        let json = serde_json::to_string(&table).unwrap();
        let kept: Table = serde_json::from_str(&json).unwrap();
        assert_eq!(kept, table);
        let _ = self.ctx.deregister_table(kept.name.as_str());
        self.ctx.register_table(kept.name.as_str(), open(&kept, &state).await?).unwrap();
        Ok(kept)
    }

    async fn query(&self, sql: &str) -> Result<String> {
        let rows = self.ctx.sql(sql).await?.collect().await?;
        let text = pretty_format_batches(&rows).unwrap().to_string();
        Ok(text.replace(self.folder.path().to_str().unwrap(), "@"))
    }

    /// The one value of a query.
    async fn value(&self, sql: &str) -> String {
        let table = self.query(sql).await.unwrap();
        table.lines().nth(3).unwrap_or_default().trim_matches(['|', ' ']).to_owned()
    }

    fn shown(&self, error: Error) -> String {
        error.to_string().replace(self.folder.path().to_str().unwrap(), "@")
    }

    async fn fails(&self, sql: &str) -> String {
        let error = self.declare(sql).await.unwrap_err();
        self.shown(error)
    }

    async fn query_fails(&self, sql: &str) -> String {
        let error = self.query(sql).await.unwrap_err();
        self.shown(error)
    }
}

#[tokio::test]
async fn reads_every_format() {
    let shop = Shop::new();
    let rows = "SELECT 1 AS id, 'a' AS name, 1.5 AS price UNION ALL SELECT 2, 'b', NULL ORDER BY id";
    for format in ["parquet", "csv", "json", "arrow"] {
        shop.copy(rows, &format!("one.{format}")).await;
        shop.declare(&format!("CREATE EXTERNAL TABLE t STORED AS {format} LOCATION '@/one.{format}'"))
            .await
            .unwrap();
        assert_eq!(
            shop.value("SELECT count(*) || ' ' || sum(id) || ' ' || sum(price) FROM t").await,
            "2 3 1.5"
        );
        shop.copy(rows, &format!("{format}s/1.{format}")).await;
        shop.copy(rows, &format!("{format}s/2.{format}")).await;
        shop.declare(&format!("CREATE EXTERNAL TABLE t STORED AS {format} LOCATION '@/{format}s'"))
            .await
            .unwrap();
        assert_eq!(shop.value("SELECT count(*) FROM t").await, "4");
    }
}

#[tokio::test]
async fn new_files_and_new_content_are_seen_at_once() {
    let shop = Shop::new();
    shop.copy("SELECT 1 AS id", "t/1.parquet").await;
    shop.declare("CREATE EXTERNAL TABLE t STORED AS PARQUET LOCATION '@/t/'").await.unwrap();
    assert_eq!(shop.value("SELECT sum(id) FROM t").await, "1");
    shop.copy("SELECT 10 AS id", "t/2.parquet").await;
    assert_eq!(shop.value("SELECT sum(id) FROM t").await, "11");
    shop.copy("SELECT 100 AS id UNION ALL SELECT 200", "t/1.parquet").await;
    assert_eq!(shop.value("SELECT sum(id) FROM t").await, "310");
    fs::remove_file(shop.path("t/2.parquet")).unwrap();
    assert_eq!(shop.value("SELECT sum(id) FROM t").await, "300");
    // A column that came later is not part of the table; one that is gone is NULL.
    shop.copy("SELECT 5 AS price", "t/2.parquet").await;
    assert_eq!(shop.value("SELECT sum(id) || ' of ' || count(*) FROM t").await, "300 of 3");
    fs::remove_dir_all(shop.path("t")).unwrap();
    insta::assert_snapshot!(shop.query_fails("SELECT sum(id) FROM t").await, @"error[storage]: there is no Parquet file at `@/t/` any more");
}

#[tokio::test]
async fn finds_files_by_patterns_and_odd_names() {
    let shop = Shop::new();
    for name in ["a b.csv", "ü.csv", "100%.csv", "%20.csv", "a#b.csv", "x[1].csv"] {
        shop.write(&format!("odd/{name}"), "id\n1\n");
        let sql = format!("CREATE EXTERNAL TABLE t STORED AS CSV LOCATION '@/odd/{name}'");
        shop.declare(&sql).await.unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(shop.value("SELECT count(*) FROM t").await, "1", "{name}");
    }
    shop.declare("CREATE EXTERNAL TABLE t STORED AS CSV LOCATION '@/odd'").await.unwrap();
    assert_eq!(shop.value("SELECT count(*) FROM t").await, "6");
    shop.declare("CREATE EXTERNAL TABLE t STORED AS CSV LOCATION '@/odd/a*.csv'").await.unwrap();
    assert_eq!(shop.value("SELECT count(*) FROM t").await, "2");
    shop.write("deep/1/x.csv", "id\n1\n");
    shop.write("deep/2/x.csv", "id\n1\n");
    shop.write("deep/2/y.csv", "id\n1\n");
    shop.declare("CREATE EXTERNAL TABLE t STORED AS CSV LOCATION '@/deep/*/x.csv'").await.unwrap();
    assert_eq!(shop.value("SELECT count(*) FROM t").await, "2");
    shop.declare("CREATE EXTERNAL TABLE t STORED AS CSV LOCATION '@/odd/../deep/2/'").await.unwrap();
    assert_eq!(shop.value("SELECT count(*) FROM t").await, "2");
    shop.declare("CREATE EXTERNAL TABLE t STORED AS CSV LOCATION ('@/deep/1/x.csv', '@/deep/2/y.csv')")
        .await
        .unwrap();
    assert_eq!(shop.value("SELECT count(*) FROM t").await, "2");
    // Spark's and the file manager's own files are not data.
    shop.write("deep/2/_SUCCESS", "");
    shop.write("deep/2/.y.csv.crc", "x");
    shop.write("deep/2/.hidden.csv", "other,columns\n1,2\n");
    shop.declare("CREATE EXTERNAL TABLE t STORED AS CSV LOCATION '@/deep/2'").await.unwrap();
    assert_eq!(shop.value("SELECT count(*) FROM t").await, "2");
}

#[tokio::test]
async fn reads_hive_partitions() {
    let shop = Shop::new();
    for (month, day, id) in [("1", "2024-01-05", 1), ("2", "2024-02-05", 2), ("2", "2024-02-06", 3)] {
        shop.copy(&format!("SELECT {id} AS id"), &format!("e/month={month}/day={day}/x.parquet")).await;
    }
    shop.declare("CREATE EXTERNAL TABLE e STORED AS PARQUET LOCATION '@/e'").await.unwrap();
    assert_eq!(shop.value("SELECT sum(id) FROM e WHERE month = 2").await, "5");
    assert_eq!(shop.value("SELECT sum(id) FROM e WHERE day >= DATE '2024-02-06'").await, "3");
    // No folder matches: no rows, and no error.
    assert_eq!(shop.value("SELECT count(*) FROM e WHERE month = 7").await, "0");
    shop.copy("SELECT 4 AS id", "e/month=3/day=2024-03-01/x.parquet").await;
    assert_eq!(shop.value("SELECT sum(id) FROM e").await, "10");
    shop.declare("CREATE EXTERNAL TABLE e STORED AS PARQUET LOCATION '@/e/month=*/*/*.parquet'")
        .await
        .unwrap_err();
    shop.declare("CREATE EXTERNAL TABLE e STORED AS PARQUET LOCATION '@/e/month=*/day=*/*.parquet'")
        .await
        .unwrap();
    assert_eq!(shop.value("SELECT sum(id) FROM e WHERE month > 1").await, "9");
    shop.declare("CREATE EXTERNAL TABLE e STORED AS PARQUET PARTITIONED BY (month) LOCATION '@/e'")
        .await
        .unwrap();
    assert_eq!(shop.value("SELECT sum(id) FROM e WHERE month = 2").await, "5");

    shop.write("z/m=01/x.csv", "id\n1\n");
    shop.write("z/m=12/x.csv", "id\n1\n");
    shop.declare("CREATE EXTERNAL TABLE z STORED AS CSV LOCATION '@/z'").await.unwrap();
    assert_eq!(shop.value("SELECT count(*) FROM z WHERE m = '01'").await, "1");
    insta::assert_snapshot!(
        shop.fails("CREATE EXTERNAL TABLE z (id INT, m INT) STORED AS CSV PARTITIONED BY (m) LOCATION '@/z'").await, @r#"
    error[storage]: the folder `m=01` does not hold a value written as Int32
      = help: declare the column as text: `m` VARCHAR
    "#);
    insta::assert_snapshot!(
        shop.fails("CREATE EXTERNAL TABLE z STORED AS CSV PARTITIONED BY (n) LOCATION '@/z'").await, @r#"
    error[storage]: `@/z/m=01/x.csv` is not in a folder `n=…`
      = help: PARTITIONED BY lists the k=v folders from the outermost
    "#);
    shop.write("z/n=1/x.csv", "id\n1\n");
    insta::assert_snapshot!(shop.fails("CREATE EXTERNAL TABLE z STORED AS CSV LOCATION '@/z'").await, @r#"
    error[storage]: `@/z/m=01/x.csv` and `@/z/n=1/x.csv` are in differently named folders
      = help: all files of a table lie below the same k=v folders; name one sort of them
    "#);
}

#[tokio::test]
async fn honours_the_options_of_csv() {
    let shop = Shop::new();
    shop.write("semi.csv", "1;x;\n2;y;3.5\n");
    shop.declare(
        "CREATE EXTERNAL TABLE t (id INT, name VARCHAR, price DOUBLE) STORED AS CSV LOCATION '@/semi.csv'
         OPTIONS ('delimiter' ';', 'has_header' 'false')",
    )
    .await
    .unwrap();
    assert_eq!(shop.value("SELECT count(*) || ' ' || count(price) FROM t").await, "2 1");
    insta::assert_snapshot!(
        shop.fails("CREATE EXTERNAL TABLE t STORED AS CSV LOCATION '@/semi.csv' OPTIONS ('null_value' 'NA')").await, @r#"
    error[unsupported]: the option `null_value` is not supported
      = help: an empty field is NULL; for other words declare the column as VARCHAR and write nullif(column, 'NA')
    "#);
    shop.ctx
        .sql(&format!(
            "COPY (SELECT 7 AS id) TO '{}' STORED AS CSV OPTIONS ('compression' 'gzip')",
            shop.path("z.csv.gz")
        ))
        .await
        .unwrap()
        .collect()
        .await
        .unwrap();
    shop.declare("CREATE EXTERNAL TABLE t STORED AS CSV LOCATION '@/z.csv.gz'").await.unwrap();
    assert_eq!(shop.value("SELECT id FROM t").await, "7");
    insta::assert_snapshot!(
        shop.fails("CREATE EXTERNAL TABLE t STORED AS CSV LOCATION '@/semi.csv' OPTIONS ('delimitre' ';')").await, @r#"error[name]: config value "delimitre" not found on CsvOptions"#);
}

#[tokio::test]
async fn says_what_is_not_there() {
    let shop = Shop::new();
    fs::create_dir(shop.path("empty")).unwrap();
    shop.write("zero.parquet", "");
    shop.write("mixed/a.csv", "id\n1\n");
    shop.write("mixed/b.csv.gz", "x");
    shop.write("other/a.txt", "id\n1\n");
    shop.write("other/b.md", "id\n1\n");
    insta::assert_snapshot!(shop.fails("CREATE EXTERNAL TABLE t STORED AS PARQUET LOCATION '@/no.parquet'").await, @"error[storage]: `@/no.parquet` does not exist");
    insta::assert_snapshot!(shop.fails("CREATE EXTERNAL TABLE t STORED AS PARQUET LOCATION '@/no/'").await, @"error[storage]: `@/no/` does not exist");
    insta::assert_snapshot!(shop.fails("CREATE EXTERNAL TABLE t STORED AS PARQUET LOCATION '@/no/*.parquet'").await, @"error[storage]: `@/no/*.parquet` does not exist");
    insta::assert_snapshot!(shop.fails("CREATE EXTERNAL TABLE t STORED AS PARQUET LOCATION '@/empty'").await, @r#"
    error[storage]: `@/empty` holds no Parquet file
      = help: files in subfolders are found when these are named k=v, or by a pattern such as folder/**/*.parquet
    "#);
    insta::assert_snapshot!(shop.fails("CREATE EXTERNAL TABLE t STORED AS PARQUET LOCATION '@/zero.parquet'").await, @"error[storage]: `@/zero.parquet` is empty");
    insta::assert_snapshot!(shop.fails("CREATE EXTERNAL TABLE t STORED AS CSV LOCATION '@/mixed'").await, @r#"
    error[storage]: `@/mixed/` holds files ending in .csv and in .csv.gz
      = help: choose by a pattern: @/mixed/*.csv
    "#);
    insta::assert_snapshot!(shop.fails("CREATE EXTERNAL TABLE t STORED AS CSV LOCATION '@/other'").await, @r#"
    error[storage]: `@/other/` holds no CSV file
      = help: name the files by a pattern: @/other/*.txt
    "#);
    insta::assert_snapshot!(shop.fails("CREATE EXTERNAL TABLE t STORED AS PARQET LOCATION '@/zero.parquet'").await, @r#"
    error[unsupported]: unknown format `PARQET`
      = help: did you mean `parquet`?
      = help: the formats are parquet, csv, json, arrow, avro, delta
    "#);
    insta::assert_snapshot!(shop.fails("CREATE EXTERNAL TABLE t STORED AS DELTA LOCATION '@/empty'").await, @r#"
    error[storage]: cannot open the Delta table `@/empty/`: there is no Delta table at the location
      = help: the folder of a Delta table holds a folder `_delta_log`
    "#);
    insta::assert_snapshot!(shop.fails("CREATE EXTERNAL TABLE t (id INT PRIMARY KEY) STORED AS CSV LOCATION '@/mixed/a.csv'").await, @"error[unsupported]: constraints of external tables are not supported");
    // A folder whose columns are declared may be filled later.
    shop.declare("CREATE EXTERNAL TABLE t (id INT) STORED AS CSV LOCATION '@/empty/'").await.unwrap();
    assert_eq!(shop.value("SELECT count(*) FROM t").await, "0");
}

/// An Avro file of one column `id`, encoded by hand: integers are zigzag, texts follow their length.
fn avro(ids: &[i8]) -> Vec<u8> {
    let zigzag = |value: i8| u8::try_from(i16::from(value) * 2).unwrap();
    let text = |text: &str| {
        let length = u8::try_from(text.len() * 2).unwrap();
        [&[length], text.as_bytes()].concat()
    };
    // One byte holds lengths up to 63, so the schema is short.
    let schema = r#"{"type":"record","name":"r","fields":[{"name":"id","type":"int"}]}"#;
    let schema = [&[u8::try_from(schema.len() * 2 % 128 + 128).unwrap(), 1], schema.as_bytes()].concat();
    let rows: Vec<u8> = ids.iter().map(|id| zigzag(*id)).collect();
    let count = u8::try_from(rows.len() * 2).unwrap();
    let sync = [7; 16];
    [b"Obj\x01".as_slice(), &[2], &text("avro.schema"), &schema, &[0], &sync, &[count, count], &rows, &sync]
        .concat()
}

#[tokio::test]
async fn reads_avro() {
    let shop = Shop::new();
    shop.write("a/1.avro", avro(&[1, 2, 3]));
    shop.declare("CREATE EXTERNAL TABLE a STORED AS AVRO LOCATION '@/a/1.avro'").await.unwrap();
    assert_eq!(shop.value("SELECT sum(id) FROM a").await, "6");
    shop.declare("CREATE EXTERNAL TABLE a STORED AS AVRO LOCATION '@/a'").await.unwrap();
    shop.write("a/2.avro", avro(&[10]));
    assert_eq!(shop.value("SELECT sum(id) FROM a").await, "16");
    shop.write("a/2.avro", &avro(&[10])[..50]);
    let shown = shop.query_fails("SELECT sum(id) FROM a").await;
    assert!(shown.starts_with("error[storage]: cannot read `@/a/2.avro`: "), "{shown}");
}

#[tokio::test]
async fn own_tables_are_read_back() {
    let shop = Shop::new();
    shop.copy("SELECT 1 AS id", "own/x.parquet").await;
    let columns = Arc::new(arrow_schema::Schema::new(vec![arrow_schema::Field::new(
        "id",
        arrow_schema::DataType::Int64,
        true,
    )]));
    let url = crate::storage::locate(&shop.path("own")).unwrap();
    let table = Table::parquet("own", url.as_str(), columns);
    shop.ctx.register_table("own", open(&table, &shop.ctx.state()).await.unwrap()).unwrap();
    assert_eq!(shop.value("SELECT id FROM own").await, "1");
    fs::remove_file(shop.path("own/x.parquet")).unwrap();
    assert_eq!(shop.value("SELECT count(*) FROM own").await, "0");
    fs::remove_dir(shop.path("own")).unwrap();
    assert_eq!(shop.query("SELECT id FROM own").await.unwrap_err().kind(), Kind::Storage);
}

/// The bytes of a file with the last ones missing.
fn cut(path: &Path, kept: usize) -> Vec<u8> {
    let mut bytes = fs::read(path).unwrap();
    bytes.truncate(kept);
    bytes
}

#[tokio::test]
async fn names_the_file_that_cannot_be_read() {
    let shop = Shop::new();
    shop.copy("SELECT value AS id, value || 'x' AS name FROM generate_series(1, 500)", "p/1.parquet").await;
    shop.declare("CREATE EXTERNAL TABLE p STORED AS PARQUET LOCATION '@/p'").await.unwrap();
    let whole = fs::read(shop.path("p/1.parquet")).unwrap();
    shop.write("p/2.parquet", &whole[..whole.len() - 20]);
    insta::assert_snapshot!(shop.query_fails("SELECT count(name) FROM p").await, @"error[storage]: cannot read `@/p/2.parquet`: invalid Parquet file. Corrupt footer");
    insta::assert_snapshot!(shop.fails("CREATE EXTERNAL TABLE p STORED AS PARQUET LOCATION '@/p'").await, @"error[storage]: cannot read `@/p/2.parquet`: invalid Parquet file. Corrupt footer");
    // A whole footer over broken pages.
    let mut broken = whole.clone();
    broken[4..400].fill(0xff);
    shop.write("p/2.parquet", broken);
    insta::assert_snapshot!(shop.query_fails("SELECT * FROM p").await, @"error[storage]: cannot read `@/p/2.parquet`: parquet error: Unexpected struct field type 15");
    shop.write("p/2.parquet", "not a Parquet file at all");
    insta::assert_snapshot!(shop.query_fails("SELECT * FROM p").await, @"error[storage]: cannot read `@/p/2.parquet`: invalid Parquet file. Corrupt footer");

    shop.write("c/1.csv", "id,name\n1,a\n");
    shop.declare("CREATE EXTERNAL TABLE c STORED AS CSV LOCATION '@/c'").await.unwrap();
    shop.write("c/2.csv", "id,name\n1,a\n2\n");
    insta::assert_snapshot!(shop.query_fails("SELECT * FROM c").await, @"error[storage]: cannot read `@/c/2.csv`: incorrect number of fields for line 3, expected 2 got 1");
    shop.write("c/2.csv", "id,name\n1,a\nx,b\n");
    insta::assert_snapshot!(shop.query_fails("SELECT * FROM c").await, @"error[storage]: cannot read `@/c/2.csv`: error while parsing value 'x' as type 'Int64' for column 0 at line 2. Row data: '[x,b]'");
    shop.write("c/2.csv", b"id,name\n1,\xff\xfe\n");
    insta::assert_snapshot!(shop.query_fails("SELECT * FROM c").await, @"error[storage]: cannot read `@/c/2.csv`: encountered invalid UTF-8 data for line 2 and field 2");

    shop.write("j/1.json", "{\"id\": 1}\n");
    shop.declare("CREATE EXTERNAL TABLE j STORED AS JSON LOCATION '@/j'").await.unwrap();
    shop.write("j/2.json", "{\"id\": 1}\n{\"id\": \n");
    insta::assert_snapshot!(shop.query_fails("SELECT * FROM j").await, @"error[storage]: cannot read `@/j/2.json`: truncated record whilst reading value");

    shop.copy("SELECT 1 AS id", "a/1.arrow").await;
    shop.declare("CREATE EXTERNAL TABLE a STORED AS ARROW LOCATION '@/a'").await.unwrap();
    let arrow = cut(Path::new(&shop.path("a/1.arrow")), 100);
    shop.write("a/2.arrow", arrow);
    insta::assert_snapshot!(shop.query_fails("SELECT * FROM a").await, @"error[storage]: cannot read `@/a/2.arrow`: arrow file does not contain correct footer");

    shop.copy("SELECT 1 AS id", "s/1.parquet").await;
    shop.copy("SELECT named_struct('a', 1) AS id", "s/2.parquet").await;
    insta::assert_snapshot!(shop.fails("CREATE EXTERNAL TABLE s STORED AS PARQUET LOCATION '@/s'").await, @r#"error[storage]: `@/s/1.parquet` and `@/s/2.parquet` do not have the same columns: Fail to merge schema field 'id' because the from data_type = Struct("a": Int64) does not equal Int64"#);
}

#[tokio::test]
async fn an_expression_that_fails_in_the_scan_is_not_the_files_fault() {
    let shop = Shop::new();
    shop.copy("SELECT 0 AS id, 'x' AS name", "p.parquet").await;
    shop.declare("CREATE EXTERNAL TABLE p STORED AS PARQUET LOCATION '@/p.parquet'").await.unwrap();
    for sql in
        ["SELECT 1 / id FROM p", "SELECT CAST(name AS INT) FROM p", "SELECT CAST(name AS TIMESTAMP) FROM p"]
    {
        assert_eq!(shop.query(sql).await.unwrap_err().kind(), Kind::Execution, "{sql}");
    }
}

#[tokio::test]
async fn filters_reach_the_files() {
    let shop = Shop::new();
    shop.copy("SELECT value AS id FROM generate_series(1, 1000)", "p/1.parquet").await;
    shop.declare("CREATE EXTERNAL TABLE p STORED AS PARQUET LOCATION '@/p'").await.unwrap();
    let plan = shop
        .query("EXPLAIN FORMAT INDENT SELECT id FROM p WHERE id > 990 ORDER BY id LIMIT 3")
        .await
        .unwrap();
    assert!(plan.contains("pruning_predicate=id_null_count@1 != row_count@2 AND id_max@0 > 990"), "{plan}");
    assert!(plan.contains("projection=[id]"), "{plan}");
}

#[tokio::test]
async fn keeps_the_order_of_files() {
    let shop = Shop::new();
    shop.write("o.csv", "id,name\n1,a\n2,b\n");
    let table = shop
        .declare("CREATE EXTERNAL TABLE o (id INT, name VARCHAR) STORED AS CSV WITH ORDER (id ASC NULLS FIRST) LOCATION '@/o.csv'")
        .await
        .unwrap();
    assert_eq!(table.order, [[Order { column: "id".into(), descending: false, nulls_first: true }]]);
    let plan = shop.query("EXPLAIN FORMAT INDENT SELECT * FROM o ORDER BY id NULLS FIRST").await.unwrap();
    assert!(plan.contains("output_ordering=[id@0 ASC]"), "{plan}");
    insta::assert_snapshot!(
        shop.fails("CREATE EXTERNAL TABLE o STORED AS CSV WITH ORDER (nam) LOCATION '@/o.csv'").await, @r#"
    error[name]: unknown column `nam`
      = help: did you mean `name`?
    "#);
}

#[tokio::test]
async fn writes_into_declared_folders() {
    let shop = Shop::new();
    fs::create_dir(shop.path("new")).unwrap();
    shop.declare("CREATE EXTERNAL TABLE n (id INT) STORED AS PARQUET LOCATION '@/new/'").await.unwrap();
    shop.query("INSERT INTO n VALUES (1), (2)").await.unwrap();
    assert_eq!(shop.value("SELECT sum(id) FROM n").await, "3");
}

#[tokio::test]
async fn reads_delta_tables() {
    let shop = Shop::new();
    for location in [shop.path("delta table"), "memory:///delta/t".to_owned()] {
        let url = crate::storage::locate(&format!("{location}/")).unwrap();
        let state = shop.ctx.state();
        let store = state.runtime_env().object_store_registry.get_store(&url).unwrap();
        for round in 1..=2 {
            let batch = shop.ctx.sql("SELECT 1 AS id, 'x' AS name").await.unwrap().collect().await.unwrap();
            if location.starts_with('/') {
                fs::create_dir_all(&location).unwrap();
            }
            let table = deltalake_core::DeltaTableBuilder::from_url(url.clone())
                .unwrap()
                .with_storage_backend(Arc::clone(&store), url.clone())
                .build()
                .unwrap();
            let mut table = table;
            if round > 1 {
                table.load().await.unwrap();
            }
            table.write(batch).await.unwrap();
            shop.declare(&format!("CREATE EXTERNAL TABLE d STORED AS DELTA LOCATION '{location}'"))
                .await
                .unwrap();
            assert_eq!(shop.value("SELECT sum(id) FROM d WHERE name = 'x'").await, round.to_string());
        }
    }
}

#[tokio::test]
async fn declared_json_is_readable() {
    let shop = Shop::new();
    shop.write("e/day=2024-01-01/x.csv", "id,at\n1,2024-01-01T10:00:00\n");
    let table = shop.declare("CREATE EXTERNAL TABLE e STORED AS CSV LOCATION '@/e'").await.unwrap();
    let json = serde_json::to_string_pretty(&table).unwrap();
    let json = json.replace(shop.folder.path().to_str().unwrap(), "~");
    insta::assert_snapshot!(json, @r#"
    {
      "name": "e",
      "format": "csv",
      "locations": [
        {
          "url": "file://~/e/",
          "pattern": "[!._]*.csv"
        }
      ],
      "columns": {
        "fields": [
          {
            "name": "id",
            "data_type": "Int64",
            "nullable": true,
            "dict_id": 0,
            "dict_is_ordered": false,
            "metadata": {}
          },
          {
            "name": "at",
            "data_type": {
              "Timestamp": [
                "Second",
                null
              ]
            },
            "nullable": true,
            "dict_id": 0,
            "dict_is_ordered": false,
            "metadata": {}
          }
        ],
        "metadata": {}
      },
      "partition_columns": [
        {
          "name": "day",
          "data_type": "Date32",
          "nullable": true,
          "dict_id": 0,
          "dict_is_ordered": false,
          "metadata": {}
        }
      ]
    }
    "#);
}
