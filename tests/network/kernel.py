"""The kernel's own count of what finds no way out of a network that has only loopback, whatever the program.

In such a network each connection and packet to another machine is one for which the kernel has no route, and each
question for a name that a resolver on loopback would pass on is a packet to a port where nobody listens.
"""

from pathlib import Path

_PROTOCOLS, _VERSION_6 = Path("/proc/net/snmp"), Path("/proc/net/snmp6")
_COUNTERS = ("Ip: OutNoRoutes", "Ip6OutNoRoutes", "Udp: NoPorts", "Udp6NoPorts")


def is_cut_off() -> bool:
    """Whether this process is in a network without a route, such as the kernel counts in."""
    return len(_lines(Path("/proc/net/route"))) == 1  # the heading


def attempts() -> int:
    """How many attempts there were since this network was made."""
    found = [line.split() for line in _lines(_VERSION_6)]
    lines = [line.split() for line in _lines(_PROTOCOLS)]
    for names, values in zip(lines[::2], lines[1::2], strict=True):  # a protocol's two: names and values
        found += [(f"{names[0]} {name}", value) for name, value in zip(names[1:], values[1:], strict=True)]
    return sum(int(value) for name, value in found if name in _COUNTERS)


def _lines(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []
