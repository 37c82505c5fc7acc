//! HTTP: health, metrics, SQL.

use std::net::SocketAddr;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{Server, both};

/// The status, the head and the body of a request's answer.
async fn request(address: SocketAddr, head: &str, body: &[u8]) -> (u16, String, Vec<u8>) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let length = body.len();
    let host = if head.contains("Host:") { String::new() } else { format!("Host: {address}\r\n") };
    let text = format!("{head}\r\n{host}Connection: close\r\nContent-Length: {length}\r\n\r\n");
    stream.write_all(text.as_bytes()).await.unwrap();
    stream.write_all(body).await.unwrap();
    let mut answer = vec![];
    stream.read_to_end(&mut answer).await.unwrap();
    let end = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n").unwrap();
    let head = String::from_utf8(answer[..end].to_vec()).unwrap();
    let mut body = answer[end + 4..].to_vec();
    if head.to_lowercase().contains("transfer-encoding: chunked") {
        body = unchunked(&body);
    }
    (head[9..12].parse().unwrap(), head, body)
}

fn unchunked(mut body: &[u8]) -> Vec<u8> {
    let mut whole = vec![];
    while let Some(end) = body.windows(2).position(|bytes| bytes == b"\r\n") {
        let length = usize::from_str_radix(std::str::from_utf8(&body[..end]).unwrap(), 16).unwrap();
        if length == 0 {
            break;
        }
        whole.extend_from_slice(&body[end + 2..end + 2 + length]);
        body = &body[end + 4 + length..];
    }
    whole
}

async fn sql(server: &Server, accept: &str, ask: Value) -> (u16, Vec<u8>) {
    let head = format!("POST /v1/sql HTTP/1.1\r\nContent-Type: application/json\r\nAccept: {accept}");
    let (status, _, body) = request(server.servers.http.unwrap(), &head, ask.to_string().as_bytes()).await;
    (status, body)
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_come_in_the_format_that_is_asked_for() {
    let server = Server::start(both()).await;
    let ask =
        json!({ "sql": "SELECT 1 AS a, 'x,y' AS b, NULL AS c UNION ALL SELECT 2, 'ü', NULL ORDER BY a" });
    let (status, body) = sql(&server, "application/json", ask.clone()).await;
    let body: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(
        (status, &body["rows"]),
        (200, &json!([{"a": 1, "b": "x,y", "c": null}, {"a": 2, "b": "ü", "c": null}]))
    );
    assert_eq!(body["columns"][0], json!({"name": "a", "type": "Int64"}));
    let (_, body) = sql(&server, "text/csv", ask.clone()).await;
    assert_eq!(String::from_utf8(body).unwrap(), "a,b,c\n1,\"x,y\",\n2,ü,\n");
    let (_, body) = sql(&server, "application/x-ndjson", ask.clone()).await;
    assert_eq!(String::from_utf8(body).unwrap().lines().count(), 2);
    let (_, body) = sql(&server, "application/vnd.apache.arrow.stream", ask.clone()).await;
    let rows: Vec<_> =
        arrow::ipc::reader::StreamReader::try_new(&body[..], None).unwrap().map(Result::unwrap).collect();
    assert_eq!(rows.iter().map(|batch| batch.num_rows()).sum::<usize>(), 2);
    assert_eq!(sql(&server, "image/png", ask).await.0, 406);

    let (_, body) = sql(
        &server,
        "text/csv",
        json!({ "sql": "SELECT profile_id, interests FROM profiles ORDER BY 1 LIMIT 2" }),
    )
    .await;
    assert_eq!(
        String::from_utf8(body).unwrap(),
        "profile_id,interests\np1,\"[cycling, gaming]\"\np2,[cycling]\n"
    );
    // Many batches are one array.
    let (_, body) = sql(&server, "*/*", json!({ "sql": "SELECT * FROM generate_series(1, 50000)" })).await;
    let body: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(body["rows"].as_array().unwrap().len(), 50_000);
    let (_, body) = sql(&server, "*/*", json!({ "sql": "SELECT 1 AS a WHERE false" })).await;
    assert_eq!(serde_json::from_slice::<Value>(&body).unwrap()["rows"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_carry_parameters_and_settings() {
    let server = Server::start(both()).await;
    let ask = json!({
        "sql": "SELECT profile_id FROM profiles WHERE country = $1 AND points > $2 AND date_part('year', now()) = 2020",
        "parameters": ["DE", 600],
        "settings": { "coterie.now": "2020-01-01" }
    });
    let (status, body) = sql(&server, "text/csv", ask).await;
    assert_eq!((status, String::from_utf8(body).unwrap().as_str()), (200, "profile_id\np6\n"));
    for (ask, status, kind) in [
        (json!({ "sql": "SELECT $1", "parameters": [] }), 400, "type"),
        (json!({ "sql": "SELECT 1", "parameters": [[1]] }), 400, "type"),
        (json!({ "sql": "SELEC 1" }), 400, "syntax"),
        (json!({ "sql": "SELECT * FROM nothing" }), 404, "not_found"),
        (json!({ "sql": "SELECT CAST(country AS INT) FROM profiles" }), 422, "execution"),
        (json!({ "sql": "SELECT 1", "settings": { "nothing": "1" } }), 400, "name"),
        (json!({ "sql": "" }), 400, "usage"),
        (json!({ "query": "SELECT 1" }), 400, "usage"),
    ] {
        let (found, body) = sql(&server, "*/*", ask.clone()).await;
        let body: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!((found, body["error"]["kind"].as_str().unwrap()), (status, kind), "{ask} {body}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn health_and_metrics_are_told() {
    let server = Server::start(both()).await;
    let mut client = server.client().await;
    client
        .query("CREATE SEGMENT germans AS country = 'DE'; EVALUATE ALL SEGMENTS; SELECT * FROM profiles")
        .await
        .unwrap();
    client.query("SELECT * FROM nothing").await.unwrap_err();
    let http = server.servers.http.unwrap();
    assert_eq!(request(http, "GET /healthz HTTP/1.1", b"").await.0, 200);
    assert_eq!(request(http, "GET /readyz HTTP/1.1", b"").await.0, 200);
    let (_, _, body) = request(http, "GET /openapi.json HTTP/1.1", b"").await;
    assert_eq!(serde_json::from_slice::<Value>(&body).unwrap()["openapi"], "3.1.0");
    let (status, _, body) = request(http, "GET /metrics HTTP/1.1", b"").await;
    let text = String::from_utf8(body).unwrap();
    assert_eq!(status, 200);
    for line in [
        "coterie_queries_total{protocol=\"flight\",outcome=\"done\"}",
        "coterie_errors_total{kind=\"not_found\"} 1",
        "coterie_evaluations_total 1",
        "coterie_audience_members{segment=\"germans\"} 3",
        "coterie_audience_age_seconds{segment=\"germans\"}",
        "coterie_query_seconds_bucket{",
        "coterie_query_memory_bytes",
        "coterie_connections",
        "# EOF",
    ] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn web_pages_of_others_get_nothing() {
    let server = Server::start(both()).await;
    let http = server.servers.http.unwrap();
    let body = br#"{"sql": "SELECT 1"}"#;
    let json = "Content-Type: application/json";
    for (head, status) in [
        (format!("POST /v1/sql HTTP/1.1\r\n{json}"), 200),
        ("POST /v1/sql HTTP/1.1\r\nContent-Type: text/plain".to_owned(), 400),
        ("POST /v1/sql HTTP/1.1".to_owned(), 400),
        (format!("POST /v1/sql HTTP/1.1\r\n{json}\r\nHost: evil.example"), 403),
        (format!("POST /v1/sql HTTP/1.1\r\n{json}\r\nOrigin: https://evil.example"), 403),
        ("GET /metrics HTTP/1.1\r\nHost: evil.example".to_owned(), 403),
    ] {
        assert_eq!(request(http, &head, body).await.0, status, "{head}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn users_log_in_with_every_request() {
    use base64::Engine;
    let server = Server::with_users().await;
    let http = server.servers.http.unwrap();
    let as_user = |name: &str, password: &str| {
        let encoded = base64::engine::general_purpose::STANDARD.encode(format!("{name}:{password}"));
        format!("POST /v1/sql HTTP/1.1\r\nContent-Type: application/sql\r\nAuthorization: Basic {encoded}")
    };
    let rex = as_user("rex", "rex's secret");
    assert_eq!(request(http, &rex, b"SELECT count(*) FROM profiles").await.0, 200);
    assert_eq!(request(http, &rex, b"CREATE TABLE t AS SELECT 1 AS a").await.0, 403);
    let (status, head, wrong) = request(http, &as_user("rex", "wrong"), b"SELECT 1").await;
    assert_eq!(status, 401);
    assert!(head.to_lowercase().contains("www-authenticate: basic"), "{head}");
    let (_, _, unknown) = request(http, &as_user("nobody", "wrong"), b"SELECT 1").await;
    assert_eq!(wrong, unknown);
    assert_eq!(request(http, "GET /metrics HTTP/1.1", b"").await.0, 401);
    assert_eq!(request(http, "GET /healthz HTTP/1.1", b"").await.0, 200);
}
