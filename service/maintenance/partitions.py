"""The audit log's partitions, one a month: made ahead, so that an old month can be dropped whole."""

from typing import Any

MONTHS_AHEAD = 2
"""So that nothing is missing, even where nobody made any for a month."""

_LOCK = 0x7E7E_4711

# The lock lasts as long as the statement.
_MAKE = "SELECT CASE WHEN pg_try_advisory_xact_lock($1) THEN make_audit_partitions($2) END"

NEXT_MONTH = """
SELECT to_char(month, 'YYYY-MM') AS month,
       to_regclass('audit_log_' || to_char(month, 'YYYYMM')) IS NOT NULL OR EXISTS (
           SELECT FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid
           WHERE inhparent = to_regclass('audit_log') AND relname ~ '^audit_log_before_[0-9]{6}$'
             AND right(relname, 6) > to_char(month, 'YYYYMM')
       ) AS is_there
FROM (SELECT date_trunc('month', now() AT TIME ZONE 'UTC') + interval '1 month' AS month) AS following
"""
"""Which month comes next, by the database's clock in UTC, and whether there is a partition for it."""


async def make_ahead(connection: Any) -> int:
    """Make the partitions that are missing, on a plain connection; how many were made."""
    return int(await connection.fetchval(_MAKE, _LOCK, MONTHS_AHEAD) or 0)
