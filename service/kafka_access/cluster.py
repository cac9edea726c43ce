"""Reads and changes a cluster through librdkafka's admin client; aiokafka's knows no logins and no rights."""

import time
from collections.abc import Iterable, Mapping
from concurrent.futures import Future
from typing import Any

from confluent_kafka import KafkaException
from confluent_kafka.admin import (
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ConfigSource,
    NewPartitions,
    NewTopic,
    ResourcePatternType,
    ResourceType,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialDeletion,
    UserScramCredentialUpsertion,
)

from service.kafka_access.changes import Changes, ClusterState, Rule, TopicState
from service.kafka_access.plan import AccessPlan

REQUEST_SECONDS = 30.0
SCRAM_ITERATIONS = 4096
"""Kafka's own default. More only make a weak password costlier to guess; these are random ones of 256 bits."""
_LOOK_SECONDS = 1.0


class AccessFailedError(RuntimeError):
    """The cluster did not do what was asked; the message says what and why."""


class Cluster:
    """One cluster, reached with the certificate that the plan names. Every call is bounded."""

    def __init__(self, plan: AccessPlan) -> None:
        self._trouble = "no broker answers"
        self._certificate = plan.certificate_file
        self._admin = AdminClient(
            {
                "bootstrap.servers": ",".join(plan.brokers),
                "client.id": "kafka-access",
                "security.protocol": "SSL",
                "ssl.ca.location": str(plan.ca_file),
                "ssl.certificate.location": str(plan.certificate_file),
                "ssl.key.location": str(plan.key_file),
                "ssl.endpoint.identification.algorithm": "https",
                "socket.timeout.ms": int(REQUEST_SECONDS * 1000),
                "reconnect.backoff.max.ms": 1000,
                # What goes wrong is told by the calls and the callback.
                "log_level": 0,
                "error_cb": self._heard,
            }
        )

    def wait_for_brokers(self, count: int, seconds: float) -> None:
        """Return once so many brokers are there. Raises AccessFailedError with the last trouble when they stay away."""
        end = time.monotonic() + seconds
        while True:
            self._admin.poll(0)
            try:
                found = len(self._admin.list_topics(timeout=_LOOK_SECONDS * 5).brokers)
            except KafkaException:
                found = 0
            if found >= count:
                return
            if time.monotonic() > end:
                trouble = f"{found} of {count} brokers are there" if found else self._trouble
                raise AccessFailedError(f"waited {seconds:g} s for the brokers in vain: {trouble}")
            time.sleep(_LOOK_SECONDS)

    def check_rights(self) -> None:
        """Raises AccessFailedError when the cluster does not let this certificate change logins and rights.

        Asked beforehand, because librdkafka 2.16 answers a refusal badly: with an empty list where it is asked for
        rights, and with a crash where for logins.
        """
        asked = self._admin.describe_cluster(include_authorized_operations=True, request_timeout=REQUEST_SECONDS)
        allowed = _done(asked, "own rights").authorized_operations or ()
        if AclOperation.ALTER not in allowed:
            raise AccessFailedError(
                f"the brokers do not let {self._certificate} change logins and rights: its common name must be among "
                "their super.users"
            )

    def state(self, plan: AccessPlan) -> ClusterState:
        """What is there now. Raises AccessFailedError."""
        metadata = self._admin.list_topics(timeout=REQUEST_SECONDS).topics
        planned = [topic.name for topic in plan.topics if topic.name in metadata]
        settings = self._settings_of(planned)
        everything = AclBindingFilter(
            ResourceType.ANY, None, ResourcePatternType.ANY, None, None, AclOperation.ANY, AclPermissionType.ANY
        )
        rules = _done(self._admin.describe_acls(everything, request_timeout=REQUEST_SECONDS), "rights")
        users = _done(self._admin.describe_user_scram_credentials(None, request_timeout=REQUEST_SECONDS), "logins")
        return ClusterState(
            topics={
                name: TopicState(
                    len(metadata[name].partitions),
                    len(metadata[name].partitions[0].replicas),
                    settings[name],
                )
                for name in planned
            },
            users=frozenset(users),
            rules=frozenset(_rule(binding) for binding in rules),
        )

    def apply(self, changes: Changes) -> None:
        """Make all changes. Raises AccessFailedError at the first that the cluster refuses."""
        self._make_topics(changes)
        if changes.logins:
            mechanism = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, SCRAM_ITERATIONS)
            self._all(
                self._admin.alter_user_scram_credentials(
                    [UserScramCredentialUpsertion(each.user, mechanism, each.password()) for each in changes.logins],
                    request_timeout=REQUEST_SECONDS,
                ),
                "login",
            )
        if changes.new_rules:
            given = [_binding(rule) for rule in changes.new_rules]
            self._all(self._admin.create_acls(given, request_timeout=REQUEST_SECONDS), "right")
        if changes.old_rules:
            taken = [AclBindingFilter(*_words(rule)) for rule in changes.old_rules]
            self._all(self._admin.delete_acls(taken, request_timeout=REQUEST_SECONDS), "right to be taken away")
        if changes.old_users:
            gone = [UserScramCredentialDeletion(user, ScramMechanism.SCRAM_SHA_512) for user in changes.old_users]
            self._all(
                self._admin.alter_user_scram_credentials(gone, request_timeout=REQUEST_SECONDS),
                "login to be removed",
            )

    def _make_topics(self, changes: Changes) -> None:
        if changes.new_topics:
            made = [
                NewTopic(topic.name, topic.partitions, topic.replication, config=topic.settings)
                for topic in changes.new_topics
            ]
            self._all(self._admin.create_topics(made, request_timeout=REQUEST_SECONDS), "topic")
        if changes.wider_topics:
            wider = [NewPartitions(topic.name, topic.partitions) for topic in changes.wider_topics]
            self._all(self._admin.create_partitions(wider, request_timeout=REQUEST_SECONDS), "partitions of topic")
        if changes.topic_settings:
            resources = [_resource(name, values) for name, values in changes.topic_settings.items()]
            asked = self._admin.incremental_alter_configs(resources, request_timeout=REQUEST_SECONDS)
            self._all({resource.name: future for resource, future in asked.items()}, "settings of topic")

    def _settings_of(self, topics: Iterable[str]) -> dict[str, dict[str, str]]:
        resources = [ConfigResource(ResourceType.TOPIC, name) for name in topics]
        if not resources:
            return {}
        asked = self._admin.describe_configs(resources, request_timeout=REQUEST_SECONDS)
        return {
            resource.name: {
                name: str(entry.value)
                for name, entry in _done(future, f"settings of topic {resource.name}").items()
                if entry.source == ConfigSource.DYNAMIC_TOPIC_CONFIG.value
            }
            for resource, future in asked.items()
        }

    def _heard(self, error: Any) -> None:
        self._trouble = str(error.str())

    @staticmethod
    def _all(futures: Mapping[Any, Future[Any]], what: str) -> None:
        for key, future in futures.items():
            _done(future, f"{what} {key}")


def _done(future: Any, what: str) -> Any:
    try:
        return future.result(timeout=2 * REQUEST_SECONDS)
    except (KafkaException, TimeoutError) as error:
        reason = error.args[0].str() if isinstance(error, KafkaException) else "no answer in time"
        raise AccessFailedError(f"{what}: {reason}") from error


def _resource(topic: str, values: Mapping[str, str]) -> ConfigResource:
    entries = [
        ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET) for name, value in sorted(values.items())
    ]
    return ConfigResource(ResourceType.TOPIC, topic, incremental_configs=entries)


def _rule(binding: Any) -> Rule:
    return Rule(
        principal=binding.principal,
        resource=binding.restype.name,
        name=binding.name,
        operation=binding.operation.name,
        pattern=binding.resource_pattern_type.name,
        host=binding.host,
        permission=binding.permission_type.name,
    )


def _words(rule: Rule) -> tuple[Any, ...]:
    return (
        ResourceType[rule.resource],
        rule.name,
        ResourcePatternType[rule.pattern],
        rule.principal,
        rule.host,
        AclOperation[rule.operation],
        AclPermissionType[rule.permission],
    )


def _binding(rule: Rule) -> AclBinding:
    return AclBinding(*_words(rule))
