did(event_type = 'search' AND search_term ILIKE '%running shoes%', INTERVAL '30 days')
AND NOT did(event_type = 'purchase', INTERVAL '30 days')
