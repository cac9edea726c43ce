"""Where a reader of events goes on: nothing is missed, however transactions end and wherever he breaks off."""

import base64
import json
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.events.cursor import Cursor, Snapshot

pytestmark = pytest.mark.ring("unit")


@dataclass
class Database:
    """Rows as Postgres keeps them: each with the transaction that wrote it, seen once that has ended."""

    rows: dict[str, int] = field(default_factory=dict)
    open: dict[int, str] = field(default_factory=dict)
    following: int = 1

    def begin(self, step: str) -> None:
        if step not in self.open.values():
            self.open[self.following] = step
            self.following += 1

    def commit(self, number: int) -> None:
        if self.open:
            xid = sorted(self.open)[number % len(self.open)]
            self.rows[self.open.pop(xid)] = xid

    def news(self, cursor: Cursor) -> tuple[list[tuple[int, str]], Snapshot]:
        """As the statement finds it."""
        known = cursor.snapshot
        found = [
            (xid, step)
            for step, xid in self.rows.items()
            if not (xid < known.next and xid not in known.pending) and not (xid == cursor.xid and step <= cursor.step)
        ]
        return sorted(found), Snapshot(self.following, frozenset(self.open))


STEPS = st.sampled_from("abcdef")
OPERATIONS = st.lists(
    st.one_of(
        st.tuples(st.just("begin"), STEPS),
        st.tuples(st.just("commit"), st.integers(0, 5)),
        st.tuples(st.just("read"), st.integers(0, 6)),
    ),
    max_size=40,
)


@given(OPERATIONS)
def test_a_reader_who_breaks_off_anywhere_learns_the_newest_form_of_everything(operations: list[Any]) -> None:
    database, learned, cursor = Database(), dict[str, int](), Cursor()
    for operation, value in [*operations, *[("commit", 0)] * 40, ("read", 100)]:
        if operation == "begin":
            database.begin(value)
        elif operation == "commit":
            database.commit(value)
        else:
            news, snapshot = database.news(cursor)
            for xid, step in news[:value]:
                learned[step] = xid
                cursor = Cursor.read(cursor.after(xid, step, snapshot).write())
            if len(news) <= value:
                cursor = cursor.at(snapshot)
    assert learned == database.rows


@given(OPERATIONS)
def test_a_reader_who_stays_is_told_nothing_twice(operations: list[Any]) -> None:
    database, told, cursor = Database(), list[tuple[int, str]](), Cursor()
    for operation, value in operations:
        if operation == "begin":
            database.begin(value)
        elif operation == "commit":
            database.commit(value)
        else:
            news, snapshot = database.news(cursor)
            told += news
            cursor = cursor.at(snapshot)
    assert len(told) == len(set(told))


def test_a_reader_who_breaks_off_within_a_transaction_gets_the_rest_of_it_only() -> None:
    database = Database(rows={"a": 5, "b": 5, "c": 5, "d": 4}, following=6)
    news, snapshot = database.news(Cursor())
    cursor = Cursor()
    for xid, step in news[:2]:
        cursor = cursor.after(xid, step, snapshot)
    assert database.news(cursor)[0] == [(5, "b"), (5, "c")]


def test_a_snapshot_is_read_and_written_as_postgres_does() -> None:
    for text in ("7:7:", "7:12:7,9"):
        assert str(Snapshot.parse(text)) == text


def test_an_id_stays_short_however_many_transactions_are_pending() -> None:
    cursor = Cursor(Snapshot(9000, frozenset(range(1, 8000, 2))))
    text = cursor.write()
    assert len(text) < 1000
    shortened = Cursor.read(text).snapshot
    assert shortened.next == 129, "what is left out counts as unknown"
    assert shortened.pending == frozenset(range(1, 129, 2))


def _written(*parts: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(parts).encode()).decode().rstrip("=")


@pytest.mark.parametrize(
    "text",
    [
        "17",
        "über",
        "!",
        _written(),
        _written(2, 9, [], 0, "", ""),
        _written(1, 0, [], 0, "", ""),
        _written(1, 9, [9], 0, "", ""),
        _written(1, 9, [0], 0, "", ""),
        _written(1, 9, ["1"], 0, "", ""),
        _written(1, 9, 4, 0, "", ""),
        _written(1, 2**63, [], 0, "", ""),
        _written(1, 2**32, [], 0, "", ""),
        _written(1, 2**33 + 1, [2**32], 0, "", ""),
        _written(1, 9, [], 0, "a\0", ""),
        _written(1, 9, [], 0, "", "x" * 201),
        _written(1, 9.0, [], 0, "", ""),
    ],
)
def test_what_is_no_id_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no id of an event; take that of the last event as it is"):
        Cursor.read(text)
