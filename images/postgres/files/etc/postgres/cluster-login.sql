-- One login of a program, as a member of the program's group role. Variables: program, login, password.
SELECT format('CREATE ROLE %I', :'login') WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = :'login') \gexec
ALTER ROLE :"login" WITH LOGIN INHERIT NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS
  PASSWORD :'password';
GRANT :"program" TO :"login";
-- What a migration makes belongs to the owner, whatever generation made it.
SELECT format('ALTER ROLE %I SET role = workflow_owner', :'login') WHERE :'program' = 'migrations' \gexec
SELECT format('ALTER ROLE %I CONNECTION LIMIT 10', :'login') WHERE :'program' = 'monitoring' \gexec
