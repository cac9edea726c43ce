"""Tells other systems by HTTP that runs have ended."""
