"""The containers' health check, and the small server that relay and executor answer it with."""

import asyncio
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from service.platform.settings import InvalidSettingsError, Settings
from service.platform.worker_http import serve_health
from tests.certificates import Authority, serial_of
from tests.service.servers import free_port
from tests.service.support import make_settings

pytestmark = pytest.mark.ring("unit")


@pytest.fixture
def settings() -> Settings:
    """Settings that listen on the loopback interface."""
    return make_settings("postgresql://u@h/d", api_host="127.0.0.1")


@pytest.fixture
def problems() -> dict[str, str]:
    """What the process finds wrong with itself."""
    return {}


@pytest.fixture
async def port(settings: Settings, problems: dict[str, str]) -> AsyncIterator[int]:
    """A running server's port."""
    async with serve_health(settings, lambda: problems, port=0) as found:
        yield found


async def _get(port: int, path: str) -> httpx.Response:
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=10) as client:
        return await client.get(path)


async def test_a_worker_without_problems_is_healthy(port: int) -> None:
    answer = await _get(port, "/health")
    assert answer.status_code == 200
    assert answer.json()["status"] == "healthy"
    assert answer.json()["timestamp"].endswith("Z")


async def test_a_worker_with_a_problem_names_it(port: int, problems: dict[str, str]) -> None:
    problems["kafka"] = "no answer for 40 s"
    answer = await _get(port, "/health")
    assert answer.status_code == 503
    assert answer.json()["problems"] == {"kafka": "no answer for 40 s"}


async def test_a_worker_shows_its_metrics(port: int) -> None:
    answer = await _get(port, "/metrics")
    assert answer.status_code == 200
    assert "workflow_runs_completed_total" in answer.text


async def test_a_worker_shows_no_metrics_where_they_are_off(settings: Settings) -> None:
    quiet = settings.model_copy(update={"enable_metrics": False})
    async with serve_health(quiet, dict, port=0) as port:
        assert (await _get(port, "/metrics")).status_code == 404


async def test_other_paths_and_methods_are_refused(port: int) -> None:
    assert (await _get(port, "/etc/passwd")).status_code == 404
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=10) as client:
        assert (await client.post("/health")).status_code == 405


async def _probe(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "service.healthcheck", *arguments]
    return await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, timeout=30, check=False)


@pytest.mark.item("docker-healthcheck-fails-truly")
async def test_the_health_check_succeeds_only_on_200(port: int, problems: dict[str, str]) -> None:
    assert (await _probe(f"http://127.0.0.1:{port}/health")).returncode == 0
    problems["database"] = "away"
    failed = await _probe(f"http://127.0.0.1:{port}/health")
    assert failed.returncode == 1
    assert "answered 503, expected 200" in failed.stderr
    assert (await _probe(f"http://127.0.0.1:{port}/absent")).returncode == 1


async def test_the_health_check_fails_where_nobody_answers() -> None:
    failed = await _probe(f"http://127.0.0.1:{free_port()}/health")
    assert failed.returncode == 1
    assert "no answer" in failed.stderr


async def test_the_health_check_wants_one_url() -> None:
    failed = await _probe("localhost")
    assert failed.returncode == 1
    assert "usage" in failed.stderr


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """An authority whose certificate lies in ca.crt."""
    found = Authority()
    (tmp_path / "ca.crt").write_text(found.certificate)
    return found


@pytest.fixture
def encrypted(settings: Settings, authority: Authority, tmp_path: Path) -> Settings:
    """The settings with a certificate for localhost."""
    certificate, key = authority.issue("relay", "localhost").write(tmp_path)
    return settings.model_copy(update={"tls_cert_file": certificate, "tls_key_file": key})


@pytest.mark.item("docker-healthcheck-fails-truly")
async def test_the_health_check_trusts_only_its_authority(encrypted: Settings, tmp_path: Path) -> None:
    (tmp_path / "other.crt").write_text(Authority().certificate)
    async with serve_health(encrypted, dict, port=0) as port:
        url = f"https://localhost:{port}/health"
        good = await _probe("--ca", str(tmp_path / "ca.crt"), url)
        assert good.returncode == 0, good.stderr
        for arguments in (["--ca", str(tmp_path / "other.crt"), url], ["--ca", str(tmp_path / "none.crt"), url], [url]):
            assert (await _probe(*arguments)).returncode == 1


async def test_a_worker_with_a_certificate_speaks_no_plain_http(encrypted: Settings) -> None:
    async with serve_health(encrypted, dict, port=0) as port:
        with pytest.raises(httpx.TransportError):
            await _get(port, "/health")


async def _served_serial(port: int, authority: Authority) -> int:
    context = ssl.create_default_context(cadata=authority.certificate)
    _, writer = await asyncio.open_connection("localhost", port, ssl=context, family=2)
    try:
        return serial_of(writer.get_extra_info("ssl_object").getpeercert(binary_form=True))
    finally:
        writer.close()


@pytest.mark.item("tls-certificates-valid")
async def test_an_exchanged_certificate_is_served_without_a_restart(
    encrypted: Settings, authority: Authority, tmp_path: Path
) -> None:
    async with serve_health(encrypted, dict, port=0) as port:
        before = await _served_serial(port, authority)
        new = authority.issue("relay", "localhost")
        new.write(tmp_path)
        assert await _served_serial(port, authority) == new.serial != before


async def test_while_a_key_does_not_fit_its_certificate_the_old_pair_is_served(
    encrypted: Settings, authority: Authority, tmp_path: Path
) -> None:
    async with serve_health(encrypted, dict, port=0) as port:
        before = await _served_serial(port, authority)
        new = authority.issue("relay", "localhost")
        (tmp_path / "tls.crt").write_text(new.certificate)
        assert await _served_serial(port, authority) == before
        (tmp_path / "tls.key").write_text(new.key)
        assert await _served_serial(port, authority) == new.serial


async def test_a_certificate_that_cannot_be_used_is_named(settings: Settings, tmp_path: Path) -> None:
    paths = {"tls_cert_file": tmp_path / "absent.crt", "tls_key_file": tmp_path / "absent.key"}
    with pytest.raises(InvalidSettingsError, match=r"absent\.crt .* cannot be used: No such file"):
        async with serve_health(settings.model_copy(update=paths), dict, port=0):
            pass
