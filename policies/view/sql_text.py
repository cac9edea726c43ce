"""Where a Python program puts SQL together from values."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

_RUNS_SQL = frozenset(
    {"text", "execute", "executemany", "scalar", "scalars", "fetch", "fetchrow", "fetchval", "exec_driver_sql"}
)
_SQL = re.compile(
    r"\s*(select|insert|update|delete|merge|grant|revoke|alter|create|drop|truncate|notify|set|copy|with)\b", re.I
)
_CONSTANT = re.compile(r"_?[A-Z][A-Z0-9_]*")


def lines_with_built_sql(source: str) -> Iterator[int]:
    """The lines on which SQL is put together from anything but constants. Raises SyntaxError.

    Seen are f-strings, `%`, `+` and `.format()` with SQL, inside a call that runs it or assigned to a name. What is
    written in capitals counts as a constant, and so does a loop's variable over constants of the same function.
    """
    tree = ast.parse(source)
    constants = _constants(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and _called(node) in _RUNS_SQL and node.args:
            given: ast.expr | None = node.args[0]
        elif isinstance(node, ast.Assign | ast.Return | ast.AnnAssign):
            given = node.value
        else:
            continue
        if given is not None and _is_built(given, constants, anything=isinstance(node, ast.Call)):
            yield node.lineno


def _called(node: ast.Call) -> str:
    function = node.func
    return (
        function.attr if isinstance(function, ast.Attribute) else function.id if isinstance(function, ast.Name) else ""
    )


def _constants(tree: ast.Module) -> set[str]:
    """Names of loops over constants, and of what is assigned a plain text once."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.For | ast.comprehension) and _is_constant(node.iter, found):
            found |= {each.id for each in ast.walk(node.target) if isinstance(each, ast.Name)}
    return found


def _is_constant(node: ast.expr, names: set[str]) -> bool:
    if isinstance(node, ast.Constant):
        return True
    if isinstance(node, ast.Name):
        return _CONSTANT.fullmatch(node.id) is not None or node.id in names
    if isinstance(node, ast.Tuple | ast.List | ast.Set):
        return all(_is_constant(each, names) for each in node.elts)
    if isinstance(node, ast.Attribute | ast.Subscript):
        return _is_constant(node.value, names)
    if isinstance(node, ast.ListComp | ast.GeneratorExp):
        # `[each for each in CONSTANT if …]` chooses among constants.
        chosen = {each.target.id for each in node.generators if isinstance(each.target, ast.Name)}
        return all(_is_constant(each.iter, names) for each in node.generators) and _is_constant(
            node.elt, names | chosen
        )
    if isinstance(node, ast.Call):
        # `CONSTANT.items()`, `", ".join(CONSTANT)`, `sorted(CONSTANT)`
        below = [node.func.value] if isinstance(node.func, ast.Attribute) else []
        return bool(below or node.args) and all(_is_constant(each, names) for each in [*below, *node.args])
    if isinstance(node, ast.JoinedStr):
        return all(_is_constant(each.value, names) for each in node.values if isinstance(each, ast.FormattedValue))
    return False


def _is_built(node: ast.expr, names: set[str], anything: bool) -> bool:
    """Whether the expression is SQL with something put into it; with `anything` every text counts as SQL."""
    if isinstance(node, ast.JoinedStr):
        start = node.values[0].value if node.values and isinstance(node.values[0], ast.Constant) else ""
        return not _is_constant(node, names) and (anything or _SQL.match(str(start)) is not None)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.Mod):
        first, *rest = _operands(node)
        if isinstance(first, ast.Constant) and isinstance(first.value, str):
            return not all(_is_constant(each, names) for each in rest) and (
                anything or _SQL.match(first.value) is not None
            )
        return _is_built(first, names, anything)
    if isinstance(node, ast.Call) and _called(node) == "format" and isinstance(node.func, ast.Attribute):
        left = node.func.value
        text = left.value if isinstance(left, ast.Constant) else None
        return isinstance(text, str) and (anything or _SQL.match(text) is not None)
    return False


def _operands(node: ast.expr) -> list[ast.expr]:
    """What a chain of `+` and `%` puts together, in order."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.Mod):
        return [*_operands(node.left), *_operands(node.right)]
    return [node]
