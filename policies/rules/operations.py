"""Who is asked in an emergency, where logs go, and whether a change of data's home was looked at before."""

from collections.abc import Iterator
from datetime import UTC, datetime

from policies.engine.rule import Fault, rule
from policies.rules.alerting import PLACEHOLDER
from policies.view import clock
from policies.view.files import ini_of, yaml_of
from policies.view.monitoring import OPERATIONS, declared, declared_number
from policies.view.parts import PlatformPart
from policies.view.pods import Container
from policies.view.project import Project
from policies.view.resources import Resource
from policies.view.values import ABSENT, Value

CONTACTS, COLLECTION, RETENTION, PREVIEW = (
    "contacts-current", "log-collection", "log-retention-and-archive", "infra-change-previewed",
)  # fmt: skip

ROLES = ("on-call", "tech-lead", "devops-lead", "product-owner", "security", "incident-commander")
REVIEWED_WITHIN_DAYS = 180
READABLE_DRIVERS = ("json-file", "local", "journald", "fluentd", "gelf", "syslog", "awslogs", "gcplogs", "splunk")
BOUNDED_DRIVERS = ("json-file", "local")
"""These keep the records in files on the machine; the others send them on."""

STATEFUL = ("StatefulSet", "PersistentVolumeClaim", "PersistentVolume", "Namespace", "Secret", "Volume",
            "pulumi-python:dynamic:Resource")  # fmt: skip
"""What holds data, or the keys to it. A StatefulSet that is replaced takes its members away all at once."""


@rule(CONTACTS, on=PlatformPart, parts=["prometheus"], wanted="an address for each role", mend="operations.contacts")
def every_role_has_an_address(part: PlatformPart) -> Iterator[Fault]:
    """In an emergency nobody should have to ask who decides."""
    known = {
        each.at("labels", "role").text()
        for each in declared(part, "declared_contact")
        if (each.at("labels", "address").text() or "").strip()
    }
    for role in ROLES:
        if role not in known:
            yield Fault(part.file(OPERATIONS), f"nobody is named for the role {role}")


@rule(
    CONTACTS,
    on=PlatformPart,
    parts=["prometheus"],
    wanted="an address that reaches somebody",
    mend="operations.contacts",
)
def no_contact_is_a_placeholder(part: PlatformPart) -> Iterator[Fault]:
    """An address that was copied from a manual looks complete and reaches nobody."""
    for each in declared(part, "declared_contact"):
        address = each.at("labels", "address")
        if PLACEHOLDER.search(address.text() or ""):
            yield Fault(address, "the address is a placeholder")


@rule(CONTACTS, on=PlatformPart, parts=["prometheus"], wanted=f"within the last {REVIEWED_WITHIN_DAYS} days",
      mend="operations.contacts.reviewed")  # fmt: skip
def contacts_were_looked_at_lately(part: PlatformPart) -> Iterator[Fault]:
    """People change their work and their numbers; a list that nobody looks at is wrong after a while."""
    seconds = declared_number(part, "declared_contacts_reviewed_seconds")
    if seconds is None:
        yield Fault(part.file(OPERATIONS), "it is not said when the contacts were reviewed")
        return
    age = (clock.today() - datetime.fromtimestamp(seconds, UTC).date()).days
    if age > REVIEWED_WITHIN_DAYS:
        yield Fault(part.file(OPERATIONS), f"the contacts were reviewed more than {REVIEWED_WITHIN_DAYS} days ago")
    elif age < -1:
        yield Fault(part.file(OPERATIONS), "the contacts' review is still to come")


@rule(COLLECTION, on=Container, wanted="a log driver that keeps or sends records", mend="leave `logDriver` out",
      where=lambda container: container.target == "docker")  # fmt: skip
def no_containers_log_is_thrown_away(container: Container) -> Iterator[Fault]:
    """Where the engine drops what a program says, neither it nor a collector can ever show it."""
    driver = container.spec["logDriver"]
    if (driver.text() or BOUNDED_DRIVERS[0]) not in READABLE_DRIVERS:
        yield Fault(driver, "what the program says is thrown away")


@rule(
    COLLECTION, on=PlatformPart, parts=["postgres"], wanted="standard error only", mend="infra/postgres/patroni.py",
    where=lambda part: part.file("patroni.yml").is_given,
)  # fmt: skip
def the_database_logs_to_the_engine(part: PlatformPart) -> Iterator[Fault]:
    """The engine collects what programs say; a file inside a container is seen by nobody and goes with it."""
    patroni = yaml_of(part.file("patroni.yml"))
    folder, collector = patroni.at("log", "dir"), patroni.at("postgresql", "parameters", "logging_collector")
    if folder.text() is not None:
        yield Fault(folder, "Patroni writes its log into a file of its own")
    if (collector.text() or "off").lower() in ("on", "true"):
        yield Fault(collector, "the server writes its log into files of its own")


@rule(
    COLLECTION, on=PlatformPart, parts=["postgres", "backups", "backup-full", "backup-incremental", "restore-drill"],
    wanted="off", mend="log-level-file", where=lambda part: part.file("pgbackrest.conf").is_given,
)  # fmt: skip
def the_backup_tool_logs_to_the_engine(part: PlatformPart) -> Iterator[Fault]:
    """The engine collects what programs say; a file inside a container is seen by nobody and goes with it."""
    level = ini_of(part.file("pgbackrest.conf"))["global"]["log-level-file"]
    if level.text() != "off":
        yield Fault(level, "the backup tool writes its log into files of its own")


@rule(COLLECTION, on=PlatformPart, parts=["edge"], wanted="/dev/stdout", mend="access_log")
def the_edge_logs_to_the_engine(part: PlatformPart) -> Iterator[Fault]:
    """Every visit must be found where all other records are."""
    configuration = part.file("nginx.conf")
    lines = [line.split() for line in (configuration.text() or "").splitlines()]
    targets = {words[1].rstrip(";") for words in lines if words[:1] == ["access_log"] and len(words) > 1}
    if "/dev/stdout" not in targets or targets - {"/dev/stdout", "off"}:
        yield Fault(configuration, "visits are not recorded at standard output, or in a file as well")


@rule(RETENTION, on=Container, wanted="max-size and max-file", mend="logging.maxSize and logging.maxFiles",
      where=lambda container: container.target == "docker")  # fmt: skip
def it_is_said_how_much_log_is_kept(container: Container) -> Iterator[Fault]:
    """Records that nothing removes fill the disk, and then everything on the machine stops."""
    if (container.spec["logDriver"].text() or BOUNDED_DRIVERS[0]) not in BOUNDED_DRIVERS:
        return
    options = container.spec["logOpts"]
    for name in ("max-size", "max-file"):
        # The driver `local` has bounds of its own.
        if not options[name].text() and container.spec["logDriver"].text() != "local":
            yield Fault(options[name], "it is not said how much of the log is kept")


@rule(PREVIEW, on=Project, wanted="a preview of this stack that was kept", mend="deploy-api.sh preview")
def a_preview_was_kept(project: Project) -> Iterator[Fault]:
    """What a deployment will do is known before; somebody must have looked at it.

    The report `preview` has `stack`, `changes` (each with `urn`, `type` and `op`) and, where needed, `approval`.
    """
    report = project.report("preview")
    if report is None:
        yield Fault("reports/preview.json", "no preview was kept")
    elif report.get("stack") != project.stack:
        yield Fault("reports/preview.json", "the preview that was kept is of another stack")
    elif not isinstance(report.get("changes"), list):
        yield Fault("reports/preview.json", "the preview does not say what would change")


@rule(PREVIEW, on=Project, wanted="an `approval` with `by` and `reason`", mend="have somebody accept it, by name")
def the_loss_of_data_was_accepted(project: Project) -> Iterator[Fault]:
    """To delete or replace what holds data is to lose the data, unless somebody knows better and says so."""
    report = project.report("preview") or {}
    approval = report.get("approval")
    if isinstance(approval, dict) and approval.get("by") and approval.get("reason"):
        return
    for number, change in enumerate(report.get("changes") or []):
        kind = str(change.get("type", ""))
        holds_data = kind in STATEFUL or Resource("", kind, "", Value(ABSENT)).kind in STATEFUL
        if holds_data and str(change.get("op", "")) in ("delete", "replace", "create-replacement", "delete-replaced"):
            yield Fault(f"reports/preview.json: changes[{number}]", "what holds data would be deleted or replaced")
