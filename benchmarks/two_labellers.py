"""Two labellers in two browsers at once: whether a decision is lost, or silently replaced by the other's.

python -m benchmarks.two_labellers [--minutes 10] [--browser /usr/bin/chromium]

Each labeller answers the queue in a Chromium of their own by random keys, undo among them, and now and then labels
the tracklet that the other one is shown, on its own page. Afterwards the log is compared with what the pages sent:

- lost: the server accepted a decision that is not in the log exactly once, as it was sent;
- replaced: a decision labels a tracklet that somebody else labelled after the page had asked for it last;
- another's undone: an undo took back what the other one decided.
"""

import argparse
import json
import random
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, BrowserContext, Page, Request, Response, sync_playwright

from annotate.log.store import LABELS, LabelStore
from annotate.operations import Undo, write_operation
from benchmarks.label_server import make_workspace, wait_until_ready

_KEYS = {"1": 30, "Enter": 10, "n": 15, "j": 10, "s": 10, "x": 2, "z": 8, "y": 3}  # and how often
_OTHERS = 0.1  # of the turns: the tracklet that the other one is shown
_PAUSE_S = (0.0, 0.4)
_PATIENCE_MS = 120_000  # on a busy machine


class Labeller:
    """A hand at a page, and what the page sent."""

    def __init__(self, name: str, browser: Browser | BrowserContext, address: str) -> None:
        self.name, self.sent, self.answers = name, list[dict[str, Any]](), Counter[int]()
        self._draw, self._address = random.Random(name), address
        self.page = browser.new_page()
        self.page.set_default_timeout(_PATIENCE_MS)
        self.page.on("response", self._note)
        self.page.goto(address)
        self.page.get_by_role("dialog").wait_for()
        self.page.get_by_label("Your name").fill(name)
        self.page.keyboard.press("Enter")
        self.page.locator("main h1").first.wait_for()

    def _note(self, response: Response) -> None:
        path = response.url.removeprefix(self._address)
        if path in ("api/decide", "api/undo", "api/redo"):
            self.answers[response.status] += 1
            if response.ok:
                self.sent.append(_content(response.request) | {"path": path})

    def turn(self, other: Page) -> None:
        """Answer what is shown, or what is shown to the other one."""
        shown = _asked(other) if self._draw.random() < _OTHERS else None
        if shown:
            self.page.goto(f"{self._address}#/tracklet/{shown}")
            self.page.wait_for_timeout(100)
            self.page.keyboard.press(self._draw.choice("nj"))
            self.page.wait_for_timeout(100)
            self.page.goto(f"{self._address}#/queue")
        else:
            keys, often = list(_KEYS), list(_KEYS.values())
            self.page.keyboard.press(self._draw.choices(keys, often)[0])
        self.page.wait_for_timeout(1e3 * self._draw.uniform(*_PAUSE_S))


def _asked(page: Page) -> str | None:
    """The tracklet that a page shows."""
    found = re.search(r"flight\d+/\d+", page.evaluate("document.querySelector('.question p')?.textContent ?? ''"))
    return found and found.group()


def _content(request: Request) -> dict[str, Any]:
    return dict(json.loads(request.post_data or "{}"))


def faults(workspace: Path, labellers: list[Labeller]) -> dict[str, list[str]]:
    """What went wrong, by its kind."""
    with LabelStore(workspace / LABELS, write=False) as store:
        entries = store.entries
    logged = {entry.id: entry for entry in entries}
    once = Counter(entry.id for entry in entries)
    labelled: dict[str, list[Any]] = {}  # tracklet -> the entries that gave it a label
    for entry in entries:
        for name in getattr(entry.operation, "tracklets", ()):
            labelled.setdefault(name, []).append(entry)
    found: dict[str, list[str]] = {"lost": [], "replaced": [], "another's undone": []}
    for labeller in labellers:
        for sent in labeller.sent:
            entry = logged.get(sent["id"])
            if entry is None or once[sent["id"]] != 1 or entry.user != labeller.name:
                found["lost"].append(sent["id"])
            elif sent["path"] == "api/decide":
                as_sent = json.loads(write_operation(entry.operation))
                if any(as_sent.get(key) != value for key, value in sent["operation"].items()):
                    found["lost"].append(sent["id"])
                for name in sent["operation"].get("tracklets", ()):
                    others = [each for each in labelled[name] if each.user != labeller.name]
                    if any(sent["seen"] < each.sequence < entry.sequence for each in others):
                        found["replaced"].append(f"{sent['id']} {name}")
            elif isinstance(entry.operation, Undo) and entries[entry.operation.target - 1].user != labeller.name:
                found["another's undone"].append(sent["id"])
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--tracklets", type=int, default=2000)
    parser.add_argument("--browser", help="Path of a Chromium.  [default: playwright's own]")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        workspace = Path(folder)
        make_workspace(workspace, arguments.tracklets, 6)
        options = ["--port", "0", "--no-token", "--no-browser", "--no-suggest"]
        command = [sys.executable, "-m", "pipeline", "label", "--workspace", folder, *options]
        with (
            subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server,
            sync_playwright() as playwright,
        ):
            assert server.stdout is not None
            address = server.stdout.readline().split()[2]
            launch = playwright.chromium.launch
            wait_until_ready(address)
            browsers = [launch(executable_path=arguments.browser) for _ in range(2)]
            try:
                ann, bob = (
                    Labeller(name, browser, address) for name, browser in zip(("ann", "bob"), browsers, strict=True)
                )
                end = time.monotonic() + 60 * arguments.minutes
                while time.monotonic() < end:
                    ann.turn(bob.page)
                    bob.turn(ann.page)
                for labeller in (ann, bob):
                    labeller.page.wait_for_timeout(2000)
            finally:
                for browser in browsers:
                    browser.close()
                server.terminate()
        for labeller in (ann, bob):
            refused = sum(count for status, count in labeller.answers.items() if status >= 400)
            print(f"{labeller.name}: {len(labeller.sent):,} decisions accepted, {refused} refused")
        found = faults(workspace, [ann, bob])
        print(", ".join(f"{len(cases)} {kind}" for kind, cases in found.items()))
        for kind, cases in found.items():
            for case in cases:
                print(f"{kind}: {case}")
        sys.exit(any(found.values()))


if __name__ == "__main__":
    main()
