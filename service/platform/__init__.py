"""What every process of the service shares: settings, database, Kafka, logs, metrics, errors."""
