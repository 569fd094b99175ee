"""Where the services meet a broker: sending, watching, market data and logins, outside any transaction."""
