"""Whether alerts are read, complete, sent where somebody is, and taken by a person."""

import re
from collections.abc import Iterator
from fnmatch import fnmatch

from policies.engine.rule import Fault, rule
from policies.view.alert_routes import channels, receivers, receivers_of
from policies.view.files import yaml_of
from policies.view.monitoring import CONFIG, OPERATIONS, RULES_FOLDER, alerts, declared, rule_files, rules_of
from policies.view.parts import Platform, PlatformPart
from policies.view.targets import place
from policies.view.values import Value

LOADED, ROUTING, RECEIVERS, ONCALL = (
    "alert-rules-loaded", "alert-severity-routing", "alert-receivers-configured", "oncall-rotation",
)  # fmt: skip

CRITICAL, WARNING = "critical", "warning"
SEVERITIES = (CRITICAL, WARNING)
PAGERS = ("webhook", "pagerduty", "opsgenie", "victorops", "pushover", "sns")
"""Ways that can call somebody; mail and chat are read when somebody looks."""

NEEDED = (
    "alert-service-down", "alert-error-rate", "alert-database-connection", "alert-kafka-lag", "alert-disk-space",
    "alert-job-failure-rate", "alert-response-time", "alert-memory-usage", "alert-cpu-usage", "alert-unusual-logins",
)  # fmt: skip
"""The conditions that the checklist wants alerts for; a rule says by its label `item` which one it is for."""

ADDRESS_FIELDS = ("url", "url_file", "to", "service_key", "routing_key", "routing_key_file", "service_key_file",
                  "api_url", "api_url_file", "api_key", "api_key_file", "user_key", "topic_arn", "channel")  # fmt: skip
PLACEHOLDER = re.compile(
    r"example\.(com|org|net)|your-?(company|domain|webhook|key|team|channel)|\+1-?x{3}|changeme|change_this|placeholder|"
    r"<[^>]*>|todo|xxx|\.(test|invalid|example)(?=[:/]|$)",
    re.IGNORECASE,
)
"""What the documents and manuals write where an address is to be filled in, and domains that exist nowhere."""

LEAST_PEOPLE = 2


def configuration(part: PlatformPart) -> Value:
    """Alertmanager's own."""
    return yaml_of(part.file("alertmanager.yml"))


@rule(LOADED, on=PlatformPart, parts=["prometheus"], wanted="a pattern of rule_files for each file", mend="rule_files")
def prometheus_reads_every_rule_file(part: PlatformPart) -> Iterator[Fault]:
    """A file that no pattern matches is not read, and nothing says so."""
    patterns = yaml_of(part.file(CONFIG))["rule_files"]
    known = patterns.texts()
    for path in part.config_files:
        if path.startswith(RULES_FOLDER) and not any(fnmatch(f"/config/{path}", each) for each in known):
            yield Fault(patterns, "a rule file is deployed that Prometheus does not read")


@rule(
    LOADED,
    on=PlatformPart,
    parts=["prometheus"],
    wanted="groups of rules, each with an expression",
    mend="alerts/*.yml",
)
def rule_files_can_be_read(part: PlatformPart) -> Iterator[Fault]:
    """One rule that can't be read keeps Prometheus from starting. promtool says more, in the tests of the images."""
    for file in rule_files(part).values():
        if not yaml_of(file)["groups"].items():
            yield Fault(file, "the file has no groups of rules, or is no YAML")
        for each in rules_of(file):
            expression = each["expr"].text()
            if not expression or not _balanced(expression):
                yield Fault(each["expr"], "the expression is missing, or its brackets or quotes do not close")
            if not (each["alert"].is_given or each["record"].is_given):
                yield Fault(each, "the rule has no name")


@rule(LOADED, on=PlatformPart, parts=["prometheus"], wanted="a name of its own", mend="alerts/*.yml")
def no_two_alerts_share_a_name(part: PlatformPart) -> Iterator[Fault]:
    """Whoever is woken by one of them looks at the other one's text."""
    seen = set()
    for alert in alerts(part):
        if (name := alert["alert"].text()) in seen:
            yield Fault(alert["alert"], "another alert has the same name")
        seen.add(name)


@rule(
    LOADED,
    on=PlatformPart,
    parts=["prometheus"],
    wanted="an alert for each condition of the checklist",
    mend="alerts/*.yml",
)
def every_condition_of_the_checklist_has_an_alert(part: PlatformPart) -> Iterator[Fault]:
    """What nobody is told of, visitors find first."""
    found = {alert.at("labels", "item").text() for alert in alerts(part)}
    for item in NEEDED:
        if item not in found:
            yield Fault("files.rules", f"no alert is there for {item}")


@rule(LOADED, on=PlatformPart, parts=["prometheus"], wanted="annotations summary and runbook", mend="alerts/*.yml")
def every_alert_says_what_to_do(part: PlatformPart) -> Iterator[Fault]:
    """At three in the morning nobody wants to find out what a name means."""
    for alert in alerts(part):
        said = {name for name, each in alert["annotations"].entries().items() if (each.text() or "").strip()}
        if "summary" not in said:
            yield Fault(alert["annotations"], "the alert does not say what has happened")
        if not said & {"runbook", "runbook_url"}:
            yield Fault(alert["annotations"], "the alert does not say what to do")


@rule(ROUTING, on=PlatformPart, parts=["prometheus"], wanted="critical or warning", mend="alerts/*.yml")
def every_alert_says_how_bad_it_is(part: PlatformPart) -> Iterator[Fault]:
    """By this label an alert finds its way: with none it goes the default's."""
    for alert in alerts(part):
        severity = alert.at("labels", "severity")
        if severity.text() not in SEVERITIES:
            yield Fault(severity, "the alert does not say whether it calls somebody")


@rule(ROUTING, on=PlatformPart, parts=["alertmanager"], wanted="a receiver of the list", mend="route.routes")
def every_alert_has_a_receiver_that_exists(part: PlatformPart) -> Iterator[Fault]:
    """Alertmanager refuses to start with a route to nobody, and then tells nobody anything."""
    config = configuration(part)
    known = receivers(config)
    for severity in SEVERITIES:
        found = receivers_of(config, {"severity": severity})
        if not found or set(found) - known.keys():
            yield Fault(config["route"], f"{severity} alerts go to a receiver that is not there")


@rule(ROUTING, on=PlatformPart, parts=["alertmanager"], wanted="a receiver for each severity", mend="route.routes")
def critical_alerts_go_another_way_than_warnings(part: PlatformPart) -> Iterator[Fault]:
    """Where warnings ring like emergencies, people learn not to hear either."""
    config = configuration(part)
    ways = [set(receivers_of(config, {"severity": each})) for each in SEVERITIES]
    if ways[0] & ways[1]:
        yield Fault(config["route"], "critical alerts and warnings go to the same receiver")


@rule(
    ROUTING,
    on=PlatformPart,
    parts=["alertmanager"],
    wanted="a receiver for alerts without severity",
    mend="route.receiver",
)
def no_alert_is_lost(part: PlatformPart) -> Iterator[Fault]:
    """An alert whose label is missing or misspelt must reach somebody too."""
    config = configuration(part)
    if not set(receivers_of(config, {})) & receivers(config).keys():
        yield Fault(config["route"]["receiver"], "an alert without a known severity goes nowhere")


@rule(RECEIVERS, on=PlatformPart, parts=["alertmanager"], wanted="at least one address in each receiver",
      mend="alerting.criticalWebhook, alerting.warningEmail and the like")  # fmt: skip
def every_receiver_has_an_address(part: PlatformPart) -> Iterator[Fault]:
    """A receiver without one is a place where alerts are shown to whoever happens to look."""
    for receiver in receivers(configuration(part)).values():
        ways = channels(receiver)
        if not ways:
            yield Fault(receiver, "the receiver tells nobody")
        for each in (way for found in ways.values() for way in found):
            if not any((each[field].text() or "").strip() for field in ADDRESS_FIELDS):
                yield Fault(each, "the receiver's way has no address")


@rule(RECEIVERS, on=PlatformPart, parts=["alertmanager"], wanted="an address where somebody is", mend="alerting.*")
def no_receiver_is_a_placeholder(part: PlatformPart) -> Iterator[Fault]:
    """An address that was copied from a manual looks complete and reaches nobody."""
    for receiver in receivers(configuration(part)).values():
        for way in (each for found in channels(receiver).values() for each in found):
            for field in ADDRESS_FIELDS:
                if PLACEHOLDER.search(way[field].text() or ""):
                    yield Fault(way[field], "the address is a placeholder")


@rule(RECEIVERS, on=PlatformPart, parts=["alertmanager"], wanted="smtp_smarthost and smtp_from", mend="alerting.mail")
def mail_has_a_server(part: PlatformPart) -> Iterator[Fault]:
    """Without a server no mail leaves, and only the Alertmanager's log says so."""
    config = configuration(part)
    if not any("email" in channels(each) for each in receivers(config).values()):
        return
    for field in ("smtp_smarthost", "smtp_from"):
        value = config["global"][field]
        if not value.text() or PLACEHOLDER.search(value.text() or ""):
            yield Fault(value, "alerts are to go by mail, and this is missing or a placeholder")


@rule(RECEIVERS, on=Platform, wanted="a network policy by which it may call out", mend="alerting.networks")
def the_alertmanager_may_call_its_receivers(platform: Platform) -> Iterator[Fault]:
    """Where every connection is forbidden that nobody allowed, alerts stay inside."""
    part = platform.parts.get("alertmanager")
    if part is None or part.pod.target != "kubernetes":
        return
    if not any(channels(each) for each in receivers(configuration(part)).values()):
        return
    for policy in platform.snapshot.of("NetworkPolicy"):
        if policy.part == part.name and "Egress" in policy.inputs.at("spec", "policyTypes").texts():
            ways = [to for each in policy.inputs.at("spec", "egress").items() for to in each["to"].items()]
            if any(to["ipBlock"].is_given for to in ways):
                return
    yield Fault(place(part.resource, ""), "it has receivers outside and no network policy lets it call them")


@rule(ONCALL, on=PlatformPart, parts=["alertmanager"], wanted="a webhook of a pager, or a paging service",
      mend="alerting.criticalWebhook")  # fmt: skip
def critical_alerts_reach_a_pager(part: PlatformPart) -> Iterator[Fault]:
    """Mail wakes nobody."""
    config = configuration(part)
    known = receivers(config)
    reached = [known[name] for name in receivers_of(config, {"severity": CRITICAL}) if name in known]
    if not any(set(channels(each)) & set(PAGERS) for each in reached):
        yield Fault(config["route"], "critical alerts go nowhere that calls somebody")


@rule(ONCALL, on=PlatformPart, parts=["prometheus"], wanted="two people or more", mend="operations.onCall.people")
def somebody_is_on_call(part: PlatformPart) -> Iterator[Fault]:
    """A pager rings in somebody's pocket: it must be said whose, and who follows."""
    people = {address for each in declared(part, "declared_oncall") if (address := each.at("labels", "address").text())}
    if len(people) < LEAST_PEOPLE:
        yield Fault(part.file(OPERATIONS), "fewer than two people take turns on call")


@rule(ONCALL, on=PlatformPart, parts=["prometheus"], wanted="addresses of people", mend="operations.onCall.people")
def who_is_on_call_is_no_placeholder(part: PlatformPart) -> Iterator[Fault]:
    """An address that was copied from a manual is nobody's."""
    for each in declared(part, "declared_oncall"):
        if PLACEHOLDER.search(each.at("labels", "address").text() or ""):
            yield Fault(each.at("labels", "address"), "the address is a placeholder")


@rule(
    ONCALL,
    on=PlatformPart,
    parts=["prometheus"],
    wanted="the first day and the length of a turn",
    mend="operations.onCall",
)
def it_is_said_whose_turn_it_is(part: PlatformPart) -> Iterator[Fault]:
    """From the first day and the length of a turn follows who is on call on the day of a release."""
    for series in ("declared_oncall_since_seconds", "declared_oncall_turn_seconds"):
        if not declared(part, series):
            yield Fault(part.file(OPERATIONS), "it can't be told who is on call on a given day")


def _balanced(expression: str) -> bool:
    """Whether quotes and brackets close."""
    bare = re.sub(r"\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*'|`[^`]*`|#[^\n]*", "", expression)
    if set(bare) & set("\"'`"):
        return False
    opened: list[str] = []
    for sign in bare:
        if sign in "([{":
            opened.append({"(": ")", "[": "]", "{": "}"}[sign])
        elif sign in ")]}" and (not opened or opened.pop() != sign):
            return False
    return not opened
