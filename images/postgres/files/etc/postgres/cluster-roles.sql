-- Group roles and rights on the database. What each program may do with each table is said where the tables are made:
-- the migrations give these rights to the group roles.
-- A failed statement is written to the log with its text, and some of these carry passwords.
SET log_min_error_statement = 'panic';
SET log_min_duration_statement = -1;
SET log_statement = 'none';
SET pg_stat_statements.track = 'none';
\getenv database POSTGRES_DB
\getenv generation SECRET_GENERATION

-- Only certificates prove these, and only Patroni and this job hold such a one.
ALTER ROLE postgres PASSWORD NULL;

-- Owner of the database and of all that is in it. Nobody logs in as it; the migrations' logins become it.
SELECT format('CREATE ROLE %I NOLOGIN', name)
FROM unnest(ARRAY['workflow_owner', 'workflow_programs', 'api', 'relay', 'executor', 'migrations', 'monitoring']) AS name
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name) \gexec
GRANT workflow_programs TO api, relay, executor, migrations;
GRANT workflow_owner TO migrations;
GRANT pg_monitor TO monitoring;

-- The restore drill compares a restored copy with the live tables. Its certificate alone proves it.
SELECT 'CREATE ROLE restore_drill' WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'restore_drill') \gexec
ALTER ROLE restore_drill WITH LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS CONNECTION LIMIT 6
  PASSWORD NULL;
GRANT pg_read_all_data TO restore_drill;

SELECT format('CREATE DATABASE %I OWNER workflow_owner', :'database')
WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = :'database') \gexec
ALTER DATABASE :"database" OWNER TO workflow_owner;
REVOKE ALL ON DATABASE :"database", postgres, template1 FROM PUBLIC;
GRANT CONNECT ON DATABASE :"database" TO workflow_programs, monitoring, restore_drill;
GRANT CONNECT ON DATABASE postgres TO monitoring;
-- pg_rewind compares two servers from here.
SELECT 'GRANT CONNECT ON DATABASE postgres TO rewinder' WHERE EXISTS (SELECT FROM pg_roles WHERE rolname = 'rewinder') \gexec

CREATE EXTENSION IF NOT EXISTS pg_stat_statements;
\connect :"database"
SET log_min_error_statement = 'panic';
SET log_min_duration_statement = -1;
SET log_statement = 'none';
SET pg_stat_statements.track = 'none';
CREATE EXTENSION IF NOT EXISTS pg_stat_statements;
ALTER SCHEMA public OWNER TO workflow_owner;
REVOKE ALL ON SCHEMA public FROM PUBLIC;
GRANT USAGE ON SCHEMA public TO workflow_programs, monitoring;
-- The drill marks the point in the log that it restores to, and has the log archived up to there.
GRANT EXECUTE ON FUNCTION pg_create_restore_point(text), pg_switch_wal() TO restore_drill;
-- New functions may otherwise be called by everyone; tables give nobody a right by themselves.
ALTER DEFAULT PRIVILEGES FOR ROLE workflow_owner REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;
