"""What the revisions of the database's schema would do to a database in use."""

from __future__ import annotations

import re
from collections.abc import Iterator

from policies.engine.rule import Fault, rule
from policies.view.migrations import Migration, Operation, read_migration
from policies.view.project import Project
from policies.view.reports import is_approved

FOLDER = "service/migrations/versions"

INDEX = re.compile(
    r"^\s*CREATE\s+(?:UNIQUE\s+)?INDEX\s+(CONCURRENTLY\s+)?(?:IF\s+NOT\s+EXISTS\s+)?(?:\S+\s+)?ON\s+(?:ONLY\s+)?\"?(\w+)",
    re.IGNORECASE,
)
"""CREATE INDEX: whether it is built beside writes, and on which table."""

BLOCKING = re.compile(
    r"\bALTER\s+TABLE\b.*\b(ALTER\s+(COLUMN\s+)?\S+\s+(SET\s+DATA\s+)?TYPE|SET\s+NOT\s+NULL|SET\s+TABLESPACE|SET\s+(UN)?LOGGED"
    r"|ADD\s+(CONSTRAINT\s+\S+\s+)?(PRIMARY\s+KEY|UNIQUE|EXCLUDE)\s*(?!.*USING\s+INDEX)"
    r"|ADD\s+(CONSTRAINT\s+\S+\s+)?(CHECK|FOREIGN\s+KEY)(?!.*\bNOT\s+VALID\b)"
    r"|ADD\s+(COLUMN\s+).*\b(GENERATED|random\(|clock_timestamp\(|gen_random_uuid\())"
    r"|^\s*(VACUUM\s*\(?\s*FULL|CLUSTER\b|LOCK\s+TABLE|TRUNCATE\b|REINDEX\b(?!.*\bCONCURRENTLY\b)"
    r"|REFRESH\s+MATERIALIZED\s+VIEW\s+(?!CONCURRENTLY))",
    re.IGNORECASE | re.DOTALL,
)
"""SQL that writes a table anew, or reads all of it while nobody else may write."""

TABLE = re.compile(
    r"\b(?:ALTER\s+TABLE(?:\s+IF\s+EXISTS)?(?:\s+ONLY)?|UPDATE(?:\s+ONLY)?|DELETE\s+FROM(?:\s+ONLY)?|LOCK\s+TABLE|TRUNCATE(?:\s+TABLE)?)"
    r"\s+\"?(\w+)",
    re.IGNORECASE,
)
"""The table that a statement changes."""


def _migrations(project: Project) -> list[Migration]:
    found = []
    for file in project.files(f"{FOLDER}/[0-9a-zA-Z]*.py"):
        path = file.relative_to(project.root).as_posix()
        found.append(read_migration(project.text(path) or "", path))
    return found


def _has_migrations(project: Project) -> bool:
    return bool(project.files(f"{FOLDER}/[0-9a-zA-Z]*.py"))


def _table_of(sql: str) -> str | None:
    found = TABLE.search(sql)
    return found[1] if found else None


@rule("indexes-built-concurrently", on=Project, where=_has_migrations,
      wanted="postgresql_concurrently=True, inside `with op.get_context().autocommit_block()`",
      mend="the revision")  # fmt: skip
def indexes_are_built_beside_writes(project: Project) -> Iterator[Fault]:
    """A plain CREATE INDEX lets nobody write to the table until it is built, which on a large one takes minutes."""
    for migration in _migrations(project):
        for each in migration.operations:
            if _builds_an_index_and_blocks(migration, each):
                yield Fault(migration.place(each), "an index is built while nobody can write to its table")


def _builds_an_index_and_blocks(migration: Migration, each: Operation) -> bool:
    if each.name == "create_index":
        return migration.is_live(each.table) and each.option("postgresql_concurrently") is not True
    if each.name == "add_column":
        keywords = each.column.keywords if each.column is not None else []
        indexed = any(k.arg in ("index", "unique") and getattr(k.value, "value", None) is True for k in keywords)
        return indexed and migration.is_live(each.table)
    found = INDEX.match(each.sql) if each.sql is not None else None
    return found is not None and not found[1] and migration.is_live(found[2])


@rule("indexes-built-concurrently", on=Project, where=_has_migrations,
      wanted="`with op.get_context().autocommit_block():` around it", mend="the revision")  # fmt: skip
def concurrent_indexes_are_built_outside_a_transaction(project: Project) -> Iterator[Fault]:
    """Postgres refuses to build an index beside writes inside a transaction: the migration would stop there."""
    for migration in _migrations(project):
        for each in migration.operations:
            found = INDEX.match(each.sql) if each.sql is not None else None
            concurrent = each.option("postgresql_concurrently") is True or (found is not None and found[1])
            if concurrent and not each.outside_transaction:
                yield Fault(migration.place(each), "a concurrent index is built inside a transaction")


@rule("data-migrations-batched", on=Project, where=_has_migrations,
      wanted="batches: a loop over statements that each change a limited number of rows, or a recorded sign-off",
      mend="the revision, or an approval data-migration in approvals.json")  # fmt: skip
def data_is_changed_in_batches(project: Project) -> Iterator[Fault]:
    """One UPDATE of a large table locks all its rows and doubles its size before it ends."""
    for migration in _migrations(project):
        for each in migration.operations:
            if each.data_change is None or (each.in_loop and each.is_limited):
                continue
            table = _table_of(each.sql) if each.sql is not None else None
            if migration.is_live(table) and not _is_signed_off(project, "data-migration", migration):
                yield Fault(migration.place(each), f"an unbounded {each.data_change} of rows in a table in use")


@rule("migration-sql-impact-reviewed", on=Project, where=_has_migrations,
      wanted="a harmless way, or a recorded sign-off: NOT VALID and VALIDATE, a new column in place of a new type",
      mend="the revision, or an approval migration-impact in approvals.json")  # fmt: skip
def slow_or_locking_statements_are_signed_off(project: Project) -> Iterator[Fault]:
    """Some statements write a table anew or lock it for as long as reading all of it takes: nobody can use it
    meanwhile, and how long that is only who knows the table can tell."""
    for migration in _migrations(project):
        risks = [(each, why) for each in migration.operations if (why := _risk(migration, each))]
        if risks and not _is_signed_off(project, "migration-impact", migration):
            for each, why in risks:
                yield Fault(migration.place(each), why)


def _is_signed_off(project: Project, kind: str, migration: Migration) -> bool:
    """Where no reports are given there is no sign-off either: a proposed change must not pass because nobody asked."""
    return project.reports is not None and is_approved(project, kind, migration.content)


def _risk(migration: Migration, each: Operation) -> str | None:
    """Why a statement may stop others for long; None when it does not."""
    if each.name == "execute":
        if each.sql is None:
            return None if each.data_change else "a statement is put together at run time, so that nobody can judge it"
        blocks = BLOCKING.search(each.sql) and migration.is_live(_table_of(each.sql))
        return "the statement writes a table in use anew, or locks it" if blocks else None
    if not migration.is_live(each.table):
        return None
    if each.name == "alter_column":
        if any(keyword.arg == "type_" for keyword in each.call.keywords):
            return "the type of a column in use is changed, which may write the table anew"
        if each.option("nullable") is False:
            return "a column in use is made NOT NULL, which reads the whole table under a lock"
    if each.name in ("create_check_constraint", "create_foreign_key"):
        unchecked = each.option("postgresql_not_valid") is True
        return None if unchecked else "a constraint is checked against the whole table under a lock"
    if each.name in ("create_unique_constraint", "create_primary_key"):
        return "a constraint builds its index under a lock"
    if each.name == "add_column" and _has_no_default(each):
        return "a NOT NULL column without a default is added, which a table with rows refuses"
    return None


def _has_no_default(each: Operation) -> bool:
    keywords = each.column.keywords if each.column is not None else []
    given = {k.arg: getattr(k.value, "value", True) for k in keywords}
    return given.get("nullable") is False and "server_default" not in given


@rule("migrations-reviewed", on=Project, where=_has_migrations,
      wanted="a yes of somebody else than the author to exactly this content",
      mend="an approval `migration` in approvals.json")  # fmt: skip
def each_migration_was_read_by_a_second_person(project: Project) -> Iterator[Fault]:
    """A migration changes data that no rollback of the programs brings back."""
    for migration in _migrations(project):
        if not is_approved(project, "migration", migration.content):
            yield Fault(migration.path, "nobody but its author is recorded to have read the revision")
