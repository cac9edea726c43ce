"""How many dead letters wait for somebody."""

from prometheus_client import Gauge

DEAD_LETTERS = Gauge("workflow_dead_letters", "Messages that were set aside and that nobody has dealt with")
