"""The labelling app over a small workspace, in this process."""

import re
import socket
import threading
from contextlib import contextmanager

import cv2
import numpy as np
import pytest
import uvicorn

from annotate.app.access import Access
from annotate.app.persons import Told
from annotate.app.refresh import Refresh
from annotate.app.server import create_app
from annotate.errors import AnnotateError
from annotate.operations import NewIdentity
from annotate.project import Project
from tests.conftest import PATIENCE


def picture(flight, frame):
    if frame > 1000:
        raise AnnotateError(f"frame {frame} cannot be shown")
    image = np.full((180, 320, 3), 90, np.uint8)
    return bytes(cv2.imencode(".jpg", image)[1]), 320, 180


@pytest.fixture
def workspace(make_workspace, walk):
    """f1: persons 1, 2 and 3 side by side, then 1 and 2 again; f2: 1, one that turns from 2 into 3, and 4."""
    return make_workspace(
        {
            "f1": [walk(1, 0, 30), walk(2, 0, 29), walk(3, 0, 28), walk(1, 60, 20), walk(2, 60, 19)],
            "f2": [walk(1, 0, 27), walk(2, 40, 26, then=3), walk(4, 90, 12)],
        }
    )


@pytest.fixture
def project(workspace):
    project = Project(workspace)
    yield project
    project.close()


@pytest.fixture
def make_app(project):
    def make(access=None, command=(), of=project, **more):
        refresh = Refresh(command, of.read_features)
        return create_app(of, access or Access(token=None), picture, refresh, "ann", **more)

    return make


@pytest.fixture
def serving():
    """Called with an application, gives its address in a `with`."""
    return _serving


@contextmanager
def _serving(app):
    """`app` at a free port of this machine, by a thread; gives the address."""
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, log_level="error", timeout_graceful_shutdown=3))
    thread = threading.Thread(target=server.run, args=([listening],))
    thread.start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()


def sightings(contents, person):
    words = {
        name: {"time": "2030-01-01 14:30:05", "video": f"frames from {seen[0].frame}", "place": "-"}
        for name, seen in contents.items()
    }
    numbers = "".join(f"<text>{each}</text>" for each in range(1, len(contents) + 1))
    drawn = f"<figure class=map><svg>{numbers}</svg><figcaption>{person}</figcaption></figure>"
    return Told(words, () if person is None else (drawn,))


@pytest.fixture
def address(make_app):
    with _serving(make_app(sightings=sightings)) as address:
        yield address


@pytest.fixture
def context(browser):
    context = browser.new_context(viewport={"width": 1280, "height": 720})
    context.set_default_timeout(PATIENCE)
    yield context
    context.close()


def is_complaint(line):
    """Whether the browser's console says that something failed; whoever is asked for may not be there."""
    asked_for = re.search("/api/(identities|tracklets)/", line.location["url"]) and "404" in line.text
    return line.type == "error" and not asked_for


@pytest.fixture
def page(context, address):
    """The queue, opened by "ann"; a script that fails, or anything asked of another server, fails the test."""
    pytest.importorskip("playwright.sync_api")
    from tests.annotate.app.hand import opened

    page = context.new_page()
    complaints = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda line: complaints.append(line.text) if is_complaint(line) else None)
    page.on(
        "request", lambda asked: None if asked.url.startswith(("blob:", address)) else complaints.append(asked.url)
    )
    opened(page, address)
    yield page
    # What is refused or cut off on purpose, the browser logs by itself.
    assert [each for each in complaints if not re.search("409|503|ERR_FAILED", each)] == []


@pytest.fixture
def labelled(project):
    """Three identities, as somebody else made them."""
    for number, tracklets in enumerate((("f1/0", "f2/0"), ("f1/1",), ("f1/2",))):
        project.store.apply(NewIdentity(tracklets=tracklets), user="bob", id=f"b{number}")
