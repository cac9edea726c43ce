"""Builds what is missing, parents first, with the engine's classic build call (which every engine has)."""

import os
import queue
import re
import subprocess
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, cast

import docker
import docker.errors
import requests

from images import catalog
from images.catalog import ROOT, SourceFile
from images.context import build_context
from images.errors import ImageBuildError
from images.failures import build_failure

Report = Callable[[str], None]

# Two builds share a small machine well: one waits for packages while the other unpacks.
PARALLEL_BUILDS = 2
# The longest silence (seconds) of one build step; quiet downloads of a slow network stay far below it.
STEP_SILENCE_SECONDS = 1200
_STEP = re.compile(r"^Step (\d+)/(\d+) : (.*)$")
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_SHOWN_STEPS = ("FROM", "RUN", "COPY")  # the others take no time
_WARNING = re.compile(r"^[WE]: |\b(warn(ing)?|error|deprecat(ed|ion))\b\s*[:\]]|^npm warn\b", re.IGNORECASE)
"""A line in which apt, dpkg, a compiler, pip, Maven or npm complains of something that does not stop the build."""
_KEPT_WARNINGS = 50
_BUILT = re.compile(r"^sha256:[0-9a-f]{64}$")


@dataclass(frozen=True, slots=True)
class BuiltImage:
    """An image that the engine has. `seconds` is 0 when it was there before.

    `revision` and `version` are its labels. `warnings` is None when it was there before, so that nobody saw its build.
    """

    name: str
    reference: str
    image_id: str
    size_bytes: int
    seconds: float
    revision: str = ""
    version: str = ""
    warnings: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class _Plan:
    """What is to be built, read from the tree at one moment."""

    name: str
    files: tuple[SourceFile, ...]
    reference: str
    parent_reference: str | None


def build(names: Iterable[str], report: Report, client: docker.DockerClient | None = None) -> dict[str, BuiltImage]:
    """Makes sure that the engine has every named image under its content-addressed reference.

    Present images cost one look each. Missing ones are built after the images below them, two at a time; `report` gets
    a line for each step. A reference appears only when its build has succeeded: an interrupted one leaves none behind.
    Raises `ImageBuildError`.
    """
    engine = client if client is not None else _connect()
    plans = {name: _plan(name) for name in names}
    found: dict[str, BuiltImage] = {}
    missing: dict[str, _Plan] = {}
    for plan in plans.values():
        _look_up(engine, plan, found, missing)
    for name, fresh in _run(engine, missing, report):
        found[name] = fresh
    return {name: found[name] for name in plans}


def _connect() -> docker.DockerClient:
    try:
        client = docker.from_env()
        client.ping()
    except (docker.errors.DockerException, requests.RequestException) as error:
        raise ImageBuildError(
            f"The Docker engine does not answer: {error}.",
            "Start it, or let this user talk to it (`docker version` must show a server).",
        ) from error
    return client


def _plan(name: str) -> _Plan:
    files = catalog.source_files(name)
    parent = catalog.image(name).parent
    return _Plan(
        name,
        files,
        catalog.reference_for(name, catalog.hash_of(name, files)),
        catalog.reference(parent) if parent else None,
    )


def _look_up(engine: docker.DockerClient, plan: _Plan, found: dict[str, BuiltImage], missing: dict[str, _Plan]) -> None:
    if plan.name in found or plan.name in missing:
        return
    try:
        found[plan.name] = _describe(engine, plan.name, plan.reference, plan.reference, 0.0)
    except docker.errors.ImageNotFound:
        # The image below is looked for only now: one that is built no longer needs it.
        parent = catalog.image(plan.name).parent
        if parent:
            _look_up(engine, _plan(parent), found, missing)
        missing[plan.name] = plan


def _describe(
    engine: docker.DockerClient,
    name: str,
    key: str,
    reference: str,
    seconds: float,
    warnings: tuple[str, ...] | None = None,
) -> BuiltImage:
    details = engine.images.get(key).attrs
    labels = (details.get("Config") or {}).get("Labels") or {}
    revision, version = (str(labels.get(f"org.opencontainers.image.{each}", "")) for each in ("revision", "version"))
    return BuiltImage(name, reference, str(details["Id"]), int(details["Size"]), seconds, revision, version, warnings)


def _run(engine: docker.DockerClient, missing: dict[str, _Plan], report: Report) -> Iterator[tuple[str, BuiltImage]]:
    """Builds in dependency order, at most `PARALLEL_BUILDS` at once; the first failure stops all.

    The workers are daemon threads: when the program is interrupted they vanish with their connections, and the engine
    gives up a build whose client has gone.
    """
    waiting = dict(missing)
    running: set[str] = set()
    results: queue.Queue[tuple[str, BuiltImage | BaseException]] = queue.Queue()
    stop = threading.Event()
    revision = _revision() if missing else ""

    def work(plan: _Plan) -> None:
        try:
            results.put((plan.name, _build_one(engine, plan, revision, report, stop)))
        except BaseException as error:  # noqa: BLE001 - handed over to the calling thread, which raises it
            results.put((plan.name, error))

    try:
        while waiting or running:
            for plan in list(waiting.values()):
                parent = catalog.image(plan.name).parent
                if len(running) < PARALLEL_BUILDS and parent not in waiting and parent not in running:
                    del waiting[plan.name]
                    running.add(plan.name)
                    threading.Thread(target=work, args=(plan,), name=f"build-{plan.name}", daemon=True).start()
            name, result = results.get()
            running.discard(name)
            if isinstance(result, BaseException):
                raise result
            yield name, result
    finally:
        stop.set()


def _build_one(
    engine: docker.DockerClient, plan: _Plan, revision: str, report: Report, stop: threading.Event
) -> BuiltImage:
    started = time.monotonic()
    step, output, image_id = "", list[str](), ""
    warnings: list[str] = []
    try:
        for event in _events(engine, plan, revision):
            if stop.is_set():
                raise ImageBuildError(f"Building image '{plan.name}' was given up.", "Another build had failed.")
            if "error" in event:
                detail = event.get("errorDetail") or {}
                raise build_failure(plan.name, step, str(detail.get("message") or event["error"]), output)
            image_id = str((event.get("aux") or {}).get("ID") or image_id)
            for line in _COLOUR.sub("", str(event.get("stream") or "")).splitlines():
                if match := _STEP.match(line):
                    step, output = f"step {match[1]}/{match[2]} ({match[3][:120]})", []
                    elapsed = time.monotonic() - started
                    if match[3].startswith(_SHOWN_STEPS):
                        report(f"{plan.name}: {match[1]}/{match[2]} {match[3][:80]} [{elapsed:.0f} s]")
                elif line.strip():
                    output.append(line)
                    if _WARNING.search(line) and len(warnings) < _KEPT_WARNINGS:
                        warnings.append(line.strip()[:300])
    except (docker.errors.DockerException, requests.RequestException) as error:
        raise build_failure(plan.name, step, str(error), output) from error
    if not _BUILT.match(image_id):
        raise build_failure(plan.name, step, "the engine reported no image", output)
    repository, _, tag = plan.reference.rpartition(":")
    engine.api.tag(image_id, repository, tag)
    seconds = time.monotonic() - started
    built = _describe(engine, plan.name, image_id, plan.reference, seconds, tuple(warnings))
    report(f"{plan.name}: built {plan.reference}, {built.size_bytes / 1e6:.0f} MB, in {seconds:.0f} s")
    return built


def _events(engine: docker.DockerClient, plan: _Plan, revision: str) -> Iterator[dict[str, Any]]:
    arguments = {"VERSION": catalog.version(), "REVISION": revision, **_proxies()}
    if plan.parent_reference:
        arguments["BASE"] = plan.parent_reference
    stream = engine.api.build(
        fileobj=build_context(plan.files),
        custom_context=True,
        decode=True,
        rm=True,
        forcerm=True,
        buildargs=arguments,
        timeout=STEP_SILENCE_SECONDS,
    )
    return cast("Iterator[dict[str, Any]]", stream)


def _proxies() -> dict[str, str]:
    """This machine's proxy settings; the engine knows these build arguments and keeps them out of the image."""
    names = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy")
    return {name: os.environ[name] for name in names if os.environ.get(name)}


def _revision() -> str:
    """The commit that the tree stands at, with `-dirty` when it has changes on top; `unknown` outside a repository."""

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(ROOT), *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=20, check=True).stdout.strip()

    try:
        return git("rev-parse", "HEAD") + ("-dirty" if git("status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.SubprocessError):
        return "unknown"
