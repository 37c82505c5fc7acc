//! Parameters as arguments of table functions, which are called while a statement is planned: over both protocols.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Int64Type};

use super::postgres::{Client, Message, Value, field, kinds, postgres, texts};
use super::{Server, both};

/// Parses and describes a statement as asyncpg does it: with Flush, before any value is there.
async fn described(client: &mut Client, sql: &str, types: &[i32]) -> Vec<Message> {
    let count = i16::try_from(types.len()).unwrap();
    let mut parts: Vec<&dyn super::postgres::Part> = vec![&"s", &sql, &count];
    parts.extend(types.iter().map(|kind| kind as &dyn super::postgres::Part));
    client.send('C', &[&'S', &"s"]).await;
    client.send('P', &parts).await;
    client.send('D', &[&'S', &"s"]).await;
    client.send('H', &[]).await;
    let mut answer = vec![];
    loop {
        let message = client.next().await.unwrap();
        let kind = message.0;
        answer.push(message);
        if matches!(kind, 'T' | 'n' | 'E') {
            return answer;
        }
    }
}

/// The numbers of the types that a statement wants.
fn wanted(answer: &[Message]) -> Vec<i32> {
    let (_, body) = answer.iter().find(|(kind, _)| *kind == 't').unwrap_or_else(|| panic!("{answer:?}"));
    body[2..].chunks(4).map(|number| i32::from_be_bytes(number.try_into().unwrap())).collect()
}

/// The rows of what was described, with values as texts.
async fn bound(client: &mut Client, values: &[&str]) -> Result<Vec<Vec<String>>, (String, String)> {
    let values: Vec<Value<'_>> = values.iter().map(|value| Value(value.as_bytes())).collect();
    let count = i16::try_from(values.len()).unwrap();
    let mut parts: Vec<&dyn super::postgres::Part> = vec![&"", &"s", &0_i16, &count];
    parts.extend(values.iter().map(|value| value as &dyn super::postgres::Part));
    parts.push(&0_i16);
    client.send('B', &parts).await;
    client.send('E', &[&"", &0_i32]).await;
    let mut rows = vec![];
    for (kind, body) in client.sync().await {
        match kind {
            'D' => rows.push(texts(body)),
            'E' => return Err((field(&body, 'C'), field(&body, 'M'))),
            _ => {}
        }
    }
    Ok(rows)
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_describes_them_before_it_has_values() {
    let server = Server::start(postgres()).await;
    let mut client = Client::connect(&server).await;

    let answer = described(&mut client, "SELECT sum(value) AS n FROM generate_series(1, $1)", &[]).await;
    assert_eq!((kinds(&answer).as_str(), wanted(&answer)), ("31tT", vec![20]));
    for (last, sum) in [("4", "10"), ("5", "15")] {
        assert_eq!(bound(&mut client, &[last]).await.unwrap(), [[sum]]);
    }
    // Declared as int4; the same parameter elsewhere, too.
    let sql = "SELECT value FROM range($1, $2 + 1, 2) WHERE value <> $1 ORDER BY value";
    described(&mut client, sql, &[23, 23]).await;
    assert_eq!(bound(&mut client, &["1", "4"]).await.unwrap(), [["3"]]);
    let sql = "SELECT value FROM generate_series($1::date, $2, INTERVAL '1 month')";
    assert_eq!(wanted(&described(&mut client, sql, &[]).await), [1082, 1082]);
    let rows = bound(&mut client, &["2026-01-01", "2026-02-15"]).await.unwrap();
    assert_eq!(rows, [["2026-01-01 00:00:00"], ["2026-02-01 00:00:00"]]);

    let sql = "SELECT profile_id, country FROM matching('shop', $1) JOIN profiles USING (profile_id) \
               WHERE points > $2 ORDER BY profile_id";
    let answer = described(&mut client, sql, &[]).await;
    assert_eq!((kinds(&answer).as_str(), wanted(&answer).first()), ("31tT", Some(&25)));
    assert_eq!(
        bound(&mut client, &["country = 'DE'", "600"]).await.unwrap(),
        client
            .rows("SELECT profile_id, country FROM profiles WHERE country = 'DE' AND points > 600")
            .await
            .unwrap()
    );
    let all = bound(&mut client, &["did(event_type = 'purchase')", "-1"]).await.unwrap();
    assert!(all.len() > 1, "{all:?}");
    // As drivers write them: with a type, or declared as varchar.
    for (sql, types) in [
        ("SELECT count(*) FROM matching('shop', $1::VARCHAR, $2::text)", vec![]),
        ("SELECT count(*) FROM matching('shop', ($1), $2) AS m", vec![1043, 25]),
    ] {
        described(&mut client, sql, &types).await;
        let count = bound(&mut client, &["country = \"DE\"", "pql"]).await.unwrap();
        assert_eq!(count, client.rows("SELECT count(*) FROM profiles WHERE country = 'DE'").await.unwrap());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_says_at_once_what_is_wrong_with_them() {
    let server = Server::start(postgres()).await;
    let mut client = Client::connect(&server).await;
    // Without a Sync: what failed is sent although the Flush behind it is skipped.
    for (sql, state) in [
        ("SELECT * FROM matching($1, 'country = ''DE''')", "0A000"),
        ("SELECT * FROM matching($1)", "42804"),
        ("SELECT * FROM matching('nothing', $1)", "42704"),
        ("SELECT * FROM nothing($1)", "42883"),
        ("CREATE VIEW v AS SELECT * FROM generate_series(1, $1)", "0A000"),
        ("SELECT nothing FROM generate_series(1, $1)", "42703"),
    ] {
        let answer = described(&mut client, sql, &[]).await;
        let (kind, error) = answer.last().unwrap();
        assert_eq!((*kind, field(error, 'C').as_str()), ('E', state), "{sql}: {error:?}");
        client.sync().await;
    }
    described(&mut client, "SELECT * FROM matching('shop', $1)", &[]).await;
    let (state, message) = bound(&mut client, &["contry = 'DE'"]).await.unwrap_err();
    assert_eq!((state.as_str(), message.as_str()), ("42703", "unknown column `contry`"));
    described(&mut client, "SELECT * FROM generate_series(1, 5, $1)", &[]).await;
    assert!(bound(&mut client, &["0"]).await.unwrap_err().1.contains("zero"));
    assert_eq!(bound(&mut client, &["4"]).await.unwrap(), [["1"], ["5"]]);
    // There is nobody to ask for a value.
    assert_eq!(client.state("SELECT * FROM generate_series(1, $1)").await, "42P02");
    // Rules of others' stores are not read through a parameter either, and rows can be stored and copied.
    client.query("CREATE TABLE numbers (n BIGINT)").await;
    described(&mut client, "INSERT INTO numbers SELECT * FROM generate_series(1, $1)", &[]).await;
    bound(&mut client, &["7"]).await.unwrap();
    assert_eq!(client.value("SELECT count(*) FROM numbers").await, "7");
    client.query("PREPARE series AS SELECT count(*) FROM generate_series(1, $1) WHERE value < $2").await;
    assert_eq!(client.value("EXECUTE series(10, 4)").await, "3");
}

#[tokio::test(flavor = "multi_thread")]
async fn flight_sql_tells_their_types_and_columns() {
    let server = Server::start(both()).await;
    let mut client = server.client().await;
    let sql = "SELECT sum(value) AS n FROM generate_series(?, ?)";
    let mut prepared = client.0.prepare(sql.to_owned(), None).await.unwrap();
    let types = |schema: &arrow::datatypes::Schema| {
        schema.fields().iter().map(|field| field.data_type().clone()).collect::<Vec<_>>()
    };
    assert_eq!(types(prepared.parameter_schema().unwrap()), [DataType::Int64, DataType::Int64]);
    assert_eq!(types(prepared.dataset_schema().unwrap()), [DataType::Int64]);
    // Each set of values is a run.
    let numbers = |numbers: Vec<i64>| Arc::new(Int64Array::from(numbers)) as ArrayRef;
    let values = [("1", numbers(vec![1, 3])), ("2", numbers(vec![4, 5]))];
    prepared.set_parameters(RecordBatch::try_from_iter(values).unwrap()).unwrap();
    let info = prepared.execute().await.unwrap();
    let rows = client.fetch(info).await.unwrap();
    let sums: Vec<i64> =
        rows.iter().flat_map(|batch| batch.column(0).as_primitive::<Int64Type>().values().to_vec()).collect();
    assert_eq!(sums, [10, 12]);

    let sql = "SELECT profile_id FROM matching('shop', $1) ORDER BY profile_id LIMIT 1";
    let mut prepared = client.0.prepare(sql.to_owned(), None).await.unwrap();
    assert_eq!(types(prepared.parameter_schema().unwrap()), [DataType::Utf8]);
    let rule = |rule: &str| {
        let rule: ArrayRef = Arc::new(StringArray::from(vec![rule]));
        RecordBatch::try_from_iter([("1", rule)]).unwrap()
    };
    prepared.set_parameters(rule("country = 'DE'")).unwrap();
    let info = prepared.execute().await.unwrap();
    let rows = client.fetch(info).await.unwrap();
    assert_eq!(rows[0].column(0).as_string::<i32>().value(0), "p1");
    // A mistake in a rule is shown in the rule.
    prepared.set_parameters(rule("contry = 'DE'")).unwrap();
    let error = prepared.execute().await.unwrap_err().to_string();
    assert!(error.contains("unknown column `contry`") && error.contains("^^^^^^"), "{error}");
    let error = client.query("SELECT * FROM matching('shop', $1)").await.unwrap_err();
    assert!(error.contains("the statement has 1 parameters, and 0 values are given"), "{error}");
    let error = client.0.prepare("SELECT * FROM matching($1, $2)".to_owned(), None).await.unwrap_err();
    assert!(error.to_string().contains("cannot be a parameter"), "{error}");
}
