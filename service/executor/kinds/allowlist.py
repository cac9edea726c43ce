"""Which hosts an http agent may call.

Workflows are written by users; without a list, whoever may write one could reach every address that the executor
can. The list is written by the operator (``HTTP_AGENT_ALLOWED_HOSTS``).
"""

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass

STANDARD_PORTS = (80, 443)

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address


class HostNotAllowedError(Exception):
    """The list does not let this host, port or address be called; the message says what would."""


@dataclass(frozen=True)
class _Entry:
    host: str
    port: int | None
    wildcard: bool

    def covers(self, host: str, port: int) -> bool:
        named = host.endswith(self.host) and host != self.host.removeprefix(".") if self.wildcard else host == self.host
        return named and (port == self.port if self.port is not None else port in STANDARD_PORTS)


class AllowList:
    """The parsed list.

    An entry is ``host`` (ports 80 and 443), ``host:port``, ``*.suffix`` or ``*.suffix:port``; IPv6 addresses stand in
    brackets where a port follows. Nothing is allowed by an empty list.
    """

    def __init__(self, entries: Iterable[str]) -> None:
        self._entries = tuple(_parse(entry) for entry in entries)

    def check_host(self, host: str, port: int) -> None:
        """Raises HostNotAllowedError unless an entry covers the host and port."""
        if not any(entry.covers(normal_host(host), port) for entry in self._entries):
            raise HostNotAllowedError(
                f"{host}:{port} is not on the list of hosts that an http agent may call;"
                f" an operator can allow it with HTTP_AGENT_ALLOWED_HOSTS={host}:{port}"
            )

    def check_address(self, host: str, port: int, address: str) -> None:
        """Raises HostNotAllowedError where no entry vouches for the address that the host resolved to.

        Private, loopback and reserved addresses need an entry with the exact name or address. Link-local ones, where
        clouds serve their machine credentials, need an entry with the address itself.
        """
        ip = _unwrapped(ipaddress.ip_address(address.partition("%")[0]))
        if ip.is_global and not ip.is_multicast:
            return
        exact = any(not entry.wildcard and entry.covers(normal_host(host), port) for entry in self._entries)
        literal = normal_host(host) == normal_host(address)
        if not exact or (ip.is_link_local and not literal):
            raise HostNotAllowedError(
                f"{host} resolves to {ip}, which is not a public address;"
                f" an operator can allow it by an entry for exactly {ip if ip.is_link_local else host}"
                " in HTTP_AGENT_ALLOWED_HOSTS"
            )


def normal_host(host: str) -> str:
    """Lower case, no brackets, no final dot; addresses in their shortest form."""
    bare = host.strip().lower().removeprefix("[").removesuffix("]").removesuffix(".")
    try:
        return str(ipaddress.ip_address(bare))
    except ValueError:
        return bare


def _parse(entry: str) -> _Entry:
    text = entry.strip()
    host, port = text, None
    if text.startswith("["):
        address, _, rest = text[1:].partition("]")
        host, port = address, _port(entry, rest[1:]) if rest else None
    elif text.count(":") == 1:
        host, _, digits = text.partition(":")
        port = _port(entry, digits)
    wildcard = host.startswith("*.")
    name = host[1:].lower().removesuffix(".") if wildcard else normal_host(host)
    if not name.strip(".") or "*" in name or "/" in name:
        raise ValueError(f"HTTP_AGENT_ALLOWED_HOSTS: {entry!r} is not host, host:port or *.suffix")
    return _Entry(name, port, wildcard)


def _port(entry: str, digits: str) -> int:
    if not digits.isdigit() or not 1 <= int(digits) <= 65535:
        raise ValueError(f"HTTP_AGENT_ALLOWED_HOSTS: {entry!r} has a port that is not 1..65535")
    return int(digits)


def _unwrapped(ip: IPAddress) -> IPAddress:
    """The IPv4 address inside an IPv6 one that only carries it."""
    if isinstance(ip, ipaddress.IPv6Address):
        return ip.ipv4_mapped or ip.sixtofour or ip
    return ip
