"""The schema's revisions, and the one-shot command that brings a database up to date."""
