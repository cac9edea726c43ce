"""How the programs write their records."""

from policies.view.values import UNKNOWN
from tests.policies.changes import Case, env

CASES = [
    Case("production_writes_neither_too_much_nor_too_little", env("api", "LOG_LEVEL", "ERROR")),
    Case("production_writes_neither_too_much_nor_too_little", env("executor", "LOG_LEVEL", "debug"), why="debug"),
    Case("production_writes_neither_too_much_nor_too_little", env("api", "LOG_LEVEL", UNKNOWN), "not evaluated"),
    Case("records_are_json", env("relay", "LOG_FORMAT", "text")),
    Case("records_are_json", env("relay", "LOG_FORMAT", UNKNOWN), "not evaluated"),
]
