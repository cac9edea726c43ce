"""How programs are asked whether they work."""

from tests.policies.changes import ABSENT, UNKNOWN, Case, Change, put

POD = "spec.template.spec"
MAIN = f"{POD}.containers[0]"
SIDECAR = [{"name": "beside", "restartPolicy": "Always"}]


def api(path: str, to: object) -> Change:
    return put("Deployment", "api", f"{MAIN}.{path}", to)


def docker(path: str, to: object) -> Change:
    return put("Container", "api", f"healthcheck.{path}", to)


def asked(url: str) -> Change:
    return docker("tests", ["CMD", "probe", url])


CASES = [
    Case("services_have_a_health_check", put("Container", "relay", "healthcheck", ABSENT), environment="dev"),
    Case("services_have_a_health_check", put("Container", "relay", "healthcheck.tests", ["NONE"]), environment="dev"),
    Case("services_have_a_health_check", put("Deployment", "relay", f"{POD}.initContainers", SIDECAR), why="init"),
    Case(
        "services_have_a_health_check",
        put("Container", "relay", "healthcheck", UNKNOWN),
        "not evaluated",
        environment="dev",
    ),
    Case("services_say_when_they_are_ready", put("StatefulSet", "grafana", f"{MAIN}.readinessProbe", ABSENT)),
    Case(
        "services_say_when_they_are_ready",
        put("StatefulSet", "grafana", f"{MAIN}.readinessProbe", UNKNOWN),
        "not evaluated",
    ),
    Case("the_health_check_has_the_agreed_timing", docker("interval", "10s"), environment="dev", path="interval"),
    Case("the_health_check_has_the_agreed_timing", docker("timeout", "1m"), environment="dev", path="timeout"),
    Case("the_health_check_has_the_agreed_timing", docker("retries", 5), environment="dev", path="retries"),
    Case("the_health_check_has_the_agreed_timing", docker("interval", UNKNOWN), "not evaluated", environment="dev"),
    Case("the_health_check_asks_the_health_path", asked("http://localhost:8000/"), environment="dev", why="path"),
    Case("the_health_check_asks_the_health_path", asked("http://localhost:81/health"), environment="dev", why="port"),
    Case("the_health_check_asks_the_health_path", asked("http://api:8000/health"), environment="dev", why="host"),
    Case("the_health_check_asks_the_health_path", docker("tests", UNKNOWN), "not evaluated", environment="dev"),
    Case("the_start_period_is_within_its_bounds", docker("startPeriod", "39s"), environment="dev", why="short"),
    Case("the_start_period_is_within_its_bounds", docker("startPeriod", "3m"), environment="dev", why="long"),
    Case("the_start_period_is_within_its_bounds", docker("startPeriod", ABSENT), environment="dev", why="none"),
    Case("the_start_period_is_within_its_bounds", api("livenessProbe.initialDelaySeconds", 10)),
    Case("the_start_period_is_within_its_bounds", api("livenessProbe.initialDelaySeconds", 121)),
    Case("the_start_period_is_within_its_bounds", docker("startPeriod", UNKNOWN), "not evaluated", environment="dev"),
    Case("the_liveness_probe_asks_for_health", api("livenessProbe.httpGet.path", "/health/ready"), path="path"),
    Case("the_liveness_probe_asks_for_health", api("livenessProbe.httpGet.port", 8001), path="port"),
    Case("the_liveness_probe_asks_for_health", api("livenessProbe", ABSENT), why="none"),
    Case("the_liveness_probe_asks_for_health", api("livenessProbe.httpGet", UNKNOWN), "not evaluated"),
    *(
        Case("the_liveness_probe_has_the_agreed_timing", api(f"livenessProbe.{name}", number), path=name)
        for name, number in (
            ("periodSeconds", 31),
            ("timeoutSeconds", 9),
            ("failureThreshold", 2),
            ("initialDelaySeconds", 39),
        )
    ),
    Case("the_liveness_probe_has_the_agreed_timing", api("livenessProbe.periodSeconds", UNKNOWN), "not evaluated"),
    Case("the_readiness_probe_asks_for_readiness", api("readinessProbe.httpGet.path", "/health"), path="path"),
    Case("the_readiness_probe_asks_for_readiness", api("readinessProbe.httpGet.port", "other"), path="port"),
    Case("the_readiness_probe_asks_for_readiness", api("readinessProbe", UNKNOWN), "not evaluated"),
    *(
        Case("the_readiness_probe_has_the_agreed_timing", api(f"readinessProbe.{name}", 1), path=name)
        for name in ("periodSeconds", "timeoutSeconds", "failureThreshold", "initialDelaySeconds")
    ),
    Case("the_readiness_probe_has_the_agreed_timing", api("readinessProbe.timeoutSeconds", UNKNOWN), "not evaluated"),
]
