"""`python -m airgap`: prepare a machine that reaches only package registries."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from airgap import base_image, plugins, pulumi_cli
from airgap.errors import AirgapError


def main(arguments: list[str] | None = None) -> int:
    """Run one subcommand; 0 when done, 1 with a reason and a mend on stderr when not."""
    parser = argparse.ArgumentParser(prog="python -m airgap", description=__doc__)
    parser.add_argument("--home", type=Path, default=_default_home(), help="PULUMI_HOME to fill (default: %(default)s)")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("cli", help=f"build the Pulumi CLI {pulumi_cli.VERSION} from its Go module")
    laid = commands.add_parser("plugins", help="lay the Python language host and the provider plugins")
    laid.add_argument("--python", type=Path, default=Path(sys.executable), help="the interpreter they run under")
    commands.add_parser("base-image", help=f"make the image {base_image.NAME} from Debian packages")
    chosen = parser.parse_args(arguments)
    try:
        if chosen.command == "cli":
            pulumi_cli.install(chosen.home, _say)
        elif chosen.command == "plugins":
            plugins.install(chosen.home, chosen.python, _say)
        else:
            base_image.ensure(_say)
    except AirgapError as error:
        _say(f"{error.reason}\n  mend: {error.mend}")
        return 1
    return 0


def _default_home() -> Path:
    data = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    home = Path(os.environ.get("WORKFLOW_HOME") or Path(data, "workflow-platform"))
    return Path(os.environ.get("PULUMI_HOME") or home / "pulumi")


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")


if __name__ == "__main__":
    sys.exit(main())
