"""A workspace as the stages before labelling leave it, made by hand: persons are colours; and a real browser."""

import os
import shutil
import signal
import subprocess
from dataclasses import dataclass

import cv2
import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, settings

from tests.network.watch import (  # noqa: F401 - pytest's hooks
    pytest_configure,
    pytest_runtest_protocol,
    pytest_sessionfinish,
    pytest_terminal_summary,
    pytest_unconfigure,
)

# The tests' tensors are small: more threads would only wait for each other, and for the other tests' threads.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# A suite that a shell started in the background has Ctrl-C ignored, and so would have all commands it tries.
signal.signal(signal.SIGINT, signal.default_int_handler)
# The same examples each time, however long a busy machine takes over one.
settings.register_profile("steady", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("steady")

# It looks up no other machine, as it would for its maker's services.
ALONE = "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1"
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
PATIENCE = 30_000  # ms; a page that other work holds up is late, not wrong
LOOK = 16  # numbers in a descriptor


@dataclass(frozen=True)
class Walk:
    """A tracklet: who, from which frame on, for how many; `then` is somebody else whom it shows from its middle."""

    person: int
    first: int
    count: int
    then: int | None = None

    def person_at(self, place: int) -> int:
        return self.then if self.then is not None and place >= self.count // 2 else self.person


@pytest.fixture
def walk():
    return Walk


@pytest.fixture
def make_workspace(tmp_path):
    """Called with {flight: walks}: writes the tables and crops of the flights, and gives the workspace."""

    def make(flights, folder=tmp_path / "runs"):
        for flight, walks in flights.items():
            _write_flight(folder / flight, walks)
        return folder

    return make


def look(person, noise=0.0):
    vector = np.full(LOOK, 0.1, np.float32)
    vector[person % LOOK] = 1 + noise
    return vector / np.linalg.norm(vector)


def _write_flight(folder, walks):
    ranks, members, detections, crops, looks = {}, [], [], [], []
    (folder / "crops" / "images").mkdir(parents=True)
    for number, walk in enumerate(walks):
        for place in range(walk.count):
            frame = walk.first + place
            rank = ranks[frame] = ranks.get(frame, -1) + 1
            at = {"frame": frame, "rank": rank}
            person = walk.person_at(place)
            members.append({"tracklet": number, **at})
            left = 60.0 * number + place
            box = {"x1": left, "y1": 20.0, "x2": left + 20, "y2": 60.0}
            detections.append({**at, "pts_s": frame / 10, **box, "score": 0.9})
            name = f"images/{frame:04d}_{rank}.jpg"
            colour = np.array([40 * person % 256, 90 + 70 * person % 160, 250 - 60 * person % 250], np.uint8)
            cv2.imwrite(str(folder / "crops" / name), np.tile(colour, (40, 20, 1)))
            crops.append({**at, "crop": name, "sharpness": 50.0 + place % 7})
            looks.append({**at, "look": look(person, 0.01 * (place % 3)).astype(np.float16)})
    for table, rows in {
        "tracks/tracklets": members,
        "detections/detections": detections,
        "crops/crops": crops,
        "appearance/appearance": looks,
    }.items():
        path = folder / f"{table}.parquet"
        path.parent.mkdir(exist_ok=True)
        pd.DataFrame(rows).to_parquet(path, index=False)


@pytest.fixture
def unprivileged():
    """Begins a command that file permissions bind, also where root runs the tests."""
    if os.geteuid():
        return []
    prefix = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"]
    if not shutil.which("setpriv") or subprocess.run([*prefix, "true"], capture_output=True).returncode:
        pytest.skip("root may write everywhere, and setpriv cannot change that here")
    return prefix


@pytest.fixture
def locked_up():
    """Called with a folder: takes away the permission to write there, until the test has ended."""
    places = {}

    def lock_up(folder):
        for place in (*folder.rglob("*"), folder):
            places[place] = place.stat().st_mode
            place.chmod(0o555 if place.is_dir() else 0o444)

    yield lock_up
    for place, mode in reversed(places.items()):
        if place.exists():
            place.chmod(mode)


@pytest.fixture(scope="session")
def browser():
    from playwright.sync_api import Error, expect, sync_playwright

    expect.set_options(timeout=PATIENCE)
    named = os.environ.get("UAVPIPE_BROWSER")
    path = named or next(filter(None, map(shutil.which, BROWSERS)), None)
    with sync_playwright() as playwright:
        try:
            browser = playwright.chromium.launch(executable_path=path, args=[ALONE])
        except Error:
            pytest.skip("no Chromium: install one (apt-get install chromium) or name it in UAVPIPE_BROWSER")
        yield browser
        browser.close()
