sum(price * quantity) FILTER (WHERE event_type = 'purchase' AND "timestamp" >= now() - INTERVAL '365 days') > 1000
