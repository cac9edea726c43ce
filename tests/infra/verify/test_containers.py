"""Every container of the stack as the engine sees it, and from its inside."""

import re
from collections.abc import Callable
from pathlib import PurePosixPath

import docker
import pytest
from docker.models.containers import Container

from tests.infra.support import container_facts as facts
from tests.infra.support.hosts import Host
from tests.infra.support.inside import Said
from tests.infra.support.stack_outputs import StackOutputs

pytestmark = pytest.mark.ring("verify")

LARGEST_IMAGE = 1_000_000_000  # bytes
DATA = {
    "postgres": "/var/lib/postgresql/data",
    "kafka": "/var/lib/kafka",
    "prometheus": "/var/lib/prometheus",
    "grafana": "/var/lib/grafana",
}
DOCUMENTED_HEALTH = {"interval": 30, "timeout": 10, "start_period": 40, "retries": 3}
KERNEL_LIMITS = (  # memory in bytes, CPU quota and its period, from control groups of version 2 or 1
    "cd /sys/fs/cgroup; if test -e cgroup.controllers; then cat memory.max cpu.max;"
    " else cat memory/memory.limit_in_bytes cpu/cpu.cfs_quota_us cpu/cpu.cfs_period_us; fi"
)
OPEN_FILES = (  # what everyone may write to, but for places that are made to be written to
    "find / -xdev \\( -path /proc -o -path /sys -o -path /dev -o -path /tmp -o -path /config \\) -prune"
    " -o \\( -type f -o -type d ! -perm -1000 \\) -perm -0002 -print 2>/dev/null | head -n 5"
)
PULLED = {"grafana"}  # not built here, so neither its root file system nor its tools are ours


def _told(faults: dict[str, list[str]]) -> str:
    return "\n".join(f"{part}: {fault}" for part, found in faults.items() for fault in found)


def _over(parts: dict[str, object], judge: Callable[[str], list[str]]) -> dict[str, list[str]]:
    judged = {part: judge(part) for part in parts}
    return {part: faults for part, faults in judged.items() if faults}


@pytest.mark.item("container-status-up")
def test_every_container_is_up(outputs: StackOutputs, container: Callable[[str], Container]) -> None:
    faults = _over({**outputs.running}, lambda part: facts.state_faults(container(part).attrs))
    assert not faults, _told(faults)


@pytest.mark.item("migrations-applied")
def test_every_job_ended_well(outputs: StackOutputs, container: Callable[[str], Container]) -> None:
    jobs = {part: deployed for part, deployed in outputs.inventory.items() if deployed.kind == "job"}
    assert jobs, "the inventory lists no job, so nothing has brought the schema up to date"
    faults = _over({**jobs}, lambda part: facts.job_faults(container(part).attrs))
    assert not faults, _told(faults)


@pytest.mark.item("api-started")
def test_the_api_runs_under_its_name_on_its_network_and_port(
    outputs: StackOutputs, container: Callable[[str], Container], environment: Callable[[str], dict[str, str]]
) -> None:
    inspect = container("api").attrs
    assert inspect["Name"].endswith("-management-api"), inspect["Name"]
    assert outputs.network in inspect["NetworkSettings"]["Networks"]
    inner = environment("api").get("API_PORT", "8000")
    bound = inspect["NetworkSettings"]["Ports"][f"{inner}/tcp"]
    published = outputs.urls["api"].rsplit(":", 1)[-1].strip("/")
    assert [binding["HostPort"] for binding in bound] == [published]


@pytest.mark.item("executors-started")
def test_every_executor_runs_under_an_id_of_its_own(
    outputs: StackOutputs, container: Callable[[str], Container], environment: Callable[[str], dict[str, str]]
) -> None:
    identities = [
        environment(part).get("EXECUTOR_ID") or container(part).attrs["Config"]["Hostname"]
        for part in outputs.executors
    ]
    assert identities, "the inventory lists no executor"
    assert len(set(identities)) == len(identities), f"executor ids are used twice: {sorted(identities)}"


@pytest.mark.item("executors-restarted")
def test_api_relay_and_executors_run_the_same_deployed_image(
    outputs: StackOutputs, container: Callable[[str], Container], engine: docker.DockerClient
) -> None:
    deployed = engine.images.get(outputs.inventory["api"].image).id
    running = {part: container(part).attrs["Image"] for part in outputs.programs}
    assert set(running.values()) == {deployed}, f"not all programs run {outputs.inventory['api'].image}: {running}"


@pytest.mark.item("container-hardening")
def test_no_container_has_more_privilege_than_it_needs(
    outputs: StackOutputs, container: Callable[[str], Container]
) -> None:
    faults = _over(
        {**outputs.inventory},
        lambda part: facts.hardening_faults(container(part).attrs, read_only=part not in PULLED),
    )
    assert not faults, _told(faults)


@pytest.mark.item("container-hardening")
def test_the_programs_can_not_write_to_their_own_files(everywhere: Callable[..., dict[str, Said]]) -> None:
    tried = everywhere("touch /usr/local/bin/planted /planted")
    writable = [part for part, result in tried.items() if result.rc == 0 and part not in PULLED]
    assert not writable, f"a file could be made in the root file system of {writable}"


@pytest.mark.item("image-non-root-user")
def test_no_process_runs_as_root(outputs: StackOutputs, everywhere: Callable[..., dict[str, Said]]) -> None:
    for part, result in everywhere("cat /proc/1/status").items():
        found = re.search(r"^Uid:\s+(\d+)", result.stdout, re.MULTILINE)
        assert found is not None, f"{part}: no uid in /proc/1/status"
        uid = int(found.group(1))
        assert uid != 0, f"{part} runs as root"
        assert outputs.inventory[part].uid in {None, uid}, f"{part} runs as uid {uid}, not as the stack says"


@pytest.mark.item("image-non-root-user")
def test_no_image_is_made_to_run_as_root(outputs: StackOutputs, engine: docker.DockerClient) -> None:
    for deployed in outputs.inventory.values():
        user = engine.images.get(deployed.image).attrs["Config"].get("User") or "0"
        assert user.split(":")[0] not in {"0", "root"}, f"{deployed.image} is made to run as {user}"


@pytest.mark.item("resource-limits-set")
def test_every_container_has_limits_of_memory_and_cpu(
    outputs: StackOutputs, container: Callable[[str], Container]
) -> None:
    faults = _over({**outputs.inventory}, lambda part: facts.limit_faults(container(part).attrs))
    assert not faults, _told(faults)


@pytest.mark.item("resource-limits-set")
def test_the_kernel_enforces_the_declared_limits(
    container: Callable[[str], Container], everywhere: Callable[..., dict[str, Said]]
) -> None:
    for part, result in everywhere(KERNEL_LIMITS).items():
        inspect = container(part).attrs
        assert result.rc == 0, f"{part}: {result.stderr}"
        memory, quota, period = result.stdout.split()
        assert int(memory) == inspect["HostConfig"]["Memory"], f"{part}: the kernel's memory limit is {memory}"
        assert quota.isdigit(), f"{part}: the kernel's CPU quota is {quota}"
        assert int(quota) / int(period) == pytest.approx(facts.cpus(inspect), abs=0.01), part


@pytest.mark.item("log-rotation")
def test_no_container_log_can_fill_the_disk(outputs: StackOutputs, container: Callable[[str], Container]) -> None:
    faults = _over({**outputs.inventory}, lambda part: facts.log_faults(container(part).attrs))
    assert not faults, _told(faults)


@pytest.mark.item("persistent-volumes")
def test_data_is_on_named_volumes(outputs: StackOutputs, container: Callable[[str], Container]) -> None:
    kept = {part: folder for part, folder in DATA.items() if part in outputs.inventory}
    assert kept.keys() >= {"postgres", "kafka", "prometheus"}
    faults = _over({**kept}, lambda part: facts.volume_faults(container(part).attrs, kept[part]))
    assert not faults, _told(faults)


@pytest.mark.item("image-size-limit")
def test_every_image_is_smaller_than_the_limit(outputs: StackOutputs, engine: docker.DockerClient) -> None:
    sizes = {deployed.image: engine.images.get(deployed.image).attrs["Size"] for deployed in outputs.inventory.values()}
    too_large = {image: size for image, size in sizes.items() if size >= LARGEST_IMAGE}
    assert not too_large, f"images of {LARGEST_IMAGE} bytes or more: {too_large}"


@pytest.mark.item("image-labels-match-release")
def test_the_api_image_says_which_version_it_is(
    outputs: StackOutputs, engine: docker.DockerClient, environment: Callable[[str], dict[str, str]]
) -> None:
    labels = engine.images.get(outputs.inventory["api"].image).labels
    version = labels.get("org.opencontainers.image.version", "")
    assert version.split("-")[0] == environment("api").get("API_VERSION", "1.0.0")
    assert labels.get("org.opencontainers.image.revision"), "the image has no revision label"


@pytest.mark.item("image-file-permissions")
def test_nobody_but_root_may_change_the_images_files(everywhere: Callable[..., dict[str, Said]]) -> None:
    found = {part: result.stdout.split() for part, result in everywhere(OPEN_FILES).items() if part not in PULLED}
    assert not any(found.values()), f"everyone may write to {found}"


@pytest.mark.item("image-file-permissions")
def test_the_service_code_does_not_belong_to_the_user_that_runs_it(host: Callable[[str], Host]) -> None:
    inside = host("api")
    folder = inside.check_output("python -c 'import service, pathlib; print(pathlib.Path(service.__file__).parent)'")
    package = inside.file(str(PurePosixPath(folder)))
    assert (package.user, package.mode & 0o022) == ("root", 0)


@pytest.mark.item("env-file-mode-600")
def test_secret_files_are_readable_by_their_program_only(
    outputs: StackOutputs, everywhere: Callable[..., dict[str, Said]]
) -> None:
    listed = everywhere("cd /config/secrets 2>/dev/null && stat -c '%a %u %n' * && ! touch -c *")
    with_secrets = {part: result for part, result in listed.items() if result.stdout.strip()}
    assert with_secrets.keys() >= {"api", "postgres", *outputs.executors}
    for part, result in with_secrets.items():
        assert result.rc == 0, f"{part}: its secret files can be written"
        for line in result.stdout.splitlines():
            mode, uid, name = line.split(maxsplit=2)
            assert int(mode, 8) & 0o077 == 0, f"{part}: {name} has mode {mode}"
            assert int(uid) == outputs.inventory[part].uid, f"{part}: {name} belongs to uid {uid}"


@pytest.mark.item("docker-healthcheck-settings")
def test_the_api_is_probed_with_the_documented_timing(container: Callable[[str], Container]) -> None:
    faults = facts.health_timing_faults(container("api").attrs, **DOCUMENTED_HEALTH)
    assert not faults, faults
    assert any("/health" in word for word in container("api").attrs["Config"]["Healthcheck"]["Test"])


@pytest.mark.item("docker-healthcheck-fails-truly")
def test_the_health_command_turns_red_on_an_error_answer_and_on_a_closed_port(
    container: Callable[[str], Container], host: Callable[[str], Host], environment: Callable[[str], dict[str, str]]
) -> None:
    kind, *command = container("api").attrs["Config"]["Healthcheck"]["Test"]
    assert kind == "CMD", f"the health command is run by {kind}"
    url = command.pop()
    port = environment("api").get("API_PORT", "8000")

    def probe(address: str) -> int:
        words = [*command, address]
        return int(host("api").run(" ".join(["%s"] * len(words)), *words).rc)

    assert probe(url) == 0
    assert probe(f"http://localhost:{port}/no-such-page") != 0, "an answer of 404 counts as healthy"
    assert probe("http://localhost:9/health") != 0, "a closed port counts as healthy"
