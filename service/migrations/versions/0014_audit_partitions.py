"""The audit log in partitions, one a month, of which old ones are dropped whole."""

from collections.abc import Sequence

from alembic import op
from sqlalchemy import text

revision: str = "0014"
down_revision: str | None = "0013"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

# What there is becomes the partition of all months up to the end of the next one. That its rows fit is proven beside
# writes, so that nothing is read under the lock below. A bound that an interrupted attempt left is taken anew: what
# comes after it would be refused.
_BOUND = """
DO $body$
DECLARE
    bound timestamp := date_trunc('month', now() AT TIME ZONE 'UTC') + interval '2 months';
    stale text;
BEGIN
    PERFORM set_config('lock_timeout', '10s', true);
    FOR stale IN SELECT conname FROM pg_constraint
                 WHERE conrelid = 'public.audit_log'::regclass AND conname LIKE 'ck_audit_log_before_%' LOOP
        EXECUTE format('ALTER TABLE public.audit_log DROP CONSTRAINT %I', stale);
    END LOOP;
    EXECUTE format('ALTER TABLE public.audit_log ADD CONSTRAINT %I CHECK (at < %L) NOT VALID',
                   'ck_audit_log_before_' || to_char(bound, 'YYYYMM'), bound AT TIME ZONE 'UTC');
END
$body$
"""

_PROVE = """
DO $body$
BEGIN
    EXECUTE (SELECT format('ALTER TABLE public.audit_log VALIDATE CONSTRAINT %I', conname) FROM pg_constraint
             WHERE conrelid = 'public.audit_log'::regclass AND conname LIKE 'ck_audit_log_before_%');
END
$body$
"""

# Nothing here reads rows. Who writes audit entries waits for the lock with us, so it is asked for briefly and again.
# The programs' rights are taken over at once: between this and the rights of the whole schema they go on working.
_SWAP = """
DO $body$
DECLARE
    month text := (SELECT right(conname, 6) FROM pg_constraint WHERE conrelid = 'public.audit_log'::regclass
                   AND conname LIKE 'ck_audit_log_before_%' AND convalidated);
    before text := 'audit_log_before_' || month;
    given record;
BEGIN
    PERFORM set_config('lock_timeout', '2s', true);
    FOR attempt IN 1..30 LOOP
        BEGIN
            LOCK TABLE public.audit_log IN ACCESS EXCLUSIVE MODE;
            EXIT;
        EXCEPTION WHEN lock_not_available THEN
            IF attempt = 30 THEN
                RAISE;
            END IF;
            PERFORM pg_sleep(1);
        END;
    END LOOP;
    EXECUTE format('ALTER TABLE public.audit_log RENAME TO %I', before);
    EXECUTE format('ALTER TABLE public.%I DROP CONSTRAINT pk_audit_log', before);
    EXECUTE format('ALTER TABLE public.%I ADD CONSTRAINT %I PRIMARY KEY USING INDEX uq_audit_log_id_at',
                   before, 'pk_' || before);
    EXECUTE format('ALTER INDEX public.ix_audit_log_at RENAME TO %I', 'ix_' || before || '_at');
    EXECUTE format('ALTER INDEX public.ix_audit_log_subject_type_subject_id RENAME TO %I',
                   'ix_' || before || '_subject');
    EXECUTE format('CREATE TABLE public.audit_log (LIKE public.%I INCLUDING DEFAULTS,'
                   ' CONSTRAINT pk_audit_log PRIMARY KEY (id, at)) PARTITION BY RANGE (at)', before);
    CREATE INDEX ix_audit_log_at ON public.audit_log (at);
    CREATE INDEX ix_audit_log_subject_type_subject_id ON public.audit_log (subject_type, subject_id);
    ALTER SEQUENCE public.audit_log_id_seq OWNED BY public.audit_log.id;
    FOR given IN
        SELECT rolname, privilege_type
        FROM pg_class CROSS JOIN aclexplode(relacl) AS acl JOIN pg_roles ON pg_roles.oid = acl.grantee
        WHERE pg_class.oid = format('public.%I', before)::regclass AND acl.grantee <> relowner
    LOOP
        EXECUTE format('GRANT %s ON public.audit_log TO %I', given.privilege_type, given.rolname);
        EXECUTE format('REVOKE ALL ON public.%I FROM %I', before, given.rolname);
    END LOOP;
    EXECUTE format('ALTER TABLE public.audit_log ATTACH PARTITION public.%I FOR VALUES FROM (MINVALUE) TO (%L)',
                   before, to_date(month || '01', 'YYYYMMDD')::timestamp AT TIME ZONE 'UTC');
    EXECUTE format('ALTER TABLE public.%I DROP CONSTRAINT %I', before, 'ck_audit_log_before_' || month);
    CREATE TABLE public.audit_log_default PARTITION OF public.audit_log DEFAULT;
END
$body$
"""

# A month whose entries are in the default partition already keeps them there: making its own would mean to move them.
# The partition is made alone and then attached, which lets others write meanwhile; where somebody holds the table the
# next call tries again.
_MAKE = """
CREATE OR REPLACE FUNCTION make_audit_partitions(ahead integer) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp SET lock_timeout = '1s' AS $body$
DECLARE
    covered text := (SELECT max(right(relname, 6)) FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid
                     WHERE inhparent = 'public.audit_log'::regclass AND relname ~ '^audit_log_before_[0-9]{6}$');
    month timestamp;
    part text;
    taken boolean;
    made integer := 0;
BEGIN
    IF ahead IS NULL OR ahead < 1 OR ahead > 12 THEN
        RAISE EXCEPTION 'partitions are made for 1 to 12 months ahead, not for %', ahead
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    FOR place IN 0..ahead LOOP
        month := date_trunc('month', now() AT TIME ZONE 'UTC') + make_interval(months => place);
        part := 'audit_log_' || to_char(month, 'YYYYMM');
        SELECT EXISTS (SELECT FROM public.audit_log_default
                       WHERE at >= month AT TIME ZONE 'UTC' AND at < (month + interval '1 month') AT TIME ZONE 'UTC')
        INTO taken;
        CONTINUE WHEN taken OR to_regclass(format('public.%I', part)) IS NOT NULL
                   OR to_char(month, 'YYYYMM') < COALESCE(covered, '');
        BEGIN
            EXECUTE format('CREATE TABLE public.%I (LIKE public.audit_log INCLUDING DEFAULTS)', part);
            EXECUTE format('ALTER TABLE public.audit_log ATTACH PARTITION public.%I FOR VALUES FROM (%L) TO (%L)',
                           part, month AT TIME ZONE 'UTC', (month + interval '1 month') AT TIME ZONE 'UTC');
            made := made + 1;
        EXCEPTION WHEN lock_not_available OR check_violation THEN
            NULL;
        END;
    END LOOP;
    RETURN made;
END
$body$
"""

# Months go whole, as soon as all of one is too old. What is from before the months, and what came to the default
# partition, goes row by row. How many rows a month had is what the statistics say: counting would read it all.
_FORGET = """
CREATE OR REPLACE FUNCTION forget_audit(keep_days integer, most integer) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp SET lock_timeout = '1s' AS $body$
DECLARE
    oldest timestamptz := now() - make_interval(days => keep_days);
    part record;
    deleted integer;
    gone integer := 0;
BEGIN
    IF keep_days IS NULL OR keep_days < 30 THEN
        RAISE EXCEPTION 'nothing is forgotten before 30 days, so not after %', keep_days
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    FOR part IN
        SELECT relname, LEAST(GREATEST(reltuples, 0), 1000000000)::integer AS entries,
               relname !~ '^audit_log_[0-9]{6}$' AS is_mixed,
               CASE WHEN relname ~ '_[0-9]{6}$' THEN
                   (to_date(right(relname, 6) || '01', 'YYYYMMDD')::timestamp
                    + CASE WHEN relname ~ '_before_' THEN interval '0' ELSE interval '1 month' END)
                   AT TIME ZONE 'UTC' END AS ends
        FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid
        WHERE inhparent = 'public.audit_log'::regclass ORDER BY relname
    LOOP
        IF part.ends <= oldest THEN
            BEGIN
                EXECUTE format('DROP TABLE public.%I', part.relname);
                gone := gone + part.entries;
            EXCEPTION WHEN lock_not_available THEN
                NULL;
            END;
        ELSIF part.is_mixed AND gone < most THEN
            EXECUTE format('WITH old AS (SELECT id, at FROM public.%I WHERE at < $1 ORDER BY at LIMIT $2'
                           ' FOR UPDATE SKIP LOCKED)'
                           ' DELETE FROM public.%I AS entry USING old WHERE entry.id = old.id AND entry.at = old.at',
                           part.relname, part.relname) USING oldest, most - gone;
            GET DIAGNOSTICS deleted = ROW_COUNT;
            gone := gone + deleted;
        END IF;
    END LOOP;
    RETURN gone;
END
$body$
"""


def upgrade() -> None:
    # The way back leaves the partitions, so they may be there already.
    kind = op.get_bind().scalar(text("SELECT relkind::text FROM pg_class WHERE oid = 'audit_log'::regclass"))
    if kind == "r":
        with op.get_context().autocommit_block():
            op.execute(_BOUND)
            op.execute(_PROVE)
            op.drop_index("uq_audit_log_id_at", "audit_log", if_exists=True, postgresql_concurrently=True)
            op.create_index("uq_audit_log_id_at", "audit_log", ["id", "at"], unique=True, postgresql_concurrently=True)
        op.execute(_SWAP)
    op.execute(_MAKE)
    op.execute(_FORGET)
    op.execute("REVOKE ALL ON FUNCTION make_audit_partitions(integer) FROM PUBLIC")
    op.execute("SELECT make_audit_partitions(2)")


def downgrade() -> None:
    # Earlier versions work with the partitions as with a table: they neither see nor need them. Later months come to
    # the default partition then. To make one table of them again would copy what there is, and stop all writing.
    op.execute("DROP FUNCTION make_audit_partitions(integer)")
