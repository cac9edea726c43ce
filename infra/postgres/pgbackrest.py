"""The configuration of pgBackRest: members push WAL to the repository's host, which reads their data folders."""

from collections.abc import Mapping, Sequence

from infra.postgres.names import (
    AUTHORITY,
    BACKUP_PORT,
    BACKUPS,
    CERTIFICATE,
    DATA_FOLDER,
    FULL_BACKUP,
    INCREMENTAL_BACKUP,
    KEY,
    MEMBERS,
    REPOSITORY_FOLDER,
    SCRATCH_FOLDER,
    SOCKET_FOLDER,
    STANZA,
    SUPERUSER,
)
from infra.workload import CONFIG_FOLDER, SECRETS_FOLDER
from stacks.parts.postgres import Backup

CONFIG_FILE = "pgbackrest.conf"
PASSPHRASE_FILE = "repository.conf"  # noqa: S105 - the name of a file
"""A secret file; pgBackRest reads every `.conf` of its include folder."""
KEPT_BY_US = 9_999_999
"""pgBackRest counts full backups only; which of them go is decided by days, weeks and months (backup-expire)."""


def member_config() -> str:
    """pgbackrest.conf of a member: a server for the repository's host, a client for WAL."""
    return _rendered(
        {
            "global": {
                **_common(),
                **_server([BACKUPS, FULL_BACKUP, INCREMENTAL_BACKUP]),
                **_remote("repo1", BACKUPS),
                "repo1-host-config-include-path": SECRETS_FOLDER,
                # A repository that is away must not hold a shutdown or a promotion back for long.
                "io-timeout": "20",
            },
            STANZA: {
                "pg1-path": DATA_FOLDER,
                "pg1-socket-path": SOCKET_FOLDER,
                "pg1-user": SUPERUSER,
            },
        }
    )


def repository_config(backup: Backup, hosts: Sequence[str]) -> str:
    """pgbackrest.conf of the repository's host and of the scheduled backups. `hosts` are the members' names."""
    members: dict[str, str] = {}
    for number, host in enumerate(hosts, 1):
        pg = f"pg{number}"
        members |= {
            **_remote(pg, host),
            f"{pg}-path": DATA_FOLDER,
            f"{pg}-socket-path": SOCKET_FOLDER,
            f"{pg}-user": SUPERUSER,
        }
    return _rendered(
        {
            "global": {
                **_common(),
                **_server([MEMBERS]),
                "repo1-path": REPOSITORY_FOLDER,
                "repo1-cipher-type": "aes-256-cbc",
                "repo1-retention-full": str(KEPT_BY_US),
                # Points in time can be reached within the last days' backups; older ones are kept as they are.
                "repo1-retention-archive-type": "full",
                "repo1-retention-archive": str(backup.keep_daily),
                "start-fast": "y",
                "compress-type": "zst",
                "process-max": "1",
                "expire-auto": "y",
            },
            STANZA: members,
        }
    )


def passphrase_file(passphrase: str) -> str:
    """The piece of configuration with the repository's passphrase, a secret."""
    return _rendered({"global": {"repo1-cipher-pass": passphrase}})


def _common() -> dict[str, str]:
    return {
        "log-level-console": "warn",
        "log-level-file": "off",
        "lock-path": f"{SCRATCH_FOLDER}/pgbackrest",
        "spool-path": f"{SCRATCH_FOLDER}/pgbackrest",
    }


def _server(clients: Sequence[str]) -> dict[str, str | Sequence[str]]:
    return {
        "tls-server-address": "*",
        "tls-server-port": str(BACKUP_PORT),
        "tls-server-ca-file": AUTHORITY,
        "tls-server-cert-file": CERTIFICATE,
        "tls-server-key-file": KEY,
        "tls-server-auth": [f"{client}={STANZA}" for client in clients],
    }


def _remote(prefix: str, host: str) -> dict[str, str]:
    return {
        f"{prefix}-host": host,
        f"{prefix}-host-type": "tls",
        f"{prefix}-host-port": str(BACKUP_PORT),
        f"{prefix}-host-ca-file": AUTHORITY,
        f"{prefix}-host-cert-file": CERTIFICATE,
        f"{prefix}-host-key-file": KEY,
        f"{prefix}-host-config": f"{CONFIG_FOLDER}/{CONFIG_FILE}",
    }


def _rendered(sections: Mapping[str, Mapping[str, str | Sequence[str]]]) -> str:
    lines: list[str] = []
    for section, options in sections.items():
        lines.append(f"[{section}]")
        for name, value in options.items():
            lines += [f"{name}={each}" for each in ([value] if isinstance(value, str) else value)]
        lines.append("")
    return "\n".join(lines)
