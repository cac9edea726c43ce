"""The metrics of webhooks."""

from prometheus_client import Counter, Gauge

ATTEMPTS = Counter("webhook_attempts_total", "Attempts to deliver", ["outcome"])
DEAD = Counter("webhook_deliveries_dead_total", "Deliveries that were given up")
DISABLED = Counter("webhooks_disabled_total", "Webhooks that were switched off because they failed for long")
ERRORS = Counter("webhook_errors_total", "Rounds of the loop that failed and are tried again")
WAITING = Gauge("webhook_deliveries_waiting", "Deliveries that are due or will be tried again")
OLDEST = Gauge("webhook_oldest_waiting_seconds", "Age of the oldest delivery that was never tried")

for _outcome in ("delivered", "failed"):
    ATTEMPTS.labels(_outcome)
