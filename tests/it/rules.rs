//! The SQL form of rules: who is a member, by every form.

use crate::common::{shop, try_members};

#[tokio::test]
async fn rules_select_the_members_they_say() {
    let session = shop().await;
    let mut wrong = vec![];
    for (rule, expected) in [
        ("country = 'DE' AND points >= 500", "p1 p6"),
        (
            "did(event_type = 'search' AND search_term ILIKE '%running shoes%', INTERVAL '30 days') AND NOT did(event_type = 'purchase', INTERVAL '30 days')",
            "p1 p5",
        ),
        ("times(event_type = 'product_view', INTERVAL '14 days') >= 3", "p1"),
        ("times(true) = 0", "p6"),
        ("count(*) FILTER (WHERE event_type = 'purchase') = 2", "p2 p4"),
        ("count(*) = 0", "p6"),
        ("sum(price) > 150", "p2 p4"),
        ("sum(price) IS NULL", "p1 p6"),
        ("avg(events.price) = 80", "p2 p5"),
        ("count(DISTINCT sku) >= 2", "p2 p3 p4"),
        ("first_time(event_type = 'search') < TIMESTAMP '2026-06-01'", "p4"),
        ("last_time(event_type = 'purchase') >= now() - INTERVAL '1 day'", "p5"),
        ("nth_time(event_type = 'product_view', 2) = TIMESTAMP '2026-06-12 10:00:00'", "p1"),
        ("nth_time(event_type = 'product_view', -1) = TIMESTAMP '2026-06-13 10:00:00'", "p1"),
        ("did_then(event_type = 'search', event_type = 'purchase', INTERVAL '7 days')", "p2 p5"),
        ("did_then(event_type = 'search', event_type = 'purchase')", "p2 p4 p5"),
        ("did_without(event_type = 'add_to_cart', event_type = 'purchase', INTERVAL '24 hours')", "p3 p5"),
        (
            "any_per(sku, times(event_type = 'product_view', INTERVAL '30 days') >= 3 AND NOT did(event_type = 'purchase'))",
            "p1",
        ),
        ("count_per(sku, did(event_type = 'purchase')) >= 2", "p2 p4"),
        ("any_per(sku, sku = 'C' AND did(event_type = 'purchase'))", "p4"),
        ("any_per(sku, count(*) >= 3) AND country = 'DE'", "p1"),
        ("top_n(sum(price), 1)", "p4"),
        ("top_percent(points, 40)", "p4 p6"),
        ("ntile(5) OVER (ORDER BY points DESC NULLS LAST) = 1", "p4 p6"),
        ("did(events.country <> profiles.country)", "p1 p2"),
        ("did(country = 'CA')", "p2"),
        ("did(products.brand = 'Acme' AND event_type = 'purchase')", "p2 p4 p5"),
        ("array_has(interests, 'cycling') AND NOT array_has(interests, 'gaming')", "p2"),
        ("array_any_match(interests, x -> x = country OR x = 'reading')", "p6"),
        ("anniversary_in(birth_date, current_date, current_date + INTERVAL '7 days')", "p1 p6"),
        (
            "window_funnel(INTERVAL '7 days', \"timestamp\", event_type = 'search', event_type = 'purchase') = 2",
            "p2 p5",
        ),
        ("session_count(\"timestamp\", INTERVAL '30 minutes') >= 3", "p1 p2"),
        ("array_agg(sku ORDER BY \"timestamp\", _id) FILTER (WHERE sku IS NOT NULL) = ['B', 'C']", "p3"),
        ("CASE WHEN country = 'DE' THEN count(*) > 0 ELSE points > 200 END", "p1 p3 p4 p5"),
        ("extract(month FROM birth_date) = 6", "p1 p6"),
        // Conditions that two aggregates share.
        (
            "count(*) FILTER (WHERE (price > 50) IS TRUE) >= 1 AND sum(price) FILTER (WHERE (price > 50) IS TRUE) > 100",
            "p2 p4",
        ),
        (
            "bool_or((price > 50) IS NOT TRUE) AND NOT bool_and((price > 50) IS NOT TRUE) AND max(price) IS NOT NULL",
            "p2 p4 p5",
        ),
        ("(points > 400) IS NOT FALSE AND (country = 'DE') IS UNKNOWN IS FALSE", "p1 p3 p6"),
        ("NULL", ""),
    ] {
        let found = match try_members(&session, rule).await {
            Ok(found) => found.join(" "),
            Err(error) => error,
        };
        if found != expected {
            wrong.push(format!("{rule}\n  expected {expected}\n  found    {found}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
