"""Passwords: none that everybody knows, none that can be guessed, none for two purposes."""

from collections.abc import Iterator

from policies.engine.rule import Fault, rule
from policies.view.credentials import RANDOM_PASSWORD, Credential
from policies.view.deployment import Deployment
from policies.view.parts import PlatformPart
from policies.view.pods import Container
from policies.view.resources import Resource
from policies.view.samples import is_known
from policies.view.secret_text import normal_name
from policies.view.targets import place
from service.auth.password_rule import LEAST_BITS, SHORTEST
from service.auth.strength import estimated_bits

MEND = "leave it to the generator: `pulumi config rm <key>`; or set one made by `openssl rand -hex 32` as a secret"
DATABASE_MEND = MEND.replace("<key>", "postgresPassword")

DATABASE_SHORTEST = 16
DATABASE_BITS_IN_PROD = 128


def _of_database(credential: Credential) -> bool:
    return credential.is_of_database


@rule(
    "database-password-strong", on=Credential, where=_of_database,
    wanted="a password that no document shows", mend=DATABASE_MEND,
)  # fmt: skip
def the_database_password_is_no_sample(credential: Credential) -> Iterator[Fault]:
    """Samples and vendors' defaults are the first that anybody tries who reaches the port."""
    secret = credential.known()
    if secret is not None and is_known(secret):
        yield Fault(credential.value, "the database's password is empty, a placeholder or one that everybody knows")


@rule(
    "database-password-strong", on=Credential, where=_of_database,
    wanted=f"{DATABASE_SHORTEST} characters or more", mend=DATABASE_MEND,
)  # fmt: skip
def the_database_password_is_long_enough(credential: Credential) -> Iterator[Fault]:
    """Programs type it, not people: nothing speaks for a short one."""
    secret = credential.known()
    if secret is not None and len(secret) < DATABASE_SHORTEST:
        yield Fault(credential.value, f"the database's password has fewer than {DATABASE_SHORTEST} characters")


@rule(
    "database-password-strong", on=Credential, where=_of_database, environments=["prod"],
    wanted=f"a password from a generator, or one that is worth {DATABASE_BITS_IN_PROD} bits", mend=DATABASE_MEND,
)  # fmt: skip
def the_database_password_is_random(credential: Credential) -> Iterator[Fault]:
    """All data is behind it; a password of words is found by programs that try words."""
    secret = credential.known()
    if secret is not None and estimated_bits(secret) < DATABASE_BITS_IN_PROD:
        yield Fault(
            credential.value, f"the database's password is worth fewer than {DATABASE_BITS_IN_PROD} bits to a guesser"
        )


@rule("no-default-passwords", on=Credential, wanted="a secret that no document and no vendor has published", mend=MEND)
def no_secret_is_a_known_default(credential: Credential) -> Iterator[Fault]:
    """Lists of defaults and samples are tried by every program that searches networks for open doors."""
    secret = credential.known()
    if secret is not None and is_known(secret):
        yield Fault(credential.value, f"{credential.name} is empty, a placeholder or a default that everybody knows")


@rule("no-default-passwords", on=Credential, wanted="a secret that is none of the names beside it", mend=MEND)
def no_secret_is_a_name_beside_it(credential: Credential) -> Iterator[Fault]:
    """A password that is the user's, the host's, the database's or the stack's name is a default of one's own."""
    secret = credential.known()
    if secret is not None and secret.casefold() in credential.surroundings:
        yield Fault(credential.value, f"{credential.name} is the name of its user, host, database, program or stack")


@rule("password-policy", on=Credential, wanted=f"{SHORTEST} characters or more, worth {LEAST_BITS} bits", mend=MEND)
def no_secret_can_be_guessed(credential: Credential) -> Iterator[Fault]:
    """Below these bounds a password is found by trying, even where each try costs the guesser something."""
    secret = credential.known()
    if secret is None:
        return
    if len(secret) < SHORTEST:
        yield Fault(credential.value, f"{credential.name} has fewer than {SHORTEST} characters")
    elif estimated_bits(secret) < LEAST_BITS:
        yield Fault(credential.value, f"{credential.name} is worth fewer than {LEAST_BITS} bits to a guesser")


@rule(
    "password-policy", on=Resource, kinds=[RANDOM_PASSWORD],
    wanted=f"`length` {DATABASE_SHORTEST} or more", mend="raise its `length`",
)  # fmt: skip
def generators_draw_long_passwords(resource: Resource) -> Iterator[Fault]:
    """A generated password is unknown until it is drawn, so its length is judged where it is ordered."""
    length = resource.inputs["length"].number()
    if length is None or length < DATABASE_SHORTEST:
        yield Fault(resource.inputs["length"], f"the generator draws fewer than {DATABASE_SHORTEST} characters")


@rule("password-policy", on=Deployment, wanted="a secret of its own for each purpose", mend=MEND)
def no_secret_serves_two_purposes(deployment: Deployment) -> Iterator[Fault]:
    """With a secret that opens two things the less guarded one gives the other away. A server and its client, which
    have to have the same, are one purpose."""
    first: dict[str, Credential] = {}
    hidden = []
    for each in deployment.credentials:
        if each.value.is_unknown:
            hidden.append(each)
            continue
        secret = each.known() or ""
        other = first.setdefault(secret, each)
        if secret and (other.system, other.login) != (each.system, each.login):
            yield Fault(
                place(each.resource, each.value),
                f"{each.name} is the same secret as {other.name} of {other.resource.name}",
            )
    for each in hidden:
        each.known()


@rule("password-policy", on=Credential, wanted="a secret of its own for each stack", mend=MEND)
def no_secret_is_that_of_another_stack(credential: Credential) -> Iterator[Fault]:
    """A secret that was copied from one environment to another opens both to whoever gets it in the weaker one."""
    secret = credential.known()
    if secret is None or credential.fingerprints is None:
        return
    for stack in credential.fingerprints.stacks_with(secret, credential.stack):
        yield Fault(credential.value, f"{credential.name} is also a secret of the stack {stack}")


GRAFANA = "grafana-admin-password-changed"
GRAFANA_PASSWORD = ("GF_SECURITY_ADMIN_PASSWORD", "GF_SECURITY_ADMIN_PASSWORD__FILE")


def _is_grafana(container: Container) -> bool:
    if container.part is not None:
        return container.part == "grafana" and container.role == "main"
    reference = container.image.text() or ""
    name = reference.partition("@")[0].rpartition("/")[2].partition(":")[0]
    return name in ("grafana", "grafana-oss", "grafana-enterprise") and container.role == "main"


@rule(
    GRAFANA, on=Container, where=_is_grafana, wanted="GF_SECURITY_ADMIN_PASSWORD__FILE with the path of a secret file",
    mend="grafanaPassword, which is generated when it is not given",
)  # fmt: skip
def grafana_is_given_a_password(container: Container) -> Iterator[Fault]:
    """A Grafana that is given none starts with admin and admin, and whoever comes first changes it."""
    names = _names_of_variables(container)
    if not names & set(GRAFANA_PASSWORD):
        yield Fault("env", "Grafana is given no administrator's password, so that it is the factory one")


@rule(
    GRAFANA, on=Credential, wanted="a password from a generator", mend=MEND.replace("<key>", "grafanaPassword"),
    where=lambda each: (
        each.name in GRAFANA_PASSWORD or (each.part == "grafana" and (each.is_hidden or each.name == "admin_password"))
    ),
)  # fmt: skip
def grafanas_password_is_not_the_factorys(credential: Credential) -> Iterator[Fault]:
    """Grafana's administrator reads all figures and can have its server call any address inside the network."""
    secret = credential.known()
    if secret is not None and (is_known(secret) or secret.casefold() == (credential.user or "admin").casefold()):
        yield Fault(credential.value, "the password of Grafana's administrator is the factory's or another known one")


ADMIN = "default-admin-account-changed"


@rule(
    ADMIN, on=PlatformPart, parts=["migrations"], wanted="BOOTSTRAP_ADMIN_PASSWORD_FILE with the path of a secret file",
    mend="adminPassword, which is generated when it is not given",
)  # fmt: skip
def the_administrator_is_given_a_password(part: PlatformPart) -> Iterator[Fault]:
    """Without it no administrator is made, and somebody will make one by hand, with a password of the moment."""
    setting = part.setting("BOOTSTRAP_ADMIN_PASSWORD")
    if not setting.is_unknown and setting.is_absent:
        yield Fault(setting, "the first administrator is given no password")
    if setting.is_unknown and "BOOTSTRAP_ADMIN_PASSWORD" in part.container.env:
        setting.text()


@rule(
    ADMIN, on=Credential, wanted="a password from a generator", mend=MEND.replace("<key>", "adminPassword"),
    where=lambda each: (
        (each.part == "migrations" and (each.is_hidden or each.name == "admin_password"))
        or normal_name(each.name) in ("bootstrap_admin_password", "admin_password", "default_admin_password")
    ),
)  # fmt: skip
def the_administrators_password_is_not_the_documented_one(credential: Credential) -> Iterator[Fault]:
    """The documents show a user and a password; whoever has read them is administrator until it is changed."""
    secret = credential.known()
    if secret is not None and (is_known(secret) or secret.casefold() in credential.surroundings):
        yield Fault(credential.value, "the first administrator's password is the documented or another known one")


def _names_of_variables(container: Container) -> set[str]:
    """Of all variables, those from elsewhere too. Raises NotKnownError where that can't be told."""
    if container.target == "docker":
        return set(container.env)
    for each in container.spec["envFrom"].items():
        # What such a list brings along is known to the cluster only.
        for kind in ("secretRef", "configMapRef"):
            if each[kind].is_given:
                return {*GRAFANA_PASSWORD}
    return {name for each in container.spec["env"].items() if (name := each["name"].text()) is not None}
