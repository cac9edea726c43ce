"""A stack on a Docker engine."""

import json
import ssl
from collections.abc import Collection
from datetime import datetime
from typing import Any

import docker
import httpx
import testinfra
from docker.models.containers import Container

from tests.infra.support import container_facts as facts
from tests.infra.support import deployed_secrets
from tests.infra.support.hosts import Host
from tests.infra.support.live import ImageFacts, Limits
from tests.infra.support.stack_outputs import StackOutputs
from tests.infra.support.tls import server_context

FETCH = (
    "import json, sys, urllib.request as r;"
    "print(json.dumps([r.urlopen(url, timeout=5).read().decode() for url in sys.argv[1:]]))"
)


class DockerLive:
    """One stack: each part is one container."""

    target = "docker"

    def __init__(self, outputs: StackOutputs) -> None:
        self._outputs = outputs
        self._hosts: dict[str, Host] = {}
        self.trust: ssl.SSLContext = server_context(None)
        self.insider = self.trust
        self._http = httpx.Client(timeout=10, verify=self.trust)
        self.engine = docker.from_env(timeout=60)

    @property
    def label(self) -> dict[str, Any]:
        """The filter for everything of this stack."""
        return {"label": f"workflow.stack={self.container('api').labels['workflow.stack']}"}

    def close(self) -> None:
        self._http.close()
        self.engine.close()

    def container(self, part: str) -> Container:
        """The container of a part, freshly inspected."""
        return self.engine.containers.get(self._outputs.inventory[part].container)

    def all_containers(self) -> list[Container]:
        """Every container with the stack's label, running or not."""
        return list(self.engine.containers.list(all=True, filters=self.label))

    def instances(self, part: str) -> list[str]:
        return [self._outputs.inventory[part].container]

    def host(self, part: str, instance: str | None = None) -> Host:
        name = instance or self._outputs.inventory[part].container
        if name not in self._hosts:
            self._hosts[name] = testinfra.get_host(f"docker://{name}")
        return self._hosts[name]

    def database_host(self) -> Host:
        return self.host("postgres")

    def environment(self, part: str) -> dict[str, str]:
        return facts.environment(self.container(part).attrs)

    def secrets(self, part: str) -> dict[str, str]:
        return deployed_secrets.read(self.container(part))

    def log(self, part: str) -> str:
        found = self.container(part)
        return str(found.logs(since=_started(found.attrs)).decode(errors="replace"))

    def logs(self) -> dict[str, str]:
        return {str(each.name): each.logs().decode(errors="replace") for each in self.all_containers()}

    def figures(self, parts: Collection[str]) -> list[str]:
        published = [part for part in parts if part in self._outputs.urls]
        pages = [self._http.get(f"{self._outputs.urls[part]}/metrics").raise_for_status().text for part in published]
        if inner := [part for part in parts if part not in published]:
            urls = [url for part in inner for url in self.scrape_urls(part)]
            words = " ".join(["%s"] * len(urls))
            pages += json.loads(self.host("api").check_output(f"python -c %s {words}", FETCH, *urls))
        return pages

    def url(self, part: str, instance: str | None = None) -> str:
        return self._outputs.urls[part]

    def scrape_urls(self, part: str, path: str = "/metrics") -> set[str]:
        given = self.environment(part)
        port = given.get("API_PORT", "8000") if part == "api" else given.get("WORKER_HTTP_PORT", "8001")
        return {f"http://{part}:{port}{path}"}

    def series_of(self, part: str) -> str:
        return f'instance=~"{part}:.*"'

    def started(self, part: str) -> datetime:
        return _started(self.container(part).attrs)

    def runs(self, part: str) -> set[str]:
        return {str(self.container(part).attrs["State"]["StartedAt"])}

    def restart(self, part: str, seconds: float) -> None:
        self.container(part).restart(timeout=int(seconds))

    def descriptions(self) -> dict[str, str]:
        told = {f"inspect of {each.name}": repr(each.attrs) for each in self.all_containers()}
        volumes = self.engine.volumes.list(filters=self.label)
        return told | {f"inspect of volume {volume.name}": repr(volume.attrs) for volume in volumes}

    def image(self, part: str) -> ImageFacts:
        found = self.engine.images.get(self._outputs.inventory[part].image)
        user = found.attrs["Config"].get("User") or "0"
        return ImageFacts(int(found.attrs["Size"]), user, found.labels, repr(found.history()))

    def same_image(self, parts: Collection[str]) -> dict[str, bool]:
        deployed = self.engine.images.get(self._outputs.inventory["api"].image).id
        return {part: self.container(part).attrs["Image"] == deployed for part in parts}

    def limits(self, part: str) -> Limits:
        inspect = self.container(part).attrs
        return Limits(int(inspect["HostConfig"].get("Memory") or 0), facts.cpus(inspect))

    def identities(self, part: str) -> list[str]:
        return [self.environment(part).get("EXECUTOR_ID") or self.container(part).attrs["Config"]["Hostname"]]

    def state_faults(self, part: str) -> list[str]:
        return facts.state_faults(self.container(part).attrs)

    def job_faults(self, part: str) -> list[str]:
        return facts.job_faults(self.container(part).attrs)

    def stop_faults(self, part: str) -> list[str]:
        state = self.container(part).attrs["State"]
        faults = ["it was killed for using too much memory"] if state["OOMKilled"] else []
        return faults + ([f"the engine says {state['Error']}"] if state["Error"] else [])

    def hardening_faults(self, part: str, *, read_only: bool = True) -> list[str]:
        return facts.hardening_faults(self.container(part).attrs, read_only=read_only)

    def limit_faults(self, part: str) -> list[str]:
        return facts.limit_faults(self.container(part).attrs)

    def health_faults(self, part: str) -> list[str]:
        return facts.health_faults(self.container(part).attrs)

    def health_timing_faults(
        self, part: str, *, interval: int, timeout: int, start_period: int, retries: int
    ) -> list[str]:
        return facts.health_timing_faults(
            self.container(part).attrs, interval=interval, timeout=timeout, start_period=start_period, retries=retries
        )

    def health_question(self, part: str) -> str:
        return " ".join(self.container(part).attrs["Config"]["Healthcheck"]["Test"])

    def volume_faults(self, part: str, destination: str) -> list[str]:
        return facts.volume_faults(self.container(part).attrs, destination)


def _started(inspect: dict[str, Any]) -> datetime:
    return datetime.fromisoformat(inspect["State"]["StartedAt"][:19] + "+00:00")
