"""How results are shown: as JSON or YAML for programs, as a table for people. Colours only on a terminal."""

import json
import sys
import unicodedata
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal

import yaml
from pydantic import BaseModel
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

Output = Literal["table", "json", "yaml"]

COLOURS = {
    "completed": "green",
    "ready": "green",
    "failed": "red",
    "cancelled": "yellow",
    "running": "cyan",
    "queued": "blue",
    "paused": "yellow",
    "waiting": "yellow",
    "pending": "blue",
    "delivered": "green",
    "dead": "red",
}
_WIDE = 240


def out() -> Console:
    """Results. In a pipe nothing is squeezed into 80 columns."""
    return Console(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else _WIDE)


def err() -> Console:
    """Everything about the way there."""
    return Console(stderr=True, highlight=False, soft_wrap=True)


def data(value: Any) -> Any:
    """What a result is as JSON."""
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if isinstance(value, list | tuple):
        return [data(each) for each in value]
    if isinstance(value, dict):
        return {str(key): data(each) for key, each in value.items()}
    return value if value is None or isinstance(value, str | int | float | bool) else str(value)


def as_yaml(value: Any) -> str:
    """YAML as people write it."""
    return yaml.safe_dump(data(value), sort_keys=False, allow_unicode=True, width=100)


def plain(text: str) -> str:
    """Without what moves a terminal: names come from others."""
    return "".join(each if each in "\n\t" or unicodedata.category(each) not in ("Cc", "Cf") else "�" for each in text)


def show(value: Any, output: Output, columns: Sequence[str]) -> None:
    """Writes a result to stdout; nothing for None."""
    if value is None:
        return
    if output == "json":
        sys.stdout.write(json.dumps(data(value), indent=2, ensure_ascii=False) + "\n")
    elif output == "yaml":
        sys.stdout.write(as_yaml(value))
    elif isinstance(value, str):
        sys.stdout.write(plain(value) + "\n")
    elif isinstance(value, list):
        out().print(_rows(value, columns))
    else:
        out().print(_fields(value))


def _rows(items: Sequence[Any], columns: Sequence[str]) -> Table:
    names = list(columns) or list(data(items[0]) if items else ())
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in names:
        table.add_column(name.replace("_", " "), overflow="fold")
    for item in items:
        table.add_row(*(_cell(getattr(item, name, None), name) for name in names))
    return table


def _fields(value: Any) -> Table:
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    # As the model lists them, what only a newer server knows last.
    for name, inner in data(value).items():
        raw = getattr(value, name, inner)
        table.add_row(name.replace("_", " "), _cell(raw, name))
    return table


def _cell(value: Any, name: str) -> Text:
    if value is None:
        return Text("-", style="dim")
    if isinstance(value, datetime):
        return Text(value.astimezone().strftime("%Y-%m-%d %H:%M:%S"))
    if isinstance(value, bool):
        return Text("yes" if value else "no")
    if isinstance(value, dict | list | BaseModel):
        found = data(value)
        if not found:
            return Text("-", style="dim")
        if isinstance(found, list) and all(isinstance(each, str) for each in found):
            return Text(plain(", ".join(found)))
        return Text(plain(as_yaml(found).rstrip("\n")))
    text = plain(str(value))
    return Text(text, style=COLOURS.get(text, "") if name == "status" else "")
