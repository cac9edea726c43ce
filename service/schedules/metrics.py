"""The metrics of the loop that fires schedules."""

from prometheus_client import Counter, Gauge

FIRED = Counter("schedule_runs_total", "Runs begun by schedules")
SKIPPED = Counter("schedule_times_skipped_total", "Planned times that passed without a run", ["reason"])
FAILURES = Counter("schedule_failures_total", "Schedules that could not be fired and are tried again later")
LAG = Gauge("schedule_lag_seconds", "How late the oldest planned time is that is due and not taken up")
