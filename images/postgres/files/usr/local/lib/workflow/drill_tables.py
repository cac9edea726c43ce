"""What the tables of a database hold, in figures by which two copies of it can be compared."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

SESSION = "-c TimeZone=UTC -c DateStyle=ISO -c IntervalStyle=postgres -c extra_float_digits=1 -c bytea_output=hex"
"""Options of a session that reads figures: a row's text depends on them."""

LIST = """
SELECT space.nspname::text, class.relname::text,
  ARRAY(SELECT attname::text FROM pg_attribute
        WHERE attrelid = class.oid AND attnum > 0 AND NOT attisdropped AND atttypid = 'timestamptz'::regtype
        ORDER BY attnum),
  (SELECT attname::text FROM pg_attribute JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
   WHERE attrelid = class.oid AND attnotnull AND atttypid = 'timestamptz'::regtype
     AND pg_get_expr(adbin, adrelid) ~* '^(now|clock_timestamp|statement_timestamp|current_timestamp)'
   ORDER BY attnum LIMIT 1),
  EXISTS (SELECT FROM aclexplode(relacl) WHERE grantee <> relowner AND privilege_type IN ('DELETE', 'TRUNCATE'))
FROM pg_class class JOIN pg_namespace space ON space.oid = relnamespace
WHERE relkind = 'r' AND relpersistence = 'p' AND nspname <> 'information_schema' AND nspname !~ '^pg_'
ORDER BY 1, 2
"""


@dataclass(frozen=True)
class Table:
    """A table that a restore brings back: all but temporary and unlogged ones."""

    schema: str
    relation: str
    times: tuple[str, ...]
    """Its columns that are points in time."""
    inserted: str | None = None
    """The column in which the server notes when a row came in."""
    deletable: bool = False
    """Whether anybody but its owner may delete rows."""

    @property
    def name(self) -> str:
        """As people write it."""
        return self.relation if self.schema == "public" else f"{self.schema}.{self.relation}"

    @property
    def only_grows(self) -> bool:
        """Whether the rows of an earlier time can be told from the table as it is now."""
        return self.inserted is not None and not self.deletable


@dataclass(frozen=True)
class Figures:
    """Of one table, or of its rows up to a time. `content` is one number made of all columns of all rows."""

    rows: int
    content: int | None
    newest: Mapping[str, str | None]
    """The newest value by column."""

    def as_json(self) -> dict[str, Any]:
        """For the report; the content's number tells nothing to anybody."""
        return {"rows": self.rows, "newest": dict(self.newest)}


def tables_of(cursor: Any) -> list[Table]:
    """All tables of the cursor's database, by name."""
    cursor.execute(LIST)
    return [
        Table(schema, name, tuple(times), inserted, deletable)
        for schema, name, times, inserted, deletable in cursor.fetchall()
    ]


def figures_of(cursor: Any, table: Table, until: datetime | None = None) -> Figures:
    """Reads the whole table once; with `until` only the rows that came in by then."""
    newest = "".join(f", max({quoted(column)})::text" for column in table.times)
    query = (
        f"SELECT count(*), bit_xor(hashtextextended(CAST(_each AS text), 0)){newest} "  # noqa: S608 - quoted names
        f"FROM {quoted(table.schema)}.{quoted(table.relation)} AS _each"
    )
    if until is None:
        cursor.execute(query)
    else:
        cursor.execute(f"{query} WHERE {quoted(table.inserted or '')} <= %s", (until,))
    rows, content, *times = cursor.fetchone()
    return Figures(rows, content, dict(zip(table.times, times, strict=True)))


def figures_by_table(cursor: Any, until: datetime | None = None) -> dict[Table, Figures]:
    """Of every table; with `until` those that only grow are asked for their rows up to then, the others for all."""
    return {table: figures_of(cursor, table, until if table.only_grows else None) for table in tables_of(cursor)}


def quoted(name: str) -> str:
    """A name as an identifier."""
    return '"' + name.replace('"', '""') + '"'


def compared_now(live: Mapping[Table, Figures], restored: Mapping[Table, Figures]) -> list[dict[str, Any]]:
    """Both at the same point: every table must be there and the same in rows, newest times and content."""
    before, after = _named(live), _named(restored)
    found = []
    for name in sorted(before.keys() | after.keys()):
        one, other = before.get(name), after.get(name)
        if one is None or other is None:
            why = "it is not in the restored copy" if other is None else "it is only in the restored copy"
        else:
            why = difference(one[1], other[1], content=True)
        found.append(_entry(name, "everything", one, other, why))
    return found


def compared_until(
    until: datetime, live: Mapping[Table, Figures], restored: Mapping[Table, Figures]
) -> list[dict[str, Any]]:
    """The live tables of now with a copy of an earlier time: only rows that nobody deletes can be compared.

    Their other columns may have changed since, so it is the number of rows and the newest time of insertion. What else
    there is is told and not judged.
    """
    before, after = _named(live), _named(restored)
    found = []
    for name in sorted(before.keys() | after.keys()):
        one, other = before.get(name), after.get(name)
        if one is None or other is None or not (one[0].only_grows and other[0].only_grows):
            found.append(_entry(name, None, one, other, None))
            continue
        column = one[0].inserted or ""
        kept = [Figures(each.rows, None, {column: each.newest[column]}) for each in (one[1], other[1])]
        why = difference(kept[0], kept[1], content=False)
        entry = _entry(name, f"rows up to {until.isoformat()}", (one[0], kept[0]), (other[0], kept[1]), why)
        found.append(entry)
    return found


def difference(live: Figures, restored: Figures, *, content: bool) -> str:
    """What differs, in words; empty when nothing does."""
    if live.rows != restored.rows:
        return f"{live.rows} rows live, {restored.rows} restored"
    for column, newest in live.newest.items():
        if newest != restored.newest.get(column):
            return f"the newest {column} is {newest} live, {restored.newest.get(column)} restored"
    return "as many rows, with another content" if content and live.content != restored.content else ""


def _named(figures: Mapping[Table, Figures]) -> dict[str, tuple[Table, Figures]]:
    return {table.name: (table, found) for table, found in figures.items()}


def _entry(
    name: str,
    compared: str | None,
    live: tuple[Table, Figures] | None,
    restored: tuple[Table, Figures] | None,
    why: str | None,
) -> dict[str, Any]:
    return {
        "table": name,
        "compared": compared,
        "same": None if why is None else not why,
        "why": why or "",
        "live": live[1].as_json() if live else None,
        "restored": restored[1].as_json() if restored else None,
    }


def told(restored: Mapping[Table, Figures]) -> list[dict[str, Any]]:
    """What a copy holds, with nothing to compare it with."""
    return [_entry(table.name, None, None, (table, found), None) for table, found in restored.items()]


def differing(entries: Sequence[Mapping[str, Any]]) -> list[str]:
    """The names of the tables that differ."""
    return [str(each["table"]) for each in entries if each["same"] is False]
