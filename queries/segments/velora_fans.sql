times(event_type = 'purchase' AND products.brand = 'Velora') >= 2
