did_without(
  event_type = 'add_to_cart' AND "timestamp" >= now() - INTERVAL '14 days',
  event_type = 'purchase',
  INTERVAL '24 hours'
)
