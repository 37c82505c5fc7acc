//! Who may do what, over the wire.

use super::Server;

#[tokio::test(flavor = "multi_thread")]
async fn roles_say_which_statements() {
    let server = Server::with_users().await;
    let (mut max, mut ana, mut rex) =
        (server.client_of("max").await, server.client_of("ana").await, server.client_of("rex").await);
    let folder = tempfile::tempdir().unwrap();
    let files = folder.path().join("secret");
    std::fs::create_dir(&files).unwrap();
    std::fs::write(files.join("one.csv"), "a\n1\n").unwrap();
    let file = files.display();
    let author = [
        "CREATE SEGMENT germans AS country = 'DE'".to_owned(),
        "EVALUATE SEGMENT germans".to_owned(),
        "DROP SEGMENT germans".to_owned(),
        "CREATE TABLE t AS SELECT 1 AS a".to_owned(),
        "CREATE VIEW v AS SELECT 1 AS a".to_owned(),
        "DROP VIEW v".to_owned(),
        "DROP TABLE t".to_owned(),
        "CREATE TABLE t (a BIGINT); INSERT INTO t VALUES (1), (2)".to_owned(),
        "DROP TABLE t".to_owned(),
        "EXPLAIN ANALYZE SELECT 1; PREPARE p AS SELECT 1; EXECUTE p".to_owned(),
    ];
    let admin = [
        format!("CREATE EXTERNAL TABLE x STORED AS CSV LOCATION '{file}/'"),
        "INSERT INTO x VALUES (2)".to_owned(),
        format!("COPY (SELECT 1) TO '{file}.out' STORED AS CSV"),
        format!("EXPLAIN ANALYZE COPY (SELECT 1) TO '{file}.out' STORED AS CSV"),
        "SET datafusion.execution.batch_size = 100000".to_owned(),
    ];
    for sql in &author[..7] {
        let error = rex.query(sql).await.unwrap_err();
        assert!(error.contains("error[permission]: `rex` is reader and may not"), "{sql}: {error}");
    }
    for sql in &author {
        ana.query(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    }
    for sql in &admin {
        for client in [&mut rex, &mut ana] {
            let error = client.query(sql).await.unwrap_err();
            assert!(error.contains("error[permission]"), "{sql}: {error}");
        }
        max.query(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    }
    // What a reader may: look, ask rules ad hoc, and count without storing.
    for sql in [
        "SELECT count(*) FROM profiles",
        "SELECT * FROM matching('shop', $$ country = 'DE' $$)",
        "SHOW SEGMENTS",
        "SET coterie.now = '2026-06-01'",
        "PREPARE p AS SELECT $1 + 1; EXECUTE p (1); DEALLOCATE p",
    ] {
        rex.query(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    }
    // No file can be read by its name.
    for sql in [format!("SELECT * FROM '{file}/one.csv'"), "SELECT * FROM '/etc/passwd'".to_owned()] {
        assert!(rex.query(&sql).await.unwrap_err().contains("error["), "{sql}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn grants_say_which_tables() {
    let server = Server::with_users().await;
    let (mut ana, mut aud) = (server.client_of("ana").await, server.client_of("aud").await);
    ana.query(
        "CREATE SEGMENT buyers AS did(event_type = 'purchase');
         CREATE SEGMENT germans AS country = 'DE';
         CREATE VIEW everyone AS SELECT * FROM profiles;
         EVALUATE ALL SEGMENTS",
    )
    .await
    .unwrap();
    for sql in [
        "SELECT count(*) FROM audience.germans",
        "SELECT count(*) FROM audience.buyers",
        "SELECT count(*) FROM segment.buyers",
        "DESCRIBE SEGMENT buyers",
        "SELECT count(*) FROM information_schema.tables",
        "SELECT 1",
        "WITH profiles AS (SELECT 1 AS a) SELECT * FROM profiles",
    ] {
        aud.query(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    }
    for sql in [
        "SELECT * FROM profiles",
        "SELECT * FROM coterie.public.profiles",
        "SELECT * FROM everyone",
        "SELECT * FROM segment.germans",
        "SELECT * FROM coterie.memberships",
        "SELECT * FROM coterie.segments",
        "SELECT (SELECT count(*) FROM events)",
        "SELECT 1 WHERE EXISTS (SELECT * FROM events)",
        "EXPLAIN SELECT * FROM profiles",
        "PREPARE p AS SELECT * FROM profiles",
        "SELECT * FROM matching('shop', $$ country = 'DE' $$)",
        "SELECT * FROM audience.germans UNION ALL SELECT profile_id, NULL, NULL, NULL, NULL FROM profiles",
        "SELECT * FROM no_such_table",
    ] {
        let error = aud.query(sql).await.unwrap_err();
        assert!(error.contains("error[permission]: `aud` may not"), "{sql}: {error}");
    }
    let listed = aud
        .value("SELECT string_agg(table_schema || '.' || table_name, ' ' ORDER BY table_schema, table_name) FROM information_schema.tables WHERE table_schema <> 'information_schema'")
        .await;
    assert_eq!(listed, "audience.buyers audience.germans coterie.functions coterie.queries segment.buyers");
    let rows = aud.query("SHOW SEGMENTS").await.unwrap();
    assert_eq!(rows.iter().map(|batch| batch.num_rows()).sum::<usize>(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_admins_see_and_stop_the_queries_of_others() {
    let server = Server::with_users().await;
    let (mut ana, mut rex, mut max) =
        (server.client_of("ana").await, server.client_of("rex").await, server.client_of("max").await);
    let running = tokio::spawn(async move { ana.query(super::ENDLESS).await });
    let id = server.running().await.id;
    assert_eq!(rex.value("SELECT count(*) FROM coterie.queries WHERE \"user\" = 'ana'").await, "0");
    let error = rex.query(&format!("CANCEL QUERY '{id}'")).await.unwrap_err();
    assert!(error.contains("error[not_found]"), "{error}");
    assert_eq!(max.value("SELECT count(*) FROM coterie.queries WHERE \"user\" = 'ana'").await, "1");
    max.query(&format!("CANCEL QUERY '{id}'")).await.unwrap();
    assert!(running.await.unwrap().unwrap_err().contains("cancelled by max"));
    server.is_idle().await;
}
