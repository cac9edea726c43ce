"""Names, ports and addresses inside and outside the stack's network."""

import re
from collections.abc import Callable

import httpx
import pytest

from tests.infra.support import container_facts as facts
from tests.infra.support.docker_live import DockerLive
from tests.infra.support.hosts import Host
from tests.infra.support.inside import Said
from tests.infra.support.live import Live
from tests.infra.support.stack_outputs import StackOutputs

pytestmark = pytest.mark.ring("verify")

PUBLISHED = "a cluster publishes ports by services, see kubernetes/test_entry.py"
NOBODY = "no-such-part.invalid"
LISTENING = "0A"
ANY_ADDRESS = {"00000000", "00000000000000000000000000000000"}
RESOLVER = "0B00007F"  # 127.0.0.11, the engine's own name server inside each container


@pytest.mark.item("service-names-resolve")
def test_api_and_executors_find_every_part_by_its_name(
    outputs: StackOutputs, everywhere: Callable[..., dict[str, Said]]
) -> None:
    names = [*(part for part, deployed in outputs.running.items() if deployed.ports), NOBODY]
    script = f"for name in {' '.join(['%s'] * len(names))}; do getent hosts $name > /dev/null || echo $name; done"
    for source, said in everywhere(script, *names, parts=outputs.programs).items():
        assert said.stdout.split() == [NOBODY], f"{source} resolves not all of {names[:-1]}, or {NOBODY}"


@pytest.mark.item("api-started", "unneeded-ports-closed")
@pytest.mark.target("docker", why=PUBLISHED)
def test_published_ports_are_on_the_loopback_address_only(outputs: StackOutputs, live: DockerLive) -> None:
    faults = [
        f"{part}: {fault}" for part in outputs.inventory for fault in facts.binding_faults(live.container(part).attrs)
    ]
    assert not faults, "\n".join(faults)


@pytest.mark.item("unneeded-ports-closed")
@pytest.mark.target("docker", why=PUBLISHED)
def test_only_the_api_and_the_monitoring_pages_are_published(outputs: StackOutputs, live: DockerLive) -> None:
    published = {
        part
        for part in outputs.inventory
        if any((live.container(part).attrs["NetworkSettings"].get("Ports") or {}).values())
    }
    assert published <= {"api", "prometheus", "alertmanager", "grafana", "kafka"}
    assert "api" in published


@pytest.mark.item("service-names-resolve")
@pytest.mark.target(
    "docker", why="a cluster has one network for all pods; that none uses the host's is container-hardening"
)
def test_every_part_is_on_the_network_of_the_stack_and_on_no_other(outputs: StackOutputs, live: DockerLive) -> None:
    live.engine.networks.get(outputs.network)
    for part in outputs.running:
        networks = set(live.container(part).attrs["NetworkSettings"]["Networks"])
        assert networks == {outputs.network}, f"{part} is on {sorted(networks)}"


@pytest.mark.item("api-bind-address")
def test_the_api_listens_on_its_configured_port_and_on_nothing_else(
    host: Callable[[str], Host], environment: Callable[[str], dict[str, str]]
) -> None:
    table = host("api").check_output("cat /proc/net/tcp /proc/net/tcp6")
    listening = {
        (address, int(port, 16))
        for address, port, state in re.findall(r"^\s*\d+: ([0-9A-F]+):([0-9A-F]{4}) \S+ ([0-9A-F]{2})", table, re.M)
        if state == LISTENING and address != RESOLVER
    }
    given = environment("api")
    assert given.get("API_HOST", "0.0.0.0") == "0.0.0.0"  # noqa: S104  inside its container; publishing is checked above
    assert {port for _, port in listening} == {int(given.get("API_PORT", "8000"))}
    assert {address for address, _ in listening} <= ANY_ADDRESS


@pytest.mark.item("external-access")
def test_every_address_the_stack_tells_answers(outputs: StackOutputs, live: Live) -> None:
    for part, url in outputs.urls.items():
        response = httpx.get(url, timeout=10, follow_redirects=True, verify=live.trust)
        assert response.status_code < httpx.codes.INTERNAL_SERVER_ERROR, f"{part} at {url}: {response.status_code}"
