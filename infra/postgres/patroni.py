"""The configuration of Patroni: how a cluster's members agree who is the primary, and how their servers run."""

from typing import Any

import yaml

from infra.postgres.access import client_rules, identity_rules
from infra.postgres.names import (
    AUTHORITY,
    CERTIFICATE,
    DATA_FOLDER,
    KEY,
    MEMBERS,
    REPLICATOR,
    REST_PORT,
    REWINDER,
    SCRATCH_FOLDER,
    SERVER_PORT,
    SOCKET_FOLDER,
    STANZA,
    SUPERUSER,
)
from infra.postgres.settings import stack_settings
from stacks.parts.postgres import Postgres

SCOPE = "workflow-platform"
SCOPE_LABEL = "app.kubernetes.io/part-of"
"""Patroni wants a label whose value is the scope. Every object of ours has this one; together with the labels of part
and stack it selects just the members, and the names of Patroni's own objects collide with none of ours."""

ROLE_LABEL, PRIMARY_ROLE, REPLICA_ROLE = "role", "master", "replica"
"""What Patroni writes on a member's pod; services select by it."""

STATE_OBJECTS = tuple(f"{SCOPE}-{kind}" for kind in ("leader", "config", "sync", "failover"))
"""The ConfigMaps in which Patroni keeps its state."""

SEGMENT_MEBIBYTES = 16
LARGEST_REPLICA_LAG = 1024 * 1024
"""Bytes that a standby may be behind and still become primary, where synchronous replication is off."""


def patroni_config(postgres: Postgres, stack_name: str, namespace: str) -> str:
    """patroni.yml, the same for every member; who a member is comes from its environment. Holds nothing secret."""
    document = {
        "scope": SCOPE,
        "log": {"level": "INFO", "loggers": {"patroni.postgresql.config": "WARNING"}},
        "kubernetes": {
            # ConfigMaps and not Endpoints: the services select the primary by its label, so that Kubernetes' own
            # controller makes their endpoints, with readiness, and nobody else needs the right to write endpoints.
            "use_endpoints": False,
            "namespace": namespace,
            "labels": {"app.kubernetes.io/name": MEMBERS, "app.kubernetes.io/instance": stack_name},
            "scope_label": SCOPE_LABEL,
            "role_label": ROLE_LABEL,
        },
        "bootstrap": {
            "dcs": shared_settings(postgres),
            "initdb": [
                {"encoding": "UTF8"},
                {"locale": "C.UTF-8"},
                "data-checksums",
                {"auth-local": "peer"},
                {"auth-host": "scram-sha-256"},
            ],
        },
        "postgresql": {
            "listen": f"0.0.0.0:{SERVER_PORT}",
            "data_dir": DATA_FOLDER,
            "bin_dir": "/usr/lib/postgresql/15/bin",
            "pgpass": f"{SCRATCH_FOLDER}/pgpass",
            # The image's settings; what the stack decides comes after them and wins.
            "custom_conf": "/etc/postgres/postgresql.conf",
            "use_unix_socket": True,
            "use_unix_socket_repl": True,
            # A member that fell out and can't be wound back is made anew by itself: the others have all its data.
            "remove_data_directory_on_rewind_failure": True,
            "remove_data_directory_on_diverged_timelines": True,
            "pg_hba": client_rules(postgres.database),
            "pg_ident": identity_rules(),
            "parameters": member_settings(postgres),
            "authentication": {
                "superuser": {"username": SUPERUSER},
                "replication": {"username": REPLICATOR, **_verified()},
                "rewind": {"username": REWINDER, **_verified()},
            },
        },
        "restapi": {
            "listen": f"0.0.0.0:{REST_PORT}",
            "certfile": CERTIFICATE,
            "keyfile": KEY,
            "cafile": AUTHORITY,
            # Anybody may ask how a member is. Who wants to change something needs a certificate and a member's address.
            "verify_client": "optional",
            "allowlist": ["127.0.0.1"],
            "allowlist_include_members": True,
        },
        "ctl": {"cacert": AUTHORITY, "certfile": CERTIFICATE, "keyfile": KEY},
        "watchdog": {"mode": "off"},
    }
    return yaml.safe_dump(document, sort_keys=False, width=200)


def shared_settings(postgres: Postgres) -> dict[str, Any]:
    """What all members must have the same, kept in the cluster's state."""
    return {
        # The lock of a dead primary is free after `ttl`; ttl >= loop_wait + 2 x retry_timeout. With the promotion
        # writes are back in less than 30 s. As long a retry as that allows: an answer of Kubernetes that comes after
        # it looks like a lock taken by somebody else, and the primary steps down.
        "ttl": 24,
        "loop_wait": 5,
        "retry_timeout": 9,
        # A crashed server is not waited for when a standby can take over.
        "primary_start_timeout": 0,
        "primary_stop_timeout": 20,
        "maximum_lag_on_failover": LARGEST_REPLICA_LAG,
        "synchronous_mode": postgres.synchronous,
        # Not strict: with no standby left the primary goes on alone, and is then the only one that may become primary,
        # so nothing committed is lost by a failover; strict would stop all writes instead.
        "synchronous_mode_strict": False,
        # A primary that can't reach Kubernetes stays primary while it reaches all other members.
        "failsafe_mode": True,
        "postgresql": {
            "use_pg_rewind": True,
            "use_slots": True,
            "parameters": {
                "max_connections": postgres.max_connections,
                "max_wal_senders": 10,
                "max_replication_slots": 10,
                "wal_level": "replica",
                "hot_standby": "on",
                "wal_keep_size": f"{2 * SEGMENT_MEBIBYTES}MB",
            },
        },
    }


def member_settings(postgres: Postgres) -> dict[str, str]:
    """postgresql.conf of a member, without what is shared. It comes after the image's own settings."""
    own = {name: value for name, value in stack_settings(postgres).items() if name != "max_connections"}
    return {
        **own,
        "ssl": "on",
        "ssl_cert_file": CERTIFICATE,
        "ssl_key_file": KEY,
        "ssl_ca_file": AUTHORITY,
        "ssl_min_protocol_version": "TLSv1.2",
        "password_encryption": "scram-sha-256",
        "unix_socket_directories": SOCKET_FOLDER,
        "shared_preload_libraries": "pg_stat_statements",
        "pg_stat_statements.track_utility": "off",
        "log_statement": "none",
        "log_connections": "off",
        "archive_mode": "on",
        "archive_command": f"pgbackrest --stanza={STANZA} archive-push %p",
        # With little to do the newest commits are in the archive after this time, whatever happens to all members.
        "archive_timeout": "60s",
        # A standby that vanished holds commits back for this long at most, and may not fill the primary's disk.
        "wal_sender_timeout": "10s",
        "wal_receiver_timeout": "15s",
        "max_slot_wal_keep_size": f"{postgres.size // 4}MB",
        "max_wal_size": f"{min(1024, postgres.size // 8)}MB",
        "min_wal_size": f"{5 * SEGMENT_MEBIBYTES}MB",
        "synchronous_commit": "on",
    }


def _verified() -> dict[str, str]:
    return {"sslmode": "verify-full", "sslrootcert": AUTHORITY, "sslcert": CERTIFICATE, "sslkey": KEY}
