"""What the way in from outside does with plain HTTP and with floods."""

import re
from collections.abc import Iterator

from policies.engine.rule import Fault, rule
from policies.rules.tls import business_servers
from policies.view.nginx import Directive, nginx_of
from policies.view.openings import openings_of_service
from policies.view.parts import Platform, PlatformPart
from policies.view.resources import Resource
from policies.view.selectors import pods_of_service
from policies.view.targets import place

HTTPS = "https-enforced"
FLOOD = "flood-protection"

LEAST_HSTS_SECONDS = 180 * 24 * 3600
"""Half a year, which the usual examinations of public servers ask for."""

REDIRECTS = frozenset({"301", "307", "308"})

LIMITING = ("limit-rps", "limit-rpm", "limit-connections", "rate-limit", "ratelimit", "middlewares", "security-policy",
            "waf-acl", "wafv2-acl-arn", "armor-config")  # fmt: skip
"""Parts of the annotations by which controllers and clouds bound requests: nginx, HAProxy, Traefik, and the clouds'."""


@rule(HTTPS, on=Platform, wanted="a redirect to https, or a refusal", mend="infra/edge/nginx.conf")
def the_edge_serves_nothing_in_the_clear(platform: Platform) -> Iterator[Fault]:
    """Whoever begins with http is led to https before anything is told or asked."""
    if (edge := platform.parts.get("edge")) is None:
        return
    published = {
        opening.inner
        for service in platform.snapshot.of("Service")
        if pods_of_service(service, (edge.pod,))
        for opening in openings_of_service(service)
    }
    for http in nginx_of(edge.file("nginx.conf")).all("http"):
        for server in http.all("server"):
            plain = [each for each in server.all("listen") if "ssl" not in each.words]
            reached = any(each.words and each.words[0].rpartition(":")[2] in published for each in plain)
            if reached and not _only_redirects(server):
                yield Fault(place(edge.resource, "files.nginx.conf"), "plain HTTP is answered with content")


def _only_redirects(server: Directive) -> bool:
    """Whether all that it does is `return` a redirect to https, or an error."""
    returns = [each for each in server.walk() if each.name == "return"]
    good = [
        each
        for each in returns
        if each.words
        and (each.words[0].startswith("4") or (each.words[0] in REDIRECTS and each.words[-1].startswith("https://")))
    ]
    answers = [each for each in server.walk() if each.name in ("proxy_pass", "root", "alias", "try_files")]
    return bool(returns) and len(good) == len(returns) and not answers


@rule(HTTPS, on=PlatformPart, parts=["edge"], wanted="Strict-Transport-Security for half a year or longer",
      mend="edge.hstsSeconds")  # fmt: skip
def browsers_are_told_to_use_https_only(edge: PlatformPart) -> Iterator[Fault]:
    """With this header a browser does not even try http again, so that nobody can stand in between."""
    for server in business_servers(nginx_of(edge.file("nginx.conf"))):
        # Where a block has headers of its own, nginx sends none of those around it.
        blocks = [server, *(each for each in server.walk() if each.all("add_header"))]
        if any(_hsts_seconds(each) < LEAST_HSTS_SECONDS for each in blocks):
            yield Fault(edge.file("nginx.conf"), "an answer does not tell browsers to use https only for long enough")


def _hsts_seconds(block: Directive) -> int:
    for each in block.all("add_header"):
        if each.words and each.words[0].lower() == "strict-transport-security":
            # The header's number of seconds.
            found = re.search(r"max-age=(\d+)", " ".join(each.words))
            return int(found.group(1)) if found and "always" in each.words else 0
    return 0


@rule(HTTPS, on=Resource, kinds=["Ingress"], wanted="plain HTTP redirected", mend="remove the annotation")
def ingresses_redirect_plain_http(ingress: Resource) -> Iterator[Fault]:
    """An Ingress with a certificate redirects unless it is told not to."""
    for name, value in ingress.inputs.at("metadata", "annotations").entries().items():
        if name.endswith(("/ssl-redirect", "/force-ssl-redirect")) and value.flag() is False:
            yield Fault(value, "the redirect to https is switched off")
        if name.endswith("allow-http") and value.flag():
            yield Fault(value, "plain HTTP is allowed")


@rule(FLOOD, on=PlatformPart, parts=["edge"], wanted="limits of requests and connections for each address",
      mend="edge.limits")  # fmt: skip
def the_edge_limits_what_one_address_may_do(edge: PlatformPart) -> Iterator[Fault]:
    """Without limits one visitor can take all workers, and the others wait."""
    for http in nginx_of(edge.file("nginx.conf")).all("http"):
        for name, zone in (("limit_req", "limit_req_zone"), ("limit_conn", "limit_conn_zone")):
            zones = [word for each in http.all(zone) for word in each.words if word.startswith("$binary_remote_addr")]
            servers = business_servers(Directive("", (), [http]))
            if not zones:
                yield Fault(edge.file("nginx.conf"), f"{zone} does not count by address")
            if not http.all(name) and not all(each.all(name) for each in servers):
                yield Fault(edge.file("nginx.conf"), f"{name} is not set for every server that passes requests on")


@rule(FLOOD, on=PlatformPart, parts=["edge"], wanted="limits that are enforced", mend="infra/edge/nginx.conf")
def the_edges_limits_are_enforced(edge: PlatformPart) -> Iterator[Fault]:
    """A dry run only writes down what it would have refused."""
    configuration = nginx_of(edge.file("nginx.conf"))
    around = [each for http in configuration.all("http") for each in http.inside]
    for block in [*around, *(inner for server in business_servers(configuration) for inner in server.walk())]:
        if block.name in ("limit_req_dry_run", "limit_conn_dry_run") and block.words == ("on",):
            yield Fault(edge.file("nginx.conf"), f"{block.name} is on")


@rule(FLOOD, on=PlatformPart, parts=["edge"], wanted="bounds for a request's size and time", mend="edge.bodyLimit")
def the_edge_bounds_the_size_and_time_of_requests(edge: PlatformPart) -> Iterator[Fault]:
    """Slow or endless requests hold connections and memory at nearly no cost for who sends them."""
    for http in nginx_of(edge.file("nginx.conf")).all("http"):
        for name in ("client_max_body_size", "client_header_timeout", "client_body_timeout", "send_timeout"):
            found = [each for each in http.walk() if each.name == name]
            if not found or any(each.words[:1] in (("0",), ()) for each in found):
                yield Fault(edge.file("nginx.conf"), f"{name} is not set, or unlimited")


@rule(FLOOD, on=Resource, kinds=["Ingress"], wanted="a limit of requests or connections",
      mend="your controller's annotation, such as nginx.ingress.kubernetes.io/limit-rps")  # fmt: skip
def ingresses_limit_requests(ingress: Resource) -> Iterator[Fault]:
    """Without limits one visitor can take all workers, and the others wait."""
    annotations = ingress.inputs.at("metadata", "annotations")
    if not any(mark in name.lower() for name in annotations.entries() for mark in LIMITING):
        yield Fault(annotations, "nothing bounds what one visitor may do")
