"""The pictures of the labelling app in docs/images, taken from two simulated flights.

python -m docs.screenshots [--folder bench/screenshots] [--browser /usr/bin/chromium]
"""

import argparse
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import uvicorn
from playwright.sync_api import Page, sync_playwright

from annotate.app.access import Access
from annotate.app.refresh import Refresh
from annotate.app.server import create_app
from annotate.log.store import LABELS
from annotate.operations import Assign, NewIdentity, SetNote, SetTags, flight_of
from annotate.project import Project
from benchmarks.labelling import simulated_truths, who_is_where
from pipeline.find.in_app import find_picture
from pipeline.labelling.application import Clocks, Pictures, tell_sightings
from pipeline.sightings.plane import flight_ground

IMAGES = Path(__file__).parent / "images"
_PORT = 8799
_ADDRESS = f"http://127.0.0.1:{_PORT}/"
SIZE = {"width": 1280, "height": 720}
_LABELLED = 24  # tracklets that have their label when the pictures are taken, but for
_WAITING = 15  # this one of them, by length: the one that is asked about


def fly(folder: Path) -> None:
    """Two flights with one cast, tracked; the first tracklets of both labelled by the truth."""
    for number in (1, 2):
        video = folder / f"flight{number}.mp4"
        truth = video.with_suffix(".gt.txt")
        if not truth.exists():
            options = ("--people", 20, "--seconds", 6, "--seed", 900 + number, "--cast", 9, "--altitude", 20)
            _uavpipe("simulate", video, *options)
        _uavpipe("tracks", video, "--workspace", folder / "runs", "--set", "detector.weights=embedded")


def label_some(project: Project, folder: Path) -> None:
    """Label the longest tracklets as the truth says, but one that waits to be labelled."""
    people = who_is_where(folder / "runs", simulated_truths(folder))
    with project.reading() as state:
        longest = sorted(state.tracklets, key=lambda name: -len(state.tracklets[name]))[:_LABELLED]
        shown = {
            name: Counter(
                person for seen in state.tracklets[name] for person in people[flight_of(name)].get(seen, ())
            )
            for name in longest
        }
    known: dict[int, int] = {}
    for name in [name for name in longest if shown[name] and name != longest[_WAITING]]:
        person = shown[name].most_common(1)[0][0]
        these, new = (name,), person not in known
        operation = NewIdentity(tracklets=these) if new else Assign(tracklets=these, identity=known[person])
        outcome = project.store.apply(operation, user="bob", id=name.replace("/", "-"))
        if new:
            known[person] = int(outcome.created or 0)
    project.store.apply(SetTags(identity=1, tags=("by the road", "rucksack")), user="bob", id="tags")
    project.store.apply(SetNote(identity=1, text="Walks along the road."), user="bob", id="note")


def take(page: Page, address: str, views: Mapping[str, str]) -> None:
    """Take a picture of each of `views`: its file's name -> its address on the page."""
    IMAGES.mkdir(exist_ok=True)
    page.goto(address)
    page.get_by_role("dialog").wait_for()
    page.keyboard.press("Enter")
    for name, view in views.items():
        page.goto(f"{address}#/{view}")
        page.wait_for_timeout(1500)
        page.screenshot(path=IMAGES / f"{name}.png")


def _uavpipe(*arguments: object) -> None:
    subprocess.run([sys.executable, "-m", "pipeline", *map(str, arguments)], check=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=Path("bench/screenshots"))
    parser.add_argument("--browser", help="Path of a Chromium.  [default: playwright's own]")
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    fly(arguments.folder)
    workspace = arguments.folder / "runs"
    for old in workspace.glob(f"{LABELS}*"):
        old.unlink()
    project = Project(workspace, lambda flight: flight_ground(workspace / flight), moment=Clocks(workspace))
    pictures = Pictures(workspace)
    app = create_app(
        project,
        Access(token=None),
        pictures.jpeg,
        Refresh(["true"], project.read_features),
        "ann",
        cut=pictures.clip,
        sightings=partial(tell_sightings, workspace),
        find=partial(find_picture, workspace),
    )
    server = uvicorn.Server(uvicorn.Config(app, port=_PORT, log_config=None, log_level="error"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=arguments.browser)
        take(browser.new_page(viewport=SIZE), _ADDRESS, {"batches": "batches"})
        label_some(project, arguments.folder)
        views = {name: name for name in ("queue", "gallery", "checks", "review")}
        take(browser.new_page(viewport=SIZE), _ADDRESS, views | {"person": "person/1"})
        browser.close()
    server.should_exit = True
    thread.join()
    project.close()


if __name__ == "__main__":
    main()
