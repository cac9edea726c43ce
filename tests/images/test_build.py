"""The builder against an engine that plays its part: order, references only at success, and errors with a mend."""

import threading
from collections.abc import Iterator
from typing import Any

import docker.errors
import pytest

from images import catalog
from images.build import build
from images.errors import ImageBuildError

pytestmark = pytest.mark.ring("unit")

DIGEST = "sha256:" + "0" * 63


class FakeEngine:
    """Answers as the engine's API does; `scripts` gives other events for the build of a title."""

    def __init__(self, present: set[str] | None = None) -> None:
        self.tags = {catalog.reference(name) for name in present or set()}
        self.scripts: dict[str, list[dict[str, Any]]] = {}
        self.started: list[str] = []
        self.finished: list[str] = []
        self.arguments: list[dict[str, str]] = []
        self.most_at_once = 0
        self._lock = threading.Lock()
        self.api = self
        self.images = self

    def get(self, key: str) -> "FakeEngine":
        if key not in self.tags and not key.startswith("sha256:"):
            raise docker.errors.ImageNotFound(key)
        return self

    @property
    def attrs(self) -> dict[str, Any]:
        labels = {"org.opencontainers.image.version": "1.2.3", "org.opencontainers.image.revision": "0" * 40}
        return {"Id": f"{DIGEST}1", "Size": 123_000_000, "Config": {"Labels": labels}}

    def build(self, fileobj: Any, buildargs: dict[str, str], **options: Any) -> Iterator[dict[str, Any]]:
        assert options["custom_context"]
        name = next(n for n in catalog.names() if f'image.title="workflow-{n}"'.encode() in fileobj.getvalue())
        with self._lock:
            self.started.append(name)
            self.arguments.append(buildargs)
            self.most_at_once = max(self.most_at_once, len(self.started) - len(self.finished))
        yield {"stream": "Step 1/2 : FROM something\n"}
        yield {"stream": "Step 2/2 : RUN install-packages x\n"}
        yield {"stream": "Reading package lists...\n"}
        yield from self.scripts.get(name, [{"aux": {"ID": f"{DIGEST}{len(name) % 10}"}}])
        with self._lock:
            self.finished.append(name)

    def tag(self, _image_id: str, repository: str, tag: str) -> bool:
        self.tags.add(f"{repository}:{tag}")
        return True


def test_present_images_are_not_built() -> None:
    engine = FakeEngine(present={"postgres"})
    lines: list[str] = []
    built = build(["postgres"], lines.append, engine)  # type: ignore[arg-type]
    assert built["postgres"].reference == catalog.reference("postgres")
    assert built["postgres"].seconds == 0
    assert (engine.started, lines) == ([], [])


def test_the_base_is_built_before_what_stands_on_it_and_two_at_a_time_after() -> None:
    engine = FakeEngine()
    build(catalog.names(), lambda _line: None, engine)  # type: ignore[arg-type]
    assert engine.started[0] == "base"
    assert engine.finished[0] == "base"
    assert set(engine.finished) == set(catalog.names())
    assert engine.most_at_once <= 2
    assert engine.tags == {catalog.reference(name) for name in catalog.names()}


def test_an_image_asked_for_alone_brings_the_one_below_it() -> None:
    engine = FakeEngine()
    assert set(build(["kafka"], lambda _line: None, engine)) == {"kafka"}  # type: ignore[arg-type]
    assert engine.finished == ["base", "kafka"]
    assert engine.arguments[1]["BASE"] == catalog.reference("base")
    assert "BASE" not in engine.arguments[0]


def test_each_step_is_reported_with_its_image_and_the_time() -> None:
    lines: list[str] = []
    build(["base"], lines.append, FakeEngine())  # type: ignore[arg-type]
    assert lines[1] == "base: 2/2 RUN install-packages x [0 s]"
    assert lines[-1] == f"base: built {catalog.reference('base')}, 123 MB, in 0 s"


def test_warnings_of_a_build_are_kept_and_nobody_saw_those_of_an_image_that_was_there() -> None:
    engine = FakeEngine()
    said = [
        "W: Some index files failed to download",
        "npm warn old lockfile",
        "a.c:1: \x1b[35mwarning:\x1b[0m unused",
        "[WARNING] a plugin has no version",
        "DEPRECATION: this will go",
        "Setting up libgpg-error0:amd64 (1.46-1) ...",
        "no error was found",
    ]
    engine.scripts["base"] = [*({"stream": f"{line}\n"} for line in said), {"aux": {"ID": f"{DIGEST}1"}}]
    built = build(["base"], lambda _line: None, engine)["base"]  # type: ignore[arg-type]
    assert built.warnings == (*said[:2], "a.c:1: warning: unused", *said[3:5])
    assert (built.version, built.revision) == ("1.2.3", "0" * 40)
    assert build(["base"], lambda _line: None, engine)["base"].warnings is None  # type: ignore[arg-type]


def test_no_more_than_fifty_warnings_are_kept() -> None:
    engine = FakeEngine()
    line = {"stream": f"warning: {'x' * 1000}\n"}
    engine.scripts["base"] = [*[line] * 99, {"aux": {"ID": f"{DIGEST}1"}}]
    warnings = build(["base"], lambda _line: None, engine)["base"].warnings  # type: ignore[arg-type]
    assert warnings is not None
    assert (len(warnings), max(map(len, warnings))) == (50, 300)


def failed(message: str, *output: str, name: str = "postgres") -> tuple[FakeEngine, ImageBuildError]:
    engine = FakeEngine(present={"base"})
    engine.scripts[name] = [
        *({"stream": f"{line}\n"} for line in output),
        {"error": message, "errorDetail": {"message": message}},
    ]
    with pytest.raises(ImageBuildError) as caught:
        build([name], lambda _line: None, engine)  # type: ignore[arg-type]
    return engine, caught.value


def test_a_failed_step_is_named_with_its_last_lines_and_leaves_no_reference() -> None:
    engine, error = failed("The command returned a non-zero code: 100", "\x1b[91mE: broken package\x1b[0m")
    assert error.reason.startswith("Building image 'postgres' failed at step 2/2 (RUN install-packages x): The command")
    assert "\n    E: broken package" in error.reason
    assert error.mend.endswith("images/postgres/Dockerfile.")
    assert catalog.reference("postgres") not in engine.tags


@pytest.mark.parametrize(
    ("said", "mend"),
    [
        ("write /var/lib/x: no space left on device", "The disk is full"),
        ("E: Failed to fetch http://mirror/x  Connection timed out", "A package source did not answer"),
        ("PKIX path building failed: unable to find valid certification path", "The network re-signs TLS"),
        ("ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE", "A download is not what the lock"),
        ("kafka-clients-4.1.1.jar: FAILED", "A download is not what the lock"),
    ],
)
def test_known_failures_get_their_own_mend(said: str, mend: str) -> None:
    _, error = failed("The command returned a non-zero code: 1", said)
    assert error.mend.startswith(mend)


def test_a_missing_debian_image_is_told_apart_from_a_broken_step() -> None:
    engine = FakeEngine()

    def refuse(**_options: Any) -> Iterator[dict[str, Any]]:
        yield {"stream": "Step 1/9 : FROM debian:bookworm-slim\n"}
        yield {"error": "pull access denied for debian, repository does not exist"}

    engine.build = refuse  # type: ignore[assignment, method-assign]
    with pytest.raises(ImageBuildError) as caught:
        build(["base"], lambda _line: None, engine)  # type: ignore[arg-type]
    assert caught.value.mend.startswith("The base image is neither on this engine nor can it be pulled")


def test_nothing_is_started_after_a_failure() -> None:
    engine = FakeEngine()
    engine.scripts["base"] = [{"error": "broken"}]
    with pytest.raises(ImageBuildError):
        build(catalog.names(), lambda _line: None, engine)  # type: ignore[arg-type]
    assert engine.started == ["base"]
    assert engine.tags == set()
