//! Flight SQL as drivers use it.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Date32Array, Int32Array, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use arrow_flight::sql::{
    CommandGetDbSchemas, CommandGetImportedKeys, CommandGetPrimaryKeys, CommandGetTables,
    CommandGetXdbcTypeInfo, CommandStatementIngest, SqlInfo, TableDefinitionOptions, TableExistsOption,
    TableNotExistOption,
};
use arrow_flight::{Action, CancelFlightInfoRequest, CancelFlightInfoResult, Ticket};
use coterie::engine::Options;
use coterie::server::Config;
use futures::{StreamExt, TryStreamExt, stream};
use prost::Message;

use super::{Client, ENDLESS, Server, both, password};

#[tokio::test(flavor = "multi_thread")]
async fn what_is_announced_is_what_is_sent() {
    let server = Server::start(both()).await;
    let mut client = server.client().await;
    for sql in [
        "SELECT * FROM profiles",
        "SELECT arrow_cast('a', 'Dictionary(Int32, Utf8)') AS d, arrow_cast('b', 'Utf8View') AS v, [1, 2] AS l",
        "SELECT {'a': arrow_cast('x', 'Utf8View'), 'b': 1} AS s, MAP {'k': 1} AS m, NULL AS n",
        "SELECT 1 AS a, 'x' AS b WHERE false",
        "SHOW PROFILE STORES",
        "EXPLAIN SELECT * FROM events",
        "SELECT event_type, count(*) AS n, min(\"timestamp\") AS t FROM events GROUP BY event_type",
        "CREATE SEGMENT germans AS country = 'DE'",
        "EVALUATE SEGMENT germans",
        "SELECT * FROM audience.germans",
        "SELECT * FROM segment.germans",
        "SELECT * FROM coterie.segments",
        "SET coterie.now = '2026-06-15'",
    ] {
        // `query` compares the columns.
        client.query(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    }
    let rows = client.query("SELECT arrow_cast('a', 'Dictionary(Int32, Utf8)') AS d").await.unwrap();
    assert_eq!(*rows[0].schema().field(0).data_type(), DataType::Utf8);
}

#[tokio::test(flavor = "multi_thread")]
async fn several_statements_run_in_order() {
    let server = Server::start(both()).await;
    let mut client = server.client().await;
    let sql = "CREATE TABLE t AS SELECT 5 AS a; CREATE VIEW w AS SELECT a + 1 AS b FROM t; SELECT b FROM w";
    assert_eq!(client.value(sql).await, "6");
    let error = client.query("SELECT 1;; SELECT b FROM w; SELECT nothing FROM w").await.unwrap_err();
    assert!(error.contains("unknown column `nothing`") && error.contains("^^^^^^^"), "{error}");
    assert!(client.query("").await.unwrap_err().contains("no statement"));
}

#[tokio::test(flavor = "multi_thread")]
async fn prepared_statements_take_typed_parameters() {
    let server = Server::start(both()).await;
    let mut client = server.client().await;
    let sql =
        "SELECT profile_id FROM profiles WHERE country = ? AND birth_date < ? ORDER BY points DESC LIMIT ?";
    let mut prepared = client.0.prepare(sql.to_owned(), None).await.unwrap();
    let kinds: Vec<DataType> =
        prepared.parameter_schema().unwrap().fields().iter().map(|field| field.data_type().clone()).collect();
    assert_eq!(kinds, [DataType::Utf8, DataType::Date32, DataType::Int64]);
    let bind = |country: &str, limit: i32| {
        let columns: [(&str, ArrayRef); 3] = [
            ("1", Arc::new(StringArray::from(vec![country]))),
            ("2", Arc::new(Date32Array::from(vec![20_000]))),
            // Not the type that is wanted, and no value is lost.
            ("3", Arc::new(Int32Array::from(vec![limit]))),
        ];
        RecordBatch::try_from_iter(columns).unwrap()
    };
    for (country, limit, found) in
        [("DE", 5, vec!["p6", "p1"]), ("DE", 1, vec!["p6"]), ("x' OR '1'='1", 5, vec![])]
    {
        prepared.set_parameters(bind(country, limit)).unwrap();
        let info = prepared.execute().await.unwrap();
        let rows = client.fetch(info).await.unwrap();
        let ids = rows.iter().flat_map(|batch| {
            batch.column(0).as_string::<i32>().iter().flatten().map(str::to_owned).collect::<Vec<_>>()
        });
        assert_eq!(ids.collect::<Vec<_>>(), found);
    }
    // Too few, and one of the wrong type.
    prepared.set_parameters(bind("DE", 1).project(&[0, 1]).unwrap()).unwrap();
    let error = prepared.execute().await.unwrap_err().to_string();
    assert!(error.contains("the statement has 3 parameters, and 2 values are given"), "{error}");
    let wrong = RecordBatch::try_from_iter([
        ("1", Arc::new(StringArray::from(vec!["DE"])) as ArrayRef),
        ("2", Arc::new(StringArray::from(vec!["not a day"])) as ArrayRef),
        ("3", Arc::new(Int64Array::from(vec![1])) as ArrayRef),
    ]);
    prepared.set_parameters(wrong.unwrap()).unwrap();
    let error = prepared.execute().await.unwrap_err().to_string();
    assert!(error.contains("error[type]"), "{error}");
    prepared.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn each_set_of_parameters_is_a_run() {
    let server = Server::start(both()).await;
    let mut client = server.client().await;
    let mut prepared =
        client.0.prepare("SELECT CAST($1 AS BIGINT) * 10 AS n".to_owned(), None).await.unwrap();
    let values: ArrayRef = Arc::new(Int64Array::from(vec![Some(1), None, Some(3)]));
    prepared.set_parameters(RecordBatch::try_from_iter([("1", values)]).unwrap()).unwrap();
    let info = prepared.execute().await.unwrap();
    let rows = client.fetch(info).await.unwrap();
    let all: Vec<Option<i64>> = rows
        .iter()
        .flat_map(|batch| batch.column(0).as_primitive::<arrow::datatypes::Int64Type>().iter())
        .collect();
    assert_eq!(all, [Some(10), None, Some(30)]);
}

fn ingest(table: &str, missing: TableNotExistOption, existing: TableExistsOption) -> CommandStatementIngest {
    CommandStatementIngest {
        table_definition_options: Some(TableDefinitionOptions {
            if_not_exist: missing.into(),
            if_exists: existing.into(),
        }),
        table: table.to_owned(),
        schema: None,
        catalog: None,
        temporary: false,
        transaction_id: None,
        options: Default::default(),
    }
}

fn numbers(range: std::ops::Range<i64>) -> RecordBatch {
    let names: StringArray = range.clone().map(|n| (n % 7 != 0).then(|| format!("n{n}"))).collect();
    let columns: [(&str, ArrayRef); 2] =
        [("id", Arc::new(Int64Array::from_iter_values(range))), ("name", Arc::new(names))];
    RecordBatch::try_from_iter(columns).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_are_stored_all_or_not_at_all() {
    use TableExistsOption as E;
    use TableNotExistOption as N;
    let server = Server::start(both()).await;
    let mut client = server.client().await;
    let count = "SELECT count(*) || ' ' || count(name) || ' ' || sum(id) FROM numbers";
    let rows = |range| stream::iter([Ok(numbers(range))]);

    let created =
        client.0.execute_ingest(ingest("numbers", N::Create, E::Fail), rows(0..1000)).await.unwrap();
    assert_eq!((created, client.value(count).await.as_str()), (1000, "1000 857 499500"));
    let again = client.0.execute_ingest(ingest("numbers", N::Create, E::Fail), rows(0..5)).await.unwrap_err();
    assert!(again.to_string().contains("error[conflict]"), "{again}");
    let absent = client.0.execute_ingest(ingest("numbrs", N::Fail, E::Append), rows(0..5)).await.unwrap_err();
    assert!(absent.to_string().contains("did you mean `numbers`"), "{absent}");
    for _ in 0..2 {
        client.0.execute_ingest(ingest("numbers", N::Fail, E::Append), rows(1000..1010)).await.unwrap();
    }
    assert_eq!(client.value(count).await, "1020 873 519590");

    // The client vanishes after many rows: nothing of them is there.
    let (sent, all_sent) = tokio::sync::oneshot::channel();
    let mut sent = Some(sent);
    let many = stream::iter((0..50).map(|n| Ok(numbers(n * 1000..(n + 1) * 1000))));
    let broken = many.chain(stream::poll_fn(move |_| {
        if let Some(sent) = sent.take() {
            sent.send(()).unwrap();
        }
        std::task::Poll::Pending
    }));
    let mut vanishes = server.client().await;
    let call = tokio::spawn(async move {
        vanishes.0.execute_ingest(ingest("numbers", N::Fail, E::Append), broken).await
    });
    all_sent.await.unwrap();
    call.abort();
    assert!(call.await.unwrap_err().is_cancelled());
    // Columns that do not fit.
    let column: ArrayRef = Arc::new(StringArray::from(vec!["x"]));
    let other = RecordBatch::try_from_iter([("id", Arc::clone(&column))]).unwrap();
    let error =
        client.0.execute_ingest(ingest("numbers", N::Fail, E::Append), stream::iter([Ok(other)])).await;
    assert!(error.unwrap_err().to_string().contains("error["));
    let other = RecordBatch::try_from_iter([("idd", column)]).unwrap();
    let error =
        client.0.execute_ingest(ingest("numbers", N::Fail, E::Append), stream::iter([Ok(other)])).await;
    assert!(error.unwrap_err().to_string().contains("no column `idd`"));
    assert_eq!(client.value(count).await, "1020 873 519590");

    client.0.execute_ingest(ingest("numbers", N::Create, E::Replace), rows(5..7)).await.unwrap();
    assert_eq!(client.value(count).await, "2 2 11");
    let view = client.0.execute_ingest(ingest("w", N::Create, E::Replace), rows(0..1)).await;
    assert!(view.is_ok());
    client.query("DROP TABLE w; CREATE VIEW w AS SELECT 1 AS id").await.unwrap();
    let view = client.0.execute_ingest(ingest("w", N::Create, E::Append), rows(0..1)).await.unwrap_err();
    assert!(view.to_string().contains("is a view"), "{view}");
}

#[tokio::test(flavor = "multi_thread")]
async fn writers_at_once_lose_nothing() {
    use TableExistsOption::Append;
    use TableNotExistOption::Create;
    let server = Server::start(both()).await;
    let mut tasks = vec![];
    for n in 0..8 {
        let mut client = server.client().await;
        tasks.push(tokio::spawn(async move {
            let rows = stream::iter([Ok(numbers(n * 100..(n + 1) * 100))]);
            client.0.execute_ingest(ingest("shared", Create, Append), rows).await.unwrap()
        }));
    }
    for task in tasks {
        assert_eq!(task.await.unwrap(), 100);
    }
    let mut client = server.client().await;
    assert_eq!(client.value("SELECT count(DISTINCT id) FROM shared").await, "800");
}

#[tokio::test(flavor = "multi_thread")]
async fn updates_are_counted() {
    let server = Server::start(both()).await;
    let mut client = server.client().await;
    let update =
        async |client: &mut Client, sql: &str| client.0.execute_update(sql.to_owned(), None).await.unwrap();
    assert_eq!(update(&mut client, "CREATE TABLE t AS SELECT 1 AS a").await, 0);
    assert_eq!(update(&mut client, "CREATE SEGMENT germans AS country = 'DE'").await, 0);
    assert_eq!(update(&mut client, "EVALUATE ALL SEGMENTS").await, -1);
    assert_eq!(client.value("SELECT count(*) FROM audience.germans").await, "3");

    update(&mut client, "CREATE TABLE u (id BIGINT, name VARCHAR, at TIMESTAMP)").await;
    assert_eq!(update(&mut client, "INSERT INTO u VALUES (1, 'a', '2024-01-01'), (2, NULL, NULL)").await, 2);
    let mut insert =
        client.0.prepare("INSERT INTO u (id, name) VALUES ($1, $2)".to_owned(), None).await.unwrap();
    let columns: [(&str, ArrayRef); 2] = [
        ("1", Arc::new(Int64Array::from(vec![3, 4]))),
        ("2", Arc::new(StringArray::from(vec![Some("it's"), None]))),
    ];
    insert.set_parameters(RecordBatch::try_from_iter(columns).unwrap()).unwrap();
    assert_eq!(insert.execute_update().await.unwrap(), 2);
    let all = "SELECT string_agg(concat(id, coalesce(name, '-')), ' ' ORDER BY id) FROM u";
    assert_eq!(client.value(all).await, "1a 2- 3it's 4-");
    // All or nothing: the last row fails.
    let error = client
        .query("INSERT INTO u SELECT CASE country WHEN 'DE' THEN 5 ELSE CAST(country AS BIGINT) END, country, NULL FROM profiles")
        .await;
    let error = error.unwrap_err();
    assert!(error.contains("error[execution]"), "{error}");
    assert_eq!(client.value(all).await, "1a 2- 3it's 4-");
    assert_eq!(update(&mut client, "INSERT OVERWRITE u VALUES (9, 'z', NULL)").await, 1);
    assert_eq!(client.value(all).await, "9z");
}

#[tokio::test(flavor = "multi_thread")]
async fn metadata_follows_the_catalog() {
    let server = Server::start(both()).await;
    let mut client = server.client().await;
    client.query("CREATE SEGMENT germans AS country = 'DE'; EVALUATE ALL SEGMENTS").await.unwrap();
    let tables = async |client: &mut Client, schema: Option<&str>, name: Option<&str>, types: &[&str]| {
        let ask = CommandGetTables {
            catalog: None,
            db_schema_filter_pattern: schema.map(str::to_owned),
            table_name_filter_pattern: name.map(str::to_owned),
            table_types: types.iter().map(|kind| (*kind).to_owned()).collect(),
            include_schema: true,
        };
        let info = client.0.get_tables(ask).await.unwrap();
        let mut found = vec![];
        for batch in client.fetch(info).await.unwrap() {
            let column = |at: usize| batch.column(at).as_string::<i32>().clone();
            let (schemas, names, kinds) = (column(1), column(2), column(3));
            let columns = batch.column(4).as_binary::<i32>();
            for row in 0..batch.num_rows() {
                let schema = arrow::ipc::convert::try_schema_from_ipc_buffer(columns.value(row)).unwrap();
                found.push(format!(
                    "{}.{} {} {}",
                    schemas.value(row),
                    names.value(row),
                    kinds.value(row),
                    schema.fields().len()
                ));
            }
        }
        found
    };
    assert_eq!(
        tables(&mut client, Some("public"), None, &[]).await,
        ["public.events TABLE 8", "public.products TABLE 3", "public.profiles TABLE 5"]
    );
    assert_eq!(
        tables(&mut client, Some("%e%"), Some("g_rm%"), &[]).await,
        ["audience.germans TABLE 5", "segment.germans VIEW 1"]
    );
    assert_eq!(tables(&mut client, None, None, &["VIEW"]).await, ["segment.germans VIEW 1"]);
    assert!(
        tables(&mut client, Some("coterie"), None, &[])
            .await
            .contains(&"coterie.queries SYSTEM TABLE 9".to_owned())
    );

    let schemas =
        client.0.get_db_schemas(CommandGetDbSchemas { catalog: None, db_schema_filter_pattern: None });
    let schemas = schemas.await.unwrap();
    let rows = client.fetch(schemas).await.unwrap();
    assert_eq!(rows.iter().map(RecordBatch::num_rows).sum::<usize>(), 4);

    let ask = CommandGetPrimaryKeys { catalog: None, db_schema: None, table: "products".to_owned() };
    let keys = client.0.get_primary_keys(ask).await.unwrap();
    let keys = client.fetch(keys).await.unwrap();
    assert_eq!(keys[0].column(3).as_string::<i32>().value(0), "sku");
    let ask = CommandGetImportedKeys {
        catalog: None,
        db_schema: Some("public".to_owned()),
        table: "events".to_owned(),
    };
    let keys = client.0.get_imported_keys(ask).await.unwrap();
    let keys = client.fetch(keys).await.unwrap();
    let referred: Vec<&str> = keys[0].column(2).as_string::<i32>().iter().flatten().collect();
    assert_eq!(referred, ["profiles", "products"]);

    let info = client.0.get_sql_info(vec![SqlInfo::FlightSqlServerName]).await.unwrap();
    assert_eq!(client.fetch(info).await.unwrap()[0].num_rows(), 1);
    let info = client.0.get_xdbc_type_info(CommandGetXdbcTypeInfo { data_type: None }).await.unwrap();
    assert!(client.fetch(info).await.unwrap()[0].num_rows() > 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_are_a_sessions_own() {
    let server = Server::start(both()).await;
    let (mut one, mut other) = (server.client().await, server.client().await);
    one.query("SET coterie.now = '2020-01-01'").await.unwrap();
    assert_eq!(one.value("SELECT date_part('year', now())").await, "2020");
    assert_eq!(other.value("SELECT date_part('year', now())").await, "2026");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_can_be_seen_and_stopped() {
    let server = Server::start(both()).await;
    let (mut runs, mut stops) = (server.client().await, server.client().await);
    let running = tokio::spawn(async move { runs.query(ENDLESS).await });
    let id = loop {
        let rows = stops.query("SELECT query_id FROM coterie.queries WHERE statement LIKE '%1000000000000%' AND state = 'running' AND statement NOT LIKE '%coterie.queries%' AND state = 'running'").await.unwrap();
        if let Some(batch) = rows.iter().find(|batch| batch.num_rows() > 0) {
            break batch.column(0).as_string::<i32>().value(0).to_owned();
        }
    };
    stops.query(&format!("CANCEL QUERY '{id}'")).await.unwrap();
    let error = running.await.unwrap().unwrap_err();
    assert!(error.contains("error[cancelled]: the statement was cancelled"), "{error}");
    server.is_idle().await;
    let error = stops.query(&format!("CANCEL QUERY '{id}'")).await.unwrap_err();
    assert!(error.contains("error[not_found]"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn drivers_cancel_by_the_info_they_got() {
    let server = Server::start(both()).await;
    let (mut runs, mut stops) = (server.client().await, server.client().await);
    let info = runs.0.execute(ENDLESS.to_owned(), None).await.unwrap();
    let ask = CancelFlightInfoRequest::new(info.clone());
    let running = tokio::spawn(async move { runs.fetch(info).await });
    server.running().await;
    let action = Action::new("CancelFlightInfo", ask.encode_to_vec());
    let mut results = stops.0.do_action(action).await.unwrap();
    let result = CancelFlightInfoResult::decode(results.try_next().await.unwrap().unwrap().body).unwrap();
    assert_eq!(result.status, arrow_flight::CancelStatus::Cancelled as i32);
    assert!(running.await.unwrap().is_err());
    server.is_idle().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn time_and_size_are_limited() {
    let config =
        Config { max_result: Some("1MB".parse().unwrap()), max_sql: Some("1KB".parse().unwrap()), ..both() };
    let server = Server::start(config).await;
    let mut client = server.client().await;
    let error = client.query("SELECT * FROM generate_series(1, 1000000)").await.unwrap_err();
    assert!(error.contains("error[resource]"), "{error}");
    let error = client.query(&format!("SELECT '{}'", "x".repeat(2000))).await.unwrap_err();
    assert!(error.contains("error[resource]"), "{error}");

    let timeout = Some(std::time::Duration::from_millis(300));
    let server = Server::start_with(both(), Options { query_timeout: timeout, ..Options::default() }).await;
    let mut client = server.client().await;
    let error = client.query(ENDLESS).await.unwrap_err();
    assert!(error.contains("error[cancelled]: the statement took longer than 300 ms"), "{error}");
    client.query("SET statement_timeout = '50ms'").await.unwrap();
    assert!(client.query(ENDLESS).await.unwrap_err().contains("longer than 50 ms"));
    server.is_idle().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tickets_are_secret_and_end() {
    let server = Server::with_users().await;
    let (mut ana, mut rex) = (server.client_of("ana").await, server.client_of("rex").await);
    let info = ana.0.execute("SELECT 1 AS a".to_owned(), None).await.unwrap();
    assert!(rex.fetch(info.clone()).await.unwrap_err().contains("unknown or has expired"));
    // The owner may fetch it, and again: drivers retry.
    for _ in 0..2 {
        assert_eq!(ana.fetch(info.clone()).await.unwrap()[0].num_rows(), 1);
    }
    // Not for ever: each holds a plan.
    for _ in 0..300 {
        ana.query("SELECT 1").await.unwrap();
    }
    assert!(ana.fetch(info).await.unwrap_err().contains("unknown or has expired"));
    for garbage in [&b""[..], b"garbage", b"\xff\xff\xff\xff"] {
        assert!(ana.0.do_get(Ticket::new(garbage.to_vec())).await.is_err());
    }
    let mut wrong = server.client().await;
    for (name, password) in [("ana", "wrong"), ("nobody", "wrong")] {
        let error = wrong.0.handshake(name, password).await.unwrap_err().to_string();
        assert!(error.contains("the user name or the password is wrong"), "{error}");
    }
    let error = wrong.query("SELECT 1").await.unwrap_err();
    assert!(error.contains("log in first"), "{error}");
    wrong.0.set_token("made up".to_owned());
    assert!(wrong.query("SELECT 1").await.unwrap_err().contains("the token is unknown or has expired"));

    // A token is good on any connection, until it is given back.
    let token = String::from_utf8(ana.0.handshake("ana", &password("ana")).await.unwrap().to_vec()).unwrap();
    let mut other = server.client().await;
    other.0.set_token(token);
    assert_eq!(other.value("SELECT 1").await, "1");
    let mut closed = other.0.do_action(Action::new("CloseSession", vec![])).await.unwrap();
    assert!(closed.try_next().await.unwrap().is_some());
    assert!(other.query("SELECT 1").await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn long_texts_and_wide_rows_pass() {
    let server = Server::start(both()).await;
    let mut client = server.client().await;
    let long = "x".repeat(1 << 20);
    assert_eq!(client.value(&format!("SELECT length('{long}')")).await, (1 << 20).to_string());
    let columns: Vec<String> = (0..1000).map(|n| format!("{n} AS c{n}")).collect();
    assert_eq!(client.query(&format!("SELECT {}", columns.join(", "))).await.unwrap()[0].num_columns(), 1000);
    let nested = format!("SELECT {}1{}", "(".repeat(30_000), ")".repeat(30_000));
    let error = client.query(&nested).await.unwrap_err();
    assert!(error.contains("error[syntax]"), "{error}");
    let mut prepared = client.0.prepare("SELECT length($1) AS n".to_owned(), None).await.unwrap();
    let value: ArrayRef = Arc::new(StringArray::from(vec!["y".repeat(4 << 20)]));
    let schema = Arc::new(Schema::new(vec![Field::new("1", DataType::Utf8, true)]));
    prepared.set_parameters(RecordBatch::try_new(schema, vec![value]).unwrap()).unwrap();
    let info = prepared.execute().await.unwrap();
    assert_eq!(client.fetch(info).await.unwrap()[0].num_rows(), 1);
}
