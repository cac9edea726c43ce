"""Where secrets stand: in secret files, not in variables, commands, images, config maps or labels."""

from collections.abc import Iterator, Mapping

from checklist.secret_scan import SHORTEST, SecretScanner
from policies.engine.rule import Fault, rule
from policies.view.credentials import Credential
from policies.view.deployment import Deployment
from policies.view.pods import Container
from policies.view.resources import Resource
from policies.view.samples import is_known
from policies.view.secret_text import PRIVATE_KEY, assignments, gives_away, is_written_down, names_a_secret, url_logins
from policies.view.targets import place
from policies.view.values import NotKnownError, Value

ITEM = "service-passwords-from-secrets"
FILE = "hand it over as a secret file and name that in <NAME>_FILE"


def known_first(values: Mapping[str, Value]) -> list[tuple[str, Value]]:
    """Names and values, those that can't be known last, so that they hide nothing."""
    return sorted(values.items(), key=lambda each: each[1].is_unknown)


@rule(ITEM, on=Container, wanted="variables that name a secret file, or take their value from a Secret", mend=FILE)
def variables_hold_no_secrets(container: Container) -> Iterator[Fault]:
    """Variables are shown by the engine's inspection and the cluster's API, and are inherited by every child process
    and every crash report."""
    for name, value in known_first(container.env):
        if names_a_secret(name) and is_written_down(name, value.text() or ""):
            yield Fault(value, f"{name} has a secret written down")


@rule(ITEM, on=Container, wanted="addresses without a password, and no keys", mend=FILE)
def variables_hold_no_logins_or_keys(container: Container) -> Iterator[Fault]:
    """A password inside an address is as open as one in a variable of its own, and is logged more often."""
    for name, value in known_first(container.env):
        text = value.text() or ""
        if any(url_logins(text)):
            yield Fault(value, f"{name} has an address with a password in it")
        elif PRIVATE_KEY.search(text):
            yield Fault(value, f"{name} has a private key in it")


@rule(ITEM, on=Container, wanted="a command that names files or variables", mend=FILE)
def commands_hold_no_secrets(container: Container) -> Iterator[Fault]:
    """What a program is started with is read by everybody on the machine: `ps` shows it."""
    keys = ("entrypoints", "command") if container.target == "docker" else ("command", "args")
    for key in keys:
        asked = ""
        for each in container.spec[key].items():
            text = each.text() or ""
            if asked and not text.startswith("-") and is_written_down(asked, text):
                yield Fault(each, f"the value of an option that names a secret is written into `{key}`")
            elif shown := gives_away(text):
                yield Fault(each, f"{shown} is written into `{key}`")
            option = text.lstrip("-")
            asked = option if text.startswith("-") and "=" not in text and names_a_secret(option) else ""


def _is_named_here(container: Container) -> bool:
    """Whether the reference is written down. An unknown one on Docker is the id of an image that is pulled by a
    RemoteImage, where the rule below sees its name."""
    return container.target == "kubernetes" or not container.image.is_unknown


@rule(
    ITEM, on=Container, wanted="a reference without a login", mend="give the login to the engine as a pull secret",
    where=_is_named_here,
)  # fmt: skip
def images_are_named_without_logins(container: Container) -> Iterator[Fault]:
    """An image's reference is shown in every list of what runs."""
    yield from _logins(container.image)


@rule(
    ITEM, on=Resource, kinds=["RemoteImage"], wanted="a reference without a login",
    mend="give the login to the provider as registryAuth",
)  # fmt: skip
def images_are_pulled_without_logins_in_their_names(image: Resource) -> Iterator[Fault]:
    """An image's reference is shown in every list of images."""
    yield from _logins(image.inputs["name"])


def _logins(image: Value) -> Iterator[Fault]:
    reference = image.text() or ""
    # `user:password@registry/name`; the @ of a digest is followed by its algorithm.
    before, at, after = reference.partition("@")
    if any(url_logins(reference)) or (at and ":" in before and not after.startswith("sha")):
        yield Fault(image, "the image's reference has a login in it")


@rule(ITEM, on=Resource, kinds=["ConfigMap"], wanted="no secret in it", mend="put it into a Secret")
def config_maps_hold_no_secrets(resource: Resource) -> Iterator[Fault]:
    """Who may look around in a cluster may read config maps; they are neither encrypted nor guarded like Secrets."""
    for key, value in known_first(resource.inputs["data"].entries()):
        if value.is_unknown and not names_a_secret(key):
            continue
        text = value.text() or ""
        if names_a_secret(key) and is_written_down(key, text.strip()):
            yield Fault(value, f"the entry {key} is named like a secret and has its value written down")
        elif shown := _shown_in_file(text):
            yield Fault(value, f"the entry {key} has {shown} in it")


def _shown_in_file(text: str) -> str | None:
    if any(True for _name, value in assignments(text) if not value.startswith(("{", "[", "<"))):
        return "a setting that names a secret"
    return None if not (shown := gives_away(text)) or shown.startswith("a setting") else shown


@rule(ITEM, on=Resource, wanted="labels and annotations without secrets", mend="remove it; hand it over as a file")
def labels_hold_no_secrets(resource: Resource) -> Iterator[Fault]:
    """Labels and annotations are what everything is searched by: they are copied into metrics, logs and dashboards."""
    for name, value in _labels(resource):
        # Most labels that are not known yet are another resource's id.
        if value.is_unknown and not names_a_secret(name):
            continue
        text = value.text() or ""
        if (names_a_secret(name) and is_written_down(name, text)) or gives_away(text):
            yield Fault(value, f"the label or annotation {name} holds a secret")


def _labels(resource: Resource) -> Iterator[tuple[str, Value]]:
    if resource.target == "docker":
        for each in resource.inputs["labels"].items():
            if not each.is_unknown and not each["label"].is_unknown:
                yield each["label"].text() or "", each["value"]
    elif resource.target == "kubernetes":
        inputs = resource.inputs
        template = inputs.at("spec", "jobTemplate", "spec") if resource.kind == "CronJob" else inputs["spec"]
        for metadata in (inputs["metadata"], template.at("template", "metadata")):
            for kind in ("labels", "annotations"):
                given = metadata[kind]
                if not given.is_unknown:
                    yield from given.entries().items()


@rule(ITEM, on=Deployment, wanted="each secret in secret files only", mend=FILE)
def secrets_stand_nowhere_else(deployment: Deployment) -> Iterator[Fault]:
    """However a place is named: where one of the deployment's own secrets is found, in clear or encoded, it is open."""
    known, hidden = {}, []
    for each in deployment.credentials:
        if each.value.is_unknown:
            hidden.append(each)
        elif len(text := each.known() or "") >= SHORTEST and not is_known(text) and _may_be_searched(each, text):
            known[f"{each.name} of {each.resource.name}"] = text
    scanner = SecretScanner(known)
    for resource in deployment.resources:
        for leaf in _open_leaves(resource):
            for leak in scanner.scan_text(leaf.path, str(leaf.content)):
                yield Fault(place(resource, leaf), f"it holds the secret {leak.secret}, {leak.form}")
    for each in hidden:
        each.known()


def _may_be_searched(credential: Credential, text: str) -> bool:
    # A secret that is a name is told by another rule; here it would be found everywhere.
    return text.casefold() not in credential.surroundings


def _open_leaves(resource: Resource) -> Iterator[Value]:
    """The texts of a resource that are not made for secrets."""
    if resource.target == "" or resource.kind == "Secret":
        return
    for leaf in resource.inputs.walk():
        upload = leaf.path.startswith("uploads[") and leaf.path.endswith(".content")
        if isinstance(leaf.content, str) and not (upload and _is_secret_upload(resource, leaf)):
            yield leaf


def _is_secret_upload(resource: Resource, leaf: Value) -> bool:
    index = int(leaf.path.removeprefix("uploads[").partition("]")[0])
    try:
        path = resource.inputs["uploads"][index]["file"].text() or ""
    except NotKnownError:
        return True
    return "/secrets/" in path or names_a_secret(path.rpartition("/")[2])
