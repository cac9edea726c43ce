"""A release: from the tree to a verified deployment, each step recorded, and the way back when it fails."""

from collections.abc import Callable
from typing import Any

from ops.release_report import write_report
from ops.release_steps import (
    Origin,
    Steps,
    Tools,
    deploy_and_prove,
    finish,
    new_id,
    now,
    reason_of,
)
from ops.releases import Release, Releases, last_good_before
from ops.rollback import roll_back


def make_release(
    tools: Tools, releases: Releases, stack: str, show: Callable[[str], None], watch_seconds: float
) -> Release:
    """Brings what the tree says to the stack and proves it. A failure after the first change goes back by itself.

    Returns the record, whose outcome tells how it ended. Raises what a step raises before anything was changed. An
    interrupted release of the same content is gone on with: its backup and its schema revision are those of before it.
    """
    steps = Steps(releases, show)
    with steps.step("validate") as said:
        source, description = tools.origin(), tools.describe()
        said.note = f"commit {source.commit or 'unknown'}{', with uncommitted changes' if source.dirty else ''}"
    with steps.step("images") as said:
        images = tools.images()
        said.note = f"{len(images)}, each by digest"
    release = _begin(releases, stack, source, description, images)
    steps.begin(release)
    try:
        with steps.step("policies") as said:
            said.note = tools.policies()
        _back_up(tools, release, steps)
    except Exception as error:
        finish(releases, release, "failed", f"{reason_of(error)}; nothing was changed")
        raise
    deploy_and_prove(tools, release, steps, watch_seconds)
    if release.outcome == "failed":
        _go_back_by_itself(tools, releases, release, show)
    return release


def _begin(
    releases: Releases, stack: str, source: Origin, description: dict[str, Any], images: dict[str, str]
) -> Release:
    """A new record, or the one of the same release that was interrupted."""
    made = Release(
        id=new_id(releases, source.commit),
        stack=stack,
        kind="release",
        started_at=now(),
        by=source.by,
        commit=source.commit,
        dirty=source.dirty,
        images=images,
        description=description,
    )
    last = releases.last()
    if last and last.outcome == "unfinished":
        if last.kind == "release" and last.is_same_as(made):
            return last
        finish(releases, last, "failed", "it was interrupted, and another release came after it")
    return made


def _back_up(tools: Tools, release: Release, steps: Steps) -> None:
    """What must be there before the first change: a backup, and the knowledge of what to go back to."""
    with steps.step("backup") as said:
        if release.backup:
            said.note = f"{release.backup}, made before the interruption"
        elif release.deployed:
            said.skip("not run: the deployment had begun before the interruption")
        elif not tools.is_live():
            said.skip("not run: the stack is not live yet")
        else:
            release.schema_before = release.schema_before or tools.schema()
            release.backup = tools.backup()
            if release.backup:
                said.note = release.backup
            else:
                said.skip("not run: the stack makes no backups")


def _go_back_by_itself(tools: Tools, releases: Releases, failed: Release, show: Callable[[str], None]) -> None:
    """After a failed release: back to the last good one, where there is one and no data would be lost."""
    show(f"== release {failed.id} failed: {failed.reason}")
    if last_good_before(failed, releases.all()) is None:
        failed.reason = f"{failed.reason}; there is no verified release to go back to, so it was left as it is"
    else:
        try:
            back = roll_back(tools, releases, failed.stack, show)
        except Exception as error:  # noqa: BLE001 - the release failed anyway; this tells why it could not be undone
            failed.reason = f"{failed.reason}; going back failed: {reason_of(error)}"
        else:
            failed.rolled_back_to = back.restores
            if back.outcome == "verified":
                failed.outcome = "rolled back"
            else:
                failed.reason = f"{failed.reason}; going back failed: {back.reason}"
    releases.save(failed)
    write_report(releases.path(failed), failed)
