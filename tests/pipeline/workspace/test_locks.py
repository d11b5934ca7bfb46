import pwd

import pytest

from pipeline.workspace.locks import login


@pytest.fixture
def nameless(monkeypatch):
    """A user whose number has no name, as in a container."""
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(name, raising=False)

    def no_entry(number):
        raise KeyError(f"getpwuid(): uid not found: {number}")

    monkeypatch.setattr(pwd, "getpwuid", no_entry)


def test_a_user_without_a_name_can_work(nameless):
    assert login() == "unknown"


def test_a_name_is_taken_from_the_system(monkeypatch):
    monkeypatch.setenv("LOGNAME", "ann")
    assert login() == "ann"
