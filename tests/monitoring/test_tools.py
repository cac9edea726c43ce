"""What is deployed, checked by the tools that read it: promtool and amtool of our own images."""

import re
from collections.abc import Iterator

import pytest
import yaml
from docker.models.containers import Container

from infra.monitoring import alertmanager_config, dashboards, prometheus_config, rules
from infra.monitoring.alertmanager_config import Channel, Smtp
from infra.trust import AUTHORITY_FILE, CERTIFICATE_FILE, KEY_FILE
from tests.images.containers import archive, engine
from tests.monitoring.test_alert_rules import ALERTS, PROMTOOL_TESTS
from tests.monitoring.test_configuration import ALERTMANAGER, IDENTITY, REPLICATED, TARGETS

pytestmark = pytest.mark.ring("images")

SCRATCH = "/config"


@pytest.fixture(scope="module")
def prometheus() -> Iterator[Container]:
    """Idle, with promtool inside; the rules and their tests lie below /config as they do in the tree."""
    files = {f"rules/{name}": text for name, text in rules.files().items()}
    files |= {f"alerts/{name}": text for name, text in rules.files().items()}
    files |= {f"tests/{path.name}": path.read_text(encoding="utf-8") for path in PROMTOOL_TESTS.glob("*.yml")}
    files["prometheus.yml"] = prometheus_config.render(TARGETS, "alertmanager:9093")
    files["replicated.yml"] = prometheus_config.render_discovering(REPLICATED, ALERTMANAGER, IDENTITY)
    # It looks whether the files are there, not into them.
    files |= {f"secrets/{name}": "" for name in (AUTHORITY_FILE, CERTIFICATE_FILE, KEY_FILE)}
    with engine() as containers:
        yield containers.start("prometheus", command=["sleep", "infinity"], config=files)


@pytest.fixture(scope="module")
def alertmanager() -> Iterator[Container]:
    smtp = Smtp("mail.test:587", "alerts@mail.test", "alerts", "/config/secrets/smtp")
    files = {
        "quiet.yml": alertmanager_config.render(None, None),
        "webhooks.yml": alertmanager_config.render("https://pager.test/a", "https://chat.test/b"),
        "all.yml": alertmanager_config.build(
            Channel(webhook="https://pager.test/a", email="oncall@mail.test"),
            Channel(slack_channel="#ops", slack_url_file="/config/secrets/slack"),
            smtp,
        ),
        "secrets/smtp": "x",
        "secrets/slack": "https://chat.test/b",
    }
    with engine() as containers:
        yield containers.start("alertmanager", command=["sleep", "infinity"], config=files)


def ask(container: Container, *command: str, folder: str = SCRATCH) -> tuple[int, str]:
    """Exit code and what was said, answers after remarks: the two streams arrive in no order of their own."""
    code, (answers, remarks) = container.exec_run(list(command), workdir=folder, demux=True)
    return int(code), b"".join([remarks or b"", answers or b""]).decode(errors="replace")


@pytest.mark.item("alert-rules-loaded")
def test_promtool_accepts_the_configuration_with_its_rules(prometheus: Container) -> None:
    code, said = ask(prometheus, "promtool", "check", "config", "prometheus.yml")
    assert code == 0, said
    assert sum(int(count) for count in re.findall(r"SUCCESS: (\d+) rules found", said)) == len(ALERTS)


def test_promtool_accepts_the_configuration_for_a_cluster(prometheus: Container) -> None:
    """Debian's build lacks some ways of discovery, and says so only when it reads the file."""
    code, said = ask(prometheus, "promtool", "check", "config", "replicated.yml")
    assert code == 0, said


@pytest.mark.item(
    "alert-service-down",
    "alert-error-rate",
    "alert-database-connection",
    "alert-kafka-lag",
    "alert-disk-space",
    "alert-job-failure-rate",
    "alert-response-time",
    "alert-memory-usage",
    "alert-cpu-usage",
    "alert-unusual-logins",
)
def test_every_alert_fires_beyond_its_line_and_is_silent_before_it(prometheus: Container) -> None:
    code, said = ask(prometheus, "promtool", "test", "rules", "critical.yml", "warning.yml", folder=f"{SCRATCH}/tests")
    assert code == 0, said


@pytest.mark.parametrize("alert", ALERTS)
def test_a_rule_that_never_or_always_fires_is_found_out(prometheus: Container, alert: str) -> None:
    severity = ALERTS[alert]["labels"]["severity"]
    for expression in ("vector(0) > 1", "vector(1)"):
        document = yaml.safe_load(rules.files()[f"{severity}.yml"])
        for rule in document["groups"][0]["rules"]:
            if rule["alert"] == alert:
                rule["expr"] = expression
        folder = f"{SCRATCH}/{alert}"
        test = yaml.safe_load((PROMTOOL_TESTS / f"{severity}.yml").read_text(encoding="utf-8"))
        test["rule_files"] = ["rules.yml"]
        test["tests"] = [
            case for case in test["tests"] if any(asked["alertname"] == alert for asked in case["alert_rule_test"])
        ]
        put(prometheus, {f"{alert}/rules.yml": yaml.safe_dump(document), f"{alert}/test.yml": yaml.safe_dump(test)})
        code, said = ask(prometheus, "promtool", "test", "rules", "test.yml", folder=folder)
        assert code != 0, f"the tests of {alert} did not see '{expression}': {said}"
        assert "FAILED" in said, said


@pytest.mark.item("grafana-dashboards")
def test_every_query_of_the_dashboards_is_valid(prometheus: Container) -> None:
    recorded = [
        {"record": f"figure:{name.replace('-', '_')}:{number}", "expr": expression}
        for name, expressions in dashboards.queries().items()
        for number, expression in enumerate(expressions)
    ]
    put(prometheus, {"queries.yml": yaml.safe_dump({"groups": [{"name": "dashboards", "rules": recorded}]})})
    code, said = ask(prometheus, "promtool", "check", "rules", "queries.yml")
    assert code == 0, said
    assert f"{len(recorded)} rules found" in said


@pytest.mark.parametrize("name", ["quiet.yml", "webhooks.yml", "all.yml"])
def test_amtool_accepts_each_kind_of_configuration(alertmanager: Container, name: str) -> None:
    code, said = ask(alertmanager, "amtool", "check-config", name)
    assert code == 0, said


@pytest.mark.item("alert-severity-routing")
@pytest.mark.parametrize("name", ["quiet.yml", "webhooks.yml", "all.yml"])
@pytest.mark.parametrize(
    ("labels", "receiver"),
    [(["severity=critical"], "critical"), (["severity=warning"], "warning"), (["alertname=Unlabelled"], "warning")],
)
def test_amtool_routes_each_severity_to_its_receiver(
    alertmanager: Container, name: str, labels: list[str], receiver: str
) -> None:
    code, said = ask(alertmanager, "amtool", "config", "routes", "test", f"--config.file={name}", *labels)
    # The line before is amtool's remark that the file is used instead of a server's address.
    assert (code, said.splitlines()[-1]) == (0, receiver)


def put(container: Container, files: dict[str, str]) -> None:
    """More files below /config, readable by the program."""
    assert container.put_archive(SCRATCH, archive(files))
