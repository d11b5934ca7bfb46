"""The commands of the pages, run in the order in which a page shows them, on two small labelled flights."""

import json
import os
import re
import shutil
import zipfile
from pathlib import Path

import pytest
from click.testing import CliRunner

from pipeline.cli import main
from pipeline.labelling.from_ground_truth import label_by_ground_truth
from tests.network.every_command import _make_people as make_people
from tests.test_docs import commands

ROOT = Path(__file__).parents[1]
EMBEDDED = ROOT / "reid" / "embedded" / "embedder.safetensors"
DETECTOR = ROOT / "detector" / "embedded" / "small.safetensors"
# Both are `flights.yaml`, and `flight.yaml` of the tutorial: small images, and a data set of little.
FLIGHTS = """
videos: [flight01.mp4, flight02.mp4]
frames: {segment_frames: 8}
detector: {weights: embedded, device: cpu, threshold: 0.3, resize: {width: 320, height: 320}}
tracks: {min_score: 0.2, high_score: 0.2}
dataset: {min_crops: 1, protocol: tracklet, gap_s: 0}
report: {clip_s: 1}
camera: {fov_deg: 65}
places: [{name: fountain, latitude: 47, longitude: 8}]
"""
BOXES = "frame,x1,y1,x2,y2,score\n0,20,30,40,80,0.9\n15,20,30,40,80,0.9\n"
RESULTS = json.dumps(
    [{"image_id": frame, "category_id": 1, "bbox": [20, 30, 20, 50], "score": 0.9} for frame in (0, 15)]
)
# A page's command -> why it is not run here.
NOT_RUN = {
    r"label ": "serves; tests/annotate/app",
    r"run .*--ray": "a cluster; tests/pipeline/cluster",
    r"reid train |reid table1|detector train|annotate retrain": "trains for hours, or on published data",
    r".*(msmt17|…|\[--)": "published data, or what the reader fills in",
    r".*(SLURM|fp16)": "a cluster with GPUs",
    r"weights get": "the network",
    r"detector (convert|import-detectron2|evaluate data/visdrone)": "published data and weights; tests/detector",
    r"detector (pseudo-label|calibrate)|simulate ": "minutes; tests/network/every_command.py",
    r".*(detectron2|openvino|onnx|model_final|int8|mine\.safetensors)": "other runtimes; tests/detector/backends",
    r"reid (inspect|export)|annotate embed --weights model": "ONNX, which takes minutes here; tests/reid",
    r"run flight01.mkv": "what `docs/extending.md` shows how to write",
    r"detect flight.mp4 --set detector.tiles": "tiles; tests/detector/backends",
}
# What the reader would have: numbers of persons, frames and queries, a crop.
OWN = {"7": "1", "120": "8", "12": "0", "2000": "1", "160": "1", "2/8": "1/2"}
PAGES = ("annotate", "architecture", "cluster", "dataset", "detector", "find", "privacy", "reid", "report", "trace")


def uavpipe(line):
    shown = CliRunner().invoke(main, line if isinstance(line, list) else line.split(), input="y\n")
    assert shown.exit_code == 0, f"{line}: {shown.output} {shown.exception!r}"
    return shown


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """What the pages suppose: flights, configuration, labels, a data set, networks, annotated images."""
    folder = tmp_path_factory.mktemp("home")
    before = Path.cwd()
    os.chdir(folder)
    try:
        make(folder)
    finally:
        os.chdir(before)
    return folder


def make(folder):
    Path("flights.yaml").write_text(FLIGHTS)
    for seed in (1, 2):
        uavpipe(
            f"simulate flight0{seed}.mp4 --people 6 --seconds 2 --size 320x180 --fps 8 --altitude 12 --cast 3 "
            f"--seed {seed}"
        )
    uavpipe("run --config flights.yaml --until tracks")
    truths = {name: Path(f"{name}.gt.txt") for name in ("flight01", "flight02")}
    label_by_ground_truth(Path("runs"), truths)
    uavpipe("run --config flights.yaml --until dataset")
    make_people()
    crops = sorted(Path("runs/flight01/crops/images").rglob("*.jpg"))
    shutil.copy(crops[0], "person.jpg")
    shutil.copytree("runs/flight01/crops/images", "crops")
    for place in ("data/market1501", "data/drone", "Market-1501"):
        shutil.copytree("people", place)
    for place in ("runs/reid/drone/last", "runs/reid/drone/best", "a", "b"):
        Path(place).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(EMBEDDED, f"{place}.safetensors")
    uavpipe("simulate-stills stills --count 2 --size 160x96")
    shutil.copy("stills/annotations.json", "annotations.json")
    shutil.copytree("stills/images", "images")
    for suffix in (".mp4", ".gt.txt"):
        shutil.copy(f"flight01{suffix}", f"flight{suffix}")


@pytest.fixture
def at_home(home, tmp_path, monkeypatch):
    shutil.copytree(home, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)


def words_of(page):
    """The commands of a page that are run here."""
    for name, words in commands():
        if name == f"{page}.md" and not any(re.match(each, " ".join([*words, ""])) for each in NOT_RUN):
            yield [OWN.get(word, word) for word in words]


def before_page(page):
    """What a page supposes beyond the rest."""
    if page == "trace":
        uavpipe("reid evaluate --weights a.safetensors --data runs/dataset --protocol tracklet --out eval")
    if page == "detector":
        Path("runs/fpn").mkdir()
        shutil.copy(DETECTOR, "runs/fpn/best.safetensors")
        Path("data/visdrone").mkdir()
        shutil.copy("annotations.json", "data/visdrone/train.json")
        shutil.copytree("images", "data/visdrone/images")
        for name in ("flight01", "flight02", "dataset"):
            shutil.rmtree(f"runs/{name}")
        for labels in Path("runs").glob("labels*"):
            labels.unlink()
        Path("found").mkdir()
        for place in ("found.csv", "found/flight01.json", "found/flight02.json"):
            Path(place).write_text(BOXES if place.endswith("csv") else RESULTS)
    if page == "reid":
        for part in ("query", "gallery"):
            folder = "people/query" if part == "query" else "people/bounding_box_test"
            uavpipe(f"reid embed {folder} --weights a.safetensors --out {part}.npy")
        for name, flip in (("old", ""), ("new", " --flip")):
            uavpipe(f"reid evaluate --weights a.safetensors --data people --out runs/reid/{name}/test{flip}")


def before_command(words):
    """What is between two commands of a page: another tool's work, or another flight."""
    if words == ["detect", "flight.mp4"]:
        shutil.rmtree("runs/flight")
    if words[:2] == ["annotate", "import"] and "export.zip" in words:
        with zipfile.ZipFile("export.zip", "w") as archive:
            archive.writestr("annotations.xml", Path("flight01.xml").read_text().replace("person", "swimmer"))


def crop_of_data_set():
    return min(path.name for path in Path("runs/dataset/query").iterdir())


@pytest.mark.parametrize("page", PAGES)
def test_the_commands_run_in_their_order(at_home, page):
    before_page(page)
    for words in words_of(page):
        before_command(words)
        uavpipe([crop_of_data_set() if re.match(r"\d{4}_c\ds", word) else word for word in words])


def test_what_is_not_run_is_on_a_page():
    shown = [" ".join([*words, ""]) for name, words in commands() if name != "benchmarks.md"]
    assert [each for each in NOT_RUN if not any(re.match(each, line) for line in shown)] == []
