"""What refuses other machines to the tests does so, in their processes too, and leaves this machine reachable."""

import subprocess
import sys

import pytest

from tests.network.count import guarded, summary
from tests.network.guard.sitecustomize import is_local


def run(code, notes):
    return subprocess.run([sys.executable, "-c", code], env=guarded(notes), capture_output=True, text=True)


@pytest.mark.parametrize(
    ("attempt", "noted"),
    [
        ("socket.create_connection(('192.0.2.1', 80), 1)", "socket.getaddrinfo '192.0.2.1'"),
        ("socket.socket().connect(('192.0.2.1', 80))", "socket.connect ('192.0.2.1', 80)"),
        ("socket.socket().connect_ex(('192.0.2.1', 80))", "socket.connect ('192.0.2.1', 80)"),
        ("socket.socket(type=socket.SOCK_DGRAM).sendto(b'', ('192.0.2.1', 80))", "socket.sendto ('192.0.2.1', 80)"),
        ("socket.getaddrinfo('www.example.org', 80)", "socket.getaddrinfo 'www.example.org'"),
        ("socket.gethostbyname('www.example.org')", "socket.gethostbyname 'www.example.org'"),
        (
            "subprocess.run([sys.executable, '-c', 'import urllib.request as r; r.urlopen(\"http://192.0.2.1\")'])",
            "",
        ),
    ],
)
def test_another_machine_is_refused_and_noted(attempt, noted, tmp_path):
    notes = tmp_path / "notes"
    code = f"import socket, subprocess, sys\ntry:\n    {attempt}\nexcept OSError as error:\n    print(error)"
    ended = run(code, notes)
    assert "no test may reach one" in ended.stdout + ended.stderr
    (line,) = notes.read_text().splitlines()
    assert line.startswith(noted)
    assert "test_another_machine_is_refused_and_noted" in line
    assert summary([line]).startswith("1 attempts to reach another machine:\n  socket.")


def test_this_machine_is_reached(tmp_path):
    code = (
        "import socket\nlistening = socket.create_server(('127.0.0.1', 0))\n"
        "socket.create_connection(('localhost', listening.getsockname()[1]))\nsocket.socketpair()\nprint('reached')"
    )
    notes = tmp_path / "notes"
    ended = run(code, notes)
    assert (ended.stdout, notes.exists()) == ("reached\n", False), ended.stderr


@pytest.mark.parametrize("host", ["127.8.0.1", "::1", "::ffff:127.0.0.1", b"localhost", "0.0.0.0", None])
def test_what_is_local(host):
    assert is_local(host)


@pytest.mark.parametrize("host", ["fe80::1%eth0", "224.0.0.251", "::ffff:192.0.2.1", "localhost.org", b"a.org"])
def test_what_is_not(host):
    assert not is_local(host)
