"""Who may connect to a cluster's servers, from where and how. What no line allows is refused."""

from infra.postgres.names import DRILL_ROLE, MEMBERS, REPLICATOR, RESTORE_DRILL, REWINDER, ROLES_JOB, SUPERUSER

CONTAINER_MAP, MEMBER_MAP, SUPERUSER_MAP, DRILL_MAP = "container", "members", "superuser", "drill"


def client_rules(database: str) -> list[str]:
    """The lines of pg_hba.conf.

    Over the network there is only TLS. Members, the roles job and the restore drill are known by their certificate
    alone: nothing has to be handed out, rotated or kept out of logs, and certificates are renewed anyway. A program of
    the service needs both, a certificate of the stack's authority and the password of its login. The exporter's client
    library refuses a key that its group may read, which is how a cluster mounts it, so it has its password only, and
    pg_monitor only.
    """
    return [
        f"local   all                  {SUPERUSER}                peer map={CONTAINER_MAP}",
        f"local   replication          {REPLICATOR}              peer map={CONTAINER_MAP}",
        f"hostssl replication          {REPLICATOR}         all  cert map={MEMBER_MAP}",
        f"hostssl postgres             {REWINDER}           all  cert map={MEMBER_MAP}",
        f"hostssl all                  {SUPERUSER}           all  cert map={SUPERUSER_MAP}",
        f"hostssl {database}           {DRILL_ROLE}       all  cert map={DRILL_MAP}",
        f"hostssl {database}           +workflow_programs   all  scram-sha-256 clientcert=verify-ca",
        f"hostssl {database},postgres  +monitoring          all  scram-sha-256",
    ]


def identity_rules() -> list[str]:
    """The lines of pg_ident.conf: which user of the system, or which certificate, is which role."""
    return [
        f"{CONTAINER_MAP} app {SUPERUSER}",
        f"{CONTAINER_MAP} app {REPLICATOR}",
        f"{MEMBER_MAP} {MEMBERS} {REPLICATOR}",
        f"{MEMBER_MAP} {MEMBERS} {REWINDER}",
        f"{SUPERUSER_MAP} {ROLES_JOB} {SUPERUSER}",
        f"{DRILL_MAP} {RESTORE_DRILL} {DRILL_ROLE}",
    ]
