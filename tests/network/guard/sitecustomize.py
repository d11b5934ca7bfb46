"""Refuses and notes each attempt of a Python process to reach another machine.

Python imports this module when it starts, if its folder is on PYTHONPATH: the processes that tests start do so. It
is active if `UAVPIPE_CONNECTIONS` names the file for the notes: one line for each attempt.
"""

import errno
import ipaddress
import os
import sys
import sysconfig

NOTES = "UAVPIPE_CONNECTIONS"
_LOCAL_NAMES = ("", "localhost", "0.0.0.0", "::", os.uname().nodename)  # torchrun asks for its own name
_OF_ADDRESS = ("socket.connect", "socket.sendto", "socket.sendmsg")
_OF_NAME = ("socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr", "socket.getnameinfo")
_PLACE_AT = dict.fromkeys(_OF_ADDRESS, 1) | dict.fromkeys(_OF_NAME, 0)  # among the event's arguments
_notes: list[str] = []
_LIBRARY = sysconfig.get_path("stdlib")


def is_local(host: object) -> bool:
    """Whether a host's name or address, or a socket's address, is of this machine."""
    if isinstance(host, tuple):
        host = host[0]
    if isinstance(host, (bytes, bytearray)):
        host = host.decode("utf-8", "replace")
    if not isinstance(host, str) or host in _LOCAL_NAMES:
        return True  # numbers: netlink and the like
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None) or address
    return mapped.is_loopback or mapped.is_unspecified or (not mapped.is_multicast and _is_own(str(mapped)))


def _is_own(address: str) -> bool:
    """Whether an interface of this machine has `address`: then one can listen there."""
    sockets = sys.modules["_socket"]
    family = sockets.AF_INET6 if ":" in address else sockets.AF_INET
    probe = sockets.socket(family, sockets.SOCK_DGRAM)
    try:
        probe.bind((address, 0))
    except OSError:
        return False
    finally:
        probe.close()
    return True


def _watch(event: str, arguments: tuple) -> None:
    if event not in _PLACE_AT:
        return
    place = arguments[_PLACE_AT[event]]
    if event in _OF_ADDRESS and not isinstance(place, tuple):
        return  # a unix socket's path
    if not is_local(place):
        _note(event, place)
        sockets = sys.modules["_socket"]
        text = f"{place} is another machine; no test may reach one"
        if event in _OF_ADDRESS:
            raise OSError(errno.ENETUNREACH, text)
        raise sockets.gaierror(sockets.EAI_NONAME, text)


def _note(event: str, place: object) -> None:
    fields = [f"{event} {place!r}", os.environ.get("PYTEST_CURRENT_TEST", ""), " ".join(sys.argv)[:200], _caller()]
    line = " | ".join(field.replace("\n", " ") for field in fields if field) + "\n"
    file = os.open(_notes[0], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.write(file, line.encode("utf-8", "replace"))
    os.close(file)


def _caller() -> str:
    """The innermost place outside of the standard library, and of this module."""
    frame = sys._getframe(3)
    while frame and (frame.f_code.co_filename.startswith(f"{_LIBRARY}{os.sep}") and not _installed(frame)):
        frame = frame.f_back
    return f"{frame.f_code.co_filename}:{frame.f_lineno}" if frame else ""


def _installed(frame) -> bool:
    return "site-packages" in frame.f_code.co_filename


def install() -> None:
    """Begin to watch this process; for good."""
    _notes.append(os.environ[NOTES])  # a test may change the environment
    sys.addaudithook(_watch)


if os.environ.get(NOTES):
    install()
