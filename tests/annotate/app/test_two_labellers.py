"""Two labellers at once, each in a browser of their own, as benchmarks/two_labellers.py has them for minutes."""

from types import SimpleNamespace

import pytest

pytest.importorskip("playwright.sync_api")

from annotate.operations import Assign, NewIdentity, Undo
from benchmarks.two_labellers import Labeller, faults

NONE = {"lost": [], "replaced": [], "another's undone": []}


def test_no_decision_is_lost_or_replaced(browser, address, project):
    contexts = [browser.new_context() for _ in range(2)]
    ann, bob = (Labeller(name, each, f"{address}/") for name, each in zip(("ann", "bob"), contexts, strict=True))
    for _ in range(8):
        ann.turn(bob.page)
        bob.turn(ann.page)
    for labeller in (ann, bob):
        labeller.page.wait_for_timeout(500)
        assert labeller.sent
    assert faults(project.workspace, [ann, bob]) == NONE
    for each in contexts:
        each.close()


def sent(id, path="api/decide", seen=None, **operation):
    return {"id": id, "path": path, "seen": seen, "operation": operation}


def test_what_went_wrong_is_found(project):
    decide = project.store.apply
    decide(NewIdentity(tracklets=("f1/0",)), user="ann", id="a")
    seen = len(project.store.entries) - 1  # before that decision
    decide(Assign(tracklets=("f1/0",), identity=1), user="bob", id="b")
    project.store.undo(user="bob", id="u")
    ann = SimpleNamespace(name="ann", sent=[sent("a", seen=seen, op="new_identity", tracklets=["f1/0"])])
    bob = SimpleNamespace(name="bob", sent=[sent("b", seen=seen, op="assign", tracklets=["f1/0"], identity=1)])
    assert faults(project.workspace, [ann, bob]) == NONE | {"replaced": ["b f1/0"]}
    ann.sent = [sent("gone", op="new_identity", tracklets=["f1/0"])]
    bob.sent = [sent("b", seen=seen + 1, op="assign", tracklets=["f1/0"], identity=7)]
    assert faults(project.workspace, [ann, bob]) == NONE | {"lost": ["gone", "b"]}
    assert isinstance(project.store.entries[-1].operation, Undo)
    ann.sent, bob.sent = [], [sent("u", path="api/undo")]
    assert faults(project.workspace, [ann, bob]) == NONE
