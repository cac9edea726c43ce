"""What goes wrong while an image is built, in words for the person who has to mend it."""


class ImageBuildError(Exception):
    """An image could not be built.

    `reason` says what failed and where; `mend` says what to do about it. Both are complete sentences without secrets.
    """

    def __init__(self, reason: str, mend: str) -> None:
        super().__init__(f"{reason} {mend}")
        self.reason = reason
        self.mend = mend


class ImagePushError(ImageBuildError):
    """An image could not be brought into a registry; in the same words."""


class UnknownImageError(KeyError):
    """A name that is not in the catalogue."""

    def __init__(self, name: str, known: tuple[str, ...]) -> None:
        super().__init__(name)
        self.name = name
        self.known = known

    def __str__(self) -> str:
        return f"there is no image '{self.name}'; the images are {', '.join(self.known)}"
