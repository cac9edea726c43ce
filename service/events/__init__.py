"""Live events of runs, derived from what the database holds anyway."""
