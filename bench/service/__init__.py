"""Measurements of the workflow service by itself: its programs, a real Postgres and a real Kafka on this machine."""
