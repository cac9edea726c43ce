"""The console: pages for operators, made here, over the same functions as the API's routes."""
