"""The configuration of a highly available Postgres and its backups: pure functions that render files."""
