"""The relay's own metrics; those of the outbox are in ``service.platform.metrics``."""

from prometheus_client import Counter, Gauge

LEADER = Gauge("relay_leader", "1 while this relay is the one that works, else 0")
UNDELIVERABLE = Counter("outbox_undeliverable_total", "Messages set aside, too large for Kafka", ["topic"])
