"""Every container of the stack as the engine sees it, and from its inside."""

import re
from collections.abc import Callable
from pathlib import PurePosixPath
from typing import Any

import pytest

from tests.infra.support import container_facts as facts
from tests.infra.support.docker_live import DockerLive
from tests.infra.support.hosts import Host
from tests.infra.support.inside import Said
from tests.infra.support.live import ImageFacts, Live
from tests.infra.support.stack_outputs import StackOutputs
from tests.infra.support.waiting import NotYet

pytestmark = pytest.mark.ring("verify")

LARGEST_IMAGE = 1_000_000_000  # bytes
LONGEST_START = 60.0  # seconds until a replica is ready
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
OPEN_FILES = (  # what everyone may write to, but for places that are made to be written to, volumes among them
    "find / -xdev \\( -path /proc -o -path /sys -o -path /dev -o -path /tmp -o -path /config \\) -prune"
    " -o \\( -type f -o -type d ! -perm -1000 \\) -perm -0002 -print 2>/dev/null"
    ' | while read -r place; do grep -qF " $place " /proc/mounts || echo "$place"; done | head -n 5'
)
PULLED = {"grafana"}  # not built here, so neither its root file system nor its tools are ours


def _told(faults: dict[str, list[str]]) -> str:
    return "\n".join(f"{part}: {fault}" for part, found in faults.items() for fault in found)


def _over(parts: dict[str, object], judge: Callable[[str], list[str]]) -> dict[str, list[str]]:
    judged = {part: judge(part) for part in parts}
    return {part: faults for part, faults in judged.items() if faults}


@pytest.mark.item("container-status-up")
def test_every_container_is_up(outputs: StackOutputs, live: Live, eventually: Callable[..., Any]) -> None:
    def up() -> bool | NotYet:
        faults = _over({**outputs.running}, live.state_faults)
        return NotYet(_told(faults)) if faults else True

    # The autoscaler may have asked for another replica a moment ago.
    eventually(up, LONGEST_START, "every container being up", interval=1)


@pytest.mark.item("migrations-applied")
def test_every_job_ended_well(outputs: StackOutputs, live: Live) -> None:
    jobs = {part: deployed for part, deployed in outputs.inventory.items() if deployed.kind == "job"}
    assert jobs, "the inventory lists no job, so nothing has brought the schema up to date"
    faults = _over({**jobs}, live.job_faults)
    assert not faults, _told(faults)


@pytest.mark.item("api-started")
@pytest.mark.target("docker", why="on a cluster names and ports are those of services, see kubernetes/test_entry.py")
def test_the_api_runs_under_its_name_on_its_network_and_port(
    outputs: StackOutputs, live: DockerLive, environment: Callable[[str], dict[str, str]]
) -> None:
    inspect = live.container("api").attrs
    assert inspect["Name"].endswith("-management-api"), inspect["Name"]
    assert outputs.network in inspect["NetworkSettings"]["Networks"]
    inner = environment("api").get("API_PORT", "8000")
    bound = inspect["NetworkSettings"]["Ports"][f"{inner}/tcp"]
    published = outputs.urls["api"].rsplit(":", 1)[-1].strip("/")
    assert [binding["HostPort"] for binding in bound] == [published]


@pytest.mark.item("executors-started")
def test_every_executor_runs_under_an_id_of_its_own(outputs: StackOutputs, live: Live) -> None:
    identities = [identity for part in outputs.executors for identity in live.identities(part)]
    assert identities, "the inventory lists no executor"
    assert len(set(identities)) == len(identities), f"executor ids are used twice: {sorted(identities)}"


@pytest.mark.item("executors-restarted")
def test_api_relay_and_executors_run_the_same_deployed_image(outputs: StackOutputs, live: Live) -> None:
    running = live.same_image(outputs.programs)
    assert running
    assert all(running.values()), f"not all programs run {outputs.inventory['api'].image}: {running}"


@pytest.mark.item("container-hardening")
def test_no_container_has_more_privilege_than_it_needs(outputs: StackOutputs, live: Live) -> None:
    faults = _over({**outputs.inventory}, lambda part: live.hardening_faults(part, read_only=part not in PULLED))
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
def test_no_image_is_made_to_run_as_root(outputs: StackOutputs, image_of: Callable[[str], ImageFacts]) -> None:
    for part, deployed in outputs.inventory.items():
        user = image_of(part).user
        assert user.split(":")[0] not in {"0", "root"}, f"{deployed.image} is made to run as {user}"


@pytest.mark.item("resource-limits-set")
def test_every_container_has_limits_of_memory_and_cpu(outputs: StackOutputs, live: Live) -> None:
    faults = _over({**outputs.inventory}, live.limit_faults)
    assert not faults, _told(faults)


@pytest.mark.item("resource-limits-set")
def test_the_kernel_enforces_the_declared_limits(live: Live, everywhere: Callable[..., dict[str, Said]]) -> None:
    for part, result in everywhere(KERNEL_LIMITS).items():
        declared = live.limits(part)
        assert result.rc == 0, f"{part}: {result.stderr}"
        memory, quota, period = result.stdout.split()
        assert int(memory) == declared.memory, f"{part}: the kernel's memory limit is {memory}"
        assert quota.isdigit(), f"{part}: the kernel's CPU quota is {quota}"
        assert int(quota) / int(period) == pytest.approx(declared.cpus, abs=0.01), part


@pytest.mark.item("log-rotation")
@pytest.mark.target("docker", why="on a cluster the kubelet rotates the logs, see kubernetes/test_cluster.py")
def test_no_container_log_can_fill_the_disk(outputs: StackOutputs, live: DockerLive) -> None:
    faults = _over({**outputs.inventory}, lambda part: facts.log_faults(live.container(part).attrs))
    assert not faults, _told(faults)


@pytest.mark.item("persistent-volumes")
def test_data_is_on_named_volumes(outputs: StackOutputs, live: Live) -> None:
    kept = {part: folder for part, folder in DATA.items() if part in outputs.inventory}
    assert kept.keys() >= {"postgres", "kafka", "prometheus"}
    faults = _over({**kept}, lambda part: live.volume_faults(part, kept[part]))
    assert not faults, _told(faults)


@pytest.mark.item("image-size-limit")
def test_every_image_is_smaller_than_the_limit(outputs: StackOutputs, image_of: Callable[[str], ImageFacts]) -> None:
    sizes = {deployed.image: image_of(part).size for part, deployed in outputs.inventory.items()}
    too_large = {image: size for image, size in sizes.items() if size >= LARGEST_IMAGE}
    assert not too_large, f"images of {LARGEST_IMAGE} bytes or more: {too_large}"


@pytest.mark.item("image-labels-match-release")
def test_the_api_image_says_which_version_it_is(
    image_of: Callable[[str], ImageFacts], environment: Callable[[str], dict[str, str]]
) -> None:
    labels = image_of("api").labels
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
    listed = everywhere("cd /config/secrets 2>/dev/null && stat -L -c '%a %u %g %n' * && ! touch -c *")
    with_secrets = {part: result for part, result in listed.items() if result.stdout.strip()}
    assert with_secrets.keys() >= {"api", "postgres", *outputs.executors}
    for part, result in with_secrets.items():
        assert result.rc == 0, f"{part}: its secret files can be written"
        for line in result.stdout.splitlines():
            mode, uid, gid, name = line.split(maxsplit=3)
            program = outputs.inventory[part].uid
            # A cluster hands files out as root's, readable by the program's own group, of which nobody else is.
            owner = program if int(uid) else 0
            forbidden = 0o077 if owner else 0o037
            assert int(mode, 8) & forbidden == 0, f"{part}: {name} has mode {mode}"
            assert (int(uid), int(gid)) == (owner, program), f"{part}: {name} belongs to {uid}:{gid}"


@pytest.mark.item("docker-healthcheck-settings")
def test_the_api_is_probed_with_the_documented_timing(live: Live) -> None:
    faults = live.health_timing_faults("api", **DOCUMENTED_HEALTH)
    assert not faults, faults
    assert "/health" in live.health_question("api")


@pytest.mark.item("docker-healthcheck-fails-truly")
@pytest.mark.target(
    "docker", why="a cluster starts no health command: the kubelet asks over HTTP and judges by the status"
)
def test_the_health_command_turns_red_on_an_error_answer_and_on_a_closed_port(
    live: DockerLive, host: Callable[[str], Host], environment: Callable[[str], dict[str, str]]
) -> None:
    kind, *command = live.container("api").attrs["Config"]["Healthcheck"]["Test"]
    assert kind == "CMD", f"the health command is run by {kind}"
    url = command.pop()
    port = environment("api").get("API_PORT", "8000")

    def probe(address: str) -> int:
        words = [*command, address]
        return int(host("api").run(" ".join(["%s"] * len(words)), *words).rc)

    assert probe(url) == 0
    assert probe(f"http://localhost:{port}/no-such-page") != 0, "an answer of 404 counts as healthy"
    assert probe("http://localhost:9/health") != 0, "a closed port counts as healthy"
