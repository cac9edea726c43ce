"""Which backups may go. pgBackRest itself counts full backups only; the retention here is by days, weeks and months."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from datetime import datetime

Period = Callable[[datetime], tuple[int, ...]]

DAY: Period = lambda at: (at.year, at.month, at.day)  # noqa: E731 - three names for three keys
WEEK: Period = lambda at: tuple(at.isocalendar()[:2])  # noqa: E731
MONTH: Period = lambda at: (at.year, at.month)  # noqa: E731


def taken_at(label: str) -> datetime:
    """When a full backup began, as its label says: 20260131-235959F."""
    return datetime.strptime(label, "%Y%m%d-%H%M%SF")


def kept(labels: Sequence[str], *, daily: int, weekly: int, monthly: int) -> set[str]:
    """The full backups to keep: the newest of each of the last days, weeks and months that have one. Never none."""
    newest_first = sorted(labels, reverse=True)
    keep = set(newest_first[:1])
    for period, count in ((DAY, daily), (WEEK, weekly), (MONTH, monthly)):
        seen: list[tuple[int, ...]] = []
        for label in newest_first:
            if (key := period(taken_at(label))) not in seen:
                seen.append(key)
                if len(seen) > count:
                    break
                keep.add(label)
    return keep


def main() -> int:
    """Expires each full backup that is not kept."""
    counts = {name: int(os.environ[f"BACKUP_KEEP_{name.upper()}"]) for name in ("daily", "weekly", "monthly")}
    command = ["pgbackrest", "--stanza=workflow"]
    answer = subprocess.run([*command, "--output=json", "info"], check=True, stdout=subprocess.PIPE).stdout
    fulls = [each["label"] for each in json.loads(answer)[0]["backup"] if each["type"] == "full"]
    for label in sorted(set(fulls) - kept(fulls, **counts)):
        subprocess.run([*command, f"--set={label}", "expire"], check=True)
        sys.stderr.write(f"backup-expire: {label} is gone\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
