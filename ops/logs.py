"""The containers' own words, one part's or all parts' together."""

import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Protocol

from docker import DockerClient
from docker.errors import APIError
from docker.models.containers import Container

from ops.errors import OperatorError
from ops.parts import containers

_SINCE = re.compile(r"(\d+)([smhd])")
_UNIT = {"s": 1, "m": 60, "h": 3600, "d": 86400}


class LogSource(Protocol):
    """Something that writes lines."""

    def logs(self, *, stream: bool, follow: bool, since: float | None, tail: int | str) -> Iterator[bytes]:
        """What was written since that time (seconds since the epoch), in chunks that end anywhere."""


class ContainerLog:
    """What one container writes."""

    def __init__(self, container: Container) -> None:
        self._container = container

    def logs(self, *, stream: bool, follow: bool, since: float | None, tail: int | str) -> Iterator[bytes]:
        """Chunks of it; `stream` is always so."""
        chunks: Iterator[bytes] = self._container.logs(stream=True, follow=follow, since=since, tail=tail)  # type: ignore[call-overload]
        return chunks


def seconds_of(text: str) -> int:
    """A span like `90s`, `10m`, `2h` or `1d` in seconds."""
    match = _SINCE.fullmatch(text.strip())
    if not match:
        raise OperatorError(f"--since {text} is not a span of time", "write it like 90s, 10m, 2h or 1d")
    return int(match[1]) * _UNIT[match[2]]


def choose(client: DockerClient, stack: str, part: str | None) -> Mapping[str, Container]:
    """The containers to read. Raises OperatorError, naming the parts there are, for an unknown one."""
    found = containers(client, stack)
    if not found:
        raise OperatorError(f"stack {stack} has no containers on this machine", f"./deploy-api.sh up {stack}")
    if part is None:
        return dict(sorted(found.items()))
    if part not in found:
        raise OperatorError(f"stack {stack} has no part {part}", f"name one of: {', '.join(sorted(found))}")
    return {part: found[part]}


def show(
    chosen: Mapping[str, LogSource],
    write: Callable[[str, str], None],
    follow: bool = False,
    since: str | None = None,
    tail: int | None = None,
) -> None:
    """Writes each line with the name of its part; with `follow`, until the containers end or the user does."""
    begin = time.time() - seconds_of(since) if since else None
    if not follow:
        for name, item in chosen.items():
            for line in whole_lines(_stream(item, False, begin, tail)):
                write(name, line)
        return
    lock = threading.Lock()

    def follow_one(name: str, item: LogSource) -> None:
        try:
            for line in whole_lines(_stream(item, True, begin, tail)):
                with lock:
                    write(name, line)
        except (APIError, OSError, OperatorError) as error:
            with lock:
                write(name, f"(no more from here: {error})")

    threads = [threading.Thread(target=follow_one, args=pair, daemon=True) for pair in chosen.items()]
    for thread in threads:
        thread.start()
    for thread in threads:
        while thread.is_alive():
            thread.join(0.5)


def _stream(item: LogSource, follow: bool, begin: float | None, tail: int | None) -> Iterator[bytes]:
    return item.logs(stream=True, follow=follow, since=begin, tail="all" if tail is None else tail)


def whole_lines(chunks: Iterator[bytes]) -> Iterator[str]:
    """Whole lines out of chunks that end anywhere."""
    pending = b""
    for chunk in chunks:
        *whole, pending = (pending + chunk).split(b"\n")
        for line in whole:
            yield line.decode(errors="replace").rstrip("\r")
    if pending:
        yield pending.decode(errors="replace")
