"""How a command ends. The numbers are documented in docs/client.md."""

DONE = 0
REFUSED = 1
USAGE = 2
NOT_FOUND = 3
UNREACHABLE = 4
RUN_FAILED = 5
UNEXPECTED = 70
INTERRUPTED = 130


class CliError(Exception):
    """Ends the command with a code: what was wrong, and what would be right."""

    def __init__(self, reason: str, mend: str = "", *, code: int = USAGE) -> None:
        super().__init__(reason)
        self.reason = reason
        self.mend = mend
        self.code = code
