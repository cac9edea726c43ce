"""References of images, taken apart."""

from __future__ import annotations

from dataclasses import dataclass

STORES = (
    "postgres", "postgresql", "timescaledb", "mysql", "mariadb", "mongo", "mongodb", "redis", "valkey", "kafka",
    "cp-kafka", "zookeeper", "rabbitmq", "nats", "elasticsearch", "opensearch", "etcd", "consul", "clickhouse",
    "cassandra", "minio", "influxdb", "memcached", "neo4j", "prometheus", "grafana", "alertmanager", "loki",
)  # fmt: skip
"""Programs that others keep their data in, or that measure them, by the last word of their images' names."""

ADMINISTRATIVE = (
    "grafana", "prometheus", "alertmanager", "pgadmin", "pgadmin4", "adminer", "phpmyadmin", "kafka-ui", "akhq",
    "kafdrop", "kibana", "portainer", "redis-commander", "mongo-express", "flower", "jaeger", "zipkin", "vault",
    "rabbitmq", "traefik", "dashboard", "argocd", "jenkins", "loki", "opensearch-dashboards", "redisinsight",
)  # fmt: skip
"""Programs by which a system is watched or run, by the last word of their images' names."""

WITHOUT_DATA = ("memcached",)

OUR_PREFIX = "workflow-"


@dataclass(frozen=True)
class Reference:
    """`registry/repository:tag@digest`; what is not given is empty."""

    registry: str
    repository: str
    tag: str
    digest: str

    @property
    def program(self) -> str:
        """The last word of the repository, without the prefix of the images that are built here."""
        return self.repository.rpartition("/")[2].removeprefix(OUR_PREFIX)

    @property
    def is_pinned(self) -> bool:
        """Whether it names one content for ever."""
        return self.digest.startswith("sha256:")


def reference_of(text: str) -> Reference:
    """Takes a reference apart. The first word is a registry when it looks like a host: a dot, a port, or localhost."""
    if text.startswith("sha256:"):
        return Reference("", "", "", text)
    name, _, digest = text.partition("@")
    first, slash, rest = name.partition("/")
    is_host = bool(slash) and ("." in first or ":" in first or first == "localhost")
    registry, path = (first, rest) if is_host else ("", name)
    repository, _, tag = path.partition(":")
    return Reference(registry, repository, tag, digest)
