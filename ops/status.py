"""What a stack is doing now."""

from typing import Any

from rich.table import Table

from ops.context import Context
from ops.docker_client import connect
from ops.parts import Inventory, Part, live_parts

STYLES = {"ok": "green", "starting": "yellow", "failed": "red", "stopped": "yellow", "absent": "red"}


def stack_status(context: Context, stack: str) -> dict[str, Any]:
    """The shape that `status --json` promises: stack, deployed, healthy, parts, missing, urls."""
    outputs: dict[str, Any] = context.engine.outputs(stack) if context.engine.exists(stack) else {}
    inventory: Inventory = outputs.get("inventory") or {}
    client = connect()
    try:
        parts = live_parts(client, stack, inventory)
    finally:
        client.close()
    return describe(stack, outputs, parts)


def describe(stack: str, outputs: dict[str, Any], parts: list[Part]) -> dict[str, Any]:
    """Joins what the stack should be with what is there.

    A job that only prepares a part (it fills a config volume) is shown only when it has not ended well.
    """
    inventory = outputs.get("inventory") or {}
    helpers = {part.name for part in parts if inventory and part.kind == "job" and part.name not in inventory}
    parts = [part for part in parts if part.name not in helpers or part.verdict != "ok"]
    return {
        "stack": stack,
        "deployed": bool(inventory),
        "healthy": bool(parts) and all(part.verdict == "ok" for part in parts),
        "parts": [part.as_json() for part in parts],
        "missing": outputs.get("missing") or {},
        "urls": outputs.get("urls") or {},
    }


def status_table(status: dict[str, Any]) -> Table:
    """The same for people."""
    table = Table(title=f"Stack {status['stack']}", title_justify="left", box=None, pad_edge=False)
    for column in ("part", "verdict", "state", "health", "restarts", "published at", "container"):
        table.add_column(column, overflow="fold")
    for part in status["parts"]:
        state = part["state"] if part["exitCode"] is None else f"{part['state']} ({part['exitCode']})"
        style = STYLES[part["verdict"]]
        published = ", ".join(part["ports"].values())
        table.add_row(
            part["part"], f"[{style}]{part['verdict']}[/]", state, part["health"] or "-", str(part["restarts"]),
            published or "-", part["container"],
        )  # fmt: skip
    for name, reason in status["missing"].items():
        table.add_row(name, "[yellow]not deployed[/]", reason, "-", "-", "-", "-")
    return table
