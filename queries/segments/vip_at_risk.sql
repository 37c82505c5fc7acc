in_segment('top_customers')
AND loyalty_tier IN ('gold', 'platinum')
AND NOT did(event_type IN ('purchase', 'add_to_cart'), INTERVAL '60 days')
