"""Schedules: runs of a workflow at planned times, by a cron expression and a time zone."""
