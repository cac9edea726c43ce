"""Faults of settings, each of which turns a check red."""

from tests.infra.unit.red.scene import Scene
from tests.infra.unit.red.stage import Reds
from tests.infra.verify.kubernetes import test_settings as checks

red = Reds()


@red(checks.test_figures_are_on)
def figures_are_switched_off(scene: Scene) -> None:
    scene.set_variable("api", "ENABLE_METRICS", "false")


@red(checks.test_figures_are_on)
def there_is_no_page_of_figures(scene: Scene) -> None:
    scene.entry.internal.remove("/metrics")


@red(checks.test_a_write_adds_one_audit_record)
def the_audit_is_switched_off(scene: Scene) -> None:
    scene.set_variable("api", "ENABLE_AUDIT_LOGGING", "false")


@red(checks.test_a_write_adds_one_audit_record)
def a_write_leaves_no_record(scene: Scene) -> None:
    scene.entry.audits = 0


@red(checks.test_a_write_adds_one_audit_record)
def a_write_leaves_two_records(scene: Scene) -> None:
    scene.entry.audits = 2


@red(checks.test_the_server_does_not_reload_its_code)
def reloading_is_switched_on(scene: Scene) -> None:
    scene.set_variable("api", "API_RELOAD", "true")


@red(checks.test_the_server_does_not_reload_its_code)
def the_process_reloads(scene: Scene) -> None:
    scene.processes += "uvicorn --reload "


@red(checks.test_the_server_does_not_reload_its_code)
def no_process_can_be_seen(scene: Scene) -> None:
    scene.processes = ""


@red(checks.test_programs_write_json_and_no_debugging)
def the_relay_writes_lines_for_people(scene: Scene) -> None:
    scene.set_variable("relay", "LOG_FORMAT", "console")


@red(checks.test_programs_write_json_and_no_debugging)
def the_relay_writes_for_debugging(scene: Scene) -> None:
    scene.set_variable("relay", "LOG_LEVEL", "DEBUG")


@red(checks.test_programs_write_json_and_no_debugging)
def the_relay_writes_every_query(scene: Scene) -> None:
    scene.set_variable("relay", "DATABASE_ECHO", "true")
