"""Secrets in places that are not made for them."""

from collections.abc import Callable

from policies.view.deployment import Deployment
from policies.view.values import UNKNOWN
from tests.policies.changes import Case, Change, also, env, put

RANDOM = "4f0c2a9d8e1b7365f2c4a6e8091b3d5f"
PEM = "-----BEGIN PRIVATE KEY-----\nMIGHAgEAMBMGByqGSM49AgEGCCqGSM49\n-----END PRIVATE KEY-----\n"
ADDRESS = f"amqp://me:{RANDOM}@broker:5672"
MAP = "kubernetes:core/v1:ConfigMap"
MAIN = "spec.template.spec.containers[0]"


def _initial(**more: object) -> Change:
    container = {"name": "first", "image": "i", **more}
    return put("Deployment", "api", "spec.template.spec.initContainers", [container])


def _variable(name: str, value: object) -> Change:
    return _initial(env=[{"name": name, "value": value}])


def _map(**data: object) -> Change:
    return also(MAP, "theirs", {"metadata": {"name": "theirs"}, "data": data})


def _with_secret(part: str, name: str, change: Callable[[str], Change]) -> Change:
    """A change that is told a secret of the deployment."""

    def changed(deployment: Deployment) -> Deployment:
        return change(deployment.platform.parts[part].secret_files[name].text() or "")(deployment)

    return changed


CASES = [
    Case("variables_hold_no_secrets", env("api", "TOKEN", RANDOM), path="env"),
    Case("variables_hold_no_secrets", env("api", "JWT_SECRET", RANDOM), environment="dev", path="envs"),
    Case("variables_hold_no_secrets", _variable("TOKEN", RANDOM), path="initContainers[0]", why="init"),
    Case("variables_hold_no_secrets", _variable("TOKEN", UNKNOWN), "not evaluated"),
    Case("variables_hold_no_logins_or_keys", _variable("BUS", ADDRESS), path="initContainers[0]", why="init"),
    Case("variables_hold_no_logins_or_keys", env("relay", "BUS", ADDRESS), environment="dev"),
    Case("variables_hold_no_logins_or_keys", env("relay", "BUS", PEM), why="key"),
    Case("variables_hold_no_logins_or_keys", _variable("BUS", UNKNOWN), "not evaluated"),
    Case("commands_hold_no_secrets", put("Deployment", "api", f"{MAIN}.args", ["--password", RANDOM])),
    Case("commands_hold_no_secrets", put("Container", "api", "command", [f"--api-key={RANDOM}"]), environment="dev"),
    Case("commands_hold_no_secrets", _initial(command=["sh", "-c", f"run {ADDRESS}"]), why="init"),
    Case("commands_hold_no_secrets", _initial(command=["sh", "-c", f"TOKEN={RANDOM} run"]), why="shell"),
    Case("commands_hold_no_secrets", _initial(command=["run", PEM]), why="key"),
    Case("commands_hold_no_secrets", _initial(command=["run", UNKNOWN]), "not evaluated"),
    Case("images_are_named_without_logins", _initial(image=f"me:{RANDOM}@registry/api:1"), why="init"),
    Case(
        "images_are_named_without_logins",
        put("Container", "api", "image", f"https://me:{RANDOM}@r/a"),
        environment="dev",
    ),
    Case("images_are_named_without_logins", _initial(image=UNKNOWN), "not evaluated"),
    Case(
        "images_are_pulled_without_logins_in_their_names",
        put("RemoteImage", "image-workflow-api", "name", f"me:{RANDOM}@registry/api:1"),
        environment="dev",
    ),
    Case(
        "images_are_pulled_without_logins_in_their_names",
        put("RemoteImage", "image-workflow-api", "name", UNKNOWN),
        "not evaluated",
        environment="dev",
    ),
    Case("config_maps_hold_no_secrets", _map(password=RANDOM), path="data.password"),
    Case("config_maps_hold_no_secrets", _map(conf=f"[smtp]\npassword = {RANDOM}\n"), why="setting"),
    Case("config_maps_hold_no_secrets", _map(conf=f"url: {ADDRESS}\n"), why="address"),
    Case("config_maps_hold_no_secrets", _map(conf=PEM), why="key"),
    Case("config_maps_hold_no_secrets", _map(password=UNKNOWN), "not evaluated"),
    Case(
        "labels_hold_no_secrets", put("Service", "api", "metadata.annotations.note", ADDRESS), path="annotations.note"
    ),
    Case("labels_hold_no_secrets", put("Deployment", "api", "spec.template.metadata.labels.token", RANDOM), why="pod"),
    Case(
        "labels_hold_no_secrets",
        put("Container", "api", "labels", lambda before: [*before, {"label": "token", "value": RANDOM}]),
        environment="dev",
    ),
    Case("labels_hold_no_secrets", put("Service", "api", "metadata.labels.token", UNKNOWN), "not evaluated"),
    Case(
        "secrets_stand_nowhere_else",
        _with_secret("api", "jwt", lambda text: put("Deployment", "edge", f"{MAIN}.args", [f"--x{text}"])),
        path="Deployment edge: spec.template.spec.containers[0].args[0]",
    ),
    Case(
        "secrets_stand_nowhere_else",
        _with_secret("api", "jwt", lambda text: put("Container", "relay", "hostname", text)),
        environment="dev",
    ),
    Case(
        "secrets_stand_nowhere_else",
        _with_secret("api", "jwt", lambda text: _map(conf=text.encode().hex())),
        why="encoded",
    ),
    Case("secrets_stand_nowhere_else", _variable("TOKEN", UNKNOWN), "not evaluated"),
]
