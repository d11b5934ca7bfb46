"""Exchange of tracks with other tools: one module a format, all in terms of `exchange.records`."""
