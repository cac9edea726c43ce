"""Functions that forget what is old, and an index that finds old messages."""

from collections.abc import Sequence

from alembic import op

revision: str = "0010"
down_revision: str | None = "0009"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

# They run with the rights of the tables' owner, so that whoever may call them may delete nothing else: each refuses to
# forget what is younger than 30 days, as long as an Idempotency-Key may still lead to a run.
_FUNCTION = """
CREATE FUNCTION {name}(keep_days integer, most integer) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $body$
DECLARE
    gone integer;
BEGIN
    IF keep_days IS NULL OR keep_days < 30 THEN
        RAISE EXCEPTION 'nothing is forgotten before 30 days, so not after %', keep_days
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    {delete}
    GET DIAGNOSTICS gone = ROW_COUNT;
    RETURN gone;
END
$body$
"""

_DELETES = {
    # Steps go with their run. In the order of an index, and past what somebody else holds.
    "forget_runs": """
    WITH old AS (
        SELECT id FROM runs
        WHERE created_at < now() - make_interval(days => keep_days)
          AND finished_at < now() - make_interval(days => keep_days)
          AND status IN ('completed', 'failed', 'cancelled')
        ORDER BY created_at, id LIMIT most FOR UPDATE SKIP LOCKED
    )
    DELETE FROM runs USING old WHERE runs.id = old.id;""",
    # Whatever nobody has dealt with stays.
    "forget_dead_letters": """
    WITH old AS (
        SELECT id FROM dead_letters
        WHERE settled_at < now() - make_interval(days => keep_days) AND state <> 'open'
        ORDER BY first_seen_at, id LIMIT most FOR UPDATE SKIP LOCKED
    )
    DELETE FROM dead_letters USING old WHERE dead_letters.id = old.id;""",
    "forget_audit": """
    WITH old AS (
        SELECT id FROM audit_log WHERE at < now() - make_interval(days => keep_days)
        ORDER BY at LIMIT most FOR UPDATE SKIP LOCKED
    )
    DELETE FROM audit_log USING old WHERE audit_log.id = old.id;""",
}


def upgrade() -> None:
    # First, and after what an interrupted attempt left: what follows is one transaction, this is not.
    with op.get_context().autocommit_block():
        op.drop_index("ix_inbox_received_at", "inbox", if_exists=True, postgresql_concurrently=True)
        # Messages come in the order of their time, so a few pages of this kind of index find the old ones.
        op.create_index(
            "ix_inbox_received_at",
            "inbox",
            ["received_at"],
            unique=False,
            postgresql_using="brin",
            postgresql_concurrently=True,
        )
    for name, delete in _DELETES.items():
        op.execute(_FUNCTION.format(name=name, delete=delete.strip()))
        op.execute(f"REVOKE ALL ON FUNCTION {name}(integer, integer) FROM PUBLIC")


def downgrade() -> None:
    for name in reversed(_DELETES):
        op.execute(f"DROP FUNCTION {name}(integer, integer)")
    with op.get_context().autocommit_block():
        op.drop_index("ix_inbox_received_at", "inbox", if_exists=True, postgresql_concurrently=True)
