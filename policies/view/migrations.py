"""What a revision of the database's schema does, read from its source: nothing is run."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property


@dataclass(frozen=True)
class Operation:
    """One call of `op.<name>(...)`."""

    name: str
    call: ast.Call
    line: int
    in_loop: bool
    """Whether it is called again and again."""
    outside_transaction: bool
    """Whether it is in an `autocommit_block()`."""

    @property
    def table(self) -> str | None:
        """The table it changes, as far as it is written down."""
        position = 1 if self.name in _TABLE_SECOND else 0
        found = self.argument(position, "table_name", "source_table")
        return _constant(found) if found is not None else None

    def argument(self, position: int, *names: str) -> ast.expr | None:
        """An argument by its place or by one of its names."""
        for each in self.call.keywords:
            if each.arg in names:
                return each.value
        return self.call.args[position] if position < len(self.call.args) else None

    def option(self, name: str) -> object:
        """The constant that a named argument has; None when it has none."""
        found = next((each.value for each in self.call.keywords if each.arg == name), None)
        return found.value if isinstance(found, ast.Constant) else None

    @property
    def column(self) -> ast.Call | None:
        """The column that an `add_column` describes."""
        given = [*self.call.args, *(each.value for each in self.call.keywords if each.arg == "column")]
        return next((each for each in given if isinstance(each, ast.Call)), None)

    @property
    def sql(self) -> str | None:
        """The statement of an `execute` that is written as SQL. What is put in at run time is shown as a question mark;
        None when the statement is no text."""
        given = self.argument(0, "sqltext")
        return _text(given) if self.name == "execute" and given is not None else None

    @property
    def data_change(self) -> str | None:
        """`update` or `delete` when the statement changes rows, in SQL or put together with SQLAlchemy."""
        if self.name != "execute":
            return None
        if self.sql is not None:
            found = re.match(r"\s*(?:WITH\b.*?\)\s*)?(UPDATE|DELETE)\b", self.sql, re.IGNORECASE | re.DOTALL)
            return found[1].lower() if found else None
        return next((name for each in self._calls if (name := _called(each)) in ("update", "delete")), None)

    @property
    def is_limited(self) -> bool:
        """Whether the rows of a data change are limited in number."""
        if self.sql is not None:
            return re.search(r"\bLIMIT\b", self.sql, re.IGNORECASE) is not None
        return any(_called(each) == "limit" for each in self._calls)

    @cached_property
    def _calls(self) -> list[ast.Call]:
        return [each for each in ast.walk(self.call) if isinstance(each, ast.Call) and each is not self.call]


_TABLE_SECOND = frozenset(
    [
        "create_index",
        "drop_index",
        "create_check_constraint",
        "create_foreign_key",
        "create_unique_constraint",
        "create_primary_key",
        "drop_constraint",
    ]
)
"""These are given their own name first, and the table's after it."""


@dataclass(frozen=True)
class Migration:
    """The way forward of one revision."""

    path: str
    content: str
    operations: tuple[Operation, ...]

    @cached_property
    def new_tables(self) -> frozenset[str]:
        """The tables that it makes, which nobody uses yet."""
        return frozenset(each.table for each in self.operations if each.name == "create_table" and each.table)

    def is_live(self, table: str | None) -> bool:
        """Whether a table may be in use while it runs: one that it does not make, or whose name can't be told."""
        return table is None or table not in self.new_tables

    def place(self, operation: Operation) -> str:
        """Where an operation is, for messages."""
        return f"{self.path}:{operation.line}"


def read_migration(text: str, path: str) -> Migration:
    """Raises SyntaxError when it is no Python."""
    found: list[Operation] = []
    module = ast.parse(text)
    _WrittenOut(module).visit(module)
    functions = {each.name: each for each in module.body if isinstance(each, ast.FunctionDef)}
    _follow("upgrade", functions, found, set())
    return Migration(path, text, tuple(sorted(found, key=lambda each: each.line)))


class _WrittenOut(ast.NodeTransformer):
    """Puts the texts that a module gives names, each once, in the place of the names."""

    def __init__(self, module: ast.Module) -> None:
        assigned = [each for each in module.body if isinstance(each, ast.Assign) and len(each.targets) == 1]
        names = [each.targets[0].id for each in assigned if isinstance(each.targets[0], ast.Name)]
        self._texts = {
            each.targets[0].id: each.value
            for each in assigned
            if isinstance(each.targets[0], ast.Name)
            and _constant(each.value) is not None
            and names.count(each.targets[0].id) == 1
        }

    def visit_Name(self, node: ast.Name) -> ast.expr:
        """The text, or the name as it is."""
        return self._texts.get(node.id, node) if isinstance(node.ctx, ast.Load) else node


def _follow(name: str, functions: dict[str, ast.FunctionDef], found: list[Operation], seen: set[str]) -> None:
    """The operations of a function and of those of the same file that it calls."""
    if name not in functions or name in seen:
        return
    seen.add(name)
    for call, in_loop, outside in _calls(functions[name], in_loop=False, outside=False):
        called = _called(call)
        if isinstance(call.func, ast.Name):
            _follow(called, functions, found, seen)
        elif called == "execute" or (isinstance(call.func, ast.Attribute) and _is_op(call.func.value)):
            found.append(Operation(called, call, call.lineno, in_loop, outside))


def _calls(node: ast.AST, *, in_loop: bool, outside: bool) -> Iterator[tuple[ast.Call, bool, bool]]:
    for child in ast.iter_child_nodes(node):
        loops = in_loop or isinstance(child, ast.For | ast.While)
        commits = outside or (
            isinstance(child, ast.With)
            and any(
                isinstance(each.context_expr, ast.Call) and _called(each.context_expr) == "autocommit_block"
                for each in child.items
            )
        )
        if isinstance(child, ast.Call):
            yield child, loops, commits
        yield from _calls(child, in_loop=loops, outside=commits)


def _is_op(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id in ("op", "batch_op")


def _called(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")


def _constant(node: ast.expr) -> str | None:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def _text(node: ast.expr) -> str | None:
    """A text that is written down: plain, with values put in, joined, or as `text("...")`."""
    if isinstance(node, ast.JoinedStr):
        return "".join(_constant(each) or "?" for each in node.values)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        left, right = _text(node.left), _text(node.right)
        return None if left is None or right is None else left + right
    if isinstance(node, ast.Call) and _called(node) == "text" and node.args:
        return _text(node.args[0])
    return _constant(node)
