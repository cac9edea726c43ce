"""How a database is compared with the tables that the code describes."""

import re
from typing import Any

from service.platform.tables import AUDIT_PARTITION


def is_described(name: str | None, kind: str, _parents: object = None) -> bool:
    """Whether the code describes what the database has under this name: partitions come and go by the month."""
    return kind != "table" or re.fullmatch(AUDIT_PARTITION, name or "") is None


COMPARISON: dict[str, Any] = {"compare_type": True, "compare_server_default": True, "include_name": is_described}
"""Alembic's options wherever it looks for differences: types and defaults count, partitions do not."""
