"""Addresses: which of them a client may have the gateway visit. Pure.

Only what the whole internet can reach anyhow. IPv6 forms that carry an IPv4 address are judged by what they carry, for
that is where a packet would end: mapped (RFC 4291 §2.5.5.2), NAT64 (RFC 6052), 6to4 (RFC 3056), Teredo (RFC 4380).
Names in disguise (`2130706433`, `0177.0.0.1`, `127.1`) need no rule: a resolver turns them into the address they mean.
"""

from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network
from urllib.parse import SplitResult, urlsplit

from inference.ir.errors import InvalidField

_NAT64 = (IPv6Network("64:ff9b::/96"), IPv6Network("64:ff9b:1::/48"))
_COMPATIBLE = IPv6Network("::/96")
_REFUSED = tuple(
    ip_network(text)
    for text in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",  # carrier-grade NAT (RFC 6598)
        "127.0.0.0/8",
        "169.254.0.0/16",  # link-local, where clouds keep their metadata
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.31.196.0/24",
        "192.52.193.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "192.175.48.0/24",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/3",  # multicast, reserved, broadcast
        "100::/64",
        "2001::/23",
        "2001:db8::/32",
        "2620:4f:8000::/48",
        "3fff::/20",
        "5f00::/16",
        "fc00::/7",
        "fe80::/10",
        "fec0::/10",
        "ff00::/8",
    )
)
"""Special-purpose registries of IANA (RFC 6890 and its successors), whatever this Python's own table knows."""
_WEB_PORTS = frozenset({80, 443, 8080, 8443})
_LONGEST = 8_192


def may_visit(address: str) -> bool:
    """Whether an IP address is one of the open internet; text that is none is not."""
    try:
        found = ip_address(address.partition("%")[0])
    except ValueError:
        return False
    carried = _carried(found) if isinstance(found, IPv6Address) else None
    if carried is not None:
        return may_visit(str(carried))
    if any(found in network for network in _REFUSED if network.version == found.version):
        return False
    return found.is_global and not found.is_multicast


def _carried(address: IPv6Address) -> IPv4Address | None:
    """The IPv4 address inside an IPv6 one."""
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if any(address in network for network in _NAT64) or address in _COMPATIBLE:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    if address.sixtofour is not None:
        return address.sixtofour
    return address.teredo[1] if address.teredo is not None else None


def check_url(url: str, *, param: str) -> SplitResult:
    """The parts of an address worth asking a resolver about. Raises InvalidField, without repeating the address."""
    fault = _fault(url)
    if fault is not None:
        raise InvalidField(
            f"The address in `{param}` {fault}. Give an http or https address of the open internet, or send the "
            "bytes themselves as a data: URL.",
            param=param,
            code="invalid_media_url",
        )
    return urlsplit(url)


def _fault(url: str) -> str | None:
    if len(url) > _LONGEST:
        return f"is longer than {_LONGEST} characters"
    if not url.isascii() or not url.isprintable() or " " in url or "\\" in url:
        return "has characters that no address has"
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return "has a host or port that makes no sense"
    if parts.scheme not in ("http", "https"):
        return "is no http or https address"
    if not parts.hostname:
        return "names no host"
    if "@" in parts.netloc:
        return "carries a user name or password"
    if port is not None and port not in _WEB_PORTS:
        return "names a port that no web server has (80, 443, 8080 and 8443 are taken)"
    return None
