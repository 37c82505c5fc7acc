//! PostgreSQL's protocol, message by message. What real drivers make of it is tried in `tests/clients/`.

use std::net::SocketAddr;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::{Buf, BufMut, Bytes, BytesMut};
use coterie::server::{Config, Size, Span};
use ring::{digest, hmac};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{ENDLESS, Server, anywhere, password};

pub(super) fn postgres() -> Config {
    Config { postgres: anywhere(), ..Config::default() }
}

/// The shop with a segment that was evaluated.
async fn shop(config: Config) -> Server {
    let server = Server::start(config).await;
    add_buyers(&server).await;
    server
}

async fn add_buyers(server: &Server) {
    let session = server.engine.session();
    super::run(&session, "CREATE SEGMENT buyers AS did(event_type = 'purchase'); EVALUATE SEGMENT buyers")
        .await
        .unwrap();
}

/// A client that sends and takes messages one by one.
pub(super) struct Client {
    stream: TcpStream,
    arrived: BytesMut,
    /// Its number and its key.
    key: Bytes,
}

/// A message of the server: its first byte and the rest.
pub(super) type Message = (char, Bytes);

fn greeting(parameters: &[(&str, &str)]) -> Vec<u8> {
    let mut body = BytesMut::new();
    body.put_i32(196_608);
    for (name, value) in parameters {
        body.put_slice(format!("{name}\0{value}\0").as_bytes());
    }
    body.put_u8(0);
    framed(&body)
}

fn framed(body: &[u8]) -> Vec<u8> {
    let mut bytes = i32::try_from(body.len() + 4).unwrap().to_be_bytes().to_vec();
    bytes.extend_from_slice(body);
    bytes
}

/// Parts of a message as the protocol has them.
fn body(parts: &[&dyn Part]) -> Vec<u8> {
    let mut bytes = BytesMut::new();
    parts.iter().for_each(|part| part.put(&mut bytes));
    bytes.to_vec()
}

pub(super) trait Part {
    fn put(&self, bytes: &mut BytesMut);
}

impl Part for &str {
    fn put(&self, bytes: &mut BytesMut) {
        bytes.put_slice(self.as_bytes());
        bytes.put_u8(0);
    }
}

impl Part for i16 {
    fn put(&self, bytes: &mut BytesMut) {
        bytes.put_i16(*self);
    }
}

impl Part for i32 {
    fn put(&self, bytes: &mut BytesMut) {
        bytes.put_i32(*self);
    }
}

impl Part for char {
    fn put(&self, bytes: &mut BytesMut) {
        bytes.put_u8(u8::try_from(*self).unwrap());
    }
}

/// A value with its length.
pub(super) struct Value<'a>(pub(super) &'a [u8]);

impl Part for Value<'_> {
    fn put(&self, bytes: &mut BytesMut) {
        bytes.put_i32(i32::try_from(self.0.len()).unwrap());
        bytes.put_slice(self.0);
    }
}

/// The field of an error.
pub(super) fn field(error: &Bytes, name: char) -> String {
    let text = String::from_utf8_lossy(error);
    let found = text.split('\0').find_map(|field| field.strip_prefix(name)).unwrap_or_default();
    found.to_owned()
}

/// The values of a row.
fn values(mut row: Bytes) -> Vec<Option<Bytes>> {
    let count = row.get_i16();
    let value = |_| usize::try_from(row.get_i32()).ok().map(|length| row.split_to(length));
    (0..count).map(value).collect()
}

pub(super) fn texts(row: Bytes) -> Vec<String> {
    let text = |value: Option<Bytes>| {
        value.map_or("NULL".to_owned(), |value| String::from_utf8_lossy(&value).into_owned())
    };
    values(row).into_iter().map(text).collect()
}

impl Client {
    async fn open(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        Self { stream, arrived: BytesMut::new(), key: Bytes::new() }
    }

    pub(super) async fn connect(server: &Server) -> Self {
        Self::connect_with(server, &[("user", "u"), ("database", "coterie")]).await.unwrap()
    }

    async fn connect_with(server: &Server, parameters: &[(&str, &str)]) -> Result<Self, Bytes> {
        let mut client = Self::open(server.servers.postgres.unwrap()).await;
        client.write(&greeting(parameters)).await;
        client.begin().await?;
        Ok(client)
    }

    /// Reads up to the first moment at which the server is ready.
    async fn begin(&mut self) -> Result<(), Bytes> {
        loop {
            match self.next().await.unwrap() {
                ('E', error) => return Err(error),
                ('K', key) => self.key = key,
                ('Z', _) => return Ok(()),
                _ => {}
            }
        }
    }

    /// Logs in with a password.
    async fn log_in(server: &Server, name: &str, password: &str) -> Result<Self, Bytes> {
        let mut client = Self::open(server.servers.postgres.unwrap()).await;
        client.write(&greeting(&[("user", name), ("database", "coterie")])).await;
        let asked = match client.next().await.unwrap() {
            ('E', error) => return Err(error),
            (_, asked) => asked,
        };
        assert_eq!(&asked[..], b"\0\0\0\x0aSCRAM-SHA-256\0\0");
        let bare = "n=,r=abcdefgh";
        let first = format!("n,,{bare}");
        client.send('p', &[&"SCRAM-SHA-256", &Value(first.as_bytes())]).await;
        let (_, reply) = client.next().await.unwrap();
        let reply = String::from_utf8(reply[4..].to_vec()).unwrap();
        let part = |name: &str| reply.split(',').find_map(|part| part.strip_prefix(name)).unwrap().to_owned();
        let (nonce, salt) = (part("r="), STANDARD.decode(part("s=")).unwrap());
        let sign = |key: &[u8], text: &[u8]| {
            hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text).as_ref().to_vec()
        };
        let salted =
            pgwire::api::auth::sasl::scram::gen_salted_password(password, &salt, part("i=").parse().unwrap());
        let client_key = sign(&salted, b"Client Key");
        let stored = digest::digest(&digest::SHA256, &client_key);
        let unsigned = format!("c=biws,r={nonce}");
        let signature = sign(stored.as_ref(), format!("{bare},{reply},{unsigned}").as_bytes());
        let proof: Vec<u8> = client_key.iter().zip(signature).map(|(left, right)| left ^ right).collect();
        let last = format!("{unsigned},p={}", STANDARD.encode(proof));
        client.write(&[&b"p"[..], &framed(last.as_bytes())].concat()).await;
        client.begin().await?;
        Ok(client)
    }

    async fn write(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
    }

    pub(super) async fn send(&mut self, kind: char, parts: &[&dyn Part]) {
        let mut bytes = vec![u8::try_from(kind).unwrap()];
        bytes.extend(framed(&body(parts)));
        self.write(&bytes).await;
    }

    /// The next message; `None` when the server has ended the connection.
    pub(super) async fn next(&mut self) -> Option<Message> {
        loop {
            if let Some(head) = self.arrived.first_chunk::<5>() {
                let [kind, length @ ..] = *head;
                let length = usize::try_from(i32::from_be_bytes(length)).unwrap() + 1;
                if self.arrived.len() >= length {
                    let message = self.arrived.split_to(length).freeze();
                    return Some((char::from(kind), message.slice(5..)));
                }
            }
            let read = tokio::time::timeout(Duration::from_secs(60), self.stream.read_buf(&mut self.arrived));
            if read.await.unwrap().unwrap_or(0) == 0 {
                return None;
            }
        }
    }

    /// The messages up to the next moment at which the server is ready, without that.
    async fn answer(&mut self) -> Vec<Message> {
        let mut messages = vec![];
        loop {
            match self.next().await.unwrap() {
                ('Z', status) => {
                    messages.push(('Z', status));
                    return messages;
                }
                message => messages.push(message),
            }
        }
    }

    pub(super) async fn query(&mut self, sql: &str) -> Vec<Message> {
        self.send('Q', &[&sql]).await;
        self.answer().await
    }

    /// The rows of a statement, or the SQLSTATE and message of its error.
    pub(super) async fn rows(&mut self, sql: &str) -> Result<Vec<Vec<String>>, (String, String)> {
        let mut rows = vec![];
        for (kind, body) in self.query(sql).await {
            match kind {
                'D' => rows.push(texts(body)),
                'E' => return Err((field(&body, 'C'), field(&body, 'M'))),
                _ => {}
            }
        }
        Ok(rows)
    }

    pub(super) async fn value(&mut self, sql: &str) -> String {
        self.rows(sql).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"))[0][0].clone()
    }

    pub(super) async fn state(&mut self, sql: &str) -> String {
        self.rows(sql).await.err().map(|(state, _)| state).unwrap_or_default()
    }

    pub(super) async fn sync(&mut self) -> Vec<Message> {
        self.send('S', &[]).await;
        self.answer().await
    }
}

/// The first bytes of messages.
pub(super) fn kinds(messages: &[Message]) -> String {
    messages.iter().map(|(kind, _)| *kind).collect()
}

/// The state of the error in an answer, whether or not its columns were announced before.
fn state_of(messages: &[Message]) -> String {
    messages.iter().find(|(kind, _)| *kind == 'E').map(|(_, error)| field(error, 'C')).unwrap_or_default()
}

/// The tag of the only statement of an answer.
fn tag(messages: &[Message]) -> String {
    let tag =
        messages.iter().find(|(kind, _)| *kind == 'C').map(|(_, body)| body.clone()).unwrap_or_default();
    String::from_utf8_lossy(&tag).trim_end_matches('\0').to_owned()
}

/// Whether the server is idle, in a block or in a failed one.
fn status(messages: &[Message]) -> char {
    messages.iter().rev().find(|(kind, _)| *kind == 'Z').map(|(_, body)| char::from(body[0])).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn simple_queries_answer_each_statement() {
    let server = shop(postgres()).await;
    let mut client = Client::connect(&server).await;
    let answer = client.query("SELECT 1 AS a; SELECT 'x' AS b WHERE false; SET application_name = 'y'").await;
    assert_eq!(kinds(&answer), "TDCTCCSZ");
    assert_eq!(kinds(&client.query(" ; -- nothing").await), "IZ");
    // A mistake in any of them keeps all from running.
    assert_eq!(client.state("CREATE TABLE never (a BIGINT); SELEC 1").await, "42601");
    assert_eq!(client.state("SELECT * FROM never").await, "42P01");
    assert_eq!(client.rows("SELECT 1, NULL, true, 'é'").await.unwrap(), [["1", "NULL", "t", "é"]]);
    let answer = client.query("SELECT 'é', nothing").await;
    let (_, error) = &answer[0];
    assert_eq!((field(error, 'C').as_str(), field(error, 'P').as_str()), ("42703", "13"));
    assert_eq!(tag(&client.query("CREATE TABLE t (a BIGINT)").await), "CREATE TABLE");
    assert_eq!(tag(&client.query("INSERT INTO t VALUES (1), (2)").await), "INSERT 0 2");
    assert_eq!(client.value("SELECT sum(a) FROM t").await, "3");
    assert_eq!(
        client.value("SELECT count(*) FROM segment.buyers").await,
        client.value("SELECT count(*) FROM audience.buyers").await
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn prepared_statements_say_what_they_want_and_return() {
    let server = Server::start(postgres()).await;
    let mut client = Client::connect(&server).await;
    client.send('P', &[&"s", &"SELECT CAST($1 AS BIGINT) + 1 AS a, $2 AS b", &0_i16]).await;
    client.send('D', &[&'S', &"s"]).await;
    let answer = client.sync().await;
    assert_eq!(kinds(&answer), "1tTZ");
    // int8 and text.
    assert_eq!(&answer[1].1[..], [0, 2, 0, 0, 0, 20, 0, 0, 0, 25]);
    // $1 in binary, $2 in text; a in binary, b in text.
    let one = 41_i64.to_be_bytes();
    client
        .send(
            'B',
            &[&"", &"s", &2_i16, &1_i16, &0_i16, &2_i16, &Value(&one), &Value(b"x"), &2_i16, &1_i16, &0_i16],
        )
        .await;
    client.send('D', &[&'P', &""]).await;
    client.send('E', &[&"", &0_i32]).await;
    let answer = client.sync().await;
    assert_eq!(kinds(&answer), "2TDCZ");
    let row = values(answer[2].1.clone());
    assert_eq!(row, [Some(Bytes::copy_from_slice(&42_i64.to_be_bytes())), Some(Bytes::from_static(b"x"))]);

    // A type that the client declares counts, even where the statement says nothing.
    client.send('P', &[&"", &"SELECT $1 AS a", &1_i16, &23_i32]).await;
    client.send('D', &[&'S', &""]).await;
    let answer = client.sync().await;
    assert_eq!(kinds(&answer), "1tTZ");
    assert_eq!(&answer[1].1[..], [0, 1, 0, 0, 0, 23]);
    assert_eq!(answer[2].1[8 + 2..8 + 6 - 2 + 2], [0, 0, 0, 23][..]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_is_told_and_the_rest_of_the_group_is_skipped() {
    let server = Server::start(postgres()).await;
    let mut client = Client::connect(&server).await;
    client.send('P', &[&"s", &"SELECT CAST($1 AS BIGINT)", &0_i16]).await;
    assert_eq!(kinds(&client.sync().await), "1Z");
    let cases: [(&[&dyn Part], &str); 6] = [
        (&[&"", &"s", &0_i16, &0_i16, &0_i16], "08P01"),
        (&[&"", &"s", &0_i16, &2_i16, &Value(b"1"), &Value(b"2"), &0_i16], "08P01"),
        (&[&"", &"s", &0_i16, &1_i16, &Value(b"x"), &0_i16], "22P02"),
        (&[&"", &"s", &1_i16, &1_i16, &1_i16, &Value(b"x"), &0_i16], "22P03"),
        (&[&"", &"s", &1_i16, &7_i16, &1_i16, &Value(b"1"), &0_i16], "08P01"),
        (&[&"", &"nothing", &0_i16, &0_i16, &0_i16], "26000"),
    ];
    for (bind, state) in cases {
        client.send('B', bind).await;
        client.send('E', &[&"", &0_i32]).await;
        let answer = client.sync().await;
        assert_eq!(kinds(&answer), "EZ");
        assert_eq!(field(&answer[0].1, 'C'), state);
    }
    client.send('P', &[&"s", &"SELECT 1", &0_i16]).await;
    client.send('P', &[&"", &"SELECT 1; SELECT 2", &0_i16]).await;
    let answer = client.sync().await;
    assert_eq!((kinds(&answer).as_str(), field(&answer[0].1, 'C').as_str()), ("EZ", "42P05"));
    client.send('C', &[&'S', &"s"]).await;
    client.send('E', &[&"nothing", &0_i32]).await;
    let answer = client.sync().await;
    assert_eq!((kinds(&answer).as_str(), field(&answer[1].1, 'C').as_str()), ("3EZ", "34000"));
    assert_eq!(client.value("SELECT 1").await, "1");
}

#[tokio::test(flavor = "multi_thread")]
async fn portals_give_their_rows_piece_by_piece() {
    let server = Server::start(postgres()).await;
    let mut client = Client::connect(&server).await;
    client.query("BEGIN").await;
    client.send('P', &[&"", &"SELECT * FROM generate_series(1, 5)", &0_i16]).await;
    client.send('B', &[&"p", &"", &0_i16, &0_i16, &0_i16]).await;
    client.send('E', &[&"p", &2_i32]).await;
    assert_eq!(kinds(&client.sync().await), "12DDsZ");
    client.send('E', &[&"p", &2_i32]).await;
    // Others are served meanwhile.
    client.send('P', &[&"", &"SELECT 7", &0_i16]).await;
    client.send('B', &[&"", &"", &0_i16, &0_i16, &0_i16]).await;
    client.send('E', &[&"", &0_i32]).await;
    client.send('E', &[&"p", &0_i32]).await;
    let answer = client.sync().await;
    assert_eq!(kinds(&answer), "DDs12DCDCZ");
    assert_eq!(texts(answer[7].1.clone()), ["5"]);
    client.query("COMMIT").await;
    client.send('E', &[&"p", &0_i32]).await;
    assert_eq!(kinds(&client.sync().await), "EZ");
    // A portal that is not read to its end ends with the transaction, and with it the statement.
    client.query("BEGIN").await;
    client.send('P', &[&"", &"SELECT * FROM generate_series(1, 100000000)", &0_i16]).await;
    client.send('B', &[&"p", &"", &0_i16, &0_i16, &0_i16]).await;
    client.send('E', &[&"p", &2_i32]).await;
    client.sync().await;
    assert_eq!(server.engine.queries().running().len(), 1);
    client.query("ROLLBACK").await;
    server.is_idle().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn blocks_stay_failed_until_they_end() {
    let server = Server::start(postgres()).await;
    let mut client = Client::connect(&server).await;
    assert_eq!(status(&client.query("BEGIN").await), 'T');
    assert_eq!(status(&client.query("SELECT nothing").await), 'E');
    assert_eq!(client.state("SELECT 1").await, "25P02");
    let end = client.query("COMMIT").await;
    assert_eq!((tag(&end).as_str(), status(&end)), ("ROLLBACK", 'I'));
    client.query("BEGIN; SAVEPOINT a; SET search_path = segment").await;
    assert_eq!(status(&client.query("SELECT nothing").await), 'E');
    assert_eq!(status(&client.query("ROLLBACK TO a").await), 'T');
    assert_eq!(client.value("SHOW search_path").await, "\"$user\", public");
    // What could not be rolled back is refused.
    assert_eq!(client.state("CREATE SEGMENT s AS country = 'DE'").await, "0A000");
    client.query("ROLLBACK").await;
    assert_eq!(client.state("DESCRIBE SEGMENT s").await, "42704");
    assert_eq!(kinds(&client.query("COMMIT").await), "NCZ");
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_are_copied_out_and_in() {
    let server = Server::start(postgres()).await;
    let mut client = Client::connect(&server).await;
    let answer =
        client.query("COPY (SELECT 1 AS a, 'x\ty' AS b UNION ALL SELECT 2, NULL ORDER BY a) TO STDOUT").await;
    assert_eq!(kinds(&answer), "HddcCZ");
    assert_eq!((&answer[1].1[..], &answer[2].1[..]), (&b"1\tx\\ty\n"[..], &b"2\t\\N\n"[..]));
    assert_eq!(tag(&answer), "COPY 2");
    client.query("CREATE TABLE t (a BIGINT, b VARCHAR)").await;
    client.send('Q', &[&"COPY t (b, a) FROM STDIN"]).await;
    assert_eq!(client.next().await.unwrap().0, 'G');
    for piece in [&b"x\t1\n\\N"[..], b"\t2\n", b"z\t3"] {
        client.write(&[b"d", &framed(piece)[..]].concat()).await;
    }
    client.send('c', &[]).await;
    assert_eq!(tag(&client.answer().await), "COPY 3");
    // None of them, if one is wrong, if the client gives up, or vanishes.
    for (piece, end) in [(&b"x\t1\ny\tnone\n"[..], 'c'), (b"x\t1\n", 'f'), (b"x\t1\ty\n", 'c')] {
        client.send('Q', &[&"COPY t (b, a) FROM STDIN"]).await;
        client.next().await;
        client.write(&[b"d", &framed(piece)[..]].concat()).await;
        client.send(end, if end == 'f' { &[&"no"] } else { &[] }).await;
        assert_eq!(kinds(&client.answer().await), "EZ");
    }
    let mut other = Client::connect(&server).await;
    other.send('Q', &[&"COPY t (b, a) FROM STDIN"]).await;
    other.next().await;
    other.write(&[b"d", &framed(b"x\t1\n")[..]].concat()).await;
    drop(other);
    assert_eq!(client.rows("SELECT count(*), sum(a) FROM t").await.unwrap(), [["3", "6"]]);
}

#[tokio::test(flavor = "multi_thread")]
async fn users_log_in_and_strangers_learn_nothing() {
    let server = Server::with_users_and(postgres()).await;
    add_buyers(&server).await;
    let mut ana = Client::log_in(&server, "ana", &password("ana")).await.unwrap();
    assert_eq!(ana.value("SELECT current_user").await, "ana");
    assert_eq!(tag(&ana.query("CREATE TABLE mine AS SELECT 1 AS a").await), "CREATE TABLE");
    let mut rex = Client::log_in(&server, "rex", &password("rex")).await.unwrap();
    assert_eq!(rex.state("DROP TABLE mine").await, "42501");
    let wrong = Client::log_in(&server, "ana", "wrong").await.err().unwrap();
    let unknown = Client::log_in(&server, "nobody", "wrong").await.err().unwrap();
    assert_eq!(wrong, unknown);
    assert_eq!((field(&wrong, 'S').as_str(), field(&wrong, 'C').as_str()), ("FATAL", "28P01"));

    // What may not be read is not listed.
    let mut aud = Client::log_in(&server, "aud", &password("aud")).await.unwrap();
    assert_eq!(aud.state("SELECT * FROM public.profiles").await, "42501");
    let listed =
        "SELECT relname FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace WHERE nspname = ";
    assert_eq!(aud.rows(&format!("{listed}'public'")).await.unwrap(), Vec::<Vec<String>>::new());
    assert_ne!(aud.rows(&format!("{listed}'segment'")).await.unwrap(), Vec::<Vec<String>>::new());
    assert_eq!(
        aud.rows("SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'")
            .await
            .unwrap()
            .len(),
        0
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_stops_what_its_connection_does() {
    let server = Server::start(postgres()).await;
    let mut client = Client::connect(&server).await;
    client.send('Q', &[&ENDLESS]).await;
    server.running().await;
    let cancel = |key: &[u8]| [&16_i32.to_be_bytes()[..], &80_877_102_i32.to_be_bytes(), key].concat();
    let mut wrong = client.key.to_vec();
    wrong[7] ^= 1;
    let mut other = Client::open(server.servers.postgres.unwrap()).await;
    other.write(&cancel(&wrong)).await;
    assert_eq!(other.next().await, None);
    assert_eq!(server.engine.queries().running().len(), 1);
    let mut other = Client::open(server.servers.postgres.unwrap()).await;
    other.write(&cancel(&client.key)).await;
    assert_eq!(state_of(&client.answer().await), "57014");
    server.is_idle().await;
    // By another session, and by the clock.
    client.send('Q', &[&ENDLESS]).await;
    let query = server.running().await;
    let mut other = Client::connect(&server).await;
    assert_eq!(
        other
            .value("SELECT protocol FROM coterie.queries WHERE statement NOT LIKE '%coterie.queries%'")
            .await,
        "postgres"
    );
    other.query(&format!("CANCEL QUERY '{}'", query.id)).await;
    assert_eq!(state_of(&client.answer().await), "57014");
    client.query("SET statement_timeout = '200ms'").await;
    assert_eq!(client.state(ENDLESS).await, "57014");
    assert_eq!(client.value("SELECT 1").await, "1");
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_that_vanish_or_never_read_leave_nothing_behind() {
    let server = Server::start(postgres()).await;
    for sql in [
        ENDLESS,
        "SELECT * FROM generate_series(1, 1000000000)",
        "COPY (SELECT * FROM generate_series(1, 1000000000)) TO STDOUT",
    ] {
        let mut client = Client::connect(&server).await;
        client.send('Q', &[&sql]).await;
        let query = server.running().await;
        // As many rows as fit between the two, and no more.
        let mut before = u64::MAX;
        while before != query.rows() {
            before = query.rows();
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        assert!(before < 3_000_000, "{before} rows for a client that does not read");
        drop(client);
        server.is_idle().await;
    }
    let mut client = Client::connect(&server).await;
    assert_eq!(client.value("SELECT 1").await, "1");
    for _ in 0..500 {
        if server.servers.connections() <= 1 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("{} connections are open", server.servers.connections());
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_ends_its_connection_and_no_other() {
    let config = Config { max_message: Some(Size(1 << 20)), max_sql: Some(Size(1000)), ..postgres() };
    let server = Server::start(config).await;
    let mut witness = Client::connect(&server).await;
    let address = server.servers.postgres.unwrap();
    let noise: Vec<u8> =
        (0..5000_u32).map(|n| u8::try_from(n.wrapping_mul(2_654_435_761) >> 24).unwrap()).collect();
    for bytes in [
        &noise[..],
        &[0; 100],
        b"GET / HTTP/1.1\r\n\r\n",
        b"\0\0\0\x08\x04\xd2\x16\x2fgarbage",
        b"\x16\x03\x01\0\x05abc",
        b"\0\0",
    ] {
        super::hostile::closes(address, bytes).await;
    }
    for bytes in [
        &b"?\0\0\0\x04"[..],
        b"Q\x7f\xff\xff\xff",
        b"Q\0\0\0\x03",
        b"P\0\0\0\x08abcd",
        b"B\0\0\0\x0c\0\0\xff\xff\0\0\0\0",
        b"DXXXX",
    ] {
        let mut client = Client::connect(&server).await;
        client.write(bytes).await;
        let (kind, error) = client.next().await.unwrap();
        assert_eq!(
            (kind, field(&error, 'S').as_str(), field(&error, 'C').as_str()),
            ('E', "FATAL", "08P01"),
            "{bytes:?}"
        );
        assert_eq!(client.next().await, None);
    }
    assert_eq!(witness.state(&format!("SELECT 1 -- {}", "x".repeat(1000))).await, "54000");
    witness.write(&[b"Q", &framed(b"SELECT '\xff'\0")[..]].concat()).await;
    assert_eq!(field(&witness.answer().await[0].1, 'C'), "22021");
    let deep = format!("SELECT {}1{}", "(".repeat(400), ")".repeat(400));
    assert_eq!(witness.state(&deep).await, "54001");
    assert_eq!(witness.value("SELECT 1").await, "1");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_comes_too_late_or_wrongly_is_told_so() {
    let server = shop(Config { max_connections: Some(2), ..postgres() }).await;
    let refused = |parameters: &'static [(&str, &str)]| {
        let server = &server;
        async move {
            let error = Client::connect_with(server, parameters).await.err().unwrap();
            (field(&error, 'S'), field(&error, 'C'))
        }
    };
    let fatal = |state: &str| ("FATAL".to_owned(), state.to_owned());
    assert_eq!(refused(&[("user", "u"), ("database", "other")]).await, fatal("3D000"));
    assert_eq!(refused(&[("database", "coterie")]).await, fatal("28000"));
    assert_eq!(refused(&[("user", "u"), ("nothing", "x")]).await, fatal("42704"));
    assert_eq!(refused(&[("user", "u"), ("replication", "true")]).await, fatal("0A000"));
    let mut one = Client::connect_with(&server, &[("user", "u"), ("options", "-c search_path=audience")])
        .await
        .unwrap();
    let _two = Client::connect(&server).await;
    assert_eq!(refused(&[("user", "u")]).await, fatal("53300"));
    assert_eq!(one.value("SELECT current_schema()").await, "audience");
    assert_eq!(one.value("SELECT count(*) > 0 FROM buyers").await, "t");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_the_server_is_told() {
    let config = Config { shutdown_timeout: Some(Span(Duration::from_secs(20))), ..postgres() };
    let server = Server::start(config).await;
    let (mut idle, mut busy) = (Client::connect(&server).await, Client::connect(&server).await);
    busy.send('Q', &[&"SELECT count(*) FROM generate_series(1, 3000000) t (v) WHERE v % 7 = 3"]).await;
    server.running().await;
    server.servers.shut_down().await;
    let (kind, error) = idle.next().await.unwrap();
    assert_eq!((kind, field(&error, 'C').as_str()), ('E', "57P01"));
    assert_eq!(idle.next().await, None);
    // What ran has come to its end.
    let answer = busy.answer().await;
    assert_eq!(kinds(&answer), "TDCZ");
    assert_eq!(busy.next().await.unwrap().0, 'E');
}

#[tokio::test(flavor = "multi_thread")]
async fn the_catalog_tells_of_tables_segments_and_keys() {
    let server = shop(postgres()).await;
    let mut client = Client::connect(&server).await;
    let columns = "SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute \
                   WHERE attrelid = 'profiles'::regclass AND attnum > 0 ORDER BY attnum LIMIT 1";
    let first = client.rows(columns).await.unwrap();
    assert_eq!(first.len(), 1);
    assert_eq!(
        client.value("SELECT conrelid::regclass FROM pg_constraint WHERE contype = 'p' LIMIT 1").await,
        "profiles"
    );
    assert_eq!(
        client.value("SELECT relkind FROM pg_class WHERE oid = 'segment.buyers'::regclass").await,
        "v"
    );
    assert_eq!(client.value("SELECT 'audience.buyers'::regclass::text").await, "audience.buyers");
    assert_eq!(client.state("SELECT 'nothing'::regclass").await, "42P01");
    assert_eq!(
        client
            .value("SELECT table_type FROM information_schema.tables WHERE table_schema = 'segment' LIMIT 1")
            .await,
        "VIEW"
    );
    // The numbers of things are the same for everyone.
    let number = "SELECT oid FROM pg_class WHERE relname = 'profiles'";
    let mut other = Client::connect(&server).await;
    assert_eq!(client.value(number).await, other.value(number).await);
    // Other protocols see none of it.
    let session = server.engine.session();
    assert!(super::run(&session, "SELECT * FROM pg_catalog.pg_class").await.is_err());
}
