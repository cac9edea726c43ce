"""The inside of a container, as far as the checks use it.

testinfra is the only way in; this is the small part of it that the images (sh and coreutils, no ps, ss or curl) carry.
"""

from typing import Any, Protocol


class Host(Protocol):
    """A testinfra host."""

    def run(self, command: str, *args: str) -> Any:
        """Runs a command; the result has rc, stdout and stderr. `%s` stands for a quoted argument."""

    def check_output(self, command: str, *args: str) -> str:
        """The standard output of a command that must succeed."""

    def file(self, path: str) -> Any:
        """A file inside the container."""

    def user(self, name: str | None = None) -> Any:
        """A user inside the container."""
