"""Waiting for an object to be of use: what is looked at for each kind, and what is said when it gets there not."""
