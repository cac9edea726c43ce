"""The rules about revisions of the schema, each on a revision of one or two statements."""

from pathlib import Path

import pytest

from policies.view.project import Project
from policies.view.reports import digest_of
from tests.policies.project_trees import TIME, make, report, said, this_tree

pytestmark = pytest.mark.ring("unit")

FILE = "service/migrations/versions/0002_more.py"
STATIC = (
    "indexes_are_built_beside_writes",
    "concurrent_indexes_are_built_outside_a_transaction",
    "data_is_changed_in_batches",
    "slow_or_locking_statements_are_signed_off",
)


def source(body: str) -> str:
    lines = "\n".join(f"    {line}" for line in body.splitlines())
    return f"from alembic import op\nimport sqlalchemy as sa\n\ndef upgrade():\n{lines}\n\ndef downgrade():\n    pass\n"


def tree(folder: Path, body: str) -> Project:
    return make(folder, {FILE: source(body), "service/migrations/versions/__init__.py": ""})


def approve(project: Project, kind: str, **changes: str) -> Project:
    of = digest_of((project.root / FILE).read_text())
    entry = {"kind": kind, "of": of, "by": "ada", "author": "bob", "time": TIME, **changes}
    return report(project, "approvals", {"approvals": [entry]})


IN_PEACE = "with op.get_context().autocommit_block():\n    "
RIGHT = {
    "an index of a new table": 'op.create_table("t", x)\nop.create_index("i", "t", ["a"])',
    "an index beside writes": f'{IN_PEACE}op.create_index("i", "t", ["a"], postgresql_concurrently=True)',
    "the same as SQL": f'{IN_PEACE}op.execute("CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS i ON t (a)")',
    "a nullable column": 'op.add_column("t", sa.Column("c", sa.Text(), nullable=True))',
    "a column with a default": 'op.add_column("t", sa.Column("c", sa.Text(), nullable=False, server_default="x"))',
    "a new default": 'op.alter_column("t", "c", server_default="x")',
    "a constraint for new rows": 'op.create_check_constraint("k", "t", "a > 0", postgresql_not_valid=True)',
    "the same constraint as SQL": 'op.execute("ALTER TABLE t ADD CONSTRAINT k CHECK (a > 0) NOT VALID")',
    "its later test": 'op.execute("ALTER TABLE t VALIDATE CONSTRAINT k")',
    "a parameter of storage": 'op.execute("ALTER TABLE t SET (autovacuum_vacuum_threshold = 1)")',
    "rows of a new table": 'op.create_table("t", x)\nop.execute("UPDATE t SET a = 1")',
    "rows in batches": 'while op.get_bind().execute(sa.text("DELETE FROM t WHERE i IN '
    '(SELECT i FROM t LIMIT 1000)")).rowcount:\n    pass',
    "new rows": "op.execute(\"INSERT INTO t VALUES (1) ON CONFLICT DO UPDATE SET a = 1\")",
    "a statement put together of texts": 'op.execute("ALTER TABLE t " + f"SET (x = {1})")',
}  # fmt: skip


@pytest.mark.parametrize("body", RIGHT.values(), ids=RIGHT.keys())
def test_harmless_revisions_pass(body: str, tmp_path: Path) -> None:
    assert {check: said(tree(tmp_path, body), check) for check in STATIC} == {check: [] for check in STATIC}


@pytest.mark.parametrize(("statement", "found"), [("ALTER TABLE t VALIDATE CONSTRAINT k", 0), ("VACUUM FULL t", 1)])
def test_a_statement_that_the_module_names_once_is_read(statement: str, found: int, tmp_path: Path) -> None:
    body = source("op.execute(STATEMENT)").replace("def upgrade", f'STATEMENT = "{statement}"\n\ndef upgrade')
    project = make(tmp_path, {FILE: body, "service/migrations/versions/__init__.py": ""})
    assert len(said(project, "slow_or_locking_statements_are_signed_off") or []) == found


@pytest.mark.parametrize("check", STATIC)
def test_the_revisions_of_this_tree_pass(check: str) -> None:
    assert said(this_tree(), check) == []


@pytest.mark.parametrize("check", [*STATIC, "each_migration_was_read_by_a_second_person"])
def test_a_project_without_revisions_is_not_asked(check: str, tmp_path: Path) -> None:
    assert said(make(tmp_path, {"service/migrations/versions/__init__.py": ""}), check) is None


INDEXES = [
    'op.create_index("i", "t", ["a"])',
    'op.create_index("i", table_name="t", columns=["a"], postgresql_concurrently=False)',
    'op.create_index("i", NAME, ["a"])',
    'op.create_table("other", x)\nop.create_index("i", "t", ["a"])',
    'op.execute("create index on t (a)")',
    'op.execute(sa.text("CREATE UNIQUE INDEX i ON public_t (a)"))',
    'op.add_column("t", sa.Column("c", sa.Text(), index=True))',
    'op.add_column("t", sa.Column("c", sa.Text(), unique=True))',
    'with op.batch_alter_table("t") as batch_op:\n    batch_op.create_index("i", ["a"])',
    'with op.batch_alter_table("t") as batch_op:\n    batch_op.add_column(sa.Column("c", index=True))',
]


@pytest.mark.parametrize("body", INDEXES)
def test_an_index_that_stops_writes_is_found(body: str, tmp_path: Path) -> None:
    found = said(tree(tmp_path, body), "indexes_are_built_beside_writes")
    line = 4 + len(body.splitlines())
    assert found == [f"{FILE}:{line}: an index is built while nobody can write to its table"]


def test_an_index_in_a_function_that_the_revision_calls_is_found(tmp_path: Path) -> None:
    text = f'{source("more()")}\ndef more():\n    op.create_index("i", "t", ["a"])\n    more()\n'
    assert said(make(tmp_path, {FILE: text}), "indexes_are_built_beside_writes")


def test_what_only_the_way_back_does_is_not_judged(tmp_path: Path) -> None:
    text = source("pass").replace(
        "def downgrade():\n    pass", 'def downgrade():\n    op.create_index("i", "t", ["a"])'
    )
    assert said(make(tmp_path, {FILE: text}), "indexes_are_built_beside_writes") == []


@pytest.mark.parametrize(
    "body",
    [
        'op.create_index("i", "t", ["a"], postgresql_concurrently=True)',
        'op.execute("CREATE INDEX CONCURRENTLY i ON t (a)")',
    ],
)
def test_a_concurrent_index_inside_a_transaction_is_found(body: str, tmp_path: Path) -> None:
    found = said(tree(tmp_path, body), "concurrent_indexes_are_built_outside_a_transaction")
    assert found == [f"{FILE}:5: a concurrent index is built inside a transaction"]


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ('op.execute("UPDATE t SET a = 1 WHERE b = 2")', "update"),
        ('op.execute("delete from t")', "delete"),
        ('op.execute("WITH x AS (SELECT 1) UPDATE t SET a = 1")', "update"),
        ("op.execute(t.update().values(a=1))", "update"),
        ("op.get_bind().execute(sa.delete(t).where(t.c.a == 1))", "delete"),
        ('for each in (1, 2):\n    op.execute("UPDATE t SET a = 1")', "update"),
        ('op.execute("DELETE FROM t WHERE i IN (SELECT i FROM t LIMIT 9)")', "delete"),
    ],
)
def test_an_unbounded_change_of_rows_is_found_until_it_is_signed_off(body: str, kind: str, tmp_path: Path) -> None:
    project, check = tree(tmp_path, body), "data_is_changed_in_batches"
    found = said(project, check)
    assert found is not None
    assert [each.partition(": ")[2] for each in found] == [f"an unbounded {kind} of rows in a table in use"]
    assert said(approve(project, "data-migration"), check) == []


RISKS = [
    ('op.alter_column("t", "c", type_=sa.Text())', "the type of a column"),
    ('op.alter_column("t", "c", nullable=False)', "NOT NULL, which reads"),
    ('op.create_check_constraint("k", "t", "a > 0")', "a constraint is checked"),
    ('op.create_foreign_key("k", "t", "u", ["a"], ["b"])', "a constraint is checked"),
    ('op.create_unique_constraint("k", "t", ["a"])', "a constraint builds its index"),
    ('op.create_primary_key("k", "t", ["a"])', "a constraint builds its index"),
    ('op.add_column("t", sa.Column("c", sa.Text(), nullable=False))', "without a default"),
    ('op.execute("ALTER TABLE t ALTER COLUMN c TYPE text")', "writes a table in use anew"),
    ('op.execute("ALTER TABLE t ALTER c SET NOT NULL")', "writes a table in use anew"),
    ('op.execute("ALTER TABLE t ADD CONSTRAINT k FOREIGN KEY (a) REFERENCES u")', "writes a table in use anew"),
    ('op.execute("ALTER TABLE t ADD COLUMN c uuid DEFAULT gen_random_uuid()")', "writes a table in use anew"),
    ('op.execute("LOCK TABLE t")', "writes a table in use anew"),
    ('op.execute("VACUUM FULL t")', "writes a table in use anew"),
    ('op.execute("TRUNCATE t")', "writes a table in use anew"),
    ('op.execute("REINDEX TABLE t")', "writes a table in use anew"),
    ("op.execute(STATEMENT)", "put together at run time"),
]


@pytest.mark.parametrize(("body", "what"), RISKS, ids=[each[0] for each in RISKS])
def test_a_slow_or_locking_statement_is_found_until_it_is_signed_off(body: str, what: str, tmp_path: Path) -> None:
    project, check = tree(tmp_path, body), "slow_or_locking_statements_are_signed_off"
    found = said(project, check)
    assert found is not None
    assert len(found) == 1
    assert found[0].startswith(f"{FILE}:5: ")
    assert what in found[0]
    assert said(approve(project, "migration-impact"), check) == []


READ = "each_migration_was_read_by_a_second_person"


def test_a_revision_must_be_read_by_a_second_person(tmp_path: Path) -> None:
    project = tree(tmp_path, "pass")
    assert said(project, READ) == [f"{FILE}: nobody but its author is recorded to have read the revision"]
    assert said(approve(project, "migration"), READ) == []


@pytest.mark.parametrize(
    "changes",
    [{"by": "Bob"}, {"by": ""}, {"author": ""}, {"of": "sha256:0"}, {"kind": "code-review"}, {"time": "soon"}],
)
def test_an_approval_of_something_else_or_by_the_author_is_none(changes: dict[str, str], tmp_path: Path) -> None:
    assert said(approve(tree(tmp_path, "pass"), **{"kind": "migration", **changes}), READ)


def test_a_change_after_the_approval_makes_it_count_for_nothing(tmp_path: Path) -> None:
    project = approve(tree(tmp_path, "pass"), "migration")
    (project.root / FILE).write_text(source("op.drop_table('t')"))
    assert said(project, READ)


def test_a_revision_that_is_no_python_is_not_let_pass(tmp_path: Path) -> None:
    found = said(make(tmp_path, {FILE: "def"}), "indexes_are_built_beside_writes")
    assert found == ["not evaluated: : the rule itself failed: SyntaxError"]
