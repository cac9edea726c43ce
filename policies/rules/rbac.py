"""What programs may do with the cluster's own API."""

from collections.abc import Iterator

from policies.engine.rule import Fault, rule
from policies.view.resources import Resource
from policies.view.values import Value

ITEM = "container-hardening"
ROLES = ("Role", "ClusterRole")
BINDINGS = ("RoleBinding", "ClusterRoleBinding")

WIDE_ROLES = frozenset({"cluster-admin", "admin", "edit"})
"""Roles that every cluster has, and that hold every secret of a namespace or more."""

EVERYBODY = frozenset(
    {"system:masters", "system:authenticated", "system:unauthenticated", "system:serviceaccounts"}
)  # fmt: skip

RAISING_VERBS = frozenset({"escalate", "bind", "impersonate"})
RAISING_RESOURCES = frozenset(
    {"pods/exec", "pods/attach", "pods/portforward", "pods/ephemeralcontainers", "nodes/proxy",
     "serviceaccounts/token"}
)  # fmt: skip
"""By these one gets into other programs, and so has their rights too."""


@rule(ITEM, on=Resource, kinds=ROLES, wanted="groups, kinds and verbs by name", mend="list what the program uses")
def roles_have_no_wildcards(role: Resource) -> Iterator[Fault]:
    """A star gives also what the next version of the cluster invents."""
    for each in role.inputs["rules"].items():
        for field in ("apiGroups", "resources", "verbs"):
            if "*" in each[field].texts():
                yield Fault(each[field], "a wildcard stands for everything")


@rule(ITEM, on=Resource, kinds=ROLES, wanted="single ones by name", mend="resourceNames")
def roles_reach_secrets_by_name_only(role: Resource) -> Iterator[Fault]:
    """Who may list or read all secrets of a namespace has the passwords of every program in it."""
    for each in role.inputs["rules"].items():
        if not {"secrets", "*"} & set(each["resources"].texts()):
            continue
        if {*each["verbs"].texts()} == {"create"}:
            continue
        if not each["resourceNames"].texts():
            yield Fault(each["resources"], "every password and key of the namespace can be reached")


@rule(ITEM, on=Resource, kinds=ROLES, wanted="no right that leads to other rights", mend="remove it from the role")
def roles_do_not_lead_to_more_rights(role: Resource) -> Iterator[Fault]:
    """Who may enter other pods, lend an identity or hand out roles has in the end all rights of the others."""
    for each in role.inputs["rules"].items():
        if RAISING_VERBS & set(each["verbs"].texts()):
            yield Fault(each["verbs"], "the role can give itself more rights")
        if RAISING_RESOURCES & set(each["resources"].texts()):
            yield Fault(each["resources"], "the role can enter other programs")


@rule(ITEM, on=Resource, kinds=BINDINGS, wanted="a role made for this program", mend="write a Role with what it uses")
def bindings_make_nobody_administrator(binding: Resource) -> Iterator[Fault]:
    """A program that administers the cluster hands the cluster to whoever breaks into it."""
    if binding.inputs.at("roleRef", "name").text() in WIDE_ROLES:
        yield Fault(binding.inputs.at("roleRef", "name"), "the role is one of administrators")


@rule(ITEM, on=Resource, kinds=BINDINGS, wanted="accounts by name, each of one program", mend="name the account")
def bindings_are_for_named_accounts(binding: Resource) -> Iterator[Fault]:
    """Rights of a group, or of the account that programs share, are had by programs that nobody thought of."""
    for subject in binding.inputs["subjects"].items():
        if _is_shared(subject):
            yield Fault(subject["name"], "the rights go to more than one program")


def _is_shared(subject: Value) -> bool:
    name = subject["name"].text() or ""
    if subject["kind"].text() == "ServiceAccount":
        return name == "default"
    return name in EVERYBODY or name.startswith("system:serviceaccounts:")
