"""Finding a person: the ranking, the query's own tracklets, the photo, refusals, and what is recorded."""

import base64
import json
import re
import shutil
from dataclasses import replace

import cv2
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from click.testing import CliRunner

from annotate.operations import Mark, NewIdentity, SetMark
from annotate.project import Project
from pipeline.cli import main
from pipeline.errors import PipelineError
from pipeline.find.calibration import Calibration, probability
from pipeline.find.find import Findings, Wanted
from pipeline.find.formats import written
from pipeline.find.gallery import Gallery, make_gallery, read_gallery
from pipeline.find.page import as_page
from pipeline.find.query import photo_query
from pipeline.find.search import Answer, Found, Query, search
from pipeline.labelling.suggestions import as_bytes
from pipeline.sightings.tracklets import LabelledTracklets
from reid.checkpoint import save_checkpoint
from reid.config import NetworkConfig
from reid.embedder import NetworkEmbedder
from reid.network import Network
from tests.pipeline.sightings.test_maps import ANN

NETWORK = NetworkConfig(backbone="squeezenet1_1", height=48, width=32, global_branch=None)


@pytest.fixture
def known():
    """Four tracklets in the plane, at 0, 60, 90 and 36.87 degrees; the first two are of person 1."""
    vectors = np.array([[1, 0], [0.5, 0.75**0.5], [0, 1], [0.8, 0.6]], np.float32)
    labels = {"f1/0": 1, "f2/0": 1, "f2/1": Mark.OPEN, "f1/1": Mark.OPEN}
    crops = {name: vectors[[place]] for place, name in enumerate(labels)}
    rows = {
        "f1": pd.DataFrame({"number": [0, 0, 1], "frame": [1, 2, 2], "rank": [0, 0, 1]}),
        "f2": pd.DataFrame({"number": [0, 1], "frame": [1, 2], "rank": [0, 0]}),
    }
    gallery = Gallery(list(labels), vectors, crops, {}, np.zeros(2, np.float32))
    return gallery, LabelledTracklets(rows, labels)


# The similarities of the answers' sightings; "f1/1" is in a frame with "f1/0".
RANKINGS = {
    "a photo": (Query(np.array([[1, 0]], np.float32)), [{"f1/0": 1, "f2/0": 0.5}, {"f1/1": 0.8}, {"f2/1": 0}]),
    "two photos": (
        Query(np.array([[1, 0], [0, 1]], np.float32)),
        [{"f1/1": 0.7}, {"f2/0": (0.5 + 0.75**0.5) / 2, "f1/0": 0.5}, {"f2/1": 0.5}],
    ),
    "a crop": (Query(np.array([[1, 0]], np.float32), frozenset({"f1/0"})), [{"f2/0": 0.5}, {"f2/1": 0}]),
    "another crop": (Query(np.array([[0, 1]], np.float32), frozenset({"f2/1"})), [{"f2/0": 0.75**0.5, "f1/0": 0}]),
}


@pytest.mark.parametrize(("query", "expected"), RANKINGS.values(), ids=RANKINGS)
def test_answers_are_persons_by_their_best_sighting(known, query, expected):
    answers = search(query, *known, None, 0.05)
    found = [{each.tracklet: each.similarity for each in answer.found} for answer in answers]
    if "f2/1" in query.own:  # "f1/1", at 0.6, is of nobody: an answer of its own
        assert found.pop(1) == pytest.approx({"f1/1": 0.6})
    assert [list(each) for each in found] == [list(each) for each in expected]
    for one, other in zip(found, expected, strict=True):
        assert one == pytest.approx(other, abs=1e-6)


def test_below_the_threshold_of_strangers_nobody_is_likely(known):
    query = Query(np.array([[1, 0]], np.float32))
    alike = np.array([1, 0.5, 0, 0.8], np.float32)
    calibration = Calibration("", -1.0, 3.0, 0.5, 0.5, (0.0,), 20, 20, 4, "")
    best, second, third, _ = sorted(calibration.log_odds(alike), reverse=True)
    answers = search(query, *known, calibration, 0.05)
    assert [each.found[0].score for each in answers[:2]] == pytest.approx(probability(np.array([best, second])))
    # The best answer of a stranger is above the threshold in 5 % of the searches.
    for least, likely in ((best + 0.1, [0, 0, 0]), (second + 0.01, [1, 0, 0]), (third + 0.01, [1, 1, 0])):
        stored = replace(calibration, strangers=(least - 95, least + 5))
        assert [each.likely for each in search(query, *known, stored, 0.05)] == likely


@pytest.fixture
def workspace(make_workspace, walk):
    """Persons 1 to 3, each in both flights, in flight 2 as tracklets 2, 1 and 0; f1/0 is person 1."""
    workspace = make_workspace(
        {
            "f1": [walk(person, 5 * person, 4) for person in (1, 2, 3)],
            "f2": [walk(person, 5 * person, 4) for person in (3, 2, 1)],
        }
    )
    project = Project(workspace)
    project.store.apply(NewIdentity(tracklets=("f1/0",), name="Ann"), user="ann", id="a")
    project.close()
    return workspace


@pytest.fixture
def find(workspace, tmp_path):
    """Called with arguments: runs the command with a small network."""
    torch.manual_seed(0)
    weights = tmp_path / "small.safetensors"
    save_checkpoint(weights, Network(NETWORK).state_dict(), network=NETWORK, training={})
    options = ["--workspace", str(workspace), "--weights", str(weights), "--device", "cpu", "--format", "json"]
    return lambda *arguments: CliRunner().invoke(main, ["find", *map(str, arguments), *options])


def first(ran):
    assert ran.exit_code == 0, ran.output
    return [each["tracklet"] for each in json.loads(ran.stdout)["answers"]]


def test_a_crop_a_copy_of_it_and_a_person_are_found_in_the_other_flight(find, workspace, tmp_path, monkeypatch):
    crop = workspace / "f1/crops/images/0005_0.jpg"
    shutil.copy(crop, tmp_path / "anna.jpg")
    ran = find(crop)
    assert first(ran)[0] == "f2/2"
    assert "f1/0" not in first(ran)
    assert "no calibration of this network" in ran.stderr
    assert first(find(tmp_path / "anna.jpg", "--box", "0,0,20,40"))[:2] in (["f1/0", "f2/2"], ["f2/2", "f1/0"])
    assert first(find("--person", 1))[0] == "f2/2"
    log = (workspace / "searches.jsonl").read_text()
    assert [sorted(json.loads(line)) for line in log.splitlines()] == [
        ["photos", "time", "user"],
        ["photos", "time", "user"],
        ["person", "time", "user"],
    ]
    assert "anna" not in log
    strict = Calibration("", 0.0, 1.0, 0.0, 1.0, (100.0,), 20, 20, 4, "20 persons")
    monkeypatch.setattr("pipeline.find.find.calibration_of", lambda *given: strict)
    ran = find("--person", 1, "--no-audit")
    assert (first(ran), json.loads(ran.stdout)["anybody"]) == ([], False)
    assert "this person is in f1/0; nobody else here looks like them (5 tracklets compared); --all" in ran.stderr
    stranger = find(tmp_path / "anna.jpg", "--box", "0,0,20,40", "--no-audit")
    assert "nobody here looks like this person (6 tracklets); --all shows the most similar" in stranger.stderr
    assert (workspace / "searches.jsonl").read_text() == log


def test_the_page_holds_the_answers_and_their_pictures(find, workspace, tmp_path):
    photo = tmp_path / "Ann & <b>.jpg"
    shutil.copy(workspace / "f1/crops/images/0005_0.jpg", photo)
    page = tmp_path / "found.html"
    ran = find(photo, "--box", "0,0,20,40", "--html", page)
    answers = json.loads(ran.stdout)["answers"]
    text = page.read_text("utf-8")
    assert "Ann &amp; &lt;b&gt;.jpg" in text
    assert "<b>" not in text
    assert not re.search(r"<script|https?://", text)
    cells = [re.findall(r"<td>(.*?)</td>", row) for row in re.findall(r"<tr><td>.*?</tr>", text)]
    assert [(row[2], row[3]) for row in cells] == [
        (f"{each['similarity']:.3f}", each["tracklet"]) for each in answers
    ]
    pictures = [base64.b64decode(each) for each in re.findall(r'src="data:image/jpeg;base64,([^"]+)"', text)]
    assert len(pictures) == 1 + len(answers)  # the photo's is the first
    shown = [cv2.imdecode(np.frombuffer(each, np.uint8), cv2.IMREAD_COLOR) for each in pictures]
    for crop, picture in zip((each["crop"] for each in answers), shown[1:], strict=True):
        assert np.abs(picture.astype(int) - cv2.imread(str(workspace / crop))).mean() < 12  # compressed again
    page.write_text("somebody's")
    assert "is no file that this command wrote" in find(photo, "--box", "0,0,20,40", "--html", page).stderr


def test_a_page_shows_no_file_that_a_foreign_table_names(workspace, tmp_path):
    cv2.imwrite(str(tmp_path / "secret.jpg"), np.zeros((9, 9, 3), np.uint8))
    sighting = replace(ANN, tracklet="f1/0", flight="f1", crop="f1/crops/../../../secret.jpg")
    findings = Findings([Answer((Found("f1/0", 0.5, None),), True)], {"f1/0": sighting}, 1, 0, None)
    page = as_page(workspace, Wanted(person=1), findings, findings.answers, tmp_path / "found.html")
    assert "no picture" in page
    assert "data:" not in page


def test_what_was_not_compared_is_said():
    found = Findings([], {}, 1, 0, None, own=("f1/2", "f1/10", "f2/0", "f2/1"), together=2)
    assert found.nobody == (
        "this person is in f1/2, f1/10, f2/0 and 1 more; nobody else here looks like them "
        "(1 tracklet compared; 2 left out, which share a frame with this person)"
    )


def test_junk_and_the_erased_are_not_found(find, workspace):
    project = Project(workspace)
    project.store.apply(SetMark(tracklets=("f2/0",), mark=Mark.JUNK), user="ann", id="j")
    project.store.apply(NewIdentity(tracklets=("f2/1", "f1/1")), user="ann", id="b")
    project.close()
    assert set(first(find("--person", 1))) == {"f2/2", "f2/1", "f1/1", "f1/2"}
    assert CliRunner().invoke(main, ["forget", "2", "--yes", "--workspace", str(workspace)]).exit_code == 0
    assert set(first(find("--person", 1))) == {"f2/2", "f1/2"}
    ran = find("--person", 2)
    assert (ran.exit_code, ran.stderr.count("\n")) == (1, 1)
    assert "there is no person 2; known: 1" in ran.stderr


PHOTOS = {
    "nobody": ((300, 600), [], "no person is found in it; say where it is with --box"),
    "two": (
        (300, 600),
        [[5, 5, 25, 60], [0, 0, 9, 9]],
        "choose one with --box X1,Y1,X2,Y2; from the left: 0,0,9,9; 5,5,25,60",
    ),
    "a large upright one": ((800, 600), [], "no person is found"),
}


@pytest.mark.parametrize(("size", "boxes", "message"), PHOTOS.values(), ids=PHOTOS)
def test_a_photo_without_one_person_is_refused(tmp_path, size, boxes, message):
    with pytest.raises(PipelineError, match=message):
        ask(picture(tmp_path, size), boxes)


def test_the_person_in_a_photo_is_cut_out(tmp_path):
    photo = picture(tmp_path, (300, 600))
    whole = ask(picture(tmp_path, (100, 40), "small.png"), []).vectors
    found = ask(photo, [[200, 100, 240, 200]]).vectors
    given = ask(photo, None, (200, 100, 240, 200)).vectors
    np.testing.assert_array_equal(found, given)
    assert found.shape == whole.shape == (1, 512)
    assert not np.allclose(found, whole)
    assert np.linalg.norm(found) == pytest.approx(1)


REFUSED = {
    "no picture": ("0,0,9,9", "not a picture that can be read"),
    "outside": ("700,0,800,9", r"box 700,0,800,9 is not inside of the picture, which has 600x300 px"),
    "upside down": ("9,9,5,20", "expected X1,Y1,X2,Y2 with X1 < X2 and Y1 < Y2"),
}


@pytest.mark.parametrize(("box", "message"), REFUSED.values(), ids=REFUSED)
def test_a_box_that_is_none_is_refused(tmp_path, box, message):
    photo = picture(tmp_path, (300, 600))
    if message.startswith("not a picture"):
        photo.write_bytes(b"no picture")
    with pytest.raises(PipelineError, match=message):
        ask(photo, None, tuple(map(float, box.split(","))))


def test_photo_and_person_are_one_or_the_other(find, tmp_path):
    for arguments in ((), (tmp_path / "a.jpg", "--person", 1)):
        ran = find(*arguments)
        assert (ran.exit_code, ran.stderr.count("\n")) == (1, 1)
        assert "expected a photo, or --person" in ran.stderr


def picture(folder, size, name="photo.png"):
    path = folder / name
    cv2.imwrite(str(path), np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8))
    return path


def ask(photo, boxes, box=None):
    torch.manual_seed(0)
    embedder = NetworkEmbedder(Network(NETWORK), "cpu")
    nobody = LabelledTracklets({})
    empty = make_gallery({"f1/0": np.zeros((1, 512), np.float32)})

    def detect(image):
        return np.array(boxes, np.float32).reshape(-1, 4)

    return photo_query([photo], box, embedder, detect, photo.parent / "runs", nobody, empty)


def test_answers_are_written_for_map_programs():
    answers = [Answer((Found("f1/0", 0.75, 0.5),), True), Answer((Found("f1/1", 0.5, 0.25),), False)]
    sightings = {each.tracklet: each for each in (ANN, replace(ANN, tracklet="f1/1", identity=None, mark="open"))}
    findings = Findings(answers, sightings, 2, 0, None)
    features = json.loads(written(findings, answers, "geojson"))["features"]
    assert [each["properties"]["score"] for each in features] == [0.5, 0.25]
    assert features[0]["geometry"]["coordinates"] == [ANN.position[1], ANN.position[0]]
    assert "score 0.5;" in written(findings, answers, "gpx")
    kml = written(findings, answers[:1], "kml")
    assert '<Data name="similarity">' in kml
    assert "f1/1" not in kml
    assert len(written(findings, answers, "cot").splitlines()) == 2


def as_lists(vectors):
    """As former versions stored them."""
    return pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), vectors.shape[1])


@pytest.mark.parametrize("stored", [as_bytes, as_lists])
@pytest.mark.parametrize("mixed", [True, False])
def test_a_gallery_of_stored_embeddings_is_that_of_their_means(tmp_path, stored, mixed):
    """Two flights, read from their tables in half precision, against a loop over their tracklets."""
    rng = np.random.default_rng(0)
    rows, means = {}, {}
    for flight in ("f1", "f2"):
        vectors = rng.normal(1, 1, (12, 8)).astype(np.float16)
        keys = {"frame": np.arange(12, dtype=np.int32), "rank": np.zeros(12, np.int16)}
        table = pa.table({**keys, "feature": stored(vectors)})
        (tmp_path / flight / "embeddings").mkdir(parents=True)
        order = rng.permutation(12) if mixed else np.arange(12)
        pq.write_table(table.take(order), tmp_path / flight / "embeddings/embeddings.parquet")
        rows[flight] = pd.DataFrame({"number": [0] * 5 + [1] * 4 + [2] * 5, "frame": range(14), "rank": 0})
        lengths = np.linalg.norm(vectors.astype(float), axis=1, keepdims=True)
        for number, part in enumerate(np.split(vectors / lengths, [5, 9])):
            means[f"{flight}/{number}"] = part.mean(axis=0) / np.linalg.norm(part.mean(axis=0))
    found = read_gallery(tmp_path, LabelledTracklets(rows, {"f2/0": Mark.JUNK}))
    del means["f2/0"]
    expected = make_gallery({name: mean[None].astype(np.float32) for name, mean in means.items()})
    assert list(found.names) == list(means)
    assert [len(found.crops[name]) for name in means] == [5, 4, 3, 4, 3]  # frames 12 and 13 are not embedded
    assert found.features == pytest.approx(expected.features, abs=1e-3)
    assert found.mean == pytest.approx(expected.mean, abs=1e-3)
    middle = found.of_crops("f1/1").mean(axis=0)
    assert middle @ found.features[1] / np.linalg.norm(middle) > 0.9


def test_embeddings_that_are_no_numbers_are_named(tmp_path):
    vectors = np.ones((2, 4), np.float16)
    vectors[1, 2] = np.inf
    path = tmp_path / "f1/embeddings/embeddings.parquet"
    path.parent.mkdir(parents=True)
    rows = LabelledTracklets({"f1": pd.DataFrame({"number": [0, 0], "frame": [0, 1], "rank": 0})})
    for column, reason in ((as_bytes(vectors), "a value is not a finite number"), (pa.array(["a", "b"]), "")):
        pq.write_table(pa.table({"frame": [0, 1], "rank": [0, 0], "feature": column}), path)
        with pytest.raises(PipelineError, match=rf"{path}: not a table of embeddings \(.*{reason}.*\); delete it"):
            read_gallery(tmp_path, rows)


def test_what_a_flights_crops_have_in_common_is_subtracted():
    one, other = np.array([[1, 0]], np.float32), np.array([[0, 1]], np.float32)
    gallery = make_gallery({"f1/0": one, "f2/0": other})
    # The mean of two tracklets counts for 2 of 12, that of a flight's one tracklet for 1 of 11.
    mean = np.array([1, 1]) / 12
    first = (np.array([1, 0]) + 10 * mean) / 11
    assert gallery.mean == pytest.approx(mean)
    assert gallery.means["f1"] == pytest.approx(first)
    assert gallery.features[0] == pytest.approx(([1, 0] - first) / np.linalg.norm([1, 0] - first))
    assert gallery.centred(one, None)[0] == pytest.approx(([1, 0] - mean) / np.linalg.norm([1, 0] - mean))
