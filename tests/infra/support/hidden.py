"""Secrets in the hands of a test: usable as text, never shown by a failing check."""


class Hidden(str):
    """A text whose `repr` (which is what pytest prints of arguments and operands) does not tell it."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "'[secret]'"
