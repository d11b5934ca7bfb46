"""What was answered stands in the log, once, however often the server is killed and whoever else decides."""

import http.client
import json
import random
import re
import subprocess
import sys
import threading
import time
from contextlib import contextmanager

import pytest

from annotate.log.store import LABELS, LabelStore
from annotate.operations import Redo, Undo, read_decision

KILLS = 6
TOKEN = "a-token-of-this-test"
FROM_SCRIPT = {"content-type": "application/json", "authorization": f"Bearer {TOKEN}"}
GONE = (OSError, http.client.HTTPException)


@pytest.fixture
def workspace(make_workspace, walk):
    return make_workspace({"f1": [walk(person, 20 * person, 4) for person in range(12)]})


@contextmanager
def serving(workspace):
    """`uavpipe annotate serve` as a process of its own, and the port that it says."""
    command = [sys.executable, "-m", "pipeline", "label", "--workspace", str(workspace), "--port", "0"]
    with subprocess.Popen(
        [*command, "--token", TOKEN, "--no-browser", "--no-suggest"], stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process, int(re.search(r":(\d+)/", process.stdout.readline()).group(1))
        finally:
            process.kill()


class Labeller:
    """A script that labels, and asks again for what it got no answer to.

    Attributes:
        asked: id -> what was asked for, in order.
        answered: id -> the number in the log that the server answered with.
        repeated: how many answers said that they had been given before.

    """

    def __init__(self, user, seed):
        self.user, self._draw = user, random.Random(seed)
        self.asked, self.answered, self.repeated = {}, {}, 0
        self._waiting = None  # for whose answer

    def work(self, port, count=10**9):
        """Decide `count` times; gives up where the server is gone."""
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        try:
            for _ in range(count):
                self._waiting = self._waiting or self._think()
                path, operation = self.asked[self._waiting]
                body = {"user": self.user, "id": self._waiting, **({"operation": operation} if operation else {})}
                connection.request("POST", f"/api/{path}", json.dumps(body), FROM_SCRIPT)
                if self._draw.random() < 0.2:  # the answer is lost on its way: asked again, over another connection
                    connection.close()
                    continue
                answer = connection.getresponse()
                content = json.load(answer)
                assert answer.status == 200, content
                self.answered[self._waiting] = content["sequence"]
                self.repeated += content["repeated"]
                self._waiting = None
        except GONE:
            return
        finally:
            connection.close()

    def _think(self):
        """The next request: one that done twice would show."""
        name = f"{self.user}-{len(self.asked)}"
        last = next(reversed(self.asked.values()), ("redo", None))[0]
        path = "redo" if last == "undo" else "undo" if last == "decide" and self._draw.random() < 0.3 else "decide"
        tracklets = [f"f1/{self._draw.randrange(12)}"] if self._draw.random() < 0.5 else []
        # Others may build on who labels a tracklet, so that undoing it is refused: undone are only those without.
        if path == "undo" and self.asked[next(reversed(self.asked))][1]["tracklets"]:
            path = "decide"
        operation = {"op": "new_identity", "name": name, "tracklets": tracklets} if path == "decide" else None
        self.asked[name] = (path, operation)
        return name


def check(workspace, *labellers):
    """That the log is just what the labellers were told, and that the labels follow from it."""
    with LabelStore(workspace / LABELS, create=False) as store:
        entries, state = [each for each in store.entries if each.user != "uavpipe"], store.state
    assert len(entries) == sum(len(each.asked) for each in labellers)
    for labeller in labellers:
        own = {entry.id: entry for entry in entries if entry.user == labeller.user}
        assert list(own) == list(labeller.asked)  # each once, none too many, in order
        assert {name: entry.sequence for name, entry in own.items()} == labeller.answered
        for entry, (path, operation) in zip(own.values(), labeller.asked.values(), strict=True):
            if path == "decide":
                assert entry.operation == read_decision(operation)
            else:
                assert isinstance(entry.operation, {"undo": Undo, "redo": Redo}[path])
    assert sorted(state.identities.values()) == sorted(
        entry.operation.name for entry in entries if entry.operation.op == "new_identity"
    )


def finish(labeller, port):
    """Let `labeller` have the answers that are owing to it, and take back nothing any more."""
    while len(labeller.answered) < len(labeller.asked) or next(reversed(labeller.asked.values()))[0] == "undo":
        before = len(labeller.answered)
        while len(labeller.answered) == before:
            labeller.work(port, 1)


def kill_in_the_midst(process, labeller, answers, seconds):
    """Kill the server some time after it has given `labeller` more `answers`."""
    enough = len(labeller.answered) + answers
    while len(labeller.answered) < enough:
        time.sleep(0.001)
    time.sleep(seconds)
    process.kill()


def test_no_answered_decision_is_lost_to_kill_9_and_none_is_done_twice(workspace):
    labeller, draw = Labeller("ann", seed=1), random.Random(2)
    for _ in range(KILLS):
        with serving(workspace) as (process, port):
            threading.Thread(
                target=kill_in_the_midst, args=(process, labeller, draw.randrange(6), draw.uniform(0, 0.02))
            ).start()
            labeller.work(port)
    with serving(workspace) as (_, port):
        finish(labeller, port)
    assert len(labeller.answered) > KILLS
    assert labeller.repeated > 0
    check(workspace, labeller)


def test_scripts_at_two_servers_of_one_workspace_lose_nothing_of_each_other(workspace):
    ann, bob, eve = (Labeller(name, seed) for seed, name in enumerate(("ann", "bob", "eve")))
    with serving(workspace) as (one, first), serving(workspace) as (_, second):
        threads = [
            threading.Thread(target=each.work, args=(port, count))
            for each, port, count in ((ann, first, 10**9), (bob, second, 80), (eve, second, 80))
        ]
        for thread in threads:
            thread.start()
        threading.Timer(0.4, one.kill).start()  # ann goes on at the other one
        threads[0].join()
        ann.work(second, 40)
        for thread in threads:
            thread.join()
        for labeller in (ann, bob, eve):
            finish(labeller, second)
    assert min(len(each.answered) for each in (ann, bob, eve)) > 20
    check(workspace, ann, bob, eve)
