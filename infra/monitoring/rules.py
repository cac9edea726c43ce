"""The alert rules as Prometheus reads them. Plain rule files, so that promtool checks exactly what is deployed."""

from pathlib import Path

FOLDER = Path(__file__).resolve().parent / "alerts"


def files() -> dict[str, str]:
    """Text of every rule file by its name; the names are those of Prometheus' rules folder."""
    return {path.name: path.read_text(encoding="utf-8") for path in sorted(FOLDER.glob("*.yml"))}
