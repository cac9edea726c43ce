"""Which web pages may call the API from a visitor's browser."""

from __future__ import annotations

import re
from collections.abc import Iterator

from policies.engine.rule import Fault, rule
from policies.view.names import why_not_public
from policies.view.parts import PlatformPart
from policies.view.resources import Resource
from policies.view.settings import effective, listed

_ORIGIN = re.compile(r"https://(?P<host>[A-Za-z0-9.-]+)(:[0-9]{1,5})?")
"""Scheme, host and perhaps a port, as browsers send it: no path, no pattern."""

EXACT = "https://host[:port] for each page"
CREDENTIALS = "named origins, or no credentials"


def _not_exact(origin: str) -> str | None:
    if "*" in origin:
        return "is a wildcard"
    match = _ORIGIN.fullmatch(origin)
    if match is None:
        return "is not https with a host and perhaps a port"
    return why_not_public(match["host"])


@rule("cors-origins-exact", on=PlatformPart, parts=["api"], wanted=EXACT, mend="api.cors.origins")
def origins_are_named_exactly(api: PlatformPart) -> Iterator[Fault]:
    """Every page of an origin in this list acts with its visitor's rights. A wildcard names all pages of the world;
    plain HTTP can be forged by whoever is on the way; localhost is whatever runs on the visitor's machine."""
    origins = effective(api, "CORS_ORIGINS")
    for number, each in enumerate(listed(origins), 1):
        if why := _not_exact(each):
            yield Fault(origins, f"entry {number} of CORS_ORIGINS {why}")


@rule(
    "cors-methods-headers-listed", on=PlatformPart, parts=["api"], wanted="the methods and headers that pages need",
    mend="api.cors.methods, api.cors.headers",
)  # fmt: skip
def methods_and_headers_are_listed(api: PlatformPart) -> Iterator[Fault]:
    """With a wildcard whatever method or header the API learns later is open to pages at once, unasked."""
    for name in ("CORS_ALLOW_METHODS", "CORS_ALLOW_HEADERS"):
        value = effective(api, name)
        if any("*" in each for each in listed(value)):
            yield Fault(value, f"{name} is a wildcard")


@rule(
    "cors-credentials-safe",
    on=PlatformPart,
    parts=["api"],
    wanted=CREDENTIALS,
    mend="api.cors.origins, api.cors.allowCredentials",
)
def credentials_go_to_named_origins_only(api: PlatformPart) -> Iterator[Fault]:
    """Any page could use the API as the visitor who happens to look at it."""
    origins = effective(api, "CORS_ORIGINS")
    if any("*" in each for each in listed(origins)) and effective(api, "CORS_ALLOW_CREDENTIALS").flag() is not False:
        yield Fault(origins, "CORS_ORIGINS has a wildcard while CORS_ALLOW_CREDENTIALS is on")


_INGRESS = "nginx.ingress.kubernetes.io/"
_ENABLED, _ORIGINS, _CREDENTIALS = (
    f"{_INGRESS}{name}" for name in ("enable-cors", "cors-allow-origin", "cors-allow-credentials")
)


def _answers_pages(ingress: Resource) -> bool:
    annotations = ingress.inputs.at("metadata", "annotations")
    return annotations.is_unknown or annotations[_ENABLED].is_unknown or annotations[_ENABLED].flag() is True


@rule(
    "cors-origins-exact", on=Resource, kinds=["Ingress"], where=_answers_pages, wanted=EXACT,
    mend=f"the annotation {_ORIGINS}",
)  # fmt: skip
def an_ingress_names_origins_exactly(ingress: Resource) -> Iterator[Fault]:
    """The ingress controller of nginx allows every page where it is told to answer pages and not which."""
    annotations = ingress.inputs.at("metadata", "annotations")
    origins = annotations[_ORIGINS]
    if annotations[_ENABLED].flag() is False:
        return
    for number, each in enumerate(listed(origins) or ["*"], 1):
        if why := _not_exact(each):
            yield Fault(origins, f"entry {number} of the allowed origins {why}")


@rule(
    "cors-credentials-safe", on=Resource, kinds=["Ingress"], where=_answers_pages, wanted=CREDENTIALS,
    mend=f"the annotations {_ORIGINS} and {_CREDENTIALS}",
)  # fmt: skip
def an_ingress_gives_credentials_to_named_origins_only(ingress: Resource) -> Iterator[Fault]:
    """Both are what the ingress controller of nginx does where nothing is said."""
    annotations = ingress.inputs.at("metadata", "annotations")
    origins = listed(annotations[_ORIGINS]) or ["*"]
    if any("*" in each for each in origins) and annotations[_CREDENTIALS].flag() is not False:
        yield Fault(annotations[_ORIGINS], "every page is allowed, with credentials")
