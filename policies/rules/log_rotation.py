"""How much room containers' logs may take."""

import re
from collections.abc import Iterator

from policies.engine.rule import Fault, rule
from policies.view.pods import Container
from policies.view.targets import on_docker
from policies.view.values import Value

ITEM = "log-rotation"

FILES = ("json-file", "local")
"""Drivers that write files on the machine; the others hand the records on, or drop them."""

MOST_BYTES = 5 * 1024**3
"""For all files of one container together: twenty such containers fill a disk of 100 GB."""


def _writes_files(container: Container) -> bool:
    driver = container.spec["logDriver"].text()
    return on_docker(container) and (driver is None or driver in FILES)


@rule(ITEM, on=Container, wanted="max-size", mend="logging.maxSize", where=_writes_files)
def log_files_have_a_largest_size(container: Container) -> Iterator[Fault]:
    """An unbounded log fills the disk, and then everything on the machine stops."""
    size = container.spec.at("logOpts", "max-size")
    if container.spec["logDriver"].text() == "local" and size.is_absent:
        return
    if not _bytes(size):
        yield Fault(size, "the container's log grows without bound")


@rule(ITEM, on=Container, wanted="max-file", mend="logging.maxFiles", where=_writes_files)
def log_files_are_counted(container: Container) -> Iterator[Fault]:
    """Without a number the engine keeps one file, so that what was just before a failure is thrown away with it."""
    count = container.spec.at("logOpts", "max-file")
    if container.spec["logDriver"].text() == "local" and count.is_absent:
        return
    if not count.number():
        yield Fault(count, "how many files are kept is not said")


@rule(ITEM, on=Container, wanted="at most 5 GiB for one container", mend="logging.maxSize, logging.maxFiles",
      where=_writes_files)  # fmt: skip
def logs_leave_room_on_the_disk(container: Container) -> Iterator[Fault]:
    """A bound as large as the disk is none."""
    options = container.spec["logOpts"]
    if (_bytes(options["max-size"]) or 0) * (options["max-file"].number() or 1) > MOST_BYTES:
        yield Fault(options, "the logs of this container alone may take more than 5 GiB")


def _bytes(value: Value) -> float | None:
    # Docker writes a size as 10m, 500k or 1g; -1 means without bound.
    found = re.fullmatch(r"(\d+)([kmg]?)b?", (value.text() or "").lower())
    return int(found.group(1)) * 1024 ** " kmg".index(found.group(2) or " ") if found else None
