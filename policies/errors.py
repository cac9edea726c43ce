"""What can be wrong with the files that steer the rules, and with what is to be judged."""


class PolicyError(Exception):
    """Nothing can be judged: what is wrong and where, and what to do. The gate stays shut."""

    def __init__(self, reason: str, mend: str) -> None:
        self.reason = " ".join(reason.split())
        self.mend = " ".join(mend.split())
        super().__init__(f"{self.reason}; {self.mend}")
