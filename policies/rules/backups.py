"""Whether a database is saved often enough, encrypted, apart from itself, for a while, and before it is changed."""

from collections.abc import Iterator
from datetime import timedelta

from policies.engine.rule import Fault, rule
from policies.view.files import ini_of, yaml_of
from policies.view.monitoring import alerts, declared_number
from policies.view.parts import Platform, PlatformPart
from policies.view.schedules import longest_gap
from policies.view.targets import place
from policies.view.values import ABSENT, Value

STRATEGY, SCOPE, HOURLY, DAILY = (
    "backup-strategy-defined", "backup-scope-database", "backup-hourly-incremental", "backup-daily-full",
)  # fmt: skip
RETENTION, MIGRATION, OBJECTIVES = "backup-retention", "backup-before-migration", "recovery-objectives"

FULL, INCREMENTAL, DRILL, HOST = "backup-full", "backup-incremental", "restore-drill", "backups"
WRITERS = (HOST, FULL, INCREMENTAL)
CONFIG, STANZA_OPTION = "pgbackrest.conf", "--stanza="
KEPT = ("BACKUP_KEEP_DAILY", "BACKUP_KEEP_WEEKLY", "BACKUP_KEEP_MONTHLY")
POINT, TIME = "declared_recovery_point_seconds", "declared_recovery_time_seconds"
WITHIN = {HOURLY: timedelta(hours=1), DAILY: timedelta(days=1), DRILL: timedelta(days=7)}


def options(part: PlatformPart, section: str = "global") -> Value:
    """The backup tool's options."""
    return ini_of(part.file(CONFIG))[section]


def schedule_of(part: PlatformPart) -> Value:
    """When it runs."""
    return part.resource.inputs.at("spec", "schedule")


def saves_a_database(platform: Platform) -> PlatformPart | None:
    """The platform's own database, where it is one with backups: a single server on Docker has none."""
    database = platform.parts.get("postgres")
    return database if database is not None and database.pod.target == "kubernetes" else None


def _runs(platform: Platform, name: str, within: timedelta, how_often: str) -> Iterator[Fault]:
    if saves_a_database(platform) is None:
        return
    part = platform.parts.get(name)
    if part is None or part.pod.kind != "CronJob":
        yield Fault(f"parts.{name}", "nothing is scheduled that does it")
        return
    schedule = schedule_of(part)
    gap = longest_gap(schedule.text() or "")
    if gap is None:
        yield Fault(schedule, "the schedule never comes true, or is none")
    elif gap > within:
        yield Fault(schedule, f"the schedule does not run {how_often}")


@rule(HOURLY, on=Platform, wanted="a run in every hour", mend="postgres.backup.incremental")
def an_incremental_backup_runs_every_hour(platform: Platform) -> Iterator[Fault]:
    """The time between two backups is how much log a restore has to replay, and how much is lost with the log."""
    yield from _runs(platform, INCREMENTAL, WITHIN[HOURLY], "in every hour")


@rule(DAILY, on=Platform, wanted="a run on every day", mend="postgres.backup.full")
def a_full_backup_runs_every_day(platform: Platform) -> Iterator[Fault]:
    """Every incremental backup is worthless without the full one below it, so these must not grow old."""
    yield from _runs(platform, FULL, WITHIN[DAILY], "on every day")


def _suspended(part: PlatformPart) -> Iterator[Fault]:
    suspended = part.resource.inputs.at("spec", "suspend")
    if suspended.flag():
        yield Fault(suspended, "the schedule is suspended")


@rule(HOURLY, on=PlatformPart, parts=[INCREMENTAL], wanted="false", mend="leave `suspend` out")
def the_hourly_backup_is_not_suspended(part: PlatformPart) -> Iterator[Fault]:
    """A suspended schedule looks complete and does nothing."""
    yield from _suspended(part)


@rule(DAILY, on=PlatformPart, parts=[FULL], wanted="false", mend="leave `suspend` out")
def the_daily_backup_is_not_suspended(part: PlatformPart) -> Iterator[Fault]:
    """A suspended schedule looks complete and does nothing."""
    yield from _suspended(part)


def _alarm(prometheus: PlatformPart, kind: str) -> Iterator[Fault]:
    for alert in alerts(prometheus):
        expression = alert["expr"].text() or ""
        if "backup_newest_end_seconds" in expression and f'type="{kind}"' in expression:
            return
    yield Fault(Value(ABSENT, "files.rules"), "no alert tells that these backups have grown old")


@rule(HOURLY, on=PlatformPart, parts=["prometheus"], wanted="an alert on the newest backup's age", mend="alerts/*.yml",
      environments=["prod"])  # fmt: skip
def an_old_incremental_backup_alarms(part: PlatformPart) -> Iterator[Fault]:
    """A schedule that fails says nothing by itself."""
    yield from _alarm(part, "any")


@rule(DAILY, on=PlatformPart, parts=["prometheus"], wanted="an alert on the newest full backup's age",
      mend="alerts/*.yml", environments=["prod"])  # fmt: skip
def an_old_full_backup_alarms(part: PlatformPart) -> Iterator[Fault]:
    """A schedule that fails says nothing by itself."""
    yield from _alarm(part, "full")


@rule(STRATEGY, on=PlatformPart, parts=WRITERS, wanted="aes-256-cbc", mend="repo1-cipher-type")
def backups_are_encrypted(part: PlatformPart) -> Iterator[Fault]:
    """A backup is the whole database in a few files, often on a disk that is guarded less."""
    cipher = options(part)["repo1-cipher-type"]
    if (cipher.text() or "none") == "none":
        yield Fault(cipher, "the backups are not encrypted")


@rule(STRATEGY, on=Platform, wanted="a repository host with a volume of its own", mend="postgres.backup.size")
def backups_lie_on_a_volume_of_their_own(platform: Platform) -> Iterator[Fault]:
    """What shares a disk with the database is lost together with it."""
    if saves_a_database(platform) is None:
        return
    host = platform.parts.get(HOST)
    if host is None:
        yield Fault(f"parts.{HOST}", "there is nothing that keeps backups")
        return
    target = options(host)["repo1-path"]
    claims = {
        each.at("metadata", "name").text() for each in host.resource.inputs.at("spec", "volumeClaimTemplates").items()
    }
    mounts = {each["mountPath"].text(): each["name"].text() for each in host.container.spec["volumeMounts"].items()}
    if target.text() is None:
        yield Fault(place(host.resource, target), "it is not said where backups are kept")
    elif mounts.get(target.text()) not in claims:
        yield Fault(place(host.resource, target), "the backups are not on a volume that outlives their host")


@rule(SCOPE, on=Platform, wanted="every member of the database among the stanza's hosts", mend="postgres.members")
def every_member_is_saved(platform: Platform) -> Iterator[Fault]:
    """A backup is taken from whichever member is there; one that the tool does not know is none it can use."""
    database = saves_a_database(platform)
    if database is None:
        return
    members = int(database.resource.inputs.at("spec", "replicas").number() or 1)
    for name in WRITERS:
        if (part := platform.parts.get(name)) is None:
            continue
        stanza = _stanza(part)
        known = [
            each for option, each in stanza.entries().items() if option.startswith("pg") and option.endswith("-host")
        ]
        named = {host for each in known if (host := (each.text() or "").partition(".")[0])}
        if not {f"{database.name}-{number}" for number in range(members)} <= named:
            yield Fault(place(part.resource, stanza), "the backup tool does not know every member of the database")


@rule(SCOPE, on=Platform, wanted="the stanza of the repository's host", mend="postgresql.parameters.archive_command")
def the_log_goes_where_the_backups_are(platform: Platform) -> Iterator[Fault]:
    """Log that is pushed under another name is not found by a restore."""
    database, host = saves_a_database(platform), platform.parts.get(HOST)
    if database is None or host is None:
        return
    command = yaml_of(database.file("patroni.yml")).at("postgresql", "parameters", "archive_command")
    pushed = [
        word.removeprefix(STANZA_OPTION) for word in (command.text() or "").split() if word.startswith(STANZA_OPTION)
    ]
    if not set(pushed) & ini_of(host.file(CONFIG)).entries().keys():
        yield Fault(
            place(database.resource, command), "the log of changes is not pushed to a stanza that the repository has"
        )


@rule(RETENTION, on=PlatformPart, parts=WRITERS, wanted="1 or more days", mend="postgres.backup.keepDaily")
def backups_are_kept_for_some_days(part: PlatformPart) -> Iterator[Fault]:
    """Without a number nothing is ever deleted, until the disk is full and no backup is made any more."""
    kept = part.setting(KEPT[0])
    if (kept.number() or 0) < 1:
        yield Fault(kept, "it is not said for how many days backups are kept")


@rule(RETENTION, on=PlatformPart, parts=WRITERS, wanted="a positive number", mend="postgres.backup.keepDaily")
def the_archived_log_expires(part: PlatformPart) -> Iterator[Fault]:
    """The log grows with every change; it is of use only as long as the backups that it belongs to."""
    kept = options(part)["repo1-retention-archive"]
    if (kept.number() or 0) < 1:
        yield Fault(kept, "it is not said for how long the archived log is kept")


@rule(RETENTION, on=Platform, wanted="the same numbers everywhere", mend="postgres.backup.keep*")
def all_that_delete_backups_agree(platform: Platform) -> Iterator[Fault]:
    """The one with the smallest number would delete what the others are to keep."""
    parts = [part for name in WRITERS if (part := platform.parts.get(name)) is not None]
    for name in KEPT:
        if len({part.setting(name).number() for part in parts}) > 1:
            yield Fault(
                place(parts[-1].resource, parts[-1].setting(name)),
                "not every program that deletes backups keeps the same",
            )


@rule(MIGRATION, on=Platform, wanted="a backup that can be started at any time", mend="postgres.backup")
def what_is_migrated_can_be_saved_before(platform: Platform) -> Iterator[Fault]:
    """A release saves the database before it changes its tables, by starting the scheduled backup out of turn: the job
    must be there, and do what its name says. That the release really does so is proved by its record."""
    migrations, database = platform.parts.get("migrations"), saves_a_database(platform)
    if migrations is None or database is None:
        return
    saver = platform.parts.get(INCREMENTAL)
    if saver is None:
        yield Fault(f"parts.{INCREMENTAL}", "tables are migrated that nothing can save before")
        return
    command = saver.container.spec["args"]
    if "backup-run" not in command.texts():
        yield Fault(place(saver.resource, command), "the job that is to save the database makes no backup")


@rule(OBJECTIVES, on=PlatformPart, parts=["prometheus"], wanted="a positive number of minutes",
      mend="operations.recovery.pointMinutes")  # fmt: skip
def it_is_said_how_much_may_be_lost(part: PlatformPart) -> Iterator[Fault]:
    """Without a number nobody can tell whether backups are good enough."""
    if (declared_number(part, POINT) or 0) <= 0:
        yield Fault(part.file("rules/operations.yml"), "no recovery point is declared")


@rule(OBJECTIVES, on=PlatformPart, parts=["prometheus"], wanted="a positive number of minutes",
      mend="operations.recovery.timeMinutes")  # fmt: skip
def it_is_said_how_long_recovery_may_take(part: PlatformPart) -> Iterator[Fault]:
    """Without a number nobody can tell whether a drill was fast enough."""
    if (declared_number(part, TIME) or 0) <= 0:
        yield Fault(part.file("rules/operations.yml"), "no recovery time is declared")


@rule(OBJECTIVES, on=Platform, wanted="at most the recovery point", mend="postgres.backup.incremental")
def backups_are_as_frequent_as_promised(platform: Platform) -> Iterator[Fault]:
    """If the log is lost with the database, all since the last backup is lost too."""
    prometheus, saver = platform.parts.get("prometheus"), platform.parts.get(INCREMENTAL)
    if prometheus is None or saver is None:
        return
    promised, schedule = declared_number(prometheus, POINT), schedule_of(saver)
    gap = longest_gap(schedule.text() or "")
    if promised is not None and gap is not None and gap.total_seconds() > promised:
        yield Fault(place(saver.resource, schedule), "more time passes between two backups than may be lost")


@rule(OBJECTIVES, on=Platform, wanted="1 s or more, at most the recovery point", mend="archive_timeout")
def the_log_leaves_the_server_in_time(platform: Platform) -> Iterator[Fault]:
    """A piece of log is archived when it is full; with little to do that may take days, unless a time is set."""
    prometheus, database = platform.parts.get("prometheus"), saves_a_database(platform)
    if prometheus is None or database is None:
        return
    promised = declared_number(prometheus, POINT)
    timeout = yaml_of(database.file("patroni.yml")).at("postgresql", "parameters", "archive_timeout")
    seconds = _seconds(timeout.text() or "0")
    if seconds is None or seconds <= 0 or (promised is not None and seconds > promised):
        yield Fault(
            place(database.resource, timeout), "the newest changes stay on the server alone for longer than may be lost"
        )


@rule(OBJECTIVES, on=Platform, wanted="a run in every week", mend="postgres.backup.drill")
def a_restore_is_tried_every_week(platform: Platform) -> Iterator[Fault]:
    """Only a restore that was done tells how long one takes, and that the backups hold what they should."""
    yield from _runs(platform, DRILL, WITHIN[DRILL], "in every week")


def _stanza(part: PlatformPart) -> Value:
    """The first section that is about a database: all others are called global."""
    document = ini_of(part.file(CONFIG))
    for name in document.entries():
        if name and name.partition(":")[0] != "global":
            return document[name]
    return Value(ABSENT, part.file(CONFIG).path)


_UNITS = {"ms": 0.001, "s": 1, "min": 60, "h": 3600, "d": 86400}


def _seconds(text: str) -> float | None:
    """A time as Postgres writes it: a number with a unit, seconds where there is none."""
    number = text.rstrip("abcdefghijklmnopqrstuvwxyz ")
    unit = text[len(number) :].strip() or "s"
    try:
        return float(number) * _UNITS[unit]
    except (ValueError, KeyError):
        return None
