"""Encryption towards the outside and inside: where it must be spoken, in which versions, with which certificates."""

from collections.abc import Iterator
from urllib.parse import urlsplit

from policies.engine.rule import Fault, rule
from policies.view.certificates import certificate_of, issuer_of
from policies.view.files import properties_of, yaml_of
from policies.view.nginx import Directive, nginx_of
from policies.view.openings import is_public, openings_of_container, openings_of_service
from policies.view.parts import PlatformPart
from policies.view.resources import Resource
from policies.view.targets import on_docker

ITEM = "tls-public-endpoints"

TLS_PORTS = frozenset({443, 8443, 6443})
ENDED_BY_THE_BALANCER = ("ssl-cert", "ssl-certs", "tls-cert", "certificate", "pre-shared-cert", "managed-certificates")
"""Ends of the annotations by which a cloud's load balancer is given the certificate it answers with."""

OLD_VERSIONS = frozenset({"SSLv2", "SSLv3", "TLSv1", "TLSv1.0", "TLSv1.1"})

AUTHENTICATED = ("GCM", "POLY1305", "CCM")
"""Ciphers whose names have one of these notice when somebody changes what they carry."""

CERTIFICATE_FILE = "tls.crt"
LONGEST_DAYS = 398
"""Browsers refuse certificates that live longer."""

LEAST_DAYS_LEFT = 7


@rule(ITEM, on=Resource, kinds=["Service"], wanted="a port for TLS (443)", mend="serve TLS on 443, or keep it inside")
def public_services_offer_tls(service: Resource) -> Iterator[Fault]:
    """What crosses the internet in the clear is read and changed by whoever stands between."""
    if not is_public(service):
        return
    annotations = service.inputs.at("metadata", "annotations").entries()
    if any(name.endswith(ENDED_BY_THE_BALANCER) for name in annotations):
        return
    ports = service.inputs.at("spec", "ports").items()
    numbers = {each.number for each in openings_of_service(service)}
    if not numbers & TLS_PORTS and not any((each["name"].text() or "").startswith("https") for each in ports):
        yield Fault(service.inputs.at("spec", "ports"), "it is open to the outside without a port for TLS")


@rule(ITEM, on=Resource, kinds=["Ingress"], wanted="each host below `tls`, with a secret", mend="spec.tls")
def ingresses_have_a_certificate_for_each_host(ingress: Resource) -> Iterator[Fault]:
    """A host without its certificate is served in the clear, or with one that every browser warns of."""
    spec = ingress.inputs["spec"]
    entries = spec["tls"].items()
    if not entries:
        yield Fault(spec["tls"], "there is no TLS")
        return
    covered = {host for each in entries for host in each["hosts"].texts()}
    for each in spec["rules"].items():
        host = each["host"].text()
        parent = "*." + (host or "").partition(".")[2]
        if covered and host is not None and not {host, parent} & covered:
            yield Fault(each["host"], "no certificate is named for this host")


@rule(
    ITEM, on=Resource, kinds=["Container"], wanted="a port for TLS (443)",
    mend="a proxy with TLS in front; bind this port to 127.0.0.1", where=on_docker,
)  # fmt: skip
def public_containers_offer_tls(container: Resource) -> Iterator[Fault]:
    """What crosses the internet in the clear is read and changed by whoever stands between."""
    numbers = {each.number for each in openings_of_container(container)}
    if numbers - {22} and not numbers & TLS_PORTS:
        yield Fault(container.inputs["ports"], "it is open to the outside without a port for TLS")


def business_servers(configuration: Directive) -> list[Directive]:
    """The servers of an nginx that pass requests on; one that only asks itself, as a probe does, passes none on."""
    return [
        each
        for http in configuration.all("http")
        for each in http.all("server")
        if any(inner.name == "proxy_pass" and not _asks_itself(inner) for inner in each.walk())
    ]


def _asks_itself(passing: Directive) -> bool:
    host = urlsplit(passing.words[0]).hostname if passing.words else None
    return host in ("127.0.0.1", "::1", "localhost")


@rule(ITEM, on=PlatformPart, parts=["edge"], wanted="`listen ... ssl`", mend="infra/edge/nginx.conf")
def the_edge_passes_on_only_what_came_by_tls(edge: PlatformPart) -> Iterator[Fault]:
    """The API is given logins and keys: on the way to it they must never be readable."""
    servers = business_servers(nginx_of(edge.file("nginx.conf")))
    if not servers:
        yield Fault(edge.file("nginx.conf"), "no server passes requests on to the API")
    for server in servers:
        listens = server.all("listen")
        if not listens or any("ssl" not in each.words for each in listens):
            yield Fault(edge.file("nginx.conf"), "a server that passes requests on listens without TLS")
        if not server.all("ssl_certificate") or not server.all("ssl_certificate_key"):
            yield Fault(edge.file("nginx.conf"), "a server that passes requests on has no certificate")


@rule(ITEM, on=PlatformPart, parts=["edge"], wanted="TLSv1.2 and TLSv1.3 only", mend="ssl_protocols in nginx.conf")
def the_edge_speaks_no_old_tls(edge: PlatformPart) -> Iterator[Fault]:
    """Versions before 1.2 can be broken by a listener; without the setting nginx may accept them."""
    for http in nginx_of(edge.file("nginx.conf")).all("http"):
        told = [each for each in http.walk() if each.name in ("ssl_protocols", "proxy_ssl_protocols")]
        if not any(each.name == "ssl_protocols" for each in http.inside):
            yield Fault(edge.file("nginx.conf"), "ssl_protocols is not set")
        if any(OLD_VERSIONS & set(each.words) for each in told):
            yield Fault(edge.file("nginx.conf"), "an old version of TLS is accepted")


@rule(ITEM, on=PlatformPart, parts=["edge"], wanted="only authenticated ciphers with fresh keys", mend="ssl_ciphers")
def the_edge_offers_no_weak_cipher(edge: PlatformPart) -> Iterator[Fault]:
    """One weak cipher in the list is enough: who sits between chooses it for both sides."""
    for http in nginx_of(edge.file("nginx.conf")).all("http"):
        found = [each for each in http.walk() if each.name == "ssl_ciphers"]
        if not found:
            yield Fault(edge.file("nginx.conf"), "ssl_ciphers is not set")
        for cipher in ":".join(word for each in found for word in each.words).split(":"):
            fresh = cipher.startswith(("ECDHE-", "DHE-", "TLS_"))
            if found and not (fresh and any(mark in cipher for mark in AUTHENTICATED)):
                yield Fault(edge.file("nginx.conf"), "ssl_ciphers has one without authentication or fresh keys")
                break


@rule(ITEM, on=PlatformPart, parts=["edge"], wanted="proxy_ssl_verify on", mend="infra/edge/nginx.conf")
def the_edge_verifies_the_api(edge: PlatformPart) -> Iterator[Fault]:
    """Encrypted towards somebody unknown is not safe: whoever takes the API's address would get the logins."""
    configuration = nginx_of(edge.file("nginx.conf"))
    passes = [each for server in business_servers(configuration) for each in server.walk() if each.name == "proxy_pass"]
    if any(not (each.words and each.words[0].startswith("https://")) for each in passes):
        yield Fault(edge.file("nginx.conf"), "requests are passed on without TLS")
    verified = [each for http in configuration.all("http") for each in http.walk() if each.name == "proxy_ssl_verify"]
    if not verified or any(each.words != ("on",) for each in verified):
        yield Fault(edge.file("nginx.conf"), "who answers for the API is not verified")


def _has_certificate(part: PlatformPart) -> bool:
    return CERTIFICATE_FILE in part.secret_files


@rule(ITEM, on=PlatformPart, wanted="EC of 256 bits or RSA of 2048, signed with SHA-256", mend="issue it anew",
      where=_has_certificate)  # fmt: skip
def certificates_have_strong_keys(part: PlatformPart) -> Iterator[Fault]:
    """A short key or an old signature can be forged, and then whoever forged it is believed."""
    if issuer_of(part, CERTIFICATE_FILE) is not None:
        return
    file = part.secret_files[CERTIFICATE_FILE]
    found = certificate_of(file)
    if found is None:
        yield Fault(file, "it is no certificate")
    elif not found.strong_key:
        yield Fault(file, "the certificate's key is too short")
    elif not found.strong_signature:
        yield Fault(file, "the certificate's signature is of a kind that can be forged")


@rule(
    ITEM, on=PlatformPart, wanted=f"at least {LEAST_DAYS_LEFT} days left, and at most {LONGEST_DAYS} in all",
    mend="pki.days, pki.renewBeforeDays, or a new certificate", where=_has_certificate,
)  # fmt: skip
def certificates_are_neither_ending_nor_endless(part: PlatformPart) -> Iterator[Fault]:
    """One that ends stops the program; one that lives for years can't be called back when its key is lost."""
    file = part.secret_files[CERTIFICATE_FILE]
    if (issuer := issuer_of(part, CERTIFICATE_FILE)) is not None:
        days, left = issuer.inputs["days"].number() or 0.0, issuer.inputs["renewBeforeDays"].number() or 0.0
    elif (found := certificate_of(file)) is not None:
        days, left = found.days, found.days_left
    else:
        return
    if left < LEAST_DAYS_LEFT:
        yield Fault(file, "the certificate is about to end, or has ended")
    if days > LONGEST_DAYS:
        yield Fault(file, "the certificate lives longer than browsers accept")


@rule(ITEM, on=PlatformPart, parts=["edge"], wanted="every server_name in the certificate", mend="edge.hosts",
      where=_has_certificate)  # fmt: skip
def the_edge_has_a_certificate_for_its_names(edge: PlatformPart) -> Iterator[Fault]:
    """A name that the certificate does not have is answered with a warning instead of the page."""
    file = edge.secret_files[CERTIFICATE_FILE]
    if (issuer := issuer_of(edge, CERTIFICATE_FILE)) is not None:
        known = set(issuer.inputs["names"].texts())
    elif (found := certificate_of(file)) is not None:
        known = set(found.names)
    else:
        return
    for server in business_servers(nginx_of(edge.file("nginx.conf"))):
        for name in [word for each in server.all("server_name") for word in each.words]:
            if not {name, "*." + name.partition(".")[2]} & known:
                yield Fault(edge.file("nginx.conf"), "a server_name is not in the certificate")


@rule(
    ITEM, on=PlatformPart, parts=["kafka"], wanted="every listener SSL or SASL_SSL",
    mend="kafka.nodes of 3 or more, which listen encrypted", environments=["prod"],
)  # fmt: skip
def brokers_listen_encrypted(kafka: PlatformPart) -> Iterator[Fault]:
    """Requests and answers of all workflows pass the brokers, and in the clear every program beside them can read."""
    settings = properties_of(kafka.file("server.properties"))
    mapped = settings["listener.security.protocol.map"]
    if mapped.is_absent:
        yield Fault(kafka.file("server.properties"), "listener.security.protocol.map is not set: all is plain text")
        return
    protocols = [each.partition(":")[2] for each in (mapped.text() or "").split(",")]
    if any(each not in ("SSL", "SASL_SSL") for each in protocols):
        yield Fault(mapped, "a listener is not encrypted")


@rule(ITEM, on=PlatformPart, parts=["kafka"], wanted="TLSv1.2 and TLSv1.3", mend="ssl.enabled.protocols",
      environments=["prod"])  # fmt: skip
def brokers_speak_no_old_tls(kafka: PlatformPart) -> Iterator[Fault]:
    """Versions before 1.2 can be broken by a listener."""
    settings = properties_of(kafka.file("server.properties"))
    told = settings["ssl.enabled.protocols"]
    # Unset, Kafka's own default is TLSv1.2 and TLSv1.3.
    if told.is_given and OLD_VERSIONS & {each.strip() for each in (told.text() or "").split(",")}:
        yield Fault(told, "an old version of TLS is accepted")
    names = settings["ssl.endpoint.identification.algorithm"]
    if names.is_given and (names.text() or "").lower() != "https":
        yield Fault(names, "names in the brokers' certificates are not compared")


@rule(
    ITEM,
    on=PlatformPart,
    parts=["prometheus", "alertmanager"],
    wanted="TLS12 or TLS13, and callers that prove who they are",
    mend="infra/monitoring/web_config.py",
    where=lambda part: "web.yml" in part.config_files,
)
def monitoring_speaks_no_old_tls(part: PlatformPart) -> Iterator[Fault]:
    """Figures and alerts tell how the platform is built and where it is weak."""
    server = yaml_of(part.file("web.yml"))["tls_server_config"]
    if not server.entries():
        yield Fault(server, "it answers without TLS")
        return
    # Unset, the exporter toolkit's own default is TLS12.
    if server["min_version"].text() not in (None, "TLS12", "TLS13"):
        yield Fault(server["min_version"], "an old version of TLS is accepted")
