"""The relay: carries committed outbox rows to Kafka, each at least once."""
