"""The programs of the repository host: pgBackRest's server, figures, and the first backup, once there is a primary."""

import sys
from pathlib import Path

from supervise import Program, main

CONFIG = Path("/config")

if __name__ == "__main__":
    files = [CONFIG / "pgbackrest.conf", *((CONFIG / "secrets" / name) for name in ("tls.crt", "tls.key", "ca.crt"))]
    sys.exit(
        main(
            [
                Program("pgbackrest", ["pgbackrest", "server"], reloads=True),
                Program("figures", ["python3", "/usr/local/lib/workflow/backup_figures.py"]),
                Program("backup-run", ["backup-run", "first"], once=True),
            ],
            files,
        )
    )
