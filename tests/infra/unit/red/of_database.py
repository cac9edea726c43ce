"""Faults of the database, each of which turns a check red."""

from tests.infra.unit.red.scene import LET_IN, Scene, database_url
from tests.infra.unit.red.stage import Reds
from tests.infra.verify.kubernetes import test_database as checks

red = Reds()
AWAY = {"refused": "ConnectionRefusedError"}
NOT_NOW = {"refused": "57P03"}


@red(checks.test_every_program_has_a_login_of_its_own_and_verifies_the_server)
def the_relay_has_the_login_of_the_api(scene: Scene) -> None:
    scene.database_urls["relay"] = database_url("api_1")


@red(checks.test_every_program_has_a_login_of_its_own_and_verifies_the_server)
def a_login_has_no_generation(scene: Scene) -> None:
    scene.database_urls["relay"] = database_url("relay")


@red(checks.test_every_program_has_a_login_of_its_own_and_verifies_the_server)
def the_relay_does_not_verify_the_server(scene: Scene) -> None:
    scene.database_urls["relay"] = database_url("relay_1", "workflow?sslmode=require")


@red(checks.test_every_program_has_a_login_of_its_own_and_verifies_the_server)
def the_relay_works_in_another_database(scene: Scene) -> None:
    scene.database_urls["relay"] = database_url("relay_1", "another?sslmode=verify-full")


@red(checks.test_every_program_has_a_login_of_its_own_and_verifies_the_server)
def an_executor_is_no_program_of_the_service(scene: Scene) -> None:
    scene.tell()["executor"]["image"] = scene.tell()["edge"]["image"]


@red(checks.test_every_session_over_the_network_is_encrypted)
def one_session_is_in_the_clear(scene: Scene) -> None:
    scene.answers["pg_stat_ssl"] = "f|1\nt|50"


@red(checks.test_every_session_over_the_network_is_encrypted)
def there_is_no_session_at_all(scene: Scene) -> None:
    scene.answers["pg_stat_ssl"] = ""


@red(checks.test_the_right_password_is_not_taken_in_the_clear)
def the_password_is_taken_in_the_clear(scene: Scene) -> None:
    scene.tries["in the clear"] = LET_IN


@red(checks.test_the_right_password_is_not_taken_in_the_clear)
def the_api_is_led_to_a_standby(scene: Scene) -> None:
    scene.tries["as it is"] = {"let in": True, "standby": True}


@red(checks.test_the_right_password_is_not_taken_in_the_clear)
def nobody_is_asked_in_the_clear(scene: Scene) -> None:
    scene.tries["in the clear"] = AWAY


@red(checks.test_the_right_password_without_a_certificate_of_the_stack_is_not_enough)
def no_certificate_is_asked_for(scene: Scene) -> None:
    scene.tries["without a certificate"] = LET_IN


@red(checks.test_the_right_password_without_a_certificate_of_the_stack_is_not_enough)
def nobody_is_asked_without_a_certificate(scene: Scene) -> None:
    scene.tries["without a certificate"] = AWAY


@red(checks.test_a_program_can_be_nobody_else_and_be_nowhere_else)
def any_password_will_do(scene: Scene) -> None:
    scene.tries["with a wrong password"] = LET_IN


@red(checks.test_a_program_can_be_nobody_else_and_be_nowhere_else)
def the_superuser_is_let_in(scene: Scene) -> None:
    scene.tries["as the superuser"] = LET_IN


@red(checks.test_a_program_can_be_nobody_else_and_be_nowhere_else)
def another_database_is_open(scene: Scene) -> None:
    scene.tries["into another database"] = LET_IN


@red(checks.test_a_program_can_be_nobody_else_and_be_nowhere_else)
def another_database_is_only_away(scene: Scene) -> None:
    scene.tries["into another database"] = NOT_NOW


@red(checks.test_no_program_may_change_the_schema_or_the_audit)
def a_program_may_delete_from_the_audit(scene: Scene) -> None:
    scene.answers["has_schema_privilege"] = "f|f|t|f|f"


@red(checks.test_relay_and_executors_read_no_users_keys_or_audit)
def a_relay_reads_users(scene: Scene) -> None:
    scene.answers = {"'relay_1', 'users'": "t", **scene.answers}


@red(checks.test_relay_and_executors_read_no_users_keys_or_audit)
def all_programs_are_the_api(scene: Scene) -> None:
    scene.database_urls = dict.fromkeys(scene.database_urls, database_url("api_1"))


@red(checks.test_all_members_follow_the_primary_and_one_of_them_synchronously)
def one_member_does_not_follow(scene: Scene) -> None:
    scene.answers["pg_stat_replication"] = "t|1"


@red(checks.test_all_members_follow_the_primary_and_one_of_them_synchronously)
def nobody_confirms_a_commit(scene: Scene) -> None:
    scene.answers["pg_stat_replication"] = "f|2"


@red(checks.test_all_members_follow_the_primary_and_one_of_them_synchronously)
def the_primary_is_alone(scene: Scene) -> None:
    scene.tell()["postgres"]["replicas"] = 1
    scene.answers["pg_stat_replication"] = ""


@red(checks.test_the_read_only_service_leads_to_a_standby)
def the_read_only_service_leads_to_the_primary(scene: Scene) -> None:
    scene.tries["read-only service"] = LET_IN


@red(checks.test_what_is_committed_is_archived)
def the_segment_is_not_archived(scene: Scene) -> None:
    scene.answers["last_archived_wal >="] = "f"


@red(checks.test_what_is_committed_is_archived)
def nothing_was_ever_archived(scene: Scene) -> None:
    scene.answers["last_archived_wal >="] = ""


@red(checks.test_what_is_committed_is_archived)
def the_last_segment_was_not_taken(scene: Scene) -> None:
    scene.answers["last_failed_time"] = "t"


@red(checks.test_there_is_a_full_backup_that_is_whole)
def the_full_backup_is_damaged(scene: Scene) -> None:
    scene.backups[0]["backup"][0]["error"] = True


@red(checks.test_there_is_a_full_backup_that_is_whole)
def there_are_only_pieces(scene: Scene) -> None:
    scene.backups[0]["backup"][0]["type"] = "incr"


@red(checks.test_there_is_a_full_backup_that_is_whole, checks.test_backups_are_encrypted)
def the_repository_is_empty(scene: Scene) -> None:
    scene.backups.clear()


@red(checks.test_backups_are_encrypted)
def a_repository_is_not_encrypted(scene: Scene) -> None:
    scene.backups[0]["repo"].append({"key": 2, "cipher": "none"})


@red(checks.test_prometheus_knows_when_the_newest_backups_ended)
def prometheus_knows_an_earlier_backup(scene: Scene) -> None:
    scene.measured["any"] -= 3600


@red(checks.test_prometheus_knows_when_the_newest_backups_ended)
def prometheus_knows_of_no_full_backup(scene: Scene) -> None:
    del scene.measured["full"]
