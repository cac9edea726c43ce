"""Going back to what an earlier release deployed."""

from collections.abc import Callable

from ops.errors import OperatorError
from ops.release_steps import Steps, Tools, deploy_and_prove, finish, new_id, now, reason_of
from ops.releases import Release, Releases, carried_over, last_good_before, origin


def roll_back(
    tools: Tools,
    releases: Releases,
    stack: str,
    show: Callable[[str], None],
    to: str | None = None,
    accept_loss: bool = False,
) -> Release:
    """Brings back schema, description and images of an earlier release and verifies them; returns the record.

    Without `to` it is the last verified release before what now runs; an interrupted rollback is gone on with. Raises
    OperatorError, with nothing changed, when there is none, when its images are gone, or when the way back would lose
    data and that was not accepted.
    """
    known, current = releases.all(), releases.current()
    if current is None:
        raise OperatorError(f"nothing was released to stack {stack} yet", f"./deploy-api.sh prod --stack {stack}")
    target = _target(releases, current, stack, to)
    steps = Steps(releases, show)
    with steps.step("validate") as said:
        if gone := tools.images_gone(target.images):
            raise OperatorError(
                f"release {target.id} can't be brought back: its registry does not give {gone[0]}",
                "start the registry or restore that image, or name another release: --to ID",
            )
        said.note = f"to release {target.id} of {target.started_at}, commit {target.commit or 'unknown'}"
    with steps.step("schema") as said:
        revision, wanted = tools.schema(), target.schema_after
        back = wanted if revision and wanted and revision != wanted else None
        said.note = f"revision {revision or 'unknown'}" + (f", to be brought back to {back}" if back else "")
        if back and tools.loses_data(back) and not accept_loss:
            raise OperatorError(
                f"going back from schema revision {revision} to {back} would lose data; nothing was changed",
                f"accept that: ./deploy-api.sh rollback {stack} --to {target.id} --yes",
            )
    release = Release(
        id=new_id(releases, target.commit),
        stack=stack,
        kind="rollback",
        restores=target.id,
        started_at=now(),
        by=tools.origin().by,
        commit=target.commit,
        dirty=target.dirty,
        images=target.images,
        description=carried_over(target.description, current.description),
        schema_before=revision,
    )
    steps.begin(release)
    if back:
        try:
            with steps.step("downgrade") as said:
                tools.downgrade(back)
                said.note = f"to revision {back}"
        except Exception as error:
            finish(releases, release, "failed", reason_of(error))
            raise
    deploy_and_prove(tools, release, steps, watch_seconds=None)
    left = origin(current, known)
    if release.outcome == "verified" and target.id < left.id:
        _mark(releases, left.id, target.id)
    return release


def _target(releases: Releases, current: Release, stack: str, to: str | None) -> Release:
    known = releases.all()
    unfinished = current.kind == "rollback" and current.outcome == "unfinished"
    chosen = releases.named(to) if to else current if unfinished else last_good_before(current, known)
    if chosen is None:
        raise OperatorError(
            f"stack {stack} has no verified release before {origin(current, known).id}",
            f"see ./deploy-api.sh releases {stack}, and name one: --to ID",
        )
    return origin(chosen, known)


def _mark(releases: Releases, left: str, target: str) -> None:
    """Notes that one went back from a release, so that it is not taken for a good one later."""
    release = releases.named(left)
    release.rolled_back_to = target
    if release.outcome == "unfinished":
        finish(releases, release, "failed", "it was interrupted, and then gone back from")
    releases.save(release)
