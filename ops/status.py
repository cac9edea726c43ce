"""What a stack is doing now."""

from collections.abc import Sequence
from typing import Any

from rich.table import Table

from ops.context import Context
from ops.live import LivePart, live_stack
from ops.parts import Inventory

STYLES = {"ok": "green", "starting": "yellow", "failed": "red", "stopped": "yellow", "absent": "red"}
SHOWN_DIGEST = 12


def stack_status(context: Context, stack: str) -> dict[str, Any]:
    """The shape that `status --json` promises: stack, deployed, healthy, parts, missing, urls, release."""
    from ops.releases import Releases

    outputs: dict[str, Any] = context.engine.outputs(stack) if context.engine.exists(stack) else {}
    inventory: Inventory = outputs.get("inventory") or {}
    with live_stack(context, stack) as live:
        parts = live.parts(inventory)
    current = Releases(context.home.releases(stack)).current()
    return {**describe(stack, outputs, parts), "release": current.summary() if current else None}


def describe(stack: str, outputs: dict[str, Any], parts: Sequence[LivePart]) -> dict[str, Any]:
    """Joins what the stack should be with what is there.

    A job that only prepares a part (it fills a config volume) is shown only when it has not ended well.
    """
    inventory = outputs.get("inventory") or {}
    helpers = {part.name for part in parts if inventory and part.kind == "job" and part.name not in inventory}
    parts = [part for part in parts if part.name not in helpers or part.verdict != "ok"]
    return {
        "stack": stack,
        "target": outputs.get("target") or "docker",
        "deployed": bool(inventory),
        "healthy": bool(parts) and all(part.verdict == "ok" for part in parts),
        "parts": [part.as_json() for part in parts],
        "missing": outputs.get("missing") or {},
        "urls": outputs.get("urls") or {},
        "authority": outputs.get("authority"),
    }


def status_table(status: dict[str, Any]) -> Table:
    """The same for people."""
    table = Table(title=f"Stack {status['stack']}", title_justify="left", box=None, pad_edge=False)
    fill = _fill_of_cluster if status.get("target") == "kubernetes" else _fill_of_engine
    fill(table, status)
    for name, reason in status["missing"].items():
        table.add_row(name, "[yellow]not deployed[/]", reason, *["-"] * (len(table.columns) - 3))
    return table


def _fill_of_engine(table: Table, status: dict[str, Any]) -> None:
    for column in ("part", "verdict", "state", "health", "restarts", "published at", "container"):
        table.add_column(column, overflow="fold")
    for part in status["parts"]:
        state = part["state"] if part["exitCode"] is None else f"{part['state']} ({part['exitCode']})"
        published = ", ".join(part["ports"].values())
        table.add_row(
            part["part"], _verdict(part), state, part["health"] or "-", str(part["restarts"]),
            published or "-", part["container"],
        )  # fmt: skip


def _fill_of_cluster(table: Table, status: dict[str, Any]) -> None:
    for column in ("part", "verdict", "kind", "state", "restarts", "image", "since", "why"):
        table.add_column(column, overflow="fold")
    for part in status["parts"]:
        why = part["health"] if part["verdict"] != "ok" else None
        table.add_row(
            part["part"], _verdict(part), part["kind"], part["state"], str(part["restarts"]),
            short_image(part["image"]), (part["startedAt"] or "-").rstrip("Z").replace("T", " "), why or "-",
        )  # fmt: skip


def _verdict(part: dict[str, Any]) -> str:
    return f"[{STYLES[part['verdict']]}]{part['verdict']}[/]"


def short_image(reference: str) -> str:
    """The image's name and the beginning of its digest; its tag when it is not known by digest."""
    name = reference.rpartition("/")[2]
    repository, _, digest = name.partition("@sha256:")
    return f"{repository}@{digest[:SHOWN_DIGEST]}" if digest else name


def release_lines(status: dict[str, Any]) -> list[str]:
    """What runs, since when, and from which commit, in words; nothing for a stack without releases."""
    release = status.get("release")
    if not release:
        return []
    changed = ", with changes that were not committed" if release["dirty"] else ""
    return [
        f"Release    {release['id']} ({release['outcome']}), since {release['startedAt']} by {release['by']}",
        f"Commit     {release['commit'] or 'unknown'}{changed}",
    ]
