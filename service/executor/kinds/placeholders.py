"""Texts of settings in which ``${expression}`` stands for a value from the step's input."""

import json
import re
from urllib.parse import quote

from service.executor.expressions import compile_expression, search

PLACEHOLDER = re.compile(r"\$\{([^{}]+)\}")


def filled(template: str, data: object, *, quoted: bool) -> str:
    """The text with its values, quoted for a URL or as they are; raises ValueError where there is no value."""

    def replacement(match: re.Match[str]) -> str:
        value = search(match.group(1), data)
        if value is None:
            raise ValueError(f"{match.group(0)} has no value in the step's input")
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        return quote(text, safe="") if quoted else text

    return PLACEHOLDER.sub(replacement, template)


def check_placeholders(template: str) -> None:
    """Raises InvalidExpressionError for an expression that cannot be parsed."""
    for expression in PLACEHOLDER.findall(template):
        compile_expression(expression)
