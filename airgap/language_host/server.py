"""The language host's gRPC face: Pulumi's LanguageRuntime service for Python."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from airgap.protocol import serve, stubs

from . import VERSION
from .children import Children
from .environment import Environment, EnvironmentProblem, installed, mentioned, of_project, resource_plugins, version_of

language_pb2 = stubs("language_pb2")
plugin_pb2 = stubs("plugin_pb2")

_WORKERS = 16
_MESSAGE_WAS_SHOWN = 32
"""The exit code by which the executor says that the person has already been told what went wrong."""

_UNLIMITED = 2**31 - 1


class PythonHost(stubs("language_pb2_grpc").LanguageRuntimeServicer):  # type: ignore[misc]
    """Answers the engine's calls for one project."""

    def __init__(self, executor: Path, engine_address: str) -> None:
        self._executor = executor
        self._engine_address = engine_address
        self._children = Children()

    def close(self) -> None:
        """End what runs."""
        self._children.end_all()

    def Handshake(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Take the engine's address."""
        self._engine_address = request.engine_address or self._engine_address
        return language_pb2.LanguageHandshakeResponse()

    def GetPluginInfo(self, request: Any, context: Any) -> Any:  # noqa: N802
        """The version of the CLI that this host is for."""
        return plugin_pb2.PluginInfo(version=VERSION)

    def Cancel(self, request: Any, context: Any) -> Any:  # noqa: N802
        """End what runs."""
        from google.protobuf import empty_pb2

        self.close()
        return empty_pb2.Empty()

    def GetRequiredPackages(self, request: Any, context: Any) -> Any:  # noqa: N802
        """The installed provider plugins that the project's SDKs belong to."""
        packages = [
            plugin_pb2.PackageDependency(name=name, kind="resource", version=f"v{version}")
            for name, version in _plugins(request.info)
        ]
        return language_pb2.GetRequiredPackagesResponse(packages=packages)

    def GetRequiredPlugins(self, request: Any, context: Any) -> Any:  # noqa: N802
        """The same in the older form of the question."""
        plugins = [
            plugin_pb2.PluginDependency(name=name, kind="resource", version=f"v{version}")
            for name, version in _plugins(request.info)
        ]
        return language_pb2.GetRequiredPluginsResponse(plugins=plugins)

    def Run(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Run a program to its end. What it prints goes to our stdout and stderr, from where the engine shows it."""
        try:
            environment = of_project(request.info)
        except EnvironmentProblem as problem:
            return language_pb2.RunResponse(error=str(problem))
        variables = environment.variables(_config_variables(request))
        try:
            code = self._children.run(self._program_command(environment, request), request.pwd, variables)
        except OSError as error:
            return language_pb2.RunResponse(
                error=f"problem executing program (could not run language executor): {error}"
            )
        if code == 0:
            return language_pb2.RunResponse()
        if code == _MESSAGE_WAS_SHOWN:
            return language_pb2.RunResponse(bail=True)
        if code < 0:
            return language_pb2.RunResponse(error=f"program was ended by signal {-code}")
        return language_pb2.RunResponse(error=f"program exited with non-zero exit code: {code}")

    def _program_command(self, environment: Environment, request: Any) -> list[str]:
        info = request.info
        program = Path(info.program_directory, info.entry_point or ".")
        arguments = {
            "--monitor": request.monitor_address,
            "--engine": self._engine_address,
            "--project": request.project,
            "--root_directory": info.root_directory,
            "--stack": request.stack,
            "--pwd": request.pwd,
            "--dry_run": "true" if request.dryRun else "",
            "--parallel": str(min(request.parallel or _UNLIMITED, _UNLIMITED)),
            "--organization": request.organization,
        }
        given = [part for name, value in arguments.items() if value for part in (name, value)]
        return [str(environment.python), "-u", str(self._executor), *given, str(program), *request.args]

    def RunPlugin(self, request: Any, context: Any) -> Iterator[Any]:  # noqa: N802
        """Run a policy pack or another plugin that is written in Python, passing on what it prints."""
        try:
            environment = of_project(request.info)
        except EnvironmentProblem as problem:
            yield language_pb2.RunPluginResponse(stderr=f"{problem}\n".encode())
            yield language_pb2.RunPluginResponse(exitcode=1)
            return
        program = request.info.program_directory
        if request.kind == "analyzer":
            command = ["-u", "-m", "pulumi.policy", *request.args[:1], program, *request.args[1:]]
        else:
            command = ["-u", program, *request.args]
        variables = environment.variables(dict(item.split("=", 1) for item in request.env if "=" in item))
        whole = [str(environment.python), *command]
        for name, value in self._children.stream(whole, request.pwd, variables, context.add_callback):
            yield language_pb2.RunPluginResponse(**{name: value})

    def InstallDependencies(self, request: Any, context: Any) -> Iterator[Any]:  # noqa: N802
        """Make the virtual environment if the project names a missing one, and install requirements.txt into it."""
        try:
            environment = of_project(request.info)
        except EnvironmentProblem:
            folder = Path(request.info.root_directory, request.info.options.fields["virtualenv"].string_value)
            environment = Environment(folder / "bin" / "python", folder)
            yield from self._install_step([sys.executable, "-m", "venv", str(folder)], request.directory, context)
        if Path(request.directory, "requirements.txt").is_file():
            pip = [str(environment.python), "-m", "pip", "install", "-r", "requirements.txt"]
            yield from self._install_step(pip, request.directory, context)

    def _install_step(self, command: list[str], folder: str, context: Any) -> Iterator[Any]:
        import grpc

        for name, value in self._children.stream(command, folder, dict(os.environ), context.add_callback):
            if name != "exitcode":
                yield language_pb2.InstallDependenciesResponse(**{name: value})
            elif isinstance(value, int) and value != 0:
                context.abort(grpc.StatusCode.UNKNOWN, f"{' '.join(command[1:4])} failed with exit code {value}")

    def GetProgramDependencies(self, request: Any, context: Any) -> Any:  # noqa: N802
        """What is installed for the project; without transitive ones only what requirements.txt names."""
        environment = _environment(request.info)
        named = None if request.transitiveDependencies else mentioned(Path(request.info.root_directory))
        found = [
            language_pb2.DependencyInfo(name=name, version=version)
            for name, version in installed(environment)
            if named is None or name.lower().replace("_", "-") in named
        ]
        return language_pb2.GetProgramDependenciesResponse(dependencies=found)

    def About(self, request: Any, context: Any) -> Any:  # noqa: N802
        """The interpreter that programs run under."""
        environment = _environment(request.info)
        version = version_of(environment) or platform.python_version()
        return language_pb2.AboutResponse(executable=str(environment.python), version=version)

    def RuntimeOptionsPrompts(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Nothing to ask: the options have defaults."""
        return language_pb2.RuntimeOptionsResponse()

    def Template(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Nothing to add to a new project."""
        return language_pb2.TemplateResponse()


def _environment(info: Any) -> Environment:
    try:
        return of_project(info)
    except EnvironmentProblem:
        return Environment(Path(sys.executable), None)


def _plugins(info: Any) -> list[tuple[str, str]]:
    home = Path(os.environ.get("PULUMI_HOME") or Path.home() / ".pulumi")
    return sorted(set(resource_plugins(_environment(info), home)))


def _config_variables(request: Any) -> dict[str, str]:
    """The configuration as the SDK reads it: two variables with JSON, so that no value is in a command line."""
    variables = {}
    if request.config:
        variables["PULUMI_CONFIG"] = json.dumps(dict(request.config))
    if request.configSecretKeys:
        variables["PULUMI_CONFIG_SECRET_KEYS"] = json.dumps(list(request.configSecretKeys))
    return variables


def main() -> None:
    """Run the language host until the engine is done with it."""
    parser = argparse.ArgumentParser(prog="pulumi-language-python", allow_abbrev=False)
    parser.add_argument("--executor", type=Path, required=True, help="the script pulumi-language-python-exec")
    # The engine's address comes last; the flags of the official host before it have no meaning here.
    arguments, rest = parser.parse_known_args()
    address = next((item for item in reversed(rest) if not item.startswith("-")), "")
    host = PythonHost(arguments.executor, address)
    add = stubs("language_pb2_grpc").add_LanguageRuntimeServicer_to_server
    serve(lambda server: add(host, server), _WORKERS, at_end=host.close)


if __name__ == "__main__":
    main()
