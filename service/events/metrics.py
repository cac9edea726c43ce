"""The metrics of event streams."""

from prometheus_client import Counter, Gauge

STREAMS = Gauge("workflow_event_streams", "Event streams that are open now", multiprocess_mode="livesum")
REFUSED = Counter("workflow_event_streams_refused_total", "Event streams that were refused", ["reason"])
DROPPED = Counter("workflow_event_streams_dropped_total", "Event streams ended because their reader did not read")

for _reason in ("caller", "process"):
    REFUSED.labels(_reason)
