"""Files for what is shown once: new, and for their owner only."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, BinaryIO

import typer
from pydantic import BaseModel

from wfm.cli.exits import CliError
from wfm.cli.show import err

SecretFile = Annotated[Path | None, typer.Option("--to", help="Write it into this new file, for you only.")]


@contextmanager
def private_file(path: Path) -> Iterator[BinaryIO]:
    """A new file; gone again when the block fails. Raises CliError where it cannot be made."""
    try:
        number = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise CliError(f"{path} cannot be made: {error.strerror}", "name a file that is not there yet") from None
    try:
        with os.fdopen(number, "wb") as stream:
            yield stream
    except BaseException:
        path.unlink()
        raise


def shown_once(make: Callable[[], BaseModel], secret: str, to: Path | None) -> Any:
    """What an operation answers. With a file the secret in it goes there and is not shown."""
    if to is None:
        return make()
    # Made before the secret is, so that none is lost for want of a file.
    with private_file(to) as stream:
        answer = make().model_dump(mode="json")
        stream.write(f"{answer.pop(secret)}\n".encode())
    err().print(f"the {secret} is in {to}", markup=False)
    return answer
