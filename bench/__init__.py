"""Measurements of a live stack."""
