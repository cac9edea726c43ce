"""From a bare machine to a verified stack, and how to go on from there."""

import time
from collections.abc import Mapping
from typing import Any

from ops import deploy, verify
from ops.console import duration, out
from ops.context import Context
from ops.errors import OperatorError


def bring_up_and_verify(context: Context, stack: str) -> None:
    """Set-up, deployment, verification and a summary. Raises OperatorError when a check fails."""
    started = time.monotonic()
    deploy.prepare(context, stack)
    changes, outputs = deploy.up(context, stack)
    record = verify.verify(context, stack)
    if verify.passed(record):
        for line in verify.item_lines(record):
            out.print(line, markup=False)
    else:
        out.print(verify.verification_table(record))
    out.print()
    print_access(outputs, stack)
    out.print(f"\nStack      {changes} ({duration(changes.seconds)})", markup=False)
    out.print(f"Verified   {verify.summary_line(record)}", markup=False)
    for line in verify.figure_lines(record):
        out.print(f"Measured   {line}", markup=False)
    out.print(f"All in all {duration(time.monotonic() - started)}", markup=False)
    if not verify.passed(record):
        raise OperatorError(
            f"stack {stack} is up, but its verification failed",
            f"see the table above and {context.log}; then run it again",
        )


def print_access(outputs: Mapping[str, Any], stack: str) -> None:
    """Where everything is and how to log in."""
    urls: Mapping[str, str] = outputs.get("urls") or {}
    for name, url in urls.items():
        out.print(f"{name.capitalize():<14} {url}", markup=False)
    # The edge shows no documentation to visitors.
    if "api" in urls and "edge" not in (outputs.get("inventory") or {}):
        out.print(f"{'API pages':<14} {urls['api'].rstrip('/')}/docs", markup=False)
    for part, reason in (outputs.get("missing") or {}).items():
        out.print(f"{part.capitalize():<14} not deployed: {reason}", markup=False)
    if username := outputs.get("adminUsername"):
        named = "" if stack == "dev" else f" {stack}"
        out.print(f"{'Log in as':<14} {username}, password: ./deploy-api.sh password{named}", markup=False)
