"""The labelling app over a small workspace, in this process."""

import socket
import threading
from contextlib import contextmanager

import cv2
import numpy as np
import pytest
import uvicorn

from annotate.app.access import Access
from annotate.app.refresh import Refresh
from annotate.app.server import create_app
from annotate.errors import AnnotateError
from annotate.project import Project


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
    def make(access=None, command=(), of=project):
        return create_app(of, access or Access(token=None), picture, Refresh(command, of.read_features), "ann")

    return make


@pytest.fixture
def serving():
    """Called with an application, gives its address in a `with`."""
    return _serving


@contextmanager
def _serving(app):
    """`app` at a free port of this machine, by a thread; gives the address."""
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, log_level="error"))
    thread = threading.Thread(target=server.run, args=([listening],))
    thread.start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()


@pytest.fixture
def address(make_app):
    with _serving(make_app()) as address:
        yield address
