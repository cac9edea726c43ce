"""What can be wrong with a stack's description."""


class StackError(Exception):
    """A description that is refused, with one line for each fault: config key, what it is, what it must be."""

    def __init__(self, stack: str, faults: list[str]) -> None:
        self.stack = stack
        self.faults = faults
        super().__init__(f"stack '{stack}' is refused:\n" + "\n".join(f"  - {fault}" for fault in faults))
