"""Workflows: named, versioned graphs of steps."""
