"""A production stack in memory: what was recorded of a live one, and what its insides answer.

Everything is a plain value that a fault changes before the check runs.
"""

import copy
import json
from functools import cache
from pathlib import Path
from typing import Any

import httpx

from ops.kube import ClusterRefusalError, Thing
from tests.infra.support import stack_outputs, stranger
from tests.infra.support.live import ImageFacts
from tests.infra.support.stack_outputs import StackOutputs
from tests.infra.unit.red.entry import HOST, OURS, Entry, Running, authority

NAMESPACE = "workflow-rehearsal"
RECORDING = Path(__file__).with_name("recording.json")
GROUPS = {
    "deployments": "/apis/apps/v1",
    "statefulsets": "/apis/apps/v1",
    "horizontalpodautoscalers": "/apis/autoscaling/v2",
    "cronjobs": "/apis/batch/v1",
    "jobs": "/apis/batch/v1",
    "endpointslices": "/apis/discovery.k8s.io/v1",
    "networkpolicies": "/apis/networking.k8s.io/v1",
    "poddisruptionbudgets": "/apis/policy/v1",
    "rolebindings": "/apis/rbac.authorization.k8s.io/v1",
    "roles": "/apis/rbac.authorization.k8s.io/v1",
}
CARRIERS = ("deployments", "statefulsets", "jobs", "cronjobs")
LET_IN = {"let in": True, "standby": False}
REFUSED_WRITE = "TopicAuthorizationFailedError"
CAME_NOT_IN = "KafkaConnectionError"


@cache
def _recording() -> str:
    return RECORDING.read_text(encoding="utf-8")


def refusal(status: int, said: str) -> ClusterRefusalError:
    """What the cluster's API answers when it says no."""
    return ClusterRefusalError(said, "-", status)


def database_url(login: str, end: str = "workflow?sslmode=verify-full") -> str:
    """The DATABASE_URL of a program with this login; the password is made up."""
    return f"postgresql://{login}:made-up@postgres:5432/{end}"


class Scene:
    """One stack, as it should be."""

    def __init__(self) -> None:
        recorded = json.loads(_recording())
        self.lists: dict[str, list[Thing]] = recorded["lists"]
        self.single: dict[str, Thing] = recorded["objects"]
        self.params: dict[str, Any] = {}
        """With which parameters the check will run."""
        self.constants: dict[str, Any] = {}
        """Figures of the check's module that are smaller here, so that nobody waits."""
        self.logs: dict[str, list[str]] = {}
        self.admission = refusal(403, 'pods "planted" is forbidden: violates PodSecurity "restricted:latest"')
        self.admits = False
        self.strangers_log = dict.fromkeys(stranger.WAYS, f"{stranger.REFUSED}: it wants more")
        self.images = {part: ImageFacts(90_000_000, "10001", {}, "[]") for part in self.inventory()}
        self.with_token = {"postgres"}
        self.processes = "python -m service api "
        self.database_urls = {part: database_url(f"{part}_1") for part in ("api", "relay", "executor")}
        topics = [self.environment("api")[f"KAFKA_{kind}_TOPIC"] for kind in ("EXECUTION", "CANCELLATION")]
        outside = dict.fromkeys(
            ("log in with a wrong password", "come without a login", "come in the clear"), CAME_NOT_IN
        )
        self.brokers = 3
        self.copies = {topic: [[number, 3, 3] for number in range(6)] for topic in topics}
        self.rights = {
            "executor": {"write": REFUSED_WRITE, "read": "allowed", **outside},
            "api": {"write": REFUSED_WRITE, "read": REFUSED_WRITE, **outside},
        }
        self.tries: dict[str, dict[str, Any]] = {
            "as it is": LET_IN,
            "read-only service": {"let in": True, "standby": True},
            "in the clear": {"refused": "28000"},
            "without a certificate": {"refused": "28000"},
            "with a wrong password": {"refused": "28P01"},
            "as the superuser": {"refused": "28000"},
            "into another database": {"refused": "28000"},
        }
        self.answers: dict[str, str] = {
            "pg_stat_ssl": "t|51",
            "has_schema_privilege": "f|f|f|f|f",
            "'SELECT'": "f",
            "pg_stat_replication": "f|1\nt|1",
            "pg_walfile_name": "00000002000000000000001A",
            "pg_switch_wal": "0/1A0000F0",
            "last_archived_wal >=": "t",
            "last_failed_time": "f",
        }
        """What the database says to a query, by a word of it; the first word that fits counts."""
        self.backups: list[dict[str, Any]] = [
            {
                "name": "workflow",
                "backup": [
                    {"label": "20261122-140800F", "type": "full", "error": False, "timestamp": {"stop": 1795356488}}
                ],
                "repo": [{"key": 1, "cipher": "aes-256-cbc"}],
            }
        ]
        self.measured = {"any": 1795356488, "full": 1795356488}
        """What Prometheus tells of the ends of backups, by type."""
        self.entry = Entry([each["metadata"]["name"] for each in self.pods("api")], self.write)
        self.told: dict[str, Thing] | None = None
        """An inventory that differs from what was recorded."""
        self.urls: dict[str, str] = {}
        """Addresses that differ from the entry's."""
        self.running: Running | None = None

    def prometheus(self) -> httpx.Client:
        """Prometheus, which answers each question with what is measured."""

        def answer(_request: httpx.Request) -> httpx.Response:
            found = [{"metric": {"type": kind}, "value": [0, str(end)]} for kind, end in self.measured.items()]
            return httpx.Response(200, json={"data": {"result": found}})

        return httpx.Client(base_url="https://prometheus", transport=httpx.MockTransport(answer))

    # ---- the objects ----
    def objects(self, plural: str) -> list[Thing]:
        """All of a kind in the namespace."""
        return self.lists[f"{GROUPS.get(plural, '/api/v1')}/namespaces/{NAMESPACE}/{plural}"]

    def object(self, plural: str, name: str) -> Thing:
        """The one of that name."""
        (found,) = [each for each in self.objects(plural) if each["metadata"]["name"] == name]
        return found

    def pods(self, part: str) -> list[Thing]:
        """The pods of a part."""
        return [each for each in self.objects("pods") if each["metadata"]["labels"]["workflow.part"] == part]

    def container(self, part: str) -> Thing:
        """The container of a part's first pod."""
        found: Thing = self.pods(part)[0]["spec"]["containers"][0]
        return found

    def environment(self, part: str) -> dict[str, str]:
        """The variables of a part's first pod."""
        return {each["name"]: each["value"] for each in self.container(part)["env"]}

    def set_variable(self, part: str, name: str, value: str) -> None:
        """Another value for a variable of a part's first pod."""
        (entry,) = [each for each in self.container(part)["env"] if each["name"] == name]
        entry["value"] = value

    def bindings_of_the_cluster(self) -> list[Thing]:
        """Rights on the whole cluster, as far as they are given to accounts of the namespace."""
        return self.lists["/apis/rbac.authorization.k8s.io/v1/clusterrolebindings"]

    def node(self) -> Thing:
        """The first node."""
        return self.lists["/api/v1/nodes"][0]

    def write(self, pod: str, record: dict[str, Any]) -> None:
        """A record in the log of a pod, or of the first one of a part."""
        name = self.pods(pod)[0]["metadata"]["name"] if self.pods(pod) else pod
        self.logs.setdefault(name, []).append(json.dumps(record))

    # ---- what it tells of itself ----
    def inventory(self) -> dict[str, Thing]:
        """The inventory as the program exports it, told from what carries the parts."""
        found = {}
        for carrier in (each for plural in CARRIERS for each in self.objects(plural)):
            labels, spec = carrier["metadata"]["labels"], carrier["spec"]
            template = (spec["jobTemplate"]["spec"] if "jobTemplate" in spec else spec)["template"]["spec"]
            (container,) = template["containers"]
            found[labels["workflow.part"]] = {
                "namespace": NAMESPACE,
                "container": container["name"],
                "image": container["image"],
                "kind": labels["workflow.kind"],
                "uid": 10001,
                "replicas": spec.get("replicas", 1),
                "ports": [port["containerPort"] for port in container.get("ports") or ()],
                "object": carrier["metadata"]["name"],
            }
        return found

    def outputs(self) -> StackOutputs:
        """The outputs of the stack."""
        here = f"https://{HOST}:{self.listening().port}"
        document: Thing = {
            "urls": {"edge": here, "api": here, **self.urls},
            "network": NAMESPACE,
            "target": "kubernetes",
            "adminUsername": "admin",
            "adminPassword": "a-password-nobody-knows",
            "inventory": self.told if self.told is not None else self.inventory(),
            "authority": authority(OURS).certificate,
        }
        return stack_outputs.parse(document)

    def tell(self) -> dict[str, Thing]:
        """The inventory, to be changed."""
        self.told = self.told or copy.deepcopy(self.inventory())
        return self.told

    def listening(self) -> Running:
        """The entry, which listens from now on."""
        self.running = self.running or Running(self.entry)
        return self.running

    def close(self) -> None:
        """Ends what listens."""
        if self.running is not None:
            self.running.close()
