"""A scene behind the interface of the checks: the real reading of a stack, on a cluster that is none."""

import base64
import json
from collections.abc import Iterator
from typing import Any

from ops.kube import Thing
from tests.infra.support import database_inside, foreign_pod, kafka_inside
from tests.infra.support.hosts import Host
from tests.infra.support.kubernetes_live import KubernetesLive
from tests.infra.support.live import CannotTellError, ImageFacts
from tests.infra.support.stack_outputs import StackOutputs
from tests.infra.unit.red.entry import HOST
from tests.infra.unit.red.scene import Scene
from tests.ops.fake_cluster import FakeCluster


class SceneApi(FakeCluster):
    """The cluster's API, with a place for a foreign pod."""

    def __init__(self, scene: Scene) -> None:
        super().__init__()
        self.objects = scene.lists
        self.scene = scene

    def get(self, path: str) -> Thing:
        if path.endswith("/pods/stranger"):
            return {"status": {"phase": "Succeeded"}}
        if path in self.scene.single:
            return self.scene.single[path]
        folder, _, name = path.rpartition("/")
        url = self.scene.database_urls.get(name.removesuffix("-secrets"))
        if folder.endswith("/secrets") and url:
            return {"data": {"database_url": base64.b64encode(url.encode()).decode()}}
        return super().get(path)

    def items(self, path: str, selector: str = "", metadata_only: bool = False) -> list[Thing]:
        if path.endswith("/serviceaccounts"):
            return [{"metadata": {"name": "default"}}]
        return super().items(path, selector, metadata_only)

    def create(self, path: str, body: Thing) -> Thing:
        if "dryRun" in path:
            if not self.scene.admits:
                raise self.scene.admission
            return body
        assert path.startswith(foreign_pod.NAMESPACES), path
        return body

    def delete(self, path: str) -> None:
        assert "/verify-foreign-" in path, path

    def lines(self, path: str, seconds: float | None = None) -> Iterator[bytes]:
        pod = path.partition("/log")[0].rpartition("/")[2]
        said = [json.dumps(self.scene.strangers_log)] if pod == "stranger" else self.scene.logs.get(pod, ())
        yield from (f"{line}\n".encode() for line in said)


class Inside:
    """The inside of a part's container."""

    def __init__(self, scene: Scene, part: str) -> None:
        self.scene = scene
        self.part = part

    def check_output(self, command: str, *arguments: str) -> str:
        if command.startswith("python -c"):
            script, *words = arguments
            return json.dumps(self._asked(script, *words))
        if command.startswith("psql"):
            query = arguments[-1]
            return next(answer for word, answer in self.scene.answers.items() if word in query)
        assert command.startswith("pgbackrest info"), command
        return json.dumps(self.scene.backups)

    def _asked(self, script: str, *words: str) -> Any:
        if script == database_inside.SOURCE:
            return self.scene.tries
        assert script == kafka_inside.SOURCE
        answers = {"state": {"brokers": self.scene.brokers}, "copies": self.scene.copies}
        return answers.get(words[0]) or self.scene.rights[self.part]

    def run(self, command: str, *arguments: str) -> Any:
        if "/token" in command:
            said, code = "", 0 if self.part in self.scene.with_token else 1
        else:
            assert "cmdline" in command, command
            said, code = self.scene.processes, 0
        return type("Result", (), {"rc": 0, "stdout": f"{said}@ended-with:{code}\n", "stderr": ""})

    def file(self, path: str) -> Any:
        raise NotImplementedError(path)

    def user(self, name: str | None = None) -> Any:
        raise NotImplementedError(name)


class SceneLive(KubernetesLive):
    """The real thing but for what needs a cluster: the inside of pods, ways to ports, the registry."""

    def __init__(self, outputs: StackOutputs, scene: Scene) -> None:
        super().__init__(outputs, SceneApi(scene))
        self.scene = scene
        self.insider = self.trust
        self.entry = scene.listening()
        for port in (port for each in scene.objects("services") for port in each["spec"]["ports"]):
            if "nodePort" in port:
                port["nodePort"] = self.entry.plain_port if port["port"] == 80 else self.entry.port

    def host(self, part: str, instance: str | None = None) -> Host:
        return Inside(self.scene, part)

    def url(self, part: str, instance: str | None = None) -> str:
        return f"https://{HOST}:{self.entry.port}/@{instance or self.instances(part)[0]}"

    def image(self, part: str) -> ImageFacts:
        if part not in self.scene.images:
            raise CannotTellError(f"nobody knows the image of {part}")
        return self.scene.images[part]
