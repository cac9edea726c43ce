"""The one kind of failure that the commands explain to their user."""


class OperatorError(Exception):
    """Something the operator can mend: `reason` says what is wrong and where, `mend` what to do, each in one line."""

    def __init__(self, reason: str, mend: str, exit_code: int = 1) -> None:
        super().__init__(reason)
        self.reason = " ".join(reason.split())
        self.mend = " ".join(mend.split())
        self.exit_code = exit_code
