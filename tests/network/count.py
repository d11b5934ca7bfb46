"""Run a command without a network, and count its attempts to reach another machine.

python -m tests.network.count COMMAND...

The command gets the network's loopback only, where the kernel permits that, and the kernel counts the attempts of
every program; elsewhere those of Python's processes are counted. The exit status is the command's, or 1 if there
was an attempt.
"""

import fcntl
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.network import kernel
from tests.network.guard.sitecustomize import NOTES

GUARD = Path(__file__).parent / "guard"
ROOT = Path(__file__).parents[2]
_INSIDE = "--inside"
_SIOCSIFFLAGS, _IFF_UP = 0x8914, 0x1


def guarded(notes: Path) -> dict[str, str]:
    """An environment in which Python processes refuse other machines, and write each attempt to `notes`."""
    others = [each for each in os.environ.get("PYTHONPATH", "").split(os.pathsep) if each]
    paths = dict.fromkeys([str(GUARD), str(ROOT), *others])
    return os.environ | {NOTES: str(notes), "PYTHONPATH": os.pathsep.join(paths)}


def summary(attempts: list[str]) -> str:
    """One line, and one for each attempt."""
    if not attempts:
        return "0 connections left this machine"
    return "\n  ".join([f"{len(attempts)} attempts to reach another machine:", *attempts])


def cut_off() -> list[str] | None:
    """What to put before a command so that it has loopback only; None where the kernel does not permit that."""
    for unshare in (["unshare", "--net"], ["unshare", "--net", "--map-root-user"]):
        command = [*unshare, sys.executable, "-m", "tests.network.count", _INSIDE]
        if shutil.which("unshare") and _run([*command, "true"], Path(os.devnull), capture_output=True) == 0:
            return command
    return None


def count(command: list[str]) -> int:
    """Run `command`, print how many attempts there were, and give the exit status."""
    signal.signal(signal.SIGINT, lambda *_: None)  # Ctrl-C is the command's
    with tempfile.TemporaryDirectory() as folder:
        notes = Path(folder, "notes")
        prefix = cut_off()
        code = _run([*(prefix or []), *command], notes)
        attempts = notes.read_text("utf-8", "replace").splitlines() if notes.exists() else []
    of = "of any program" if prefix else "of Python's processes: the kernel cuts the network off for nobody here"
    print(f"{summary(attempts)} ({of})", flush=True)
    return code or int(bool(attempts))


def _inside(command: list[str]) -> int:
    """Run `command` in a new network, whose loopback is down yet; note what the kernel counted."""
    signal.signal(signal.SIGINT, lambda *_: None)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, _SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", _IFF_UP))
    before = kernel.attempts()
    code = subprocess.run(command).returncode
    with Path(os.environ[NOTES]).open("a") as notes:
        notes.writelines(
            ["of a program that is not Python's; strace -f -e connect names it\n"] * (kernel.attempts() - before)
        )
    return code


def _run(command: list[str], notes: Path, **options: bool) -> int:
    return subprocess.run(command, env=guarded(notes), **options).returncode


if __name__ == "__main__":
    words = sys.argv[1:]
    sys.exit(_inside(words[1:]) if words[:1] == [_INSIDE] else count(words))
