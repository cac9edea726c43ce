"""`python -m images build [NAME...] | list | reference NAME... | context NAME`, each but the last with `--json`.

`context` writes the build context to standard output, for other builders:
`python -m images context kafka | docker build -`.
"""

import argparse
import json
import shutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict

from images import catalog
from images.build import build
from images.context import build_context
from images.errors import ImageBuildError, UnknownImageError


def main(arguments: list[str] | None = None) -> int:
    """Runs one command; the exit code is 0, or 1 with a reason on standard error."""
    options = _parser().parse_args(arguments)
    try:
        wanted = options.names or list(catalog.names())
        if options.command == "context":
            shutil.copyfileobj(build_context(catalog.source_files(wanted[0])), sys.stdout.buffer)
        elif options.command == "build":
            built = build(wanted, lambda line: _say(line, sys.stderr.write))
            _print({name: asdict(image) for name, image in built.items()}, "reference", as_json=options.json)
        else:
            references = {name: {"reference": catalog.reference(name)} for name in wanted}
            _print(references, "reference", as_json=options.json, bare=options.command == "reference")
    except UnknownImageError as error:
        _say(str(error), sys.stderr.write)
        return 1
    except ImageBuildError as error:
        _say(f"{error.reason}\n{error.mend}", sys.stderr.write)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m images", description="The platform's container images.")
    commands = parser.add_subparsers(dest="command", required=True)
    for name, text, count in (
        ("build", "build what is missing", "*"),
        ("list", "names and references", "*"),
        ("reference", "references only", "+"),
        ("context", "the build context as a tar stream", 1),
    ):
        command = commands.add_parser(name, help=text)
        command.add_argument("names", nargs=count, metavar="NAME")
        command.add_argument("--json", action="store_true", help="machine-readable output")
    return parser


def _print(rows: Mapping[str, Mapping[str, object]], key: str, *, as_json: bool, bare: bool = False) -> None:
    if as_json:
        _say(json.dumps(rows, indent=2), sys.stdout.write)
        return
    for name, row in rows.items():
        _say(str(row[key]) if bare else f"{name:18} {row[key]}", sys.stdout.write)


def _say(line: str, write: Callable[[str], int]) -> None:
    write(f"{line}\n")


if __name__ == "__main__":
    sys.exit(main())
