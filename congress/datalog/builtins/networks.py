# SPDX-License-Identifier: Apache-2.0
"""IP addresses and networks, as texts.

An address is held as (version, number) and a network as (version, first, last): comparisons are then those of
integers.  Texts are read by the standard library's ipaddress, and what was read is kept for a while.
"""

from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Final, NamedTuple

from congress.datalog.builtins.kinds import finite, integer, short_text, show, whole
from congress.datalog.builtins.registry import BuiltinError
from congress.datalog.builtins.shelf import Shelf, fails, gives, holds, undefined
from congress.datalog.values import Value

networks = Shelf(
    "network",
    "Addresses and networks of IPv4 and IPv6. An IPv4 address written as IPv6 (``::ffff:10.0.0.1``) is "
    "that IPv4 address, and no other address of one version equals, contains or overlaps one of the "
    "other; all IPv4 addresses are ordered before all IPv6 addresses.",
)

_BITS: Final = {4: 32, 6: 128}


class Address(NamedTuple):
    """An address: its version, and itself as a number."""

    version: int
    number: int


class Network(NamedTuple):
    """A network: its version, and its first and last address as numbers."""

    version: int
    first: int
    last: int

    def overlaps(self, other: "Network") -> bool:
        return self.version == other.version and self.first <= other.last and other.first <= self.last

    def contains(self, other: "Network") -> bool:
        return self.version == other.version and self.first <= other.first and other.last <= self.last

    @property
    def prefix(self) -> int:
        return _BITS[self.version] - (self.last - self.first).bit_length()


@lru_cache(maxsize=8192)
def _read_address(text: str) -> Address:
    try:
        address = ip_address(text)
    except ValueError as error:
        raise BuiltinError(f"{show(text)} is no IP address") from error
    number = int(address)
    if address.version == 4:
        return Address(4, number)
    if address.scope_id is not None:
        raise BuiltinError(f"{show(text)} names an interface, which means nothing here")
    return Address(4, number & 0xFFFFFFFF) if number >> 32 == 0xFFFF else Address(6, number)


@lru_cache(maxsize=8192)
def _read_network(text: str) -> Network:
    try:
        network = ip_network(text, strict=False)
    except ValueError as error:
        raise BuiltinError(f"{show(text)} is no network") from error
    first, last = int(network.network_address), int(network.broadcast_address)
    if network.version == 6 and network.network_address.scope_id is not None:
        raise BuiltinError(f"{show(text)} names an interface, which means nothing here")
    if network.version == 6 and first >> 32 == 0xFFFF and network.prefixlen >= 96:
        return Network(4, first & 0xFFFFFFFF, last & 0xFFFFFFFF)
    return Network(network.version, first, last)


def address(value: Value) -> Address:
    """The address that a text names.

    :raises BuiltinError: when it names none.
    """
    return _read_address(short_text(value, "IP address"))


def network(value: Value) -> Network:
    """The network that a text names.

    :raises BuiltinError: when it names none.
    """
    return _read_network(short_text(value, "network"))


def _shown(version: int, number: int) -> str:
    return str(IPv4Address(number) if version == 4 else IPv6Address(number))


@networks(
    "ips_equal(a: ip, b: ip)",
    holds('ips_equal("::ffff:10.0.0.1", "10.0.0.1")'),
    fails('ips_equal("10.0.0.1", "10.0.0.2")'),
    undefined('ips_equal("10.0.0.1", "10.0.0")'),
)
def ips_equal(a: Value, b: Value) -> bool:
    """The two are one address, however they are written."""
    return address(a) == address(b)


@networks(
    "ips_lt(a: ip, b: ip)",
    holds('ips_lt("10.0.0.9", "10.0.0.10")'),
    holds('ips_lt("255.255.255.255", "::1")'),
    undefined('ips_lt("10.0.0.1", 167772162)'),
)
def ips_lt(a: Value, b: Value) -> bool:
    """The first address is before the second."""
    return address(a) < address(b)


@networks(
    "ips_lteq(a: ip, b: ip)",
    holds('ips_lteq("10.0.0.1", "10.0.0.1")'),
    undefined('ips_lteq("10.0.0.256", "10.0.0.1")'),
)
def ips_lteq(a: Value, b: Value) -> bool:
    """The first address is before the second, or the same."""
    return address(a) <= address(b)


@networks(
    "ips_gt(a: ip, b: ip)",
    holds('ips_gt("fd00::2", "fd00::1")'),
    undefined('ips_gt("", "10.0.0.1")'),
)
def ips_gt(a: Value, b: Value) -> bool:
    """The first address is after the second."""
    return address(a) > address(b)


@networks(
    "ips_gteq(a: ip, b: ip)",
    fails('ips_gteq("10.0.0.1", "10.0.0.2")'),
    undefined('ips_gteq(null, "10.0.0.1")'),
)
def ips_gteq(a: Value, b: Value) -> bool:
    """The first address is after the second, or the same."""
    return address(a) >= address(b)


@networks(
    "ip_in_range(a: ip, first: ip, last: ip)",
    holds('ip_in_range("10.0.0.7", "10.0.0.1", "10.0.0.9")'),
    fails('ip_in_range("10.0.1.7", "10.0.0.1", "10.0.0.9")'),
    undefined('ip_in_range("10.0.0.7", "10.0.0.1", "::9")'),
)
def ip_in_range(a: Value, first: Value, last: Value) -> bool:
    """The address is the first, the last, or between them, which must be of one version."""
    low, high = address(first), address(last)
    if low.version != high.version:
        raise BuiltinError("a range is of one version of IP")
    return low <= address(a) <= high


@networks(
    "ip_version(a: ip -> version: integer)",
    gives('ip_version("::1", x)', x=6),
    gives('ip_version("::ffff:10.0.0.1", x)', x=4),
    undefined('ip_version("host", x)'),
)
def ip_version(a: Value) -> Value:
    """4 or 6."""
    return address(a).version


@networks(
    "ip_to_int(a: ip -> number: integer)",
    gives('ip_to_int("10.0.0.1", x)', x=167772161),
    undefined('ip_to_int("fd00::1", x)'),
    undefined('ip_to_int("10.0.0.1/8", x)'),
)
def ip_to_int(a: Value) -> Value:
    """The address as a number.  Most IPv6 addresses are too large for an integer and have none."""
    return finite(address(a).number)


@networks(
    "int_to_ip(number: integer, version: integer -> address: ip)",
    gives("int_to_ip(167772161, 4, x)", x="10.0.0.1"),
    gives("int_to_ip(1, 6, x)", x="::1"),
    undefined("int_to_ip(4294967296, 4, x)"),
)
def int_to_ip(number: Value, version: Value) -> Value:
    """The address that has this number in this version of IP."""
    value, kind = integer(number), integer(version)
    if kind not in _BITS or not 0 <= value < 1 << _BITS[kind]:
        raise BuiltinError(f"no address of IPv{show(kind)} has this number")
    return _shown(kind, value)


_PRIVATE: Final = tuple(map(_read_network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7")))


@networks(
    "is_private(a: ip)",
    holds('is_private("192.168.1.1")'),
    holds('is_private("fd00::1")'),
    fails('is_private("8.8.8.8")'),
    undefined('is_private("192.168.1.0/24")'),
)
def is_private(a: Value) -> bool:
    """The address is of a private network, of RFC 1918 or RFC 4193.

    They are 10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16 and fc00::/7.
    """
    version, number = address(a)
    return any(own.version == version and own.first <= number <= own.last for own in _PRIVATE)


@networks(
    "ip_in_network(a: ip, cidr: network)",
    holds('ip_in_network("10.1.2.3", "10.0.0.0/8")'),
    fails('ip_in_network("10.1.2.3", "fd00::/8")'),
    undefined('ip_in_network("10.1.2.3", "10.0.0.0/33")'),
)
def ip_in_network(a: Value, cidr: Value) -> bool:
    """The address is in the network."""
    version, number = address(a)
    whole = network(cidr)
    return whole.version == version and whole.first <= number <= whole.last


@networks(
    "networks_equal(a: network, b: network)",
    holds('networks_equal("10.0.0.0/255.0.0.0", "10.0.0.5/8")'),
    fails('networks_equal("10.0.0.0/8", "10.0.0.0/9")'),
    undefined('networks_equal("10.0.0.0/8", "net")'),
)
def networks_equal(a: Value, b: Value) -> bool:
    """The two networks have the same addresses."""
    return network(a) == network(b)


@networks(
    "networks_overlap(a: network, b: network)",
    holds('networks_overlap("10.0.0.0/8", "10.1.0.0/16")'),
    holds('networks_overlap("10.1.0.0/16", "10.0.0.0/8")'),
    fails('networks_overlap("10.0.0.0/16", "10.1.0.0/16")'),
    undefined('networks_overlap("10.0.0.0/8", 10)'),
)
def networks_overlap(a: Value, b: Value) -> bool:
    """The two networks have an address in common, in whichever order they are given."""
    return network(a).overlaps(network(b))


@networks(
    "cidr_contains(outer: network, inner: network)",
    holds('cidr_contains("10.0.0.0/8", "10.1.0.0/16")'),
    fails('cidr_contains("10.1.0.0/16", "10.0.0.0/8")'),
    undefined('cidr_contains("10.0.0.0/8", null)'),
)
def cidr_contains(outer: Value, inner: Value) -> bool:
    """Every address of the second network (or the second address) is in the first."""
    return network(outer).contains(network(inner))


@networks(
    "cidr_range(cidr: network -> first: ip, last: ip)",
    gives('cidr_range("10.0.0.0/30", x, y)', x="10.0.0.0", y="10.0.0.3"),
    undefined('cidr_range("10.0.0.0-10.0.0.3", x, y)'),
)
def cidr_range(cidr: Value) -> tuple[str, str]:
    """The first and the last address of the network."""
    version, first, last = network(cidr)
    return _shown(version, first), _shown(version, last)


@networks(
    "cidr_host_count(cidr: network -> count: integer)",
    gives('cidr_host_count("10.0.0.0/24", x)', x=254),
    gives('cidr_host_count("10.0.0.0/31", x)', x=2),
    gives('cidr_host_count("fd00::/64", x)', x=18446744073709551616.0),
    undefined('cidr_host_count("10.0.0.0/-1", x)'),
)
def cidr_host_count(cidr: Value) -> Value:
    """How many hosts the network has room for.

    An IPv4 network of four addresses or more loses two of them, its own address and that of broadcast.
    """
    version, first, last = network(cidr)
    count = last - first + 1
    if version == 4 and count >= 4:
        return count - 2
    return whole(float(count))  # a power of two: exact as a float, and some are too large for an integer


@networks(
    "network_of(a: ip, prefix: integer -> cidr: network)",
    gives('network_of("10.1.2.3", 16, x)', x="10.1.0.0/16"),
    gives('network_of("fd00::1:2", 64, x)', x="fd00::/64"),
    undefined('network_of("10.1.2.3", 33, x)'),
)
def network_of(a: Value, prefix: Value) -> Value:
    """The network with that length of prefix that the address is in."""
    version, number = address(a)
    rest = _BITS[version] - integer(prefix)
    if not 0 <= rest <= _BITS[version]:
        raise BuiltinError(f"a prefix of IPv{version} has 0 to {_BITS[version]} bits")
    return f"{_shown(version, number >> rest << rest)}/{integer(prefix)}"


@networks(
    "normal_network(a: network -> cidr: network)",
    gives('normal_network("10.1.2.3/255.255.0.0", x)', x="10.1.0.0/16"),
    gives('normal_network("FD00:0::1/64", x)', x="fd00::/64"),
    undefined('normal_network("10.1.2.3/x", x)'),
)
def normal_network(a: Value) -> Value:
    """The network in its one usual form, so that texts of equal networks are equal."""
    found = network(a)
    return f"{_shown(found.version, found.first)}/{found.prefix}"
