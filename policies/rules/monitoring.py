"""Whether what runs is measured, shown, and found by the people who want to look at it."""

from collections.abc import Iterator

from policies.engine.rule import Fault, rule
from policies.view.figures import FIGURES
from policies.view.files import yaml_of
from policies.view.monitoring import CONFIG, alerts, asked, jobs, parts_asked
from policies.view.parts import Platform, PlatformPart
from policies.view.targets import place
from policies.view.values import ABSENT, NotKnownError, Value

SCRAPES, STACK, URLS = "prometheus-scrapes-api", "monitoring-stack-provisioned", "monitoring-urls-exported"
DASHBOARDS, COVERS, EVERYTHING = (
    "grafana-dashboards",
    "dashboard-covers-key-metrics",
    "monitoring-covers-new-infrastructure",
)
UPTIME = "uptime-monitoring"

API_JOB, API_PATH, MOST_SECONDS = "workflow-api", "/metrics", 15
PORTS = {"prometheus": 9090, "grafana": 3000}
ENTRY_POINTS = ("api", "docs", "grafana", "prometheus")
MEASURED_BY_OTHERS = {"postgres": "postgres-exporter"}
"""A single server tells its figures through an exporter; a member of a cluster has its own beside it."""

_UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}


def job_of_the_api(prometheus: PlatformPart) -> Value | None:
    """The one whose name is documented."""
    return next((job for job in jobs(prometheus) if job["job_name"].text() == API_JOB), None)


@rule(SCRAPES, on=PlatformPart, parts=["prometheus"], wanted="job_name: workflow-api", mend="scrape_configs")
def prometheus_has_a_job_for_the_api(part: PlatformPart) -> Iterator[Fault]:
    """Dashboards, alerts and the documents know the API's figures by this job's name."""
    if job_of_the_api(part) is None:
        yield Fault(f"files.{CONFIG}", "there is no job with the API's name")


@rule(SCRAPES, on=PlatformPart, parts=["prometheus"], wanted="/metrics", mend="metrics_path")
def the_api_is_asked_where_its_figures_are(part: PlatformPart) -> Iterator[Fault]:
    """Every other path of the API answers with something that Prometheus can't read."""
    job = job_of_the_api(part)
    if job is not None and (job["metrics_path"].text() or API_PATH) != API_PATH:
        yield Fault(job["metrics_path"], "the API is asked at another path")


@rule(SCRAPES, on=PlatformPart, parts=["prometheus"], wanted="15s or less", mend="scrape_interval")
def the_api_is_asked_often_enough(part: PlatformPart) -> Iterator[Fault]:
    """Rates over a minute need several samples in it, and an alert can't be faster than what it looks at."""
    job = job_of_the_api(part)
    if job is None:
        return
    own = job["scrape_interval"]
    interval = own if own.is_given else yaml_of(part.file(CONFIG)).at("global", "scrape_interval")
    seconds = _seconds(interval.text() or "1m")
    if seconds is None or seconds > MOST_SECONDS:
        yield Fault(interval, f"the API is asked less often than every {MOST_SECONDS} seconds")


@rule(SCRAPES, on=Platform, wanted="the API's own name and port", mend="api.port")
def the_api_is_asked_at_its_own_port(platform: Platform) -> Iterator[Fault]:
    """A job that asks another address stays down for ever, or measures something else."""
    prometheus, api = platform.parts.get("prometheus"), platform.parts.get("api")
    if prometheus is None or api is None or (job := job_of_the_api(prometheus)) is None:
        return
    port = api.setting("API_PORT").number() or 8000
    if not any(each.host == api.name and each.port == port for each in asked(job)):
        yield Fault(place(prometheus.resource, job), "the job of the API does not ask the API's port")


@rule(STACK, on=Platform, wanted="Prometheus, Alertmanager and Grafana", mend="grafana.required, or load its image")
def the_monitoring_is_there(platform: Platform) -> Iterator[Fault]:
    """What measures, what tells people and what shows belong to the stack, so that they are there when it is."""
    for name in ("prometheus", "alertmanager", "grafana"):
        part = platform.parts.get(name)
        if part is None:
            # What can't be had where it is deployed is left out and told; grafana.required refuses that.
            if not platform.snapshot.leaves_out(name):
                yield Fault(f"parts.{name}", "it is not part of the deployment")
            continue
        replicas = part.resource.inputs.at("spec", "replicas")
        if replicas.is_given and replicas.number() == 0:
            yield Fault(place(part.resource, replicas), "it is part of the deployment and none of it runs")


@rule(STACK, on=PlatformPart, parts=list(PORTS), wanted="Prometheus 9090, Grafana 3000", mend="the part's port")
def the_monitoring_listens_where_people_look(part: PlatformPart) -> Iterator[Fault]:
    """The documents, the data source and everybody's fingers know these ports."""
    key = "internal" if part.pod.target == "docker" else "containerPort"
    ports = part.container.spec["ports"]
    if PORTS[part.name] not in {each[key].number() for each in ports.items()}:
        yield Fault(ports, f"it does not listen on port {PORTS[part.name]}")


@rule(STACK, on=PlatformPart, parts=["prometheus"], wanted="alertmanager:9093", mend="alerting.alertmanagers")
def prometheus_hands_alerts_on(part: PlatformPart) -> Iterator[Fault]:
    """Prometheus only finds out; without an Alertmanager nobody is told."""
    known = yaml_of(part.file(CONFIG)).at("alerting", "alertmanagers")
    if "alertmanager" not in {each.host for manager in known.items() for each in asked(manager)}:
        yield Fault(known, "Prometheus knows no Alertmanager of the stack")


@rule(
    URLS, on=Platform, wanted="addresses of the API, its docs, Grafana and Prometheus", mend="the output `entryPoints`",
    where=lambda platform: platform.snapshot.of_a_program,
)  # fmt: skip
def people_are_told_where_everything_is(platform: Platform) -> Iterator[Fault]:
    """In an emergency nobody wants to guess host names and ports."""
    outputs = platform.snapshot.outputs
    if not outputs.is_given:
        raise NotKnownError("outputs")
    for name in ENTRY_POINTS:
        address = outputs["entryPoints"][name]
        if "://" not in (address.text() or "") and not platform.snapshot.leaves_out(name):
            yield Fault(address, f"the stack does not say where {name} is")


@rule(DASHBOARDS, on=PlatformPart, parts=["grafana"], wanted="a provider of files whose folder has dashboards",
      mend="provisioning/dashboards/*.yml")  # fmt: skip
def dashboards_are_provisioned(part: PlatformPart) -> Iterator[Fault]:
    """A dashboard that somebody made by hand is gone with the volume, and no other environment has it."""
    providers = [
        each
        for path, file in part.config_files.items()
        if path.startswith("provisioning/dashboards/")
        for each in yaml_of(file)["providers"].items()
    ]
    folders = {(each.at("options", "path").text() or "").rstrip("/") for each in providers}
    if not any(f"/config/{path}".rpartition("/")[0] in folders for path in _boards(part)):
        yield Fault("files.provisioning/dashboards", "Grafana is given no dashboard")


@rule(DASHBOARDS, on=PlatformPart, parts=["grafana"], wanted="a query in each panel", mend="the dashboard's file")
def every_panel_asks_something(part: PlatformPart) -> Iterator[Fault]:
    """A panel without a query shows nothing, and nobody knows whether that is good news."""
    for panel in _panels(part):
        if not any((each["expr"].text() or "").strip() for each in panel["targets"].items()):
            yield Fault(panel, "the panel has no query")


@rule(DASHBOARDS, on=PlatformPart, parts=["grafana"], wanted="a data source that is provisioned",
      mend="provisioning/datasources/*.yml")  # fmt: skip
def every_panel_asks_a_known_source(part: PlatformPart) -> Iterator[Fault]:
    """A panel that asks a data source which is not there shows an error."""
    known = {each["uid"].text() for each in _sources(part)}
    for panel in _panels(part):
        uid = panel.at("datasource", "uid")
        if uid.is_given and uid.text() not in known:
            yield Fault(uid, "the panel asks a data source that Grafana is not given")


@rule(
    DASHBOARDS,
    on=PlatformPart,
    parts=["grafana"],
    wanted="Prometheus of the stack",
    mend="provisioning/datasources/*.yml",
)
def grafana_asks_the_stacks_own_prometheus(part: PlatformPart) -> Iterator[Fault]:
    """Figures of another environment look just as good."""
    sources = [each for each in _sources(part) if each["type"].text() == "prometheus"]
    if not sources:
        yield Fault("files.provisioning/datasources", "Grafana is given no Prometheus")
    for each in sources:
        host = (each["url"].text() or "").partition("://")[2].partition(":")[0].partition("/")[0]
        if host.partition(".")[0] != "prometheus":
            yield Fault(each["url"], "Grafana asks another Prometheus than the stack's")


@rule(
    COVERS,
    on=PlatformPart,
    parts=["grafana"],
    wanted="a panel for each of the 18 figures",
    mend="infra/monitoring/figures.py",
)
def every_key_figure_is_shown(part: PlatformPart) -> Iterator[Fault]:
    """These are the figures by which people judge whether the service does its work."""
    queries = [each["expr"].text() or "" for panel in _panels(part) for each in panel["targets"].items()]
    for figure in FIGURES:
        if not all(any(pattern.search(query) for query in queries) for pattern in figure.patterns):
            yield Fault(Value(ABSENT, "files.dashboards"), f"no panel shows the {figure.name}")


@rule(EVERYTHING, on=Platform, wanted="a job whose addresses are the part's", mend="infra/program.py: scrape")
def everything_that_listens_is_measured(platform: Platform) -> Iterator[Fault]:
    """What nobody measures fails without anybody's notice."""
    prometheus = platform.parts.get("prometheus")
    if prometheus is None:
        return
    measured = {part for job in jobs(prometheus) for part in parts_asked(job)}
    for name, part in platform.parts.items():
        if part.pod.runs_to_its_end or not _listens(part):
            continue
        if not {name, MEASURED_BY_OTHERS.get(name, name)} & measured:
            yield Fault(place(part.resource, ""), "the part listens and no job of Prometheus asks it")


@rule(EVERYTHING, on=Platform, wanted="a port that the part opens", mend="infra/program.py: scrape")
def jobs_ask_ports_that_are_open(platform: Platform) -> Iterator[Fault]:
    """A job that asks a closed port measures nothing, and its alert is soon ignored."""
    prometheus = platform.parts.get("prometheus")
    if prometheus is None or prometheus.pod.target != "kubernetes":
        return
    for job in jobs(prometheus):
        for each in asked(job):
            part = platform.parts.get(each.host)
            if part is None:
                continue
            open_ports = {port["containerPort"].number() for port in part.container.spec["ports"].items()}
            if each.port not in open_ports:
                yield Fault(place(prometheus.resource, job), "the job asks a port that the part does not open")


@rule(
    EVERYTHING,
    on=PlatformPart,
    parts=["prometheus"],
    wanted="an alert on `up == 0` for every job",
    mend="alerts/critical.yml",
)
def every_job_alarms_when_it_is_down(part: PlatformPart) -> Iterator[Fault]:
    """An alert for all jobs covers what is added later, without anybody having to think of it."""
    expressions = ["".join((alert["expr"].text() or "").split()) for alert in alerts(part)]
    covered = [each for each in expressions if each.startswith("up") and each.endswith("==0")]
    for job in jobs(part):
        name = job["job_name"].text()
        if not any(each == "up==0" or f'job="{name}"' in each for each in covered):
            yield Fault(job, "no alert tells that the job's targets are down")


@rule(EVERYTHING, on=PlatformPart, parts=["prometheus"], wanted="an alert on jobs without any target",
      mend="alerts/critical.yml", where=lambda part: part.pod.target == "kubernetes")  # fmt: skip
def what_vanishes_alarms(part: PlatformPart) -> Iterator[Fault]:
    """Where targets are discovered, what is gone altogether is not down: it is in no list any more."""
    for alert in alerts(part):
        expression = alert["expr"].text() or ""
        if "absent(" in expression or ("unless" in expression and "up" in expression.partition("unless")[2]):
            return
    yield Fault("files.rules", "no alert tells that a job has lost all its targets")


@rule(UPTIME, on=Platform, wanted="a job that asks the edge as a visitor would", mend="infra/program.py: scrape")
def the_public_address_is_probed(platform: Platform) -> Iterator[Fault]:
    """The API may be well while no visitor reaches it: the name, the certificate and the proxy are between them."""
    prometheus, edge = platform.parts.get("prometheus"), platform.parts.get("edge")
    if prometheus is None or edge is None:
        return
    paths = [job["metrics_path"] for job in jobs(prometheus) if edge.name in parts_asked(job)]
    if not paths:
        yield Fault(place(prometheus.resource, f"files.{CONFIG}"), "nothing asks the public address")
    served = edge.file("nginx.conf").text() or ""
    for path in paths:
        if f"location = {path.text()} {{" not in served:
            yield Fault(place(prometheus.resource, path), "the edge has nothing at the path that the probe asks")


@rule(
    UPTIME,
    on=PlatformPart,
    parts=["edge"],
    wanted="a visit of the public port that reaches the API",
    mend="infra/edge/nginx.conf",
)
def the_probe_goes_the_visitors_way(part: PlatformPart) -> Iterator[Fault]:
    """A page that the proxy answers by itself tells only that the proxy runs."""
    configuration = part.file("nginx.conf")
    text = configuration.text() or ""
    visit = text.partition("location = /edge/visit {")[2].partition("}")[0]
    if "auth_request /edge/visit;" not in text or "proxy_pass https://127.0.0.1:8443/health;" not in visit:
        yield Fault(configuration, "the probe does not go through the public port to the API")


def _boards(part: PlatformPart) -> dict[str, Value]:
    return {path: file for path, file in part.config_files.items() if path.endswith(".json")}


def _panels(part: PlatformPart) -> Iterator[Value]:
    """The panels that show something; rows only hold others."""
    for file in _boards(part).values():
        to_do = yaml_of(file)["panels"].items()
        while to_do:
            panel = to_do.pop()
            to_do += panel["panels"].items()
            if panel["type"].text() not in ("row", "text"):
                yield panel


def _sources(part: PlatformPart) -> list[Value]:
    files = [file for path, file in part.config_files.items() if path.startswith("provisioning/datasources/")]
    return [each for file in files for each in yaml_of(file)["datasources"].items()]


def _listens(part: PlatformPart) -> bool:
    """Whether others open connections to it; on Docker only published ports are told, so all that goes on counts."""
    return part.pod.target == "docker" or bool(part.container.spec["ports"].items())


def _seconds(text: str) -> float | None:
    number = text.rstrip("abcdefghijklmnopqrstuvwxyz")
    try:
        return float(number) * _UNITS[text[len(number) :]]
    except (ValueError, KeyError):
        return None
