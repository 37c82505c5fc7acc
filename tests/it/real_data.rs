//! Real customer data with known answers, expressed as segments. Skipped, with a notice, where the data is absent.

use std::path::PathBuf;

use coterie::engine::{Engine, Options, Session};

use crate::common::{run, show};

/// The folder of a data set, if it is there.
fn data(name: &str) -> Option<PathBuf> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/data").join(name);
    if !folder.is_dir() {
        eprintln!("notice: {} is absent, its test is skipped", folder.display());
        return None;
    }
    Some(folder)
}

async fn session(now: &str) -> Session {
    let now = Some(now.parse().unwrap());
    Engine::open(Options { now, ..Options::default() }).await.unwrap().session()
}

/// Creates a segment a rule, evaluates all in one pass, and compares the numbers of members, stored and live.
async fn check(session: &Session, rules: &[(&str, u64)]) {
    for (at, (rule, _)) in rules.iter().enumerate() {
        run(session, &format!("CREATE SEGMENT s{at} AS {rule}"))
            .await
            .unwrap_or_else(|error| panic!("{error}"));
    }
    let report = show(session, "EVALUATE ALL SEGMENTS").await;
    let mut wrong = vec![];
    for (at, (rule, expected)) in rules.iter().enumerate() {
        let row = format!("| s{at} ");
        let row = report.lines().find(|line| line.starts_with(&row)).unwrap_or_default().to_owned();
        if row.split('|').nth(3).map(str::trim) != Some(&expected.to_string()) {
            wrong.push(format!("{rule}: {expected} expected, evaluated as {row}"));
        }
        let live = show(session, &format!("SELECT count(*) FROM segment.s{at}")).await;
        if !live.contains(&format!("| {expected} ")) {
            wrong.push(format!("{rule}: {expected} expected, live {live}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn online_retail() {
    let Some(folder) = data("online_retail") else { return };
    let session = session("2011-12-10T00:00:00Z").await;
    let folder = folder.display();
    run(
        &session,
        &format!(
            "
        CREATE EXTERNAL TABLE customers STORED AS PARQUET LOCATION '{folder}/customers.parquet';
        CREATE EXTERNAL TABLE transactions STORED AS PARQUET LOCATION '{folder}/transactions.parquet';
        CREATE PROFILE STORE retail PROFILES customers KEY (customer_id)
          EVENTS transactions KEY (customer_id) TIMESTAMP (invoice_date)"
        ),
    )
    .await
    .unwrap();
    let bought = "invoice_no NOT LIKE 'C%'";
    check(&session, &[
        ("country = 'United Kingdom'", 3_950),
        ("country = 'Germany'", 95),
        ("country = 'France'", 87),
        ("country = 'Spain'", 30),
        ("country = 'Belgium'", 23),
        (&format!("did({bought})"), 4_339),
        ("did(invoice_no LIKE 'C%')", 1_589),
        (&format!("did(invoice_no LIKE 'C%') AND NOT did({bought})"), 33),
        (&format!("count(DISTINCT invoice_no) FILTER (WHERE {bought}) >= 5"), 1_115),
        (&format!("did({bought} AND invoice_date >= TIMESTAMP '2011-09-10')"), 2_890),
        (&format!("count(DISTINCT invoice_no) FILTER (WHERE {bought} AND invoice_date >= TIMESTAMP '2011-09-10') >= 3"), 751),
        (&format!("did({bought} AND invoice_date < TIMESTAMP '2011-09-10') AND NOT did({bought} AND invoice_date >= TIMESTAMP '2011-09-10')"), 1_449),
        (&format!("sum(quantity * unit_price) FILTER (WHERE {bought}) > 1000"), 1_668),
        (&format!("sum(quantity * unit_price) FILTER (WHERE {bought}) > 1000 AND customers.country <> 'United Kingdom'"), 217),
        (&format!("did_then(stock_code = '22423' AND {bought}, stock_code = '85123A' AND {bought}, INTERVAL '30 days')"), 49),
        (&format!("NOT did(stock_code = '85123A' AND {bought})"), 3_516),
        ("top_n(sum(quantity * unit_price), 3) AND customer_id IN (14646, 18102, 17450)", 3),
        ("top_n(sum(quantity * unit_price), 3)", 3),
    ])
    .await;
    // The anonymous lines are no profile's: the events of customers are the rest.
    let orphans =
        show(&session, "SELECT DISTINCT profiles, events, orphan_events FROM coterie.evaluations").await;
    assert!(orphans.contains("| 4372     | 541909 | 135080        |"), "{orphans}");
}

#[tokio::test]
async fn complete_journey() {
    let Some(folder) = data("complete_journey") else { return };
    let session = session("2018-01-02T00:00:00Z").await;
    let folder = folder.display();
    run(&session, &format!("
        CREATE EXTERNAL TABLE demographics STORED AS PARQUET LOCATION '{folder}/demographics.parquet';
        CREATE EXTERNAL TABLE transactions STORED AS PARQUET LOCATION '{folder}/transactions_sample.parquet';
        CREATE EXTERNAL TABLE products STORED AS PARQUET LOCATION '{folder}/products.parquet';
        CREATE EXTERNAL TABLE campaigns STORED AS PARQUET LOCATION '{folder}/campaigns.parquet';
        CREATE EXTERNAL TABLE descriptions STORED AS PARQUET LOCATION '{folder}/campaign_descriptions.parquet';
        CREATE EXTERNAL TABLE redemptions STORED AS PARQUET LOCATION '{folder}/coupon_redemptions.parquet';
        CREATE VIEW received AS SELECT household_id, campaign_id, campaign_type, start_date
          FROM campaigns JOIN descriptions USING (campaign_id);
        -- What happened to a household, redemptions at the start of their day.
        CREATE VIEW journey AS
          SELECT household_id, 'bought' AS what, NULL AS campaign_id, NULL AS campaign_type, transaction_timestamp AS at FROM transactions
          UNION ALL SELECT household_id, 'redeemed', campaign_id, campaign_type,
            arrow_cast(redemption_date, 'Timestamp(Microsecond, Some(\"UTC\"))') - INTERVAL '1 microsecond' FROM redemptions JOIN descriptions USING (campaign_id)
          UNION ALL SELECT household_id, 'received', campaign_id, campaign_type,
            arrow_cast(start_date, 'Timestamp(Microsecond, Some(\"UTC\"))') FROM received;
        CREATE VIEW households AS SELECT household_id, income, kids_count
          FROM (SELECT DISTINCT household_id FROM journey UNION SELECT household_id FROM demographics) AS known
          LEFT JOIN demographics USING (household_id);
        CREATE PROFILE STORE grocery PROFILES households KEY (household_id)
          EVENTS transactions KEY (household_id) TIMESTAMP (transaction_timestamp)
          EVENTS received KEY (household_id) TIMESTAMP (start_date)
          EVENTS redemptions KEY (household_id) TIMESTAMP (redemption_date)
          EVENTS journey KEY (household_id) TIMESTAMP (at)
          LOOKUP products KEY (product_id) ON transactions (product_id)")).await.unwrap_or_else(|error| panic!("{error}"));
    let rich = "income IN ('100-124K', '125-149K', '150-174K', '175-199K', '200-249K', '250K+')";
    check(&session, &[
        ("count(basket_id) > 0", 2_377),
        ("count(received.campaign_id) > 0", 1_559),
        ("count(redemptions.campaign_id) > 0", 410),
        (&format!("{rich} AND kids_count IN ('1', '2', '3+')"), 56),
        (&format!("{rich} AND did(redemptions.coupon_upc IS NOT NULL)"), 58),
        ("count(DISTINCT basket_id) FILTER (WHERE transaction_timestamp >= TIMESTAMP '2017-10-03 00:00:00') >= 5", 995),
        ("did(products.product_category = 'BABY FOODS')", 182),
        ("did(received.campaign_id IS NOT NULL) AND NOT did(redemptions.campaign_id IS NOT NULL)", 1_149),
        ("max(transaction_timestamp) < TIMESTAMP '2017-11-01 00:00:00'", 486),
        ("any_per(journey.campaign_id, did(what = 'redeemed') AND NOT did(what = 'received'))", 0),
        ("did_then(what = 'redeemed' AND campaign_type = 'Type A', what = 'bought', INTERVAL '8 days')", 328),
    ])
    .await;
    let pairs = "SELECT sum(n) FROM (SELECT count(DISTINCT campaign_id) FILTER (WHERE what = 'redeemed') AS n FROM journey WHERE campaign_type = 'Type A' GROUP BY household_id)";
    assert!(show(&session, pairs).await.contains("| 604"));
}

/// Most households have no demographics: their events are orphans, and counted.
#[tokio::test]
async fn profiles_missing_for_most() {
    let Some(folder) = data("complete_journey") else { return };
    let session = session("2018-01-02T00:00:00Z").await;
    let folder = folder.display();
    run(
        &session,
        &format!(
            "
        CREATE EXTERNAL TABLE demographics STORED AS PARQUET LOCATION '{folder}/demographics.parquet';
        CREATE EXTERNAL TABLE transactions STORED AS PARQUET LOCATION '{folder}/transactions_sample.parquet';
        CREATE PROFILE STORE grocery PROFILES demographics KEY (household_id)
          EVENTS transactions KEY (household_id) TIMESTAMP (transaction_timestamp);
        CREATE SEGMENT buyers AS count(*) > 0; EVALUATE ALL SEGMENTS"
        ),
    )
    .await
    .unwrap();
    let orphans = show(
        &session,
        "SELECT count(*) FROM transactions WHERE household_id NOT IN (SELECT household_id FROM demographics)",
    )
    .await;
    let counted = show(&session, "SELECT orphan_events AS \"count(*)\" FROM coterie.evaluations").await;
    let number = |table: &str| table.lines().nth(3).unwrap().trim_matches(['|', ' ']).to_owned();
    assert_eq!(number(&orphans), number(&counted));
    assert_ne!(number(&orphans), "0");
}
