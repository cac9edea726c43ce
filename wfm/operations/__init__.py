"""What the API can do, subject by subject: a function for each operation, and a class that makes them methods."""
