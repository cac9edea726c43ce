"""The report of one release for people, written beside its record."""

from collections.abc import Sequence
from pathlib import Path

from rich.table import Table
from rich.text import Text

from ops.releases import Release

REPORT = "report.md"


def write_report(folder: Path, release: Release) -> Path:
    """Writes the report as Markdown; returns its path."""
    path = folder / REPORT
    path.write_text(render(release), encoding="utf-8")
    return path


def render(release: Release) -> str:
    """The report's text: what was deployed, how each step ended, what was verified and seen."""
    title = "Rollback" if release.kind == "rollback" else "Release"
    lines = [f"# {title} {release.id} of stack {release.stack}", "", f"**{release.outcome}**"]
    if release.reason:
        lines += ["", release.reason]
    dirty = ", with changes that were not committed" if release.dirty else ""
    lines += [
        "",
        f"- begun {release.started_at}, ended {release.finished_at or 'not yet'}, by {release.by}",
        f"- commit {release.commit or 'unknown'}{dirty}",
        f"- schema revision {release.schema_before or 'none'} before, {release.schema_after or 'unknown'} after",
        f"- backup: {release.backup or 'none'}",
    ]
    if release.restores:
        lines.append(f"- brings back release {release.restores}")
    if release.rolled_back_to:
        lines.append(f"- was rolled back to release {release.rolled_back_to}")
    lines += ["", "## Steps", "", "| step | outcome | took | |", "|---|---|---|---|"]
    lines += [f"| {each.name} | {each.status} | {each.seconds:g} s | {_cell(each.note)} |" for each in release.steps]
    lines += ["", "## Images", "", "| image | reference |", "|---|---|"]
    lines += [f"| {name} | `{reference}` |" for name, reference in sorted(release.images.items())]
    if release.verification:
        lines += ["", "## Verification", "", str(release.verification.get("summary", ""))]
        failed = release.verification.get("failed") or {}
        lines += [f"- {name}: {_cell(str(why))}" for name, why in sorted(failed.items())]
    if release.watch:
        lines += ["", "## Watch", "", str(release.watch.get("summary", ""))]
        lines += [f"- {why}" for why in release.watch.get("why") or []]
    return "\n".join(lines) + "\n"


def releases_table(known: Sequence[Release], current: Release | None) -> Table:
    """All releases, oldest first; what runs is marked."""
    table = Table(box=None, pad_edge=False)
    for column in ("", "release", "outcome", "begun", "by", "commit", "why"):
        table.add_column(column, overflow="fold")
    for each in known:
        runs = "→" if current and each.id == current.id else ""
        outcome = f"{each.outcome}, restores {each.restores}" if each.restores else each.outcome
        outcome += f", rolled back to {each.rolled_back_to}" if each.rolled_back_to else ""
        commit = f"{each.commit[:12] or 'unknown'}{' (changed)' if each.dirty else ''}"
        table.add_row(runs, each.id, outcome, each.started_at, each.by, commit, Text(each.reason or ""))
    return table


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
