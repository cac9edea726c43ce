"""Backups: how often, where, for how long, and what was promised."""

from policies.view.values import ABSENT, UNKNOWN
from tests.policies.changes import Case, config, env, put, without
from tests.policies.edits import entry, line, setting
from tests.policies.edits import without as rest

CONFIG, OPERATIONS = "pgbackrest.conf", "rules/operations.yml"


def _schedule(check: str, name: str, to: object, status: str = "fail", why: str = "") -> Case:
    return Case(check, put("CronJob", name, "spec.schedule", to), status, path="spec.schedule", why=why)


def _no_alert(check: str, name: str, file: str) -> Case:
    edit = rest("groups[0].rules", lambda rule: rule["alert"] == name)
    return Case(check, config("prometheus", f"rules/{file}", edit))


def _promise(check: str, series: str) -> list[Case]:
    gone = rest("groups[0].rules", lambda rule: rule["record"] == series)
    nothing = entry("groups[0].rules", lambda rules: [{**rule, "expr": "vector(0)"} for rule in rules])
    return [
        Case(check, config("prometheus", OPERATIONS, gone), why="missing"),
        Case(check, config("prometheus", OPERATIONS, nothing), why="nothing"),
        Case(check, config("prometheus", OPERATIONS, ABSENT), why="no file"),
        Case(check, config("prometheus", OPERATIONS, UNKNOWN), "not evaluated"),
    ]


CASES = [
    _schedule("an_incremental_backup_runs_every_hour", "backup-incremental", "45 */2 * * *"),
    _schedule("an_incremental_backup_runs_every_hour", "backup-incremental", "45 6-20 * * *", why="not at night"),
    _schedule("an_incremental_backup_runs_every_hour", "backup-incremental", "0 0 31 2 *", why="never"),
    _schedule("an_incremental_backup_runs_every_hour", "backup-incremental", UNKNOWN, "not evaluated"),
    Case("an_incremental_backup_runs_every_hour", without("CronJob", "backup-incremental"), why="missing"),
    _schedule("a_full_backup_runs_every_day", "backup-full", "15 1 * * 1-5"),
    _schedule("a_full_backup_runs_every_day", "backup-full", UNKNOWN, "not evaluated"),
    Case("a_full_backup_runs_every_day", without("CronJob", "backup-full"), why="missing"),
    Case("the_hourly_backup_is_not_suspended", put("CronJob", "backup-incremental", "spec.suspend", True)),
    Case(
        "the_hourly_backup_is_not_suspended",
        put("CronJob", "backup-incremental", "spec.suspend", UNKNOWN),
        "not evaluated",
    ),
    Case("the_daily_backup_is_not_suspended", put("CronJob", "backup-full", "spec.suspend", True)),
    Case("the_daily_backup_is_not_suspended", put("CronJob", "backup-full", "spec.suspend", UNKNOWN), "not evaluated"),
    _no_alert("an_old_incremental_backup_alarms", "BackupIncrementalOld", "warning.yml"),
    Case("an_old_incremental_backup_alarms", config("prometheus", "rules/warning.yml", UNKNOWN), "not evaluated"),
    _no_alert("an_old_full_backup_alarms", "BackupFullOld", "critical.yml"),
    Case("an_old_full_backup_alarms", config("prometheus", "rules/critical.yml", UNKNOWN), "not evaluated"),
    Case("backups_are_encrypted", config("backups", CONFIG, setting("repo1-cipher-type", "none"))),
    Case("backups_are_encrypted", config("backup-full", CONFIG, setting("repo1-cipher-type", None)), why="default"),
    Case("backups_are_encrypted", config("backup-incremental", CONFIG, UNKNOWN), "not evaluated"),
    Case("backups_lie_on_a_volume_of_their_own", without("StatefulSet", "backups"), why="no host"),
    Case(
        "backups_lie_on_a_volume_of_their_own", config("backups", CONFIG, setting("repo1-path", "/scratch")), why="tmp"
    ),
    Case("backups_lie_on_a_volume_of_their_own", config("backups", CONFIG, setting("repo1-path", None)), why="nowhere"),
    Case("backups_lie_on_a_volume_of_their_own", put("StatefulSet", "backups", "spec.volumeClaimTemplates", [])),
    Case("backups_lie_on_a_volume_of_their_own", config("backups", CONFIG, UNKNOWN), "not evaluated"),
    Case("every_member_is_saved", put("StatefulSet", "postgres", "spec.replicas", 4)),
    Case("every_member_is_saved", config("backup-full", CONFIG, setting("pg2-host", None)), why="one unknown to it"),
    Case("every_member_is_saved", config("backups", CONFIG, line("[workflow]", "[other]\na=b\n[x]")), why="stanza"),
    Case("every_member_is_saved", put("StatefulSet", "postgres", "spec.replicas", UNKNOWN), "not evaluated"),
    Case(
        "the_log_goes_where_the_backups_are",
        config("postgres", "patroni.yml", line("--stanza=workflow", "--stanza=another")),
        path="archive_command",
    ),
    Case("the_log_goes_where_the_backups_are", config("postgres", "patroni.yml", UNKNOWN), "not evaluated"),
    Case("backups_are_kept_for_some_days", env("backup-full", "BACKUP_KEEP_DAILY", "0")),
    Case("backups_are_kept_for_some_days", env("backups", "BACKUP_KEEP_DAILY", ABSENT), why="none"),
    Case("backups_are_kept_for_some_days", env("backups", "BACKUP_KEEP_DAILY", UNKNOWN), "not evaluated"),
    Case("the_archived_log_expires", config("backup-full", CONFIG, setting("repo1-retention-archive", None))),
    Case("the_archived_log_expires", config("backups", CONFIG, UNKNOWN), "not evaluated"),
    Case("all_that_delete_backups_agree", env("backup-incremental", "BACKUP_KEEP_WEEKLY", "1")),
    Case("all_that_delete_backups_agree", env("backup-incremental", "BACKUP_KEEP_WEEKLY", UNKNOWN), "not evaluated"),
    Case("what_is_migrated_can_be_saved_before", without("CronJob", "backup-incremental"), why="missing"),
    Case(
        "what_is_migrated_can_be_saved_before",
        put("CronJob", "backup-incremental", "spec.jobTemplate.spec.template.spec.containers[0].args", ["true"]),
    ),
    Case(
        "what_is_migrated_can_be_saved_before",
        put("CronJob", "backup-incremental", "spec.jobTemplate.spec.template.spec.containers[0].args", UNKNOWN),
        "not evaluated",
    ),
    *_promise("it_is_said_how_much_may_be_lost", "declared_recovery_point_seconds"),
    *_promise("it_is_said_how_long_recovery_may_take", "declared_recovery_time_seconds"),
    _schedule("backups_are_as_frequent_as_promised", "backup-incremental", "0 */3 * * *"),
    _schedule("backups_are_as_frequent_as_promised", "backup-incremental", UNKNOWN, "not evaluated"),
    Case(
        "the_log_leaves_the_server_in_time",
        config("postgres", "patroni.yml", line("archive_timeout: 60s", "archive_timeout: 2h")),
    ),
    Case(
        "the_log_leaves_the_server_in_time",
        config("postgres", "patroni.yml", line("archive_timeout: 60s", "x: 1")),
        why="never",
    ),
    Case("the_log_leaves_the_server_in_time", config("postgres", "patroni.yml", UNKNOWN), "not evaluated"),
    _schedule("a_restore_is_tried_every_week", "restore-drill", "30 3 1 * *"),
    _schedule("a_restore_is_tried_every_week", "restore-drill", UNKNOWN, "not evaluated"),
]
