"""The day on which it is judged; tests stop it here."""

from datetime import UTC, date, datetime


def today() -> date:
    """The present day, UTC."""
    return datetime.now(UTC).date()
