"""Runs of workflows: accepted, followed, cancelled."""
