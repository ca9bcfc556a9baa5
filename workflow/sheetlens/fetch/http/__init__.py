"""How servers are asked: sessions, rate limits, addresses that are never asked."""
