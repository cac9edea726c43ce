-- Logins of other generations are removed with their sessions; what they own, if anything, goes to the owner.
CREATE TEMPORARY TABLE gone AS
SELECT rolname FROM pg_roles
WHERE rolname ~ '^(api|relay|executor|migrations|monitoring)_[0-9]{1,6}$'
  AND substring(rolname FROM '[0-9]+$')::int NOT IN (:generation, :generation - 1);
SELECT format('ALTER ROLE %I NOLOGIN', rolname) FROM gone \gexec
SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE usename IN (SELECT rolname FROM gone);
SELECT format('REASSIGN OWNED BY %1$I TO workflow_owner; DROP OWNED BY %1$I; DROP ROLE %1$I', rolname) FROM gone \gexec
