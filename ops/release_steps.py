"""The steps of a release and of a rollback: what they are made of, and how each is shown and recorded."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from ops.errors import OperatorError
from ops.release_report import write_report
from ops.releases import Outcome, Release, Releases, Step


@dataclass(frozen=True)
class Origin:
    """Where a release comes from: a commit, whether the tree had other changes too, and who deploys."""

    commit: str
    dirty: bool
    by: str


class Tools(Protocol):
    """What the steps are made of. Each raises an error with a reason and a mend when it can't do its work."""

    def origin(self) -> Origin:
        """The tree's commit and the person."""

    def describe(self) -> dict[str, Any]:
        """The whole description of the stack, defaults included, after it was found valid and the cluster fit."""

    def images(self) -> dict[str, str]:
        """Builds and pushes what is missing; every image by its digest in the registry."""

    def images_gone(self, images: Mapping[str, str]) -> list[str]:
        """Of these references those that their registry does not have any more."""

    def policies(self) -> str:
        """Previews under the policy pack; what is to be told of it."""

    def is_live(self) -> bool:
        """Whether the stack has something that a release could damage."""

    def schema(self) -> str | None:
        """The revision of the live database's schema; None when it can't be told."""

    def backup(self) -> str | None:
        """Makes a backup; what it is called. None when the stack makes no backups."""

    def up(self, record: Path) -> str:
        """Deploys what the record says; what changed, in words."""

    def verify(self) -> dict[str, Any]:
        """Runs the live checks: `passed`, `summary`, and with them what is worth keeping."""

    def watch(self, seconds: float) -> dict[str, Any]:
        """Looks at the stack for a while: `passed`, `summary`, and `why` not, with figures."""

    def loses_data(self, revision: str) -> bool:
        """Whether the way back to that revision of the schema would lose data."""

    def downgrade(self, revision: str) -> None:
        """Brings the schema back, with the programs that use it stopped; `up` starts them again."""


class Said:
    """What a step tells about itself."""

    def __init__(self) -> None:
        self.note = ""
        self.skipped = False

    def skip(self, why: str) -> None:
        """The step was not made, and why."""
        self.note, self.skipped = why, True


class Steps:
    """Runs steps one after the other, shows them, and keeps the record true at every moment."""

    def __init__(self, releases: Releases, show: Callable[[str], None]) -> None:
        self.releases = releases
        self._show = show
        self._release: Release | None = None
        self._done: list[Step] = []

    def begin(self, release: Release) -> None:
        """From here on the record is kept; what was done before is put into it."""
        self._release = release
        release.steps = self._done
        self.releases.save(release)

    @contextmanager
    def step(self, name: str) -> Iterator[Said]:
        """One step; the body may note what is to be told of it."""
        said, started = Said(), time.monotonic()
        step = Step(name, "failed")
        self._done.append(step)
        self._show(f"== {name}")
        try:
            yield said
            step.status = "not run" if said.skipped else "done"
        except BaseException as error:
            said.note = reason_of(error)
            raise
        finally:
            step.seconds, step.note = round(time.monotonic() - started, 1), said.note
            if said.note:
                self._show(f"   {said.note}")
            if self._release:
                self.releases.save(self._release)


def deploy_and_prove(tools: Tools, release: Release, steps: Steps, watch_seconds: float | None) -> None:
    """Deploys what the record says and checks it; the record's outcome tells how that ended.

    A failure is not raised, because the way back follows it. An interrupt is, and leaves the record unfinished.
    """
    release.deployed = True
    try:
        with steps.step("up") as said:
            said.note = tools.up(steps.releases.save(release))
        with steps.step("schema after") as said:
            release.schema_after = tools.schema()
            said.note = f"revision {release.schema_after or 'unknown'}"
        with steps.step("verify") as said:
            release.verification = tools.verify()
            said.note = _passed(release.verification, "its verification failed")
        if watch_seconds is not None:
            with steps.step("watch") as said:
                release.watch = tools.watch(watch_seconds)
                said.note = _passed(release.watch, "it did not stand the watch")
    except Exception as error:  # noqa: BLE001 - whatever failed, the record says so and the way back begins
        finish(steps.releases, release, "failed", reason_of(error))
    else:
        finish(steps.releases, release, "verified")


def finish(releases: Releases, release: Release, outcome: Outcome, reason: str | None = None) -> None:
    """Closes the record and writes the report."""
    release.outcome, release.reason, release.finished_at = outcome, reason, now()
    releases.save(release)
    write_report(releases.path(release), release)


def reason_of(error: BaseException) -> str:
    """One line that says what went wrong."""
    return " ".join(str(getattr(error, "reason", None) or error or type(error).__name__).split())


def now() -> str:
    """The time as records have it."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def new_id(releases: Releases, commit: str) -> str:
    """Sorts by time; two within a second get different ones all the same."""
    last = max((each.id for each in releases.all()), default="")
    moment = time.time()
    while (made := f"{time.strftime('%Y%m%d-%H%M%S', time.gmtime(moment))}-{commit[:8] or 'unknown'}") <= last:
        moment += 1
    return made


def _passed(outcome: Mapping[str, Any], failure: str) -> str:
    """The summary. Raises OperatorError when it did not pass."""
    if not outcome["passed"]:
        why = "; ".join(outcome.get("why") or [str(outcome["summary"])])
        raise OperatorError(f"{failure}: {why}", "see the report")
    return str(outcome["summary"])
