did_then(event_type = 'email_click', event_type = 'purchase', INTERVAL '7 days')
