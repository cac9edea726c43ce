"""The search for garbage in cycles, as a program that runs for long needs it."""

import gc

_YOUNG = 10_000
"""So many new containers before the youngest are searched; Python's 700 are a few requests."""


def keep_what_is_loaded() -> None:
    """Search no more through what there is now: modules, routes and models stay until the process ends.

    Else each full search goes through all of it; a third of the API's processor time went into that. Call it when a
    program is loaded, before it works.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG, 10, 10)
