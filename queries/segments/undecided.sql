any_per(
  sku,
  times(event_type = 'product_view', INTERVAL '30 days') >= 3 AND NOT did(event_type = 'purchase')
)
