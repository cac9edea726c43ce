"""The workflow management service: one package, one image, several commands (see ``python -m service --help``)."""
