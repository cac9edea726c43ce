"""JMESPath expressions inside a step's input.

A value of the form ``{"$jmespath": "<expression>"}``, at any depth, stands for the expression's result over
``{"input": <the run's input>, "steps": {<id of a finished step>: <its output>}}``. Everything else is taken as it is.
"""

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

import jmespath
from jmespath.exceptions import JMESPathError
from jmespath.parser import ParsedResult

EXPRESSION_KEY = "$jmespath"
MAX_DEPTH = 100
"""Of an expression's parts in one another: it is evaluated part by part on the stack."""


class FieldError(NamedTuple):
    """One mistake: where it is (dotted path below the checked object) and what would be right."""

    path: str
    message: str


class InvalidExpressionError(ValueError):
    """An expression that cannot be parsed, or that cannot be evaluated over the given values."""


@lru_cache(maxsize=2048)
def compile_expression(expression: str) -> ParsedResult:
    """Parse a JMESPath expression; raises InvalidExpressionError."""
    try:
        compiled = jmespath.compile(expression)
    except JMESPathError as error:
        reason = str(error).splitlines()[0]
        raise InvalidExpressionError(f"{expression!r} is not a JMESPath expression: {reason}") from None
    except RecursionError:
        raise _too_deep(expression) from None
    except ValueError:
        # Python turns no text of more than 4,300 digits into a number.
        raise InvalidExpressionError(f"{expression[:50]!r}... holds a number of too many digits") from None
    if _depth(compiled.parsed) > MAX_DEPTH:
        raise _too_deep(expression)
    return compiled


def _too_deep(expression: str) -> InvalidExpressionError:
    return InvalidExpressionError(f"{expression[:50]!r}... is nested more than {MAX_DEPTH} levels deep")


def _depth(tree: Mapping[str, Any]) -> int:
    layer, depth = [tree], 0
    while layer:
        # A slice has numbers for children.
        layer = [child for node in layer for child in node["children"] if isinstance(child, Mapping)]
        depth += 1
    return depth


def search(expression: str, data: object) -> Any:
    """The expression's result over the data; raises InvalidExpressionError where a function gets a wrong type."""
    compiled = compile_expression(expression)
    try:
        return compiled.search(data)
    except (JMESPathError, ValueError, RecursionError) as error:
        # The second is a slice whose step is 0, the third data nested too deeply to be compared.
        raise InvalidExpressionError(f"{expression!r} cannot be evaluated: {str(error).splitlines()[0]}") from None


def is_true(expression: str, data: object) -> bool:
    """Whether the result is true as JMESPath has it: all but null, false and empty texts, lists and objects, so 0 is.

    Raises InvalidExpressionError.
    """
    result = search(expression, data)
    return result is not None and result is not False and result not in ("", [], {})


def evaluate(template: Any, data: object) -> Any:
    """The template with every expression in it replaced by its result over the data; raises InvalidExpressionError."""
    if isinstance(template, Mapping):
        if EXPRESSION_KEY in template:
            return search(_expression_of(template), data)
        return {key: evaluate(value, data) for key, value in template.items()}
    if isinstance(template, list):
        return [evaluate(value, data) for value in template]
    return template


def validate_expressions(step_input: Mapping[str, Any]) -> tuple[FieldError, ...]:
    """The mistakes in the expressions of a step's input, found without any data; empty where there is none."""
    mistakes = []
    for path, expression in expressions_in(step_input):
        try:
            if isinstance(expression, InvalidExpressionError):
                raise expression
            compile_expression(expression)
        except InvalidExpressionError as error:
            mistakes.append(FieldError(path, str(error)))
    return tuple(mistakes)


def expressions_in(template: Any, path: str = "") -> Iterator[tuple[str, str | InvalidExpressionError]]:
    """Each expression of a template with its place (dotted path), or what is wrong with its form."""
    if isinstance(template, Mapping):
        if EXPRESSION_KEY in template:
            try:
                yield path, _expression_of(template)
            except InvalidExpressionError as error:
                yield path, error
            return
        for key, value in template.items():
            yield from expressions_in(value, f"{path}.{key}" if path else str(key))
    elif isinstance(template, list):
        for index, value in enumerate(template):
            yield from expressions_in(value, f"{path}[{index}]")


def _expression_of(template: Mapping[str, Any]) -> str:
    expression = template[EXPRESSION_KEY]
    if len(template) != 1 or not isinstance(expression, str):
        raise InvalidExpressionError(
            f'an object with {EXPRESSION_KEY} has that one key and a text: {{"$jmespath": "input.x"}}'
        )
    return expression
