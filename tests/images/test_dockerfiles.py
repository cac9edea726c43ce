"""What every Dockerfile must say, read from its text."""

import re

import pytest

from images import catalog

pytestmark = pytest.mark.ring("unit")

PROGRAMS = [name for name in catalog.names() if name != "base"]


def instructions(name: str) -> list[tuple[str, str]]:
    """(keyword, rest) of each instruction, continuation lines joined, comments left out."""
    text = (catalog.ROOT / "images" / name / "Dockerfile").read_text(encoding="utf-8")
    lines = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
    joined = lines.replace("\\\n", " ")
    parts = [line.split(None, 1) for line in joined.splitlines() if line.strip()]
    return [(keyword.upper(), " ".join(rest[0].split()) if rest else "") for keyword, *rest in parts]


def values(name: str, keyword: str) -> list[str]:
    return [rest for found, rest in instructions(name) if found == keyword]


@pytest.mark.item("image-minimal-base")
def test_only_the_base_stands_on_debian_and_all_others_on_the_base() -> None:
    assert values("base", "FROM") == [catalog.BASE_IMAGE]
    for name in PROGRAMS:
        stages = {match[1] for rest in values(name, "FROM") if (match := re.search(r" AS (\w+)$", rest))}
        for rest in values(name, "FROM"):
            assert rest.split()[0] in {"${BASE}", *stages}, f"{name}: FROM {rest}"


@pytest.mark.parametrize("name", catalog.names())
def test_no_image_is_named_by_latest_or_without_a_tag(name: str) -> None:
    for rest in values(name, "FROM"):
        assert ":latest" not in rest
        assert rest.startswith("${BASE}") or ":" in rest or " AS " in rest or rest in {"python", "broker"}


@pytest.mark.parametrize("name", catalog.names())
def test_the_last_user_is_the_unprivileged_one(name: str) -> None:
    assert values(name, "USER")[-1] == "10001:10001"


@pytest.mark.parametrize("name", PROGRAMS)
def test_each_program_declares_health_signal_and_labels(name: str) -> None:
    assert len(values(name, "HEALTHCHECK")) == 1
    assert len(values(name, "STOPSIGNAL")) == 1
    labels = values(name, "LABEL")[0]
    for key in ("title", "version", "revision", "licenses"):
        assert f"org.opencontainers.image.{key}=" in labels


@pytest.mark.item("image-multi-stage")
def test_the_service_and_the_broker_are_built_in_stages() -> None:
    for name in ("api", "kafka"):
        assert len(values(name, "FROM")) >= 2


@pytest.mark.parametrize("name", catalog.names())
def test_only_what_the_classic_builder_knows_is_used(name: str) -> None:
    for keyword, rest in instructions(name):
        assert "--mount" not in rest, f"{keyword} {rest}"
        assert "<<" not in rest, f"{keyword} {rest}"
        assert not (keyword in {"COPY", "ADD"} and "--chmod" in rest), f"{keyword} {rest}"
        assert keyword != "ADD", "ADD fetches and unpacks silently; COPY says what it does"


@pytest.mark.parametrize("name", catalog.names())
def test_extra_certificates_are_copied_into_builder_stages_only(name: str) -> None:
    found = instructions(name)
    last_stage = max(index for index, (keyword, _) in enumerate(found) if keyword == "FROM")
    assert not [rest for keyword, rest in found[last_stage:] if keyword == "COPY" and rest.startswith("ca/")]


@pytest.mark.item("dependencies-pinned")
def test_the_service_is_installed_from_its_lock_with_hashes() -> None:
    install = next(rest for rest in values("api", "RUN") if "pip" in rest and "install" in rest and "lock" in rest)
    assert "--require-hashes -r /build/service.lock" in install
    assert "--no-deps" in install


def test_every_jar_of_the_broker_is_recorded_with_its_hash() -> None:
    lines = (catalog.ROOT / "images/kafka/jars.sha256").read_text().splitlines()
    assert len(lines) > 40
    assert all(re.fullmatch(r"[0-9a-f]{64}  [\w.+-]+\.jar", line) for line in lines)
    assert "sha256sum --check --strict" in next(rest for rest in values("kafka", "RUN") if "mvn" in rest)
