"""The browser that the tests of the console drive: Debian's Chromium."""

import os
import shutil

from ops.console import Report
from ops.errors import OperatorError
from ops.setup.command import run

PACKAGE = "chromium"
APT_SECONDS = 900.0
BY_HAND = "install Chromium (Debian, as root: apt-get install chromium), then run the command again"


def is_there() -> bool:
    """Whether the browser is installed."""
    return shutil.which(PACKAGE) is not None


def ensure(report: Report) -> None:
    """Installs it. Raises OperatorError that says what to do by hand."""
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        raise OperatorError("Chromium is not installed, and only root on a Debian can have it installed", BY_HAND)
    quiet = {"DEBIAN_FRONTEND": "noninteractive"}
    apt = ["apt-get", "-q", "-o", "DPkg::Lock::Timeout=120", "-o", "Acquire::Retries=3"]
    report("reading the Debian package lists")
    run([*apt, "update"], report, APT_SECONDS, "check that the Debian mirrors in /etc/apt answer", quiet)
    report(f"installing {PACKAGE}")
    command = [*apt, "install", "-y", "--no-install-recommends", PACKAGE]
    run(command, report, APT_SECONDS, "mend apt (apt-get install -f), or " + BY_HAND, quiet)
