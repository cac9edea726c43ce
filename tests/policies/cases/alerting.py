"""Alerts: read, complete, sent where somebody is."""

from typing import Any

from policies.view.values import ABSENT, UNKNOWN
from tests.policies.changes import Case, Change, config, without
from tests.policies.edits import entry, line
from tests.policies.edits import without as rest

FILE, RULES, WARNINGS, OPERATIONS = (
    "alertmanager.yml",
    "rules/critical.yml",
    "rules/warning.yml",
    "rules/operations.yml",
)


def _alertmanager(edit: Any) -> Change:
    return config("alertmanager", FILE, edit)


def _rules(edit: Any, path: str = RULES) -> Change:
    return config("prometheus", path, edit)


def _hidden(check: str, part: str = "prometheus", path: str = RULES) -> Case:
    return Case(check, config(part, path, UNKNOWN), "not evaluated")


def _unrouted(check: str) -> Case:
    return _hidden(check, "alertmanager", FILE)


def _no_alert_for(item: str) -> Change:
    return _rules(rest("groups[0].rules", lambda each: each["labels"]["item"] == item), WARNINGS)


def _without_turns(*turns: str) -> Change:
    return _rules(rest("groups[0].rules", lambda each: each.get("labels", {}).get("turn") in turns), OPERATIONS)


CASES = [
    Case("prometheus_reads_every_rule_file", config("prometheus", "prometheus.yml", entry("rule_files", ABSENT))),
    Case(
        "prometheus_reads_every_rule_file",
        config("prometheus", "prometheus.yml", entry("rule_files", ["/config/rules/critical.yml"])),
        environment="dev",
    ),
    _hidden("prometheus_reads_every_rule_file", path="prometheus.yml"),
    Case("rule_files_can_be_read", _rules("groups: ["), why="no YAML"),
    Case("rule_files_can_be_read", _rules(entry("groups[0].rules[0].expr", "sum(rate(up[5m])")), why="open bracket"),
    Case("rule_files_can_be_read", _rules(entry("groups[0].rules[0].expr", 'up{job="a} == 0')), why="open quote"),
    Case("rule_files_can_be_read", _rules(entry("groups[0].rules[0].expr", ABSENT)), environment="dev", path="expr"),
    Case("rule_files_can_be_read", _rules(entry("groups[0].rules[0].alert", ABSENT)), why="no name"),
    _hidden("rule_files_can_be_read"),
    Case("no_two_alerts_share_a_name", _rules(entry("groups[0].rules[0].alert", "SlowResponses"))),
    _hidden("no_two_alerts_share_a_name"),
    Case("every_condition_of_the_checklist_has_an_alert", _no_alert_for("alert-response-time")),
    Case("every_condition_of_the_checklist_has_an_alert", _no_alert_for("alert-unusual-logins"), environment="dev"),
    _hidden("every_condition_of_the_checklist_has_an_alert"),
    Case("every_alert_says_what_to_do", _rules(entry("groups[0].rules[0].annotations.runbook", " ")), why="runbook"),
    Case("every_alert_says_what_to_do", _rules(entry("groups[0].rules[0].annotations", ABSENT)), why="neither"),
    _hidden("every_alert_says_what_to_do"),
    Case("every_alert_says_how_bad_it_is", _rules(entry("groups[0].rules[0].labels.severity", "urgent"))),
    Case("every_alert_says_how_bad_it_is", _rules(entry("groups[0].rules[0].labels", ABSENT)), environment="dev"),
    _hidden("every_alert_says_how_bad_it_is"),
    Case("every_alert_has_a_receiver_that_exists", _alertmanager(entry("route.routes[0].receiver", "pager"))),
    Case("every_alert_has_a_receiver_that_exists", _alertmanager(entry("receivers", [])), environment="dev"),
    _unrouted("every_alert_has_a_receiver_that_exists"),
    Case("critical_alerts_go_another_way_than_warnings", _alertmanager(entry("route.routes", [])), environment="dev"),
    Case(
        "critical_alerts_go_another_way_than_warnings",
        _alertmanager(entry("route.routes[0].matchers", ['severity=~"crit"'])),
        why="matcher",
    ),
    Case(
        "critical_alerts_go_another_way_than_warnings",
        _alertmanager(entry("route.routes", [{"receiver": "critical", "matchers": ['severity!="other"']}])),
        why="all to one",
    ),
    _unrouted("critical_alerts_go_another_way_than_warnings"),
    Case("no_alert_is_lost", _alertmanager(entry("route.receiver", "nobody"))),
    _unrouted("no_alert_is_lost"),
    Case("every_receiver_has_an_address", _alertmanager(entry("receivers[1].email_configs", ABSENT)), why="none"),
    Case("every_receiver_has_an_address", _alertmanager(entry("receivers[0].webhook_configs[0].url", "")), why="empty"),
    _unrouted("every_receiver_has_an_address"),
    Case(
        "no_receiver_is_a_placeholder",
        _alertmanager(entry("receivers[0].webhook_configs[0].url", "https://hooks.example.com/T1")),
        path="url",
    ),
    Case(
        "no_receiver_is_a_placeholder",
        _alertmanager(entry("receivers[1].email_configs[0].to", "alerts@your-company.com")),
        path="to",
    ),
    _unrouted("no_receiver_is_a_placeholder"),
    Case("mail_has_a_server", _alertmanager(entry("global", ABSENT))),
    Case("mail_has_a_server", _alertmanager(entry("global.smtp_smarthost", "smtp.example.com:587")), why="placeholder"),
    _unrouted("mail_has_a_server"),
    Case("the_alertmanager_may_call_its_receivers", without("NetworkPolicy", "policy-alertmanager-calls-out")),
    _unrouted("the_alertmanager_may_call_its_receivers"),
    Case("critical_alerts_reach_a_pager", _alertmanager(entry("receivers[0].webhook_configs", ABSENT))),
    Case("critical_alerts_reach_a_pager", _alertmanager(entry("route.routes[0].receiver", "warning")), why="by mail"),
    _unrouted("critical_alerts_reach_a_pager"),
    Case("somebody_is_on_call", _without_turns("1"), why="one only"),
    Case("somebody_is_on_call", _without_turns("1", "2"), why="nobody"),
    _hidden("somebody_is_on_call", path=OPERATIONS),
    Case(
        "who_is_on_call_is_no_placeholder",
        _rules(line("first-operator@operations.internal", "jane@your-company.com"), OPERATIONS),
    ),
    _hidden("who_is_on_call_is_no_placeholder", path=OPERATIONS),
    Case(
        "it_is_said_whose_turn_it_is",
        _rules(rest("groups[0].rules", lambda each: each["record"] == "declared_oncall_since_seconds"), OPERATIONS),
    ),
    _hidden("it_is_said_whose_turn_it_is", path=OPERATIONS),
]
