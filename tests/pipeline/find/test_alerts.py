"""Who of the known people is in a new flight: by features made by hand, in a workspace with labels."""

import json

import numpy as np
import pytest

from annotate.operations import NewIdentity
from annotate.project import Project
from pipeline.cli.run import _say_who_is_known
from pipeline.config.models import FlightConfig
from pipeline.engine.progress import progress_bar
from pipeline.errors import PipelineError
from pipeline.find.alerts import find_known
from pipeline.find.calibration import Calibration, probability
from pipeline.find.gallery import Gallery

# Directions in the plane, degrees: persons 1 and 2 in the first flight; in the second one like 1, two like 2 in the
# same frames, of which the second is more alike, and one like nobody.
ANGLES = {"f1/0": 0, "f1/1": 90, "f2/0": 5, "f2/1": 75, "f2/2": 88, "f2/3": 225}
CALIBRATION = Calibration("", 0.0, 5.0, 0.0, 0.5, (0.0,), 20, 20, 4, "20 persons")


def unit(degrees):
    return np.array([[np.cos(np.radians(degrees)), np.sin(np.radians(degrees))]], np.float32)


@pytest.fixture
def workspace(make_workspace, walk, monkeypatch):
    workspace = make_workspace(
        {
            "f1": [walk(1, 0, 5), walk(2, 10, 5)],
            "f2": [walk(1, 0, 5), walk(2, 20, 5), walk(2, 22, 5), walk(3, 40, 5)],
        }
    )
    project = Project(workspace)
    project.store.apply(NewIdentity(tracklets=("f1/0",), name="Ann"), user="ann", id="a")
    project.store.apply(NewIdentity(tracklets=("f1/1",)), user="ann", id="b")
    project.close()
    plain = {name: unit(angle) for name, angle in ANGLES.items()}
    gallery = Gallery(list(plain), np.concatenate(list(plain.values())), plain, {}, np.zeros(2, np.float32))
    monkeypatch.setattr("pipeline.find.alerts.embed_flights", lambda *given: 0)
    monkeypatch.setattr("pipeline.find.alerts.read_gallery", lambda *given: gallery)
    monkeypatch.setattr("pipeline.find.alerts.calibration_of", lambda *given: CALIBRATION)
    monkeypatch.setattr(Calibration, "least", lambda self, error: 0.0)
    return workspace


def test_known_people_and_new_ones_are_told_apart(workspace):
    (alert,) = find_known(workspace, ["f1", "f2"], progress_bar)
    assert alert.flight == "f2"  # people are labelled in f1
    assert {each.number: (each.name, each.tracklets) for each in alert.known} == {
        1: ("Ann", ("f2/0",)),
        2: ("", ("f2/2",)),  # f2/1 is in a frame with it, so it is somebody else
    }
    assert alert.others == ("f2/1", "f2/3")
    assert alert.without == 0
    # The score is that of a search for the tracklet among those that share no frame with it.
    others = [name for name in ANGLES if name != "f2/0"]
    alike = np.array([(unit(5) @ unit(ANGLES[name]).T).item() for name in others], np.float32)
    score = probability(CALIBRATION.log_odds(alike))[others.index("f1/0")]
    assert next(each.score for each in alert.known if each.number == 1) == pytest.approx(score, abs=1e-6)
    (line,) = (workspace / "searches.jsonl").read_text().splitlines()
    assert json.loads(line)["flights"] == ["f2"]


def test_the_run_says_it_at_its_end(workspace, capsys):
    config = FlightConfig(videos=("f1.mp4", "f2.mp4"), workspace=workspace)
    _say_who_is_known(config)
    told = capsys.readouterr()
    assert "f2: 2 of the known people are probably in it" in told.out
    assert "  1 Ann: " in told.out
    assert "nobody who is known: 2 tracklets (f2/1, f2/3)" in told.out
    assert "they are no proof" in told.err


def test_where_nobody_is_known_or_nothing_is_new_nothing_is_compared(workspace, monkeypatch, capsys):
    def refuse(*given):
        raise AssertionError

    monkeypatch.setattr("pipeline.find.alerts.embed_flights", refuse)
    assert find_known(workspace, ["f1"], progress_bar) == []
    (workspace / "labels.sqlite").unlink()
    assert find_known(workspace, ["f2"], progress_bar) == []
    _say_who_is_known(FlightConfig(videos=("f2.mp4",), workspace=workspace))
    assert capsys.readouterr() == ("", "")
    assert not (workspace / "searches.jsonl").exists()


def test_without_a_calibration_nobody_is_called_known(workspace, monkeypatch, capsys):
    monkeypatch.setattr("pipeline.find.alerts.calibration_of", lambda *given: None)
    with pytest.raises(PipelineError, match="has no calibration"):
        find_known(workspace, ["f2"], progress_bar)
    _say_who_is_known(FlightConfig(videos=("f2.mp4",), workspace=workspace))
    assert "not compared with the known people: " in capsys.readouterr().err
