"""What is never asked for and where nothing is ever written."""

import ipaddress
import os
import socket
from collections.abc import Callable, Iterable
from pathlib import Path, PurePosixPath
from typing import Any

from yarl import URL

from sheetlens.common.refusals import Reason
from sheetlens.common.secrets import without_secrets
from sheetlens.fetch.errors import RefusedError

LONGEST_LABEL = 63  # characters between two dots of a host name (RFC 1035)
SHOWN = 200  # characters of an address that a sentence repeats
NAT64 = ipaddress.ip_network("64:ff9b::/96")  # RFC 6052: the last 32 bits are an IPv4 address
COMPATIBLE = ipaddress.ip_network("::/96")  # RFC 4291, 2.5.5.1: the same, deprecated
PUBLIC6 = ipaddress.ip_network("2000::/3")  # all of IPv6 that is handed out; the rest is local, special or nobody's
SUMS = "SHA256SUMS"  # in the folder of originals; `sha256sum --check` reads it
LOCAL = tuple(  # not public either, and unknown to some versions of Python
    ipaddress.ip_network(network)
    for network in (
        "3fff::/20",  # documentation, RFC 9637
        "192.0.0.0/29",  # between a home and its provider (DS-Lite), RFC 7335
        "192.0.0.8/32",  # a dummy, RFC 7600
        "192.88.99.0/24",  # 6to4 relays, RFC 7526
    )
)
ISATAP = (0x00005EFE, 0x02005EFE)  # RFC 5214, 6.1: an IPv4 address behind them is reached through a tunnel
LONGEST_NAME, LONGEST_PATH = 200, 900  # bytes; file systems allow 255 and about 1,000


class PrivateAddressError(OSError):
    """A socket that is not opened, because its address is private.

    The addresses of a host all say the same, so that the connector raises one of them and no list.
    """

    def __init__(self, reason: Reason) -> None:
        """Take the reason."""
        super().__init__("not a public address")
        self.reason = reason


def check_url(url: str) -> URL:
    """Parse an address; raise RefusedError for anything but http or https with a host."""
    try:
        parsed = URL(url)
        host = parsed.raw_host or ""
        URL.build(scheme="https", host=parsed.host or "")  # which minds more
        labels = host.removesuffix(".").split(".")
        if parsed.port == 0 or (host and not all(0 < len(label) <= LONGEST_LABEL for label in labels)):
            raise ValueError  # as does a port that is none
    except ValueError:
        raise RefusedError(Reason("not_an_address", what=repr(_shown(url)))) from None
    if parsed.scheme not in ("http", "https"):
        raise RefusedError(Reason("scheme", what=parsed.scheme or _shown(url)[:50]))
    if not host:
        raise RefusedError(Reason("no_host", what=repr(_shown(url))))
    return parsed


def _shown(url: str) -> str:
    return without_secrets(url)[:SHOWN]  # before it is cut: half a password would not be known for one


def guard(allow: Iterable[str]) -> Callable[[tuple[Any, ...]], socket.socket]:
    """Return the maker of sockets for a connector; it opens none to an address that is private.

    It sees the address that is about to be connected to, so that neither a redirect nor a name that
    resolves differently the second time (DNS rebinding) gets around it.
    """
    networks = [ipaddress.ip_network(network) for network in allow]

    def make(info: tuple[Any, ...]) -> socket.socket:
        family, kind, protocol, _, place = info
        own = ipaddress.ip_address(place[0].split("%")[0])
        address = _innermost(own)
        allowed = any(one in network for network in networks for one in (own, address))
        if not allowed and (_is_isatap(own) or not _is_public(address)):
            raise PrivateAddressError(Reason("private", what=place[0]))
        return socket.socket(family=family, type=kind, proto=protocol)

    return make


def _is_public(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    if not address.is_global or address.is_multicast or any(address in one for one in LOCAL):
        return False
    return isinstance(address, ipaddress.IPv4Address) or address in PUBLIC6


def _is_isatap(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    """Whether an address stands for one of a network within, whatever its beginning says."""
    return isinstance(address, ipaddress.IPv6Address) and int(address) >> 32 & 0xFFFFFFFF in ISATAP


def _innermost(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """The IPv4 address that an IPv6 address stands for, where it stands for one."""
    if isinstance(address, ipaddress.IPv6Address):
        if address in NAT64 or address in COMPATIBLE:
            return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        return address.ipv4_mapped or address.sixtofour or address
    return address


def check_name(name: str) -> None:
    """Raise RefusedError for a name that could lead out of a folder or that no folder could hold."""
    parts = PurePosixPath(name).parts
    try:
        size = len(os.fsencode(name))
        name.encode()
    except UnicodeEncodeError:
        raise RefusedError(Reason("name_not_utf8")) from None
    if not parts or name != "/".join(parts) or parts[0][0] == "/" or ".." in parts or "\\" in name:
        raise RefusedError(Reason("name_leads_out"))
    if parts[0].casefold().removesuffix(".part") == SUMS.casefold():
        raise RefusedError(Reason("name_ours"))
    if not name.isprintable() or any(part[0] in ".~" for part in parts):
        raise RefusedError(Reason("name_characters"))
    if size > LONGEST_PATH or any(len(part.encode()) > LONGEST_NAME for part in parts):
        raise RefusedError(Reason("name_long"))


def place(folder: Path, name: str) -> Path:
    """The path of a file below a folder; raise RefusedError for a name or a link that could lead out of it."""
    check_name(name)
    path = folder / name
    if not path.parent.resolve().is_relative_to(folder.resolve()):
        raise RefusedError(Reason("name_link"))
    return path


def text(value: str) -> str:
    """Text as it came, HTML and all, but for what no file can hold (lone surrogates)."""
    return value.encode("utf-8", "backslashreplace").decode()
