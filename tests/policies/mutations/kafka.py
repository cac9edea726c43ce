"""Brokers, topics and what is kept on disks."""

from tests.policies.mutations.harness import Mutation

MUTATIONS = [
    Mutation(
        "kafka-broker-count-prod",
        "prod",
        "Pulumi.prod.yaml",
        "minInSync: 2",
        "minInSync: 1",
        "a_message_counts_when_two_brokers_have_it",
    ),
    Mutation(
        "kafka-listener-ports",
        "dev",
        "infra/components/kafka_settings.py",
        'f"HOST://localhost:{stack.kafka.published_port}"',
        'f"HOST://{PART}:{stack.kafka.published_port}"',
        "kafka_is_reached_from_the_machine",
    ),
    Mutation(
        "kafka-topic-names-per-environment",
        "prod",
        "Pulumi.prod.yaml",
        "executionTopic: prod.workflow.execution.requests",
        "executionTopic: workflow.execution.requests",
        "productions_topics_are_its_own",
    ),
    Mutation(
        "kafka-partitions",
        "prod",
        "Pulumi.prod.yaml",
        "partitions: 9",
        "partitions: 6",
        "every_executor_can_have_a_partition",
    ),
    # The folder of the official image, not of ours.
    Mutation(
        "persistent-volumes",
        "dev",
        "infra/components/monitoring.py",
        'DataVolume("alertmanager-data", "/var/lib/alertmanager")',
        'DataVolume("alertmanager-data", "/alertmanager")',
        "our_data_folders_are_on_volumes",
    ),
]
