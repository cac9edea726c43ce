"""A command run inside a container, told apart from a command that could not be run there."""

from dataclasses import dataclass

from tests.infra.support.hosts import Host

_MARK = "@ended-with:"


@dataclass(frozen=True)
class Said:
    """How a command ended inside a container."""

    rc: int
    stdout: str
    stderr: str


def run_inside(host: Host, part: str, command: str, *arguments: str) -> Said:
    """Runs a command line (`%s` stands for a quoted argument) in the container of a part.

    Raises AssertionError when no command can be run there at all: silence from a container that is gone must never
    count as "nothing found".
    """
    result = host.run(f"( {command}\n) ; echo '{_MARK}'$?", *arguments)
    said, mark, code = result.stdout.rpartition(_MARK)
    assert mark, f"no command can be run inside {part}: {result.stderr.strip() or 'it says nothing'}"
    return Said(int(code), said, result.stderr)
