"""What would change: two definitions as YAML, line by line."""

from collections.abc import Mapping
from difflib import unified_diff
from typing import Any

from pydantic import BaseModel, ValidationError
from rich.text import Text

from wfm.cli.show import as_yaml, err, plain

_STYLES = {"+": "green", "-": "red", "@": "cyan"}


def complete(model: type[BaseModel], value: Any) -> dict[str, Any] | None:
    """A definition with everything that it leaves out; None where it does not fit the model."""
    try:
        # Twice, so that what was left out has the types of what is stored: 30.0, not 30.
        return model.model_validate(model.model_validate(value).model_dump()).model_dump(mode="json")
    except ValidationError:
        return None


def fields_of(model: type[BaseModel], answer: BaseModel) -> dict[str, Any]:
    """What of an answer a request would say."""
    whole = answer.model_dump(mode="json")
    return {name: whole[name] for name in model.model_fields if name in whole}


def lines(before: Mapping[str, Any] | None, after: Mapping[str, Any], name: str) -> list[str]:
    """The difference; of something new all of it."""
    old = as_yaml(_sorted(before)).splitlines() if before else []
    new = as_yaml(_sorted(after)).splitlines()
    found = unified_diff(old, new, f"{name} (stored)" if before else "nothing", f"{name} (file)", lineterm="")
    return [plain(each) for each in found]


def print_lines(found: list[str]) -> None:
    """On stderr, coloured on a terminal."""
    console = err()
    for each in found:
        console.print(Text(each, style=_STYLES.get(each[:1], "")))


def _sorted(value: Any) -> Any:
    """Mappings in one order, so that only what is meant shows; steps stay in theirs."""
    if isinstance(value, Mapping):
        return {key: _sorted(value[key]) for key in sorted(value)}
    return [_sorted(each) for each in value] if isinstance(value, list) else value
