import json
import logging
import re
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from datetime import datetime

import av
import cv2
import numpy as np
import pytest
import uvicorn
from click.testing import CliRunner

from annotate.app.refresh import Refresh
from annotate.errors import AnnotateError
from annotate.project import Project
from pipeline.cli import main
from pipeline.labelling.application import Clocks, Pictures, tell_sightings
from pipeline.labelling.serve import serve
from pipeline.workspace.atomic import write_json
from tests.pipeline.video.samples import write_video


@pytest.fixture
def flight(tmp_path):
    """A flight of 60 frames, as far as pictures need it."""
    options = {"x264-params": "keyint=12:min-keyint=12:scenecut=0"}
    video = write_video(tmp_path / "f1.mp4", 60, options=options)
    write_json(tmp_path / "runs/f1/flight.json", {"video": str(video), "sha256": "", "stamp": []})
    return video


@pytest.mark.parametrize("frame", [0, 11, 12, 37, 59])
def test_a_picture_is_the_frame_of_that_number(flight, tmp_path, frame):
    content, width, height = Pictures(tmp_path / "runs").jpeg("f1", frame)
    image = cv2.cvtColor(cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)
    with av.open(str(flight)) as container:
        truth = [each.to_ndarray(format="rgb24") for each in container.decode(video=0)]
    errors = [float(np.abs(image.astype(int) - each).mean()) for each in truth]
    assert int(np.argmin(errors)) == frame
    assert (width, height) == (160, 90)


def test_a_picture_wider_than_the_screen_is_scaled(tmp_path, flight, monkeypatch):
    monkeypatch.setattr("pipeline.labelling.application._WIDTH", 64)
    content, width, height = Pictures(tmp_path / "runs").jpeg("f1", 3)
    assert cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR).shape == (36, 64, 3)
    assert (width, height) == (160, 90)  # in which the boxes are given


def test_what_cannot_be_shown_says_why(tmp_path, flight):
    pictures = Pictures(tmp_path / "runs")
    with pytest.raises(AnnotateError, match=r"f1\.mp4: frame 60 cannot be shown; the video has 60"):
        pictures.jpeg("f1", 60)
    with pytest.raises(AnnotateError, match="f2: its video is not known"):
        pictures.jpeg("f2", 0)
    write_json(tmp_path / "runs/f3/flight.json", {"video": 5, "sha256": ""})
    with pytest.raises(AnnotateError, match="f3: its video is not known"):
        pictures.jpeg("f3", 0)
    flight.unlink()
    with pytest.raises(AnnotateError, match=r"f1\.mp4"):
        Pictures(tmp_path / "runs").jpeg("f1", 0)


@pytest.fixture
def start(make_workspace, walk):
    """Called with options: `uavpipe annotate serve` as a process of its own, and the address that it prints."""
    workspace = make_workspace({"f1": [walk(1, 0, 8), walk(2, 0, 8)]})
    processes = []

    def start(*options):
        command = [sys.executable, "-m", "pipeline", "label", "--workspace", str(workspace), "--port", "0"]
        process = subprocess.Popen(
            [*command, "--no-browser", "--no-suggest", *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        processes.append(process)
        line = process.stdout.readline()
        return process, re.search(r"http://[^ ]+", line).group()

    yield start
    for process in processes:
        process.kill()
        process.wait()
        process.stdout.close()


def test_the_command_serves_the_app_until_it_is_interrupted(start):
    process, address = start("--user", "ann")
    assert re.match(r"http://127\.0\.0\.1:\d+/\?token=[\w-]{32}$", address)
    with pytest.raises(urllib.error.HTTPError, match="403"):
        ask(address, "session", token="")
    assert ask(address, "session")["user"] == "ann"
    process.terminate()
    assert process.wait(20) in (0, -15)


def test_a_token_that_is_set_or_none_at_all(start, monkeypatch):
    _, address = start("--token", "a-token-of-this-test")
    assert address.endswith("/?token=a-token-of-this-test")
    monkeypatch.setenv("UAVPIPE_TOKEN", "another-one-of-this-test")
    _, address = start()
    assert address.endswith("/?token=another-one-of-this-test")
    monkeypatch.delenv("UAVPIPE_TOKEN")
    _, address = start("--no-token")
    assert address.endswith("/")
    assert ask(address, "session", token="")


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--no-token", "--host", "0.0.0.0"], "--no-token: other machines reach 0.0.0.0; leave it out, or --host"),
        (["--no-token", "--token", "a-token-of-this-test"], "--token and --no-token: expected one of them"),
        (["--token", "short"], "token: expected 16 to 200 letters, digits, - and _"),
        (["--token", "a token of this test"], "token: expected 16 to 200 letters, digits, - and _"),
    ],
)
def test_tokens_that_do_not_protect_are_refused(options, complaint, tmp_path):
    shown = CliRunner().invoke(main, ["label", "--workspace", str(tmp_path), "--no-browser", *options])
    assert shown.exit_code in (1, 2)
    assert complaint in shown.output
    assert list(tmp_path.iterdir()) == []


def test_the_browser_is_given_an_address_for_a_single_time(make_workspace, walk, monkeypatch):
    workspace, said, opened = make_workspace({"f1": [walk(1, 0, 8)]}), [], []
    monkeypatch.setattr("threading.Timer", lambda _, call, arguments: Now(lambda: call(*arguments)))
    monkeypatch.setattr("pipeline.labelling.serve.webbrowser.open", opened.append)
    monkeypatch.setattr("uvicorn.Server.run", lambda self, sockets: None)
    serve(workspace, port=0, suggest=False, say=said.append)
    token = re.search(r"token=([\w-]+)", said[0])[1]
    assert "?token=" in opened[0]
    assert token not in opened[0]


def test_a_workspace_that_takes_long_has_its_address_at_once_and_then_says_what_it_does(
    make_workspace, walk, monkeypatch
):
    class Slow(Project):
        def __init__(self, *args, say, **options):
            opens.wait(10)
            super().__init__(*args, say=say, **options)

    said, opens = [], threading.Event()
    monkeypatch.setattr("pipeline.labelling.application.Project", Slow)
    monkeypatch.setattr("pipeline.labelling.serve._SOON_S", 0.01)
    monkeypatch.setattr("uvicorn.Server.run", lambda self, sockets: opens.set())
    serve(make_workspace({"f1": [walk(1, 0, 8)]}), port=0, suggest=False, browser=False, say=said.append)
    assert said[0].startswith("labelling at http://127.0.0.1:")
    assert said[1:] == ["reading f1, 1 of 1", "reading the labels", "reading the descriptors", "ready"]


def test_the_address_waits_for_no_package_that_takes_long_to_import():
    slow = {"av", "cv2", "fastapi", "pandas", "scipy.stats"}
    loaded = [
        subprocess.run(
            [sys.executable, "-c", f"import {names}, sys; print(*sorted(sys.modules.keys() & {slow}))"],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for names in ("pipeline.labelling.serve, uvicorn", "pipeline.labelling.application")
    ]
    assert [each.split() for each in loaded] == [[], ["av", "cv2", "fastapi", "pandas"]]


def test_what_cannot_be_opened_ends_the_server_with_its_reason(make_workspace, walk, monkeypatch):
    workspace, opens = make_workspace({"f1": [walk(1, 0, 8)]}), threading.Event()

    def broken(*args, **options):
        opens.wait(10)
        raise AnnotateError("crops are gone")

    def run(server, sockets):
        opens.set()
        begin = time.monotonic()
        while not server.should_exit and time.monotonic() < begin + 10:
            time.sleep(0.01)

    monkeypatch.setattr("pipeline.labelling.application.Project", broken)
    monkeypatch.setattr("pipeline.labelling.serve._SOON_S", 0.01)
    monkeypatch.setattr("uvicorn.Server.run", run)
    with pytest.raises(AnnotateError, match="crops are gone"):
        serve(workspace, port=0, suggest=False, browser=False)


class Now:
    def __init__(self, start):
        self.start = start


def ask(address, what, token=None, host=None):
    given = address.partition("token=")[2] if token is None else token
    port = re.search(r":(\d+)/", address)[1]
    headers = {"authorization": f"Bearer {given}", **({"host": host} if host else {})}
    with urllib.request.urlopen(
        urllib.request.Request(f"http://127.0.0.1:{port}/api/{what}", headers=headers)
    ) as answer:
        return json.load(answer)


def test_to_the_network_only_with_a_token(start):
    _, address = start("--host", "0.0.0.0", "--name", "Lab.local")
    assert "?token=" in address
    with pytest.raises(urllib.error.HTTPError, match="403"):
        ask(address, "session", token="")
    assert ask(address, "session", host="lab.local")["user"] == ""  # two of one name cannot be told apart


def test_a_port_that_is_taken_is_told_on_one_line(start, make_workspace, walk, tmp_path):
    _, address = start()
    port = re.search(r":(\d+)/", address).group(1)
    other = make_workspace({"f1": [walk(1, 0, 8)]}, tmp_path / "other")
    shown = CliRunner().invoke(main, ["label", "--workspace", str(other), "--port", port, "--no-browser"])
    assert shown.exit_code == 1
    assert shown.output == f"uavpipe: port {port} of 127.0.0.1 cannot be used; choose another --port\n"


def test_the_handlers_of_other_logs_stay_open(make_workspace, walk, monkeypatch):
    # Some close the stream that they write to with themselves: it may be the process's standard error.
    class Handler(logging.Handler):
        def close(self):
            closed.append(self)

    closed, served = [], []
    handler = Handler()
    monkeypatch.setattr(uvicorn.Server, "run", lambda server, sockets: served.append(sockets))
    serve(make_workspace({"f1": [walk(1, 0, 8)]}), port=0, suggest=False, browser=False)
    ((listening,),) = served
    listening.close()
    assert not closed, handler


def test_a_file_in_the_users_folder_is_not_run(make_workspace, walk, monkeypatch, tmp_path):
    class Recorder(Refresh):
        def start(self, command=()):
            pass

        def stop(self):
            ended.append(subprocess.run(self._command, capture_output=True, text=True))

    ended, home = [], tmp_path / "home"
    home.mkdir()
    (home / "pipeline.py").write_text("print('run')\n")
    monkeypatch.chdir(home)
    monkeypatch.setattr("pipeline.labelling.application.Refresh", Recorder)
    monkeypatch.setattr(uvicorn.Server, "run", lambda server, sockets: sockets[0].close())
    serve(make_workspace({"f1": [walk(1, 0, 8)]}), port=0, browser=False)
    assert "uavpipe: " in ended[0].stderr  # it is uavpipe, which finds too few labels
    assert "run" not in ended[0].stdout.split()


def test_a_workspace_without_tracklets_is_told(tmp_path):
    shown = CliRunner().invoke(main, ["label", "--workspace", str(tmp_path), "--no-browser"])
    assert shown.exit_code == 1
    assert "no flight with tracklets here; make them with `uavpipe tracks`" in shown.output


@pytest.fixture
def timed(make_workspace, walk):
    """f1 begins at 14:30:00, by its name; nothing says when f2 does."""
    workspace = make_workspace({"f1": [walk(1, 20, 10)], "f2": [walk(1, 20, 10)]})
    write_json(
        workspace / "f1/flight.json", {"video": "/gone/DJI_20240917143000_0001.mp4", "sha256": "", "stamp": []}
    )
    return workspace


def test_the_time_of_day_of_a_flight_where_it_is_known(timed):
    moment = Clocks(timed)
    assert moment("f1", 2.5) == datetime(2024, 9, 17, 14, 30, 2, 500_000)
    assert moment("f2", 2.5) is None


def test_when_and_where_a_tracklet_was_seen_as_the_labellers_left_it(timed):
    whole = tell_sightings(timed, {"f1/0": [(frame, 0) for frame in range(20, 30)]}, 1).words
    assert whole == {"f1/0": {"time": "2024-09-17 14:30:02", "video": "2.0-2.9 s", "place": "-"}}
    parts = {"f1/0": [(20, 0)], "f1/9": [(28, 0), (29, 0)], "f2/0": [(20, 0)]}
    found = tell_sightings(timed, parts, None).words
    assert {name: each["video"] for name, each in found.items()} == {
        "f1/0": "2.0-2.0 s",
        "f1/9": "2.8-2.9 s",
        "f2/0": "2.0-2.0 s",
    }
    assert found["f2/0"]["time"] == "-"
