top_percent(sum(price * quantity) FILTER (WHERE event_type = 'purchase'), 5)
