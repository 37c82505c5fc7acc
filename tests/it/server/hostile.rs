//! Clients that are broken, slow or malicious: the others notice nothing.

use std::net::SocketAddr;
use std::time::Duration;

use futures::TryStreamExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use coterie::server::Config;

use super::{ENDLESS, Server, both};

/// Says something that is no request: the server ends the connection.
pub(super) async fn closes(address: SocketAddr, bytes: &[u8]) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    // The server may close before everything is written.
    let _ = stream.write_all(bytes).await;
    let _ = stream.shutdown().await;
    let mut answer = vec![];
    let read = tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut answer)).await;
    assert!(read.is_ok(), "the connection stays open");
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_is_answered_by_closing() {
    let server = Server::start(both()).await;
    let random: Vec<u8> =
        (0..10_000_u32).map(|n| u8::try_from(n.wrapping_mul(2_654_435_761) >> 24).unwrap()).collect();
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    let huge_frame = [&preface[..], &[0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 1]].concat();
    let half = b"PRI * HT".to_vec();
    let handshake = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec();
    for address in [server.servers.flight.unwrap(), server.servers.http.unwrap()] {
        for bytes in
            [&random, &huge_frame, &handshake, &half, &b"GET / HTTP/9.9\r\n\r\n".to_vec(), &vec![0; 100_000]]
        {
            closes(address, bytes).await;
        }
    }
    assert_eq!(server.client().await.value("SELECT 1").await, "1");
    connections_fall_to(&server, 1).await;
}

async fn connections_fall_to(server: &Server, most: i64) {
    for _ in 0..500 {
        if server.servers.connections() <= most {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("{} connections are open", server.servers.connections());
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_that_vanish_leave_nothing_behind() {
    let server = Server::start(both()).await;
    for _ in 0..3 {
        let mut client = server.client().await;
        let running = tokio::spawn(async move { client.query(ENDLESS).await });
        server.running().await;
        running.abort();
        server.is_idle().await;
    }
    // In the middle of the rows.
    let mut client = server.client().await;
    let info =
        client.0.execute("SELECT * FROM generate_series(1, 100000000)".to_owned(), None).await.unwrap();
    let ticket = info.endpoint[0].ticket.clone().unwrap();
    let mut rows = client.0.do_get(ticket).await.unwrap();
    assert!(rows.try_next().await.unwrap().is_some());
    drop(rows);
    drop(client);
    server.is_idle().await;
    connections_fall_to(&server, 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_does_not_read_holds_a_few_batches_only() {
    let server = Server::start(both()).await;
    let mut slow = server.client().await;
    let info = slow.0.execute("SELECT * FROM generate_series(1, 1000000000)".to_owned(), None).await.unwrap();
    let mut rows = slow.0.do_get(info.endpoint[0].ticket.clone().unwrap()).await.unwrap();
    assert!(rows.try_next().await.unwrap().is_some());
    // The server goes on until its windows are full, and then waits.
    let query = server.running().await;
    let mut before = query.rows();
    loop {
        tokio::time::sleep(Duration::from_millis(300)).await;
        let now = query.rows();
        if now == before {
            break;
        }
        before = now;
    }
    assert!(before < 20_000_000, "{before} rows were made for nobody");
    assert_eq!(server.client().await.value("SELECT 1").await, "1");
    // It can be stopped though nobody reads.
    query.cancel("");
    server.is_idle().await;
    let rest: Result<Vec<_>, _> = rows.try_collect().await;
    assert!(rest.unwrap_err().to_string().contains("error[cancelled]"));
}

#[tokio::test(flavor = "multi_thread")]
async fn silent_connections_are_closed_and_too_many_refused() {
    let idle = Some("300ms".parse().unwrap());
    let server = Server::start(Config { idle_timeout: idle, max_connections: Some(3), ..both() }).await;
    let address = server.servers.flight.unwrap();
    let mut silent = vec![];
    for _ in 0..3 {
        silent.push(TcpStream::connect(address).await.unwrap());
    }
    // One more is closed at once, or as soon as the others are in.
    let mut extra = TcpStream::connect(address).await.unwrap();
    let mut answer = vec![];
    tokio::time::timeout(Duration::from_secs(20), extra.read_to_end(&mut answer)).await.unwrap().unwrap_or(0);
    for mut stream in silent {
        let read = tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut answer)).await;
        assert!(read.is_ok(), "a silent connection stays open");
    }
    connections_fall_to(&server, 0).await;
    assert_eq!(server.client().await.value("SELECT 1").await, "1");
}

#[tokio::test(flavor = "multi_thread")]
async fn many_clients_at_once_are_served() {
    let server = Server::start(both()).await;
    let mut tasks = vec![];
    for n in 0..16 {
        let mut client = server.client().await;
        tasks.push(tokio::spawn(async move {
            for m in 0..5 {
                let sql = format!(
                    "SELECT count(*) + {n} * {m} FROM events e JOIN profiles p ON e.profile_id = p.profile_id"
                );
                assert_eq!(client.value(&sql).await, (15 + n * m).to_string());
            }
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_waits_for_what_runs_and_then_stops_it() {
    let patience = Some("300ms".parse().unwrap());
    let server = Server::start(Config { shutdown_timeout: patience, ..both() }).await;
    let mut client = server.client().await;
    let running = tokio::spawn(async move { client.query(ENDLESS).await });
    server.running().await;
    let address = server.servers.flight.unwrap();
    let Server { servers, engine, _folder } = server;
    servers.shut_down().await;
    assert!(running.await.unwrap().unwrap_err().contains("error[cancelled]"));
    assert!(engine.queries().running().is_empty());
    assert!(TcpStream::connect(address).await.is_err());
}
