"""How many different callers there were lately."""

import time
from collections import OrderedDict

from service.platform import metrics

WINDOW_SECONDS = 300.0

_last_seen: OrderedDict[str, float] = OrderedDict()


def note(subject: str) -> None:
    """A known caller has sent a request."""
    now, told = time.monotonic(), len(_last_seen)
    _last_seen[subject] = now
    _last_seen.move_to_end(subject)
    _forget_those_before(now - WINDOW_SECONDS)
    if len(_last_seen) != told:
        metrics.ACTIVE_SUBJECTS.set(len(_last_seen))


def refresh() -> None:
    """Forget the callers that were not seen for ``WINDOW_SECONDS`` and set the gauge of this process."""
    _forget_those_before(time.monotonic() - WINDOW_SECONDS)
    metrics.ACTIVE_SUBJECTS.set(len(_last_seen))


def _forget_those_before(moment: float) -> None:
    while _last_seen and next(iter(_last_seen.values())) < moment:
        _last_seen.popitem(last=False)
