"""The steps of a release on a real cluster."""

import getpass
import json
import socket
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ops import deploy, kube_stop, verify
from ops.context import Context
from ops.errors import OperatorError
from ops.health import Probe, http_probe, probe_urls, trusting
from ops.home import PROJECT_DIR
from ops.live_kubernetes import MIGRATIONS, KubernetesStack
from ops.logs import whole_lines
from ops.preflight import check_cluster, deployed_images
from ops.release_steps import Origin
from ops.reports import record_preview
from ops.watch import Traffic, traffic_of, watch

BACKUP = "backup-incremental"
EDGE = "edge"
USERS_OF_THE_SCHEMA = frozenset({"api", "relay", "executor"})
LOSES_DATA = 3
"""The exit code of the service's `migrate --to` when the way back would lose data."""


class ClusterTools:
    """What `release` and `rollback` do with one stack."""

    def __init__(self, context: Context, stack: str) -> None:
        self._context = context
        self._stack = stack

    def origin(self) -> Origin:
        commit = _git("rev-parse", "HEAD")
        return Origin(commit, bool(_git("status", "--porcelain")), f"{getpass.getuser()}@{socket.gethostname()}")

    def describe(self) -> dict[str, Any]:
        described = self._context.stack(self._stack)
        if described.target != "kubernetes":
            raise OperatorError(
                f"stack {self._stack} is on {described.target}, and releases are made to a cluster",
                f"./deploy-api.sh up {self._stack}",
            )
        self._registry()
        check_cluster(self._context, described, images=False)
        return described.model_dump(mode="json", by_alias=True, exclude={"name"})

    def images(self) -> dict[str, str]:
        from images.push import push
        from ops.setup.machine import set_up

        context = self._context
        set_up(context.home, context.progress)
        own = context.stack(self._stack).images
        with context.progress.task("Images into the registry") as report:
            pushed = push([name for name in deployed_images() if name not in own], self._registry(), report)
        return {**pushed, **own}

    def images_gone(self, images: Mapping[str, str]) -> list[str]:
        from images.push import digest_of
        from ops.docker_client import connect

        client = connect()
        try:
            return [reference for reference in images.values() if digest_of(client, reference) is None]
        finally:
            client.close()

    def policies(self) -> str:
        engine = self._context.engine
        with self._context.progress.task("Preview under the policy pack") as report:
            engine.ensure(self._stack)
            changes = engine.preview(self._stack, report, policy_pack=PROJECT_DIR / "policies")
        record_preview(self._context.home, self._stack, changes.steps)
        return f"passed, {len(changes.advice)} advisory findings; it would {changes}"

    def is_live(self) -> bool:
        engine = self._context.engine
        return engine.exists(self._stack) and bool(engine.outputs(self._stack).get("inventory"))

    def schema(self) -> str | None:
        code, lines = self._job("Revision of the schema", MIGRATIONS, ["schema"])
        return schema_of(lines) if code == 0 else None

    def backup(self) -> str | None:
        with self._context.progress.task("Backup") as report:
            live = self._live()
            try:
                if not live.has_job(BACKUP):
                    return None
                code, why = live.run_again(BACKUP, report)
            finally:
                live.close()
        if code:
            raise OperatorError(f"the backup failed: {why or f'exit code {code}'}", f"see {self._context.log}")
        from ops.release_steps import now

        return f"{BACKUP} of {now()}"

    def up(self, record: Path) -> str:
        released = self._context.of_release(record)
        return str(deploy.up(released, self._stack).changes)

    def verify(self) -> dict[str, Any]:
        record = verify.verify(self._context, self._stack)
        items = {name: entry["status"] for name, entry in record["items"].items()}
        failed = {
            name: next((c["message"] for c in entry["checks"] if c["status"] == entry["status"]), "")
            for name, entry in record["items"].items()
            if entry["status"] != "pass"
        }
        return {
            "passed": verify.passed(record),
            "summary": verify.summary_line(record),
            "why": verify.failures(record),
            "items": items,
            "failed": failed,
            "figures": record["figures"],
        }

    def watch(self, seconds: float) -> dict[str, Any]:
        outputs = self._context.engine.outputs(self._stack)
        url = next(iter(probe_urls(outputs).values()), None)
        trust = trusting(outputs)
        live = self._live()

        def ask() -> Probe:
            if url is None:
                return Probe("", True, "nothing is published", 0.0)
            return http_probe(f"{url.rstrip('/')}/health", trust=trust)

        def traffic_since(started: float) -> Traffic:
            sources = live.log_sources(EDGE, False) if any(part.name == EDGE for part in live.parts()) else {}
            chunks = (each.logs(stream=True, follow=False, since=started, tail="all") for each in sources.values())
            return traffic_of(line for source in chunks for line in whole_lines(source))

        try:
            with self._context.progress.task(f"Watching stack {self._stack}") as report:
                return watch(live, ask, traffic_since, seconds, report)
        finally:
            live.close()

    def loses_data(self, revision: str) -> bool:
        code, lines = self._job("Way back of the schema", MIGRATIONS, ["migrate", "--to", revision, "--check"])
        if code not in {0, LOSES_DATA}:
            raise OperatorError(
                f"there is no way back to schema revision {revision}: {_last(lines)}", "restore a backup"
            )
        return code == LOSES_DATA

    def downgrade(self, revision: str) -> None:
        live = self._live()
        try:
            with self._context.progress.task("Stopping what uses the schema") as report:
                kube_stop.stop_programs(live.api, live.namespace, self._stack, USERS_OF_THE_SCHEMA, report)
            code, lines = self._job("Schema", MIGRATIONS, ["migrate", "--to", revision, "--accept-loss"])
            if code:
                with self._context.progress.task("Bringing the programs back") as report:
                    live.resume(report)
                raise OperatorError(f"the downgrade to {revision} failed: {_last(lines)}", f"see {self._context.log}")
        finally:
            live.close()

    def _job(self, title: str, part: str, arguments: list[str]) -> tuple[int, list[str]]:
        lines: list[str] = []
        live = self._live()
        try:
            with self._context.progress.task(title) as report:

                def write(line: str) -> None:
                    lines.append(line)
                    report(line)

                code, why = live.run_again(part, write, arguments)
        finally:
            live.close()
        return code, [*lines, why] if why else lines

    def _live(self) -> KubernetesStack:
        return KubernetesStack.of(self._context.home, self._context.stack(self._stack))

    def _registry(self) -> str:
        registry = self._context.stack(self._stack).kubernetes.registry
        if registry is None:
            raise OperatorError(
                f"stack {self._stack} names no registry that its images could be pushed to",
                f"set kubernetes.registry in Pulumi.{self._stack}.yaml",
            )
        return registry


def schema_of(lines: list[str]) -> str | None:
    """The revision that the service's `schema` command printed among its records; None when it did not."""
    for line in reversed(lines):
        try:
            document = json.loads(line)
        except ValueError:
            continue
        if isinstance(document, dict) and "newest" in document:
            current = document.get("current")
            return str(current) if current else None
    return None


def _last(lines: list[str]) -> str:
    return next((line for line in reversed(lines) if line.strip()), "it said nothing")[:300]


def _git(*arguments: str) -> str:
    """What git says of the project's tree; nothing where there is no git or no repository."""
    try:
        done = subprocess.run(
            ["git", *arguments], cwd=PROJECT_DIR, capture_output=True, text=True, timeout=30, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
