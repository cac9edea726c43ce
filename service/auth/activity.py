"""How many different callers there were lately."""

import time
from collections import OrderedDict

from service.platform import metrics

WINDOW_SECONDS = 300.0

_last_seen: OrderedDict[str, float] = OrderedDict()


def note(subject: str) -> None:
    """A known caller has sent a request."""
    _last_seen[subject] = time.monotonic()
    _last_seen.move_to_end(subject)
    refresh()


def refresh() -> None:
    """Forget the callers that were not seen for ``WINDOW_SECONDS`` and set the gauge of this process."""
    oldest_kept = time.monotonic() - WINDOW_SECONDS
    while _last_seen and next(iter(_last_seen.values())) < oldest_kept:
        _last_seen.popitem(last=False)
    metrics.ACTIVE_SUBJECTS.set(len(_last_seen))
