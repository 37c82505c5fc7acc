//! Remote stores that refuse: each failure names the bucket and says what to check, within seconds.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

/// Answers every request with one status and body, as S3 would; returns the address.
fn endpoint(status: &'static str, code: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    // Ends with the process.
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
            let head = lines.next().is_some_and(|line| line.is_ok_and(|line| line.starts_with("HEAD")));
            while lines.next().is_some_and(|line| line.is_ok_and(|line| !line.is_empty())) {}
            let body = format!("<Error><Code>{code}</Code><Message>No.</Message></Error>");
            let length = body.len();
            let body = if head { "" } else { &body };
            let head = format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n");
            let _ = stream.write_all(format!("{head}{body}").as_bytes());
        }
    });
    address
}

/// Runs one statement with S3 at `endpoint`.
fn run(endpoint: &str, arguments: &[&str], allow_http: bool) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_coterie"));
    command.args(arguments).env_clear();
    command
        .env("AWS_ENDPOINT_URL", endpoint)
        .env("AWS_ACCESS_KEY_ID", "me")
        .env("AWS_SECRET_ACCESS_KEY", "secret");
    if allow_http {
        command.env("AWS_ALLOW_HTTP", "true");
    }
    command.output().unwrap()
}

/// The error of declaring a table at `location`; the command must fail with status 2, and soon.
fn fails(endpoint: &str, location: &str) -> String {
    let started = Instant::now();
    let sql = format!("CREATE EXTERNAL TABLE t STORED AS PARQUET LOCATION '{location}'");
    let output = run(endpoint, &["sql", "-c", &sql], true);
    let shown = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{shown}");
    assert!(started.elapsed() < Duration::from_secs(30), "{shown}");
    shown
}

#[test]
fn wrong_credentials_name_the_bucket_and_the_variables() {
    let endpoint = endpoint("403 Forbidden", "InvalidAccessKeyId");
    for location in ["s3://lake/events.parquet", "s3://lake/events/"] {
        let shown = fails(&endpoint, location);
        assert!(shown.contains("error[storage]: access to `s3://lake"), "{shown}");
        assert!(shown.contains("AWS_ACCESS_KEY_ID"), "{shown}");
    }
}

#[test]
fn a_missing_bucket_is_told_from_a_missing_file() {
    let missing = endpoint("404 Not Found", "NoSuchBucket");
    for location in ["s3://lake/events.parquet", "s3://lake/events/", "s3://lake/events/*.parquet"] {
        let shown = fails(&missing, location);
        assert!(shown.contains("error[storage]: the bucket `s3://lake` does not exist"), "{shown}");
    }
}

#[test]
fn nobody_at_the_endpoint_is_noticed_within_seconds() {
    // Bound and dropped: the port is free, so connections are refused.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let shown = fails(&format!("http://127.0.0.1:{port}"), "s3://lake/events.parquet");
    assert!(shown.contains("error[storage]: cannot reach `s3://lake` at http://127.0.0.1:"), "{shown}");
    assert!(shown.contains("check the address"), "{shown}");
}

#[test]
fn an_endpoint_without_tls_must_be_allowed() {
    let endpoint = endpoint("403 Forbidden", "AccessDenied");
    let sql = "CREATE EXTERNAL TABLE t STORED AS PARQUET LOCATION 's3://lake/events.parquet'";
    let output = run(&endpoint, &["sql", "-c", sql], false);
    let shown = String::from_utf8(output.stderr).unwrap();
    assert!(shown.contains("AWS_ALLOW_HTTP=true"), "{shown}");
}

#[test]
fn a_warehouse_in_a_missing_bucket_is_refused() {
    let endpoint = endpoint("404 Not Found", "NoSuchBucket");
    let output = run(&endpoint, &["--warehouse", "s3://lake/warehouse", "sql", "-c", "SELECT 1"], true);
    let shown = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{shown}");
    assert!(shown.contains("the bucket `s3://lake` does not exist"), "{shown}");
}
