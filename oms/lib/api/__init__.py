"""How the HTTP API speaks, whatever it speaks of: JSON, problems, pages, versions, rate limits. No business words."""
