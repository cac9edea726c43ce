"""Agents: the named, configured abilities that the steps of workflows call."""
