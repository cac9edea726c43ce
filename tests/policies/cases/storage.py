"""Where data are kept."""

from tests.policies.changes import ABSENT, UNKNOWN, Case, adjust, also, both, config, put, secret, swap

POD = "spec.template.spec"
DOCKER = "docker:index/container:Container"
VOLUME = "docker:index/volume:Volume"
CLAIM = "kubernetes:core/v1:PersistentVolumeClaim"
CLASS = "kubernetes:storage.k8s.io/v1:StorageClass"
DISK = "aws:ebs/volume:Volume"
RETENTION = "spec.persistentVolumeClaimRetentionPolicy"

CASES = [
    Case("stores_keep_their_data_on_volumes", put("StatefulSet", "kafka", "spec.volumeClaimTemplates", [])),
    Case("stores_keep_their_data_on_volumes", put("Container", "postgres", "volumes", []), environment="dev"),
    Case(
        "stores_keep_their_data_on_volumes", also(DOCKER, "cache", {"image": "redis:7", "volumes": []}), why="foreign"
    ),
    Case(
        "stores_keep_their_data_on_volumes",
        put("Container", "postgres", "volumes", UNKNOWN),
        "not evaluated",
        environment="dev",
    ),
    Case(
        "our_data_folders_are_on_volumes",
        put("StatefulSet", "kafka", f"{POD}.containers[0].volumeMounts[0].mountPath", "/elsewhere"),
    ),
    Case(
        "our_data_folders_are_on_volumes",
        config("postgres", "patroni.yml", swap("data_dir: /var/lib/postgresql", "data_dir: /tmp")),
    ),
    Case(
        "our_data_folders_are_on_volumes",
        put("Container", "prometheus", "volumes[0].containerPath", "/x"),
        environment="dev",
    ),
    Case(
        "our_data_folders_are_on_volumes",
        put("Container", "grafana", "volumes", UNKNOWN),
        "not evaluated",
        environment="dev",
    ),
    Case("fewer_replicas_do_not_cost_data", put("StatefulSet", "kafka", f"{RETENTION}.whenScaled", "Delete")),
    Case("fewer_replicas_do_not_cost_data", put("StatefulSet", "kafka", RETENTION, UNKNOWN), "not evaluated"),
    Case("data_outlive_the_program", put("StatefulSet", "kafka", f"{RETENTION}.whenDeleted", "Delete")),
    Case("data_outlive_the_program", put("StatefulSet", "kafka", RETENTION, UNKNOWN), "not evaluated"),
    Case(
        "claims_say_how_much_they_need",
        put("StatefulSet", "kafka", "spec.volumeClaimTemplates[0].spec.resources", ABSENT),
    ),
    Case(
        "claims_say_how_much_they_need",
        put("StatefulSet", "kafka", "spec.volumeClaimTemplates", UNKNOWN),
        "not evaluated",
    ),
    Case("volumes_are_protected", also(VOLUME, "data", {"name": "data"})),
    Case("volumes_are_protected", also(CLAIM, "data", {"metadata": {"name": "data"}}), why="claim"),
    Case("volumes_are_protected", also(VOLUME, "data", {"name": UNKNOWN}), "not evaluated"),
    Case(
        "stored_backups_are_unreadable_without_a_key", config("backups", "pgbackrest.conf", swap("aes-256-cbc", "none"))
    ),
    Case(
        "stored_backups_are_unreadable_without_a_key",
        config("backups", "pgbackrest.conf", swap("repo1-cipher-type", "#")),
        why="unset",
    ),
    Case("stored_backups_are_unreadable_without_a_key", config("backups", "pgbackrest.conf", UNKNOWN), "not evaluated"),
    Case("backups_have_a_long_passphrase", secret("backups", "repository.conf", "[global]\nrepo1-cipher-pass=abc\n")),
    Case("backups_have_a_long_passphrase", secret("backups", "repository.conf", ABSENT), why="none"),
    Case(
        "backups_have_a_long_passphrase",
        both(
            secret("backups", "repository.conf", UNKNOWN), adjust("Secret", "backups-secrets", property_dependencies={})
        ),
        "not evaluated",
    ),
    Case("storage_classes_encrypt", also(CLASS, "fast", {"provisioner": "ebs.csi.aws.com"})),
    Case(
        "storage_classes_encrypt",
        also(CLASS, "fast", {"provisioner": "ebs.csi.aws.com", "parameters": {"encrypted": "false"}}),
        why="off",
    ),
    Case("storage_classes_encrypt", also(CLASS, "fast", {"parameters": UNKNOWN}), "not evaluated"),
    Case("cloud_disks_are_encrypted", also(DISK, "disk", {"size": 8})),
    Case("cloud_disks_are_encrypted", also(DISK, "disk", {"encrypted": UNKNOWN}), "not evaluated"),
]
