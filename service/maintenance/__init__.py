"""What keeps the database in order: old data is forgotten, and what does not get on is shown."""
