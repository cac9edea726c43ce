"""The Python language host, spoken to over gRPC like the engine does."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf import empty_pb2, struct_pb2
from pulumi.runtime.proto import language_pb2, language_pb2_grpc

from tests.airgap.support import eventually, start

pytestmark = pytest.mark.ring("airgap")

# In place of the SDK's executor: writes down what it is given, and ends as the program file says.
EXECUTOR = """
import json, os, pathlib, sys
names = ("PULUMI_CONFIG", "PULUMI_CONFIG_SECRET_KEYS", "VIRTUAL_ENV")
seen = {"argv": sys.argv[1:], "env": {name: os.environ.get(name) for name in names}, "cwd": os.getcwd()}
pathlib.Path(os.environ["SEEN_FILE"]).write_text(json.dumps(seen))
program = sys.argv[-1]
exec(pathlib.Path(program, "__main__.py").read_text())
"""


class Host:
    """A running language host with a project folder of its own."""

    def __init__(self, folder: Path, home: Path) -> None:
        self.folder = folder
        self.seen_file = folder / "seen.json"
        executor = folder / "executor.py"
        executor.write_text(EXECUTOR)
        environment = {"PULUMI_HOME": str(home), "SEEN_FILE": str(self.seen_file)}
        arguments = ("--executor", str(executor), "--logflow", "127.0.0.1:9")
        self.process = start("airgap.language_host.server", *arguments, environment=environment)
        self.stub: Any = language_pb2_grpc.LanguageRuntimeStub(grpc.insecure_channel(self.process.address))

    def info(self, virtualenv: str | None = None) -> Any:
        options = struct_pb2.Struct()
        if virtualenv is not None:
            options.update({"virtualenv": virtualenv})
        return language_pb2.ProgramInfo(
            root_directory=str(self.folder), program_directory=str(self.folder), entry_point=".", options=options
        )

    def run(self, program: str, virtualenv: str | None = None, **extra: Any) -> Any:
        (self.folder / "__main__.py").write_text(program)
        request = language_pb2.RunRequest(
            project="test",
            stack="dev",
            pwd=str(self.folder),
            monitor_address="127.0.0.1:8",
            organization="organization",
            info=self.info(virtualenv),
            **extra,
        )
        return self.stub.Run(request, timeout=60)

    def seen(self) -> Any:
        return json.loads(self.seen_file.read_text())


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    home = tmp_path / "home"
    (home / "plugins" / "resource-docker-v5.2.0").mkdir(parents=True)
    folder = tmp_path / "project"
    folder.mkdir()
    made = Host(folder, home)
    yield made
    made.process.end()


def venv_of_the_tests() -> str:
    return sys.prefix


def test_a_program_gets_addresses_as_arguments_and_configuration_by_environment(host: Host) -> None:
    config = {"test:a": "plain", "test:b": "hidden"}
    response = host.run("", venv_of_the_tests(), config=config, configSecretKeys=["test:b"], dryRun=True, parallel=4)
    assert (response.error, response.bail) == ("", False)
    seen = host.seen()
    arguments = dict(zip(seen["argv"][:-1:2], seen["argv"][1:-1:2], strict=True))
    assert arguments["--monitor"] == "127.0.0.1:8"
    assert arguments["--engine"] == "127.0.0.1:9"
    assert (arguments["--project"], arguments["--stack"], arguments["--dry_run"]) == ("test", "dev", "true")
    assert arguments["--parallel"] == "4"
    assert json.loads(seen["env"]["PULUMI_CONFIG"]) == config
    assert json.loads(seen["env"]["PULUMI_CONFIG_SECRET_KEYS"]) == ["test:b"]
    assert "hidden" not in str(seen["argv"]), "no value may be in a command line"
    assert seen["env"]["VIRTUAL_ENV"] == venv_of_the_tests()


def test_a_program_that_has_told_its_error_bails_without_a_second_one(host: Host) -> None:
    response = host.run("raise SystemExit(32)")
    assert (response.error, response.bail) == ("", True)


def test_a_program_that_fails_otherwise_is_reported_with_its_exit_code(host: Host) -> None:
    assert host.run("raise SystemExit(3)").error == "program exited with non-zero exit code: 3"


def test_a_program_that_is_killed_is_reported_with_the_signal(host: Host) -> None:
    assert host.run("import os; os.kill(os.getpid(), 9)").error == "program was ended by signal 9"


def test_a_missing_virtual_environment_is_told_with_its_mend(host: Host) -> None:
    error = host.run("", "nowhere").error
    assert f"there is no virtual environment at {host.folder / 'nowhere'}" in error
    assert "python3 -m venv" in error


def test_only_plugins_that_are_there_are_asked_for_so_that_nothing_is_downloaded(host: Host) -> None:
    info = host.info(venv_of_the_tests())
    response = host.stub.GetRequiredPackages(language_pb2.GetRequiredPackagesRequest(info=info), timeout=30)
    assert [(item.name, item.kind, item.version) for item in response.packages] == [("docker", "resource", "v5.2.0")]
    older = host.stub.GetRequiredPlugins(language_pb2.GetRequiredPluginsRequest(info=info), timeout=30)
    assert [(item.name, item.version) for item in older.plugins] == [("docker", "v5.2.0")]


def test_about_tells_the_projects_interpreter(host: Host) -> None:
    response = host.stub.About(language_pb2.AboutRequest(info=host.info(venv_of_the_tests())), timeout=30)
    assert response.executable == f"{venv_of_the_tests()}/bin/python"
    assert response.version == ".".join(map(str, sys.version_info[:3]))


def test_dependencies_are_those_of_requirements_or_all_installed_ones(host: Host) -> None:
    (host.folder / "requirements.txt").write_text("# the SDK\npulumi>=3\n")
    info = host.info(venv_of_the_tests())
    own = host.stub.GetProgramDependencies(language_pb2.GetProgramDependenciesRequest(info=info), timeout=30)
    assert [item.name for item in own.dependencies] == ["pulumi"]
    request = language_pb2.GetProgramDependenciesRequest(info=info, transitiveDependencies=True)
    assert {"pulumi", "grpcio"} <= {
        item.name for item in host.stub.GetProgramDependencies(request, timeout=30).dependencies
    }


def test_the_handshake_the_version_and_the_prompts_are_answered(host: Host) -> None:
    host.stub.Handshake(language_pb2.LanguageHandshakeRequest(engine_address="127.0.0.1:7"), timeout=10)
    host.run("")
    assert "127.0.0.1:7" in host.seen()["argv"], "the address of the handshake is the one that counts"
    assert host.stub.GetPluginInfo(empty_pb2.Empty(), timeout=10).version == "3.250.0"
    assert not host.stub.RuntimeOptionsPrompts(language_pb2.RuntimeOptionsRequest(info=host.info()), timeout=10).prompts


def test_a_policy_pack_is_started_and_tells_its_port(host: Host) -> None:
    pack = host.folder / "pack"
    pack.mkdir()
    (pack / "PulumiPolicy.yaml").write_text("runtime: python\n")
    (pack / "__main__.py").write_text(
        "from pulumi_policy import PolicyPack, ResourceValidationPolicy\n"
        "rule = ResourceValidationPolicy(name='r', description='d', validate=lambda args, report: None)\n"
        "PolicyPack(name='p', policies=[rule])\n"
    )
    info = language_pb2.ProgramInfo(root_directory=str(pack), program_directory=str(pack), entry_point=".")
    request = language_pb2.RunPluginRequest(pwd=str(pack), args=["127.0.0.1:9"], kind="analyzer", info=info)
    stream = host.stub.RunPlugin(request, timeout=60)
    parts = next(stream)
    assert parts.stdout.strip().isdigit(), parts.stderr
    children = Path(f"/proc/{host.process.child.pid}/task/{host.process.child.pid}/children")
    stream.cancel()
    eventually(lambda: not _running_children(children))


def _running_children(listing: Path) -> list[str]:
    threads = listing.parent.parent.glob("*/children")
    return [child for thread in threads for child in thread.read_text().split()]


def test_a_plugin_that_fails_passes_on_its_output_and_exit_code(host: Host) -> None:
    (host.folder / "__main__.py").write_text("import sys; print('out'); print('err', file=sys.stderr); sys.exit(5)")
    request = language_pb2.RunPluginRequest(pwd=str(host.folder), kind="resource", info=host.info(), env=["A=b"])
    parts = list(host.stub.RunPlugin(request, timeout=60))
    assert b"".join(part.stdout for part in parts) == b"out\n"
    assert b"".join(part.stderr for part in parts) == b"err\n"
    assert parts[-1].exitcode == 5


def test_cancelling_ends_the_program(host: Host) -> None:
    program = "import pathlib, time, os; pathlib.Path('started').touch(); time.sleep(600)"
    finished = in_background(lambda: host.run(program))
    eventually((host.folder / "started").exists)
    host.stub.Cancel(empty_pb2.Empty(), timeout=10)
    assert "signal 15" in finished().error


def test_the_host_goes_quietly_and_takes_its_program_along(host: Host) -> None:
    program = "import pathlib, time, os; pathlib.Path('pid').write_text(str(os.getpid())); time.sleep(600)"
    in_background(lambda: host.run(program))
    pid_file = host.folder / "pid"
    eventually(lambda: pid_file.exists() and pid_file.read_text())
    assert host.process.end() == 0
    eventually(lambda: not Path(f"/proc/{pid_file.read_text()}").exists())


def in_background(call: Callable[[], Any]) -> Callable[[], Any]:
    """Start a call in a thread; the returned function waits for its result."""
    from concurrent.futures import ThreadPoolExecutor

    def guarded() -> Any:
        try:
            return call()
        except grpc.RpcError as error:
            return error

    pool = ThreadPoolExecutor(1)
    future = pool.submit(guarded)
    pool.shutdown(wait=False)
    return lambda: future.result(60)


def test_dependencies_are_installed_into_a_new_environment(host: Host) -> None:
    (host.folder / "requirements.txt").write_text("")
    request = language_pb2.InstallDependenciesRequest(directory=str(host.folder), info=host.info("fresh"))
    list(host.stub.InstallDependencies(request, timeout=120))
    assert os.access(host.folder / "fresh" / "bin" / "python", os.X_OK)
