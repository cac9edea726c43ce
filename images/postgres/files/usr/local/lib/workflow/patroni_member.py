"""The programs of a Postgres member: Patroni with its server, pgBackRest's server, and the shared settings."""

import sys
from pathlib import Path

from supervise import Program, main

CONFIG = Path("/config")

if __name__ == "__main__":
    files = [CONFIG / "patroni.yml", CONFIG / "pgbackrest.conf"]
    files += [CONFIG / "secrets" / name for name in ("tls.crt", "tls.key", "ca.crt")]
    sys.exit(
        main(
            [
                # Longer than primary_stop_timeout: Patroni hands the lock over while its server shuts down.
                Program("patroni", ["patroni", "/config/patroni.yml"], reloads=True, stop_seconds=45),
                Program("pgbackrest", ["pgbackrest", "server"], reloads=True),
                Program("patroni-settings", ["patroni-settings"], once=True),
            ],
            files,
        )
    )
