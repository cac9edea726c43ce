"""Each image on a real engine: it starts hardened, becomes healthy, says what it is, holds no more than it needs."""

import re
from typing import Any

import pytest

from images import catalog
from tests.images.containers import Engine, logs, run, wait_healthy, wait_stopped

pytestmark = pytest.mark.ring("images")

PROGRAMS = [name for name in catalog.names() if name != "base"]
LARGEST_BYTES = 600_000_000
SECOND = 1_000_000_000

CHECKS = {
    "postgres": ["CMD", "pg_isready", "--quiet", "--host=127.0.0.1", "--port=5432"],
    "kafka": ["CMD", "kafka-health"],
    "api": ["CMD", "python", "-m", "service.healthcheck", "http://localhost:8000/health"],
    "prometheus": ["CMD", "http-probe", "http://127.0.0.1:9090/-/ready"],
    "alertmanager": ["CMD", "http-probe", "http://127.0.0.1:9093/-/ready"],
    "node-exporter": ["CMD", "http-probe", "http://127.0.0.1:9100/"],
    "postgres-exporter": ["CMD", "http-probe", "http://127.0.0.1:9187/"],
    "edge": ["CMD", "http-probe", "http://127.0.0.1:8081/edge/health"],
}
STARTS: dict[str, dict[str, Any]] = {
    "postgres": {
        "config": {"secrets/app": "a-password"},
        "environment": {
            "POSTGRES_DB": "workflow_db",
            "POSTGRES_USER": "workflow_user",
            "POSTGRES_PASSWORD_FILE": "/config/secrets/app",
        },
    },
    "postgres-exporter": {
        "config": {"secrets/monitoring": "a-password"},
        "environment": {
            "DATA_SOURCE_URI": "127.0.0.1:5432/workflow_db?sslmode=disable",
            "DATA_SOURCE_USER": "monitoring",
            "DATA_SOURCE_PASS_FILE": "/config/secrets/monitoring",
        },
    },
}


@pytest.mark.item("image-non-root-user")
@pytest.mark.parametrize("name", [name for name in PROGRAMS if name != "api"])
def test_each_program_starts_read_only_without_root_and_becomes_healthy(containers: Engine, name: str) -> None:
    container = containers.start(name, **STARTS.get(name, {}))
    wait_healthy(container)
    uids = re.findall(r"^Uid:\t(\d+)\t(\d+)", run(container, "cat", "/proc/1/status"), re.MULTILINE)
    assert uids == [("10001", "10001")]
    container.stop(timeout=30)
    container.reload()
    # The exporters leave the signal to Go's runtime, which ends a process number 1 with code 2.
    clean = {2} if name.endswith("exporter") else {0, 143}
    assert container.attrs["State"]["ExitCode"] in clean, logs(container)[-2000:]


@pytest.mark.item("image-healthcheck-present")
@pytest.mark.parametrize("name", PROGRAMS)
def test_each_image_has_its_health_check(containers: Engine, name: str) -> None:
    check = containers.client.images.get(containers.image(name)).attrs["Config"]["Healthcheck"]
    interval, limit, start, retries = (30, 10, 40, 3) if name == "api" else (5, 5, 20, 12)
    assert check == {
        "Test": CHECKS[name],
        "Interval": interval * SECOND,
        "Timeout": limit * SECOND,
        "StartPeriod": start * SECOND,
        "Retries": retries,
    }


@pytest.mark.item("image-labels-match-release")
@pytest.mark.parametrize("name", catalog.names())
def test_each_image_says_which_release_and_commit_it_is(containers: Engine, name: str) -> None:
    labels = containers.client.images.get(containers.image(name)).labels
    assert labels["org.opencontainers.image.title"] == f"workflow-{name}"
    assert labels["org.opencontainers.image.version"] == catalog.version()
    assert re.fullmatch(r"[0-9a-f]{40}(-dirty)?|unknown", labels["org.opencontainers.image.revision"])
    assert "Apache-2.0" in labels["org.opencontainers.image.licenses"]


@pytest.mark.item("image-builds", "image-size-limit")
@pytest.mark.parametrize("name", catalog.names())
def test_each_image_is_built_and_small(containers: Engine, name: str) -> None:
    size = containers.client.images.get(containers.image(name)).attrs["Size"]
    assert size < LARGEST_BYTES, f"{name} takes {size / 1e6:.0f} MB"


@pytest.mark.item("image-multi-stage", "image-file-permissions")
@pytest.mark.parametrize("name", catalog.names())
def test_no_build_tool_no_cache_and_no_writable_program_is_left(containers: Engine, name: str) -> None:
    script = """
        for tool in gcc cc make javac mvn pip pip3 curl wget git; do
            command -v "$tool" >/dev/null && echo "tool: $tool"
        done
        find /var/lib/apt/lists /var/cache/apt -type f -name '*.bin' -o -path '/var/lib/apt/lists/*_*' -type f
        find / -xdev -type f -perm -0002 ! -path '/proc/*' 2>/dev/null
        find /usr /opt /app -xdev ! -user root 2>/dev/null
        find /opt /app -xdev -perm /022 ! -type l 2>/dev/null
        find /usr/local/share/ca-certificates -type f
        true
    """
    # Root sees every folder; capabilities stay, since without them it would be root in name only.
    container = containers.start(name, entrypoint=["bash", "-c"], command=[script], user="0:0", cap_drop=[])
    assert wait_stopped(container) == 0, logs(container)
    assert logs(container) == ""


@pytest.mark.parametrize("name", catalog.names())
def test_each_image_records_the_packages_it_is_made_of(containers: Engine, name: str) -> None:
    container = containers.start(name, entrypoint=["cat", "/usr/local/share/workflow/packages.txt"], command=[])
    assert wait_stopped(container) == 0
    assert re.search(r"^bash \S+ \S+$", logs(container), re.MULTILINE)


@pytest.mark.item("dependencies-pinned")
def test_the_service_holds_exactly_the_versions_of_its_lock(containers: Engine) -> None:
    lock = (catalog.ROOT / "requirements/service.lock").read_text(encoding="utf-8")
    pins = re.findall(r"^([\w.-]+)(?:\[[^]]*])?==([^\s;]+)", lock, re.MULTILINE)
    wanted = {_canonical(name): version for name, version in pins}
    script = "import importlib.metadata as m; [print(d.metadata['Name'], d.version) for d in m.distributions()]"
    container = containers.start("api", entrypoint=["python", "-c", script], command=[])
    assert wait_stopped(container) == 0, logs(container)
    found = dict(line.split() for line in logs(container).splitlines())
    assert {_canonical(name): version for name, version in found.items()} == wanted


@pytest.mark.item("image-ships-migrations")
def test_migrations_can_be_run_from_the_service_image(containers: Engine) -> None:
    container = containers.start("api", entrypoint=["alembic", "heads"], command=[])
    assert wait_stopped(container) == 0, logs(container)
    assert len(re.findall(r"\(head\)", logs(container))) == 1


@pytest.mark.item("image-non-root-user")
def test_the_service_runs_without_root_from_compiled_code(containers: Engine) -> None:
    script = (
        "import os, service.cli, importlib.util as u; "
        "print(os.getuid(), os.path.exists(u.cache_from_source(service.cli.__file__)))"
    )
    container = containers.start("api", entrypoint=["python", "-c", script], command=[])
    assert wait_stopped(container) == 0, logs(container)
    assert logs(container).strip() == "10001 True"


def test_the_service_says_which_setting_is_missing(containers: Engine) -> None:
    container = containers.start("api")
    assert wait_stopped(container) != 0
    assert "DATABASE_URL" in logs(container)


@pytest.mark.parametrize(("probe", "code"), [("http-probe http://127.0.0.1:1/", 1), ("tcp-probe 127.0.0.1 1", 1)])
def test_the_probes_fail_when_nobody_answers(containers: Engine, probe: str, code: int) -> None:
    container = containers.start("base", command=probe.split())
    assert wait_stopped(container) == code


def _canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
