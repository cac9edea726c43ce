"""Functions that forget what is old, and an index that finds old messages."""

from collections.abc import Sequence

from alembic import op

revision: str = "0010"
down_revision: str | None = "0009"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

# They run with the rights of the tables' owner, so that whoever may call them may delete nothing else: each refuses to
# forget what is younger than 30 days, as long as an Idempotency-Key may still lead to a run. All pass what others hold.
# Steps go with their run.
_FORGET_RUNS = """
CREATE FUNCTION forget_runs(keep_days integer, most integer) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $body$
DECLARE
    gone integer;
BEGIN
    IF keep_days IS NULL OR keep_days < 30 THEN
        RAISE EXCEPTION 'nothing is forgotten before 30 days, so not after %', keep_days
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    WITH old AS (
        SELECT id FROM runs
        WHERE created_at < now() - make_interval(days => keep_days)
          AND finished_at < now() - make_interval(days => keep_days)
          AND status IN ('completed', 'failed', 'cancelled')
        ORDER BY created_at, id LIMIT most FOR UPDATE SKIP LOCKED
    )
    DELETE FROM runs USING old WHERE runs.id = old.id;
    GET DIAGNOSTICS gone = ROW_COUNT;
    RETURN gone;
END
$body$
"""

# Whatever nobody has dealt with stays.
_FORGET_DEAD_LETTERS = """
CREATE FUNCTION forget_dead_letters(keep_days integer, most integer) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $body$
DECLARE
    gone integer;
BEGIN
    IF keep_days IS NULL OR keep_days < 30 THEN
        RAISE EXCEPTION 'nothing is forgotten before 30 days, so not after %', keep_days
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    WITH old AS (
        SELECT id FROM dead_letters
        WHERE settled_at < now() - make_interval(days => keep_days) AND state <> 'open'
        ORDER BY first_seen_at, id LIMIT most FOR UPDATE SKIP LOCKED
    )
    DELETE FROM dead_letters USING old WHERE dead_letters.id = old.id;
    GET DIAGNOSTICS gone = ROW_COUNT;
    RETURN gone;
END
$body$
"""

_FORGET_AUDIT = """
CREATE FUNCTION forget_audit(keep_days integer, most integer) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $body$
DECLARE
    gone integer;
BEGIN
    IF keep_days IS NULL OR keep_days < 30 THEN
        RAISE EXCEPTION 'nothing is forgotten before 30 days, so not after %', keep_days
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    WITH old AS (
        SELECT id FROM audit_log WHERE at < now() - make_interval(days => keep_days)
        ORDER BY at LIMIT most FOR UPDATE SKIP LOCKED
    )
    DELETE FROM audit_log USING old WHERE audit_log.id = old.id;
    GET DIAGNOSTICS gone = ROW_COUNT;
    RETURN gone;
END
$body$
"""


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
    op.execute(_FORGET_RUNS)
    op.execute(_FORGET_DEAD_LETTERS)
    op.execute(_FORGET_AUDIT)
    op.execute("REVOKE ALL ON FUNCTION forget_runs(integer, integer) FROM PUBLIC")
    op.execute("REVOKE ALL ON FUNCTION forget_dead_letters(integer, integer) FROM PUBLIC")
    op.execute("REVOKE ALL ON FUNCTION forget_audit(integer, integer) FROM PUBLIC")


def downgrade() -> None:
    op.execute("DROP FUNCTION forget_audit(integer, integer)")
    op.execute("DROP FUNCTION forget_dead_letters(integer, integer)")
    op.execute("DROP FUNCTION forget_runs(integer, integer)")
    with op.get_context().autocommit_block():
        op.drop_index("ix_inbox_received_at", "inbox", if_exists=True, postgresql_concurrently=True)
