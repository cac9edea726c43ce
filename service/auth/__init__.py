"""Who calls, and what they may do: log-in, tokens, API keys, roles."""
