//! Statements about the catalog in forms that DataFusion does not take as they are.

use super::Server;
use super::postgres::{Client, postgres};

#[tokio::test(flavor = "multi_thread")]
async fn what_is_unnested_sorts_the_rows() {
    let server = Server::start(postgres()).await;
    let mut client = Client::connect(&server).await;
    let from = "FROM pg_catalog.pg_index i CROSS JOIN LATERAL unnest(i.indkey) WITH ORDINALITY AS k (attnum, ord) \
                JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum";
    let want = client.rows(&format!("SELECT a.attname, k.ord {from}")).await.unwrap();
    assert!(!want.is_empty());
    for order in ["k.ord, a.attname", "k.attnum DESC", "ord", "1"] {
        let rows = client.rows(&format!("SELECT a.attname, k.ord {from} ORDER BY {order}")).await.unwrap();
        assert_eq!(rows.len(), want.len(), "{order}");
    }
    let sql = "SELECT i.indexrelid::regclass, unnest(i.indkey) AS k FROM pg_index i ORDER BY k";
    assert_eq!(client.rows(sql).await.unwrap().len(), want.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_vectors_and_arrays() {
    let server = Server::start(postgres()).await;
    let mut client = Client::connect(&server).await;
    // As psqlODBC asks: the items of a vector begin with 0.
    let sql = "SELECT ta.attname, ia.attnum FROM pg_attribute ta, pg_attribute ia, pg_class tc, pg_index i \
               WHERE tc.relname = 'profiles' AND tc.oid = i.indrelid AND i.indisprimary = 't' \
               AND ia.attrelid = i.indexrelid AND ta.attrelid = i.indrelid AND ta.attnum = i.indkey[ia.attnum-1]";
    assert_eq!(client.rows(sql).await.unwrap(), [["profile_id", "1"]]);
    let sql = "SELECT a.attname FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid \
               AND a.attnum = indkey[array_lower(indkey, 1)] ORDER BY 1";
    assert_eq!(client.rows(sql).await.unwrap(), [["profile_id"], ["sku"]]);
    // Those of an array with 1.
    let sql = "SELECT c.conname, (SELECT string_agg(a.attname, ',') FROM pg_attribute a WHERE a.attrelid = c.conrelid \
               AND a.attnum = ANY (c.conkey)) FROM pg_constraint c WHERE conkey[1] = 1 AND contype = 'p' ORDER BY 1";
    assert_eq!(client.rows(sql).await.unwrap(), [["products_pkey", "sku"], ["profiles_pkey", "profile_id"]]);
}

#[tokio::test(flavor = "multi_thread")]
async fn recursive_queries_are_values() {
    let server = Server::start(postgres()).await;
    let mut client = Client::connect(&server).await;
    let sql = "SELECT nspname, (WITH RECURSIVE r (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < 5) \
               SELECT max(n) FROM r) AS depth FROM pg_namespace WHERE nspname = 'public'";
    assert_eq!(client.rows(sql).await.unwrap(), [["public", "5"]]);
    // It begins with the outer query's row: an array's type, and the type of its items.
    let sql = "SELECT t.typname, (WITH RECURSIVE items (oid, typelem, depth) AS ( \
               SELECT a.oid, a.typelem, 0 FROM pg_type a WHERE a.oid = t.oid \
               UNION ALL SELECT b.oid, b.typelem, items.depth + 1 FROM pg_type b JOIN items ON b.oid = items.typelem) \
               SELECT max(depth) FROM items) AS depth FROM pg_type t \
               WHERE t.typname IN ('int4', '_int4', '_text') ORDER BY 1";
    assert_eq!(client.rows(sql).await.unwrap(), [["_int4", "1"], ["_text", "1"], ["int4", "0"]]);
}

#[tokio::test(flavor = "multi_thread")]
async fn functions_of_postgresql_have_definitions() {
    let server = Server::start(postgres()).await;
    let mut client = Client::connect(&server).await;
    assert_eq!(client.value("SELECT 'int4abs'::pg_catalog.regproc::pg_catalog.oid").await, "1251");
    assert_eq!(client.value("SELECT 'abs(integer)'::pg_catalog.regprocedure::pg_catalog.oid").await, "1397");
    let definition = client.value("SELECT pg_catalog.pg_get_functiondef(1251)").await;
    assert!(
        definition.starts_with("CREATE OR REPLACE FUNCTION pg_catalog.int4abs(integer)\n RETURNS integer")
    );
    let sql = "SELECT pg_get_function_result(oid), pg_get_function_arguments(oid) FROM pg_proc WHERE proname = 'upper' \
               AND pronargs = 1 ORDER BY 1";
    assert!(client.rows(sql).await.unwrap().contains(&vec!["text".to_owned(), "text".to_owned()]));
    assert_eq!(client.state("SELECT 'abs'::regproc::oid").await, "42725");
    assert_eq!(client.state("SELECT 'sequence_match'::regproc::oid").await, "42883");
}

#[tokio::test(flavor = "multi_thread")]
async fn users_are_managed_elsewhere() {
    let server = Server::start(postgres()).await;
    let mut client = Client::connect(&server).await;
    for sql in [
        "ALTER USER u PASSWORD 'SCRAM-SHA-256$4096:c2FsdA==$c3RvcmVk:c2VydmVy'",
        "ALTER ROLE u SET search_path = audience",
        "CREATE USER v",
        "DROP ROLE IF EXISTS v",
        "GRANT SELECT ON profiles TO v",
        "REVOKE ALL ON profiles FROM v",
    ] {
        assert_eq!(client.state(sql).await, "0A000", "{sql}");
    }
}
