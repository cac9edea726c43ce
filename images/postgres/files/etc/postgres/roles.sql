-- Brings roles, database and rights to what the environment asks for; running it again changes nothing but the passwords' salts.
-- The passwords are read by psql itself, so that they are in no argument list and no environment.
\set ON_ERROR_STOP on
\set QUIET on
\getenv app_user POSTGRES_USER
\getenv app_database POSTGRES_DB
\set app_password `cat "$POSTGRES_PASSWORD_FILE"`

SELECT format('CREATE ROLE %I', :'app_user')
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = :'app_user') \gexec
ALTER ROLE :"app_user" WITH LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS PASSWORD :'app_password';

SELECT format('CREATE DATABASE %I OWNER %I', :'app_database', :'app_user')
WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = :'app_database') \gexec
ALTER DATABASE :"app_database" OWNER TO :"app_user";
REVOKE ALL ON DATABASE :"app_database" FROM PUBLIC;
REVOKE CONNECT ON DATABASE postgres FROM PUBLIC;

\getenv monitoring_password_file MONITORING_PASSWORD_FILE
\if :{?monitoring_password_file}
  \set monitoring_password `cat "$MONITORING_PASSWORD_FILE"`
  SELECT 'CREATE ROLE monitoring'
  WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'monitoring') \gexec
  ALTER ROLE monitoring WITH LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS CONNECTION LIMIT 10
    PASSWORD :'monitoring_password';
  GRANT pg_monitor TO monitoring;
  GRANT CONNECT ON DATABASE :"app_database" TO monitoring;
  GRANT CONNECT ON DATABASE postgres TO monitoring;
\endif

CREATE EXTENSION IF NOT EXISTS pg_stat_statements;
\connect :"app_database"
CREATE EXTENSION IF NOT EXISTS pg_stat_statements;
