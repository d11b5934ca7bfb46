import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from annotate.log.migrate import back_up
from annotate.log.recover import recover
from annotate.log.store import LABELS, LabelStore
from annotate.log.text import read_log, replay, write_log
from annotate.operations import Assign, Merge, NewIdentity, Rename, SecondLook, SetMark, Split
from annotate.project import Project
from detector.config import DetectorConfig, Resize
from pipeline.boxes import iou
from pipeline.chain.table import CROPS, FRAMES, TRACKS
from pipeline.cli import main
from pipeline.config.models import CropsConfig, FlightConfig, FramesConfig
from pipeline.engine.progress import progress_bar
from pipeline.errors import PipelineError
from pipeline.privacy.forget import commit
from pipeline.privacy.forget.commit import forget, resume, workspace_to_oneself
from pipeline.privacy.forget.selection import select_identity
from pipeline.run.flight import run_overlay, run_stages
from pipeline.simulate import simulate_flight
from pipeline.workspace.manifest import StageFolder
from pipeline.workspace.tables import read_table

SMALL = DetectorConfig(weights="embedded", resize=Resize(width=320, height=320), floor=0.02, threshold=0.2)
NAME = "Somebody Unforgettable"
BOX = ["x1", "y1", "x2", "y2"]


def settings(workspace, **sections):
    frames = FramesConfig(segment_frames=8, images=True)
    return FlightConfig(workspace=workspace, **({"detector": SMALL, "frames": frames} | sections))


@pytest.fixture(scope="module")
def flown(tmp_path_factory):
    """A flight up to the overlay, labelled: identity 2 is to be forgotten, after much to and fro."""
    folder = tmp_path_factory.mktemp("flown")
    files = simulate_flight(
        folder / "flight01.mp4", people=7, seconds=3, seed=3, size=(480, 270), fps=8, altitude=12
    )
    workspace = folder / "runs"
    run_stages(settings(workspace), files.video, TRACKS, progress_bar)
    run_overlay(settings(workspace), files.video, progress_bar)
    (workspace / "dataset").mkdir()
    (workspace / "dataset" / "statistics.html").write_text(NAME)
    test = workspace / "reid" / "drone" / "test"
    (test / "ranked").mkdir(parents=True)
    for name in ("metrics.json", "queries.parquet", "pairs.parquet", "ranked.parquet", "ranked/000.jpg"):
        (test / name).write_text(NAME)
    for run, data in (("drone", "dataset"), ("source", "market1501")):
        (workspace / "reid" / run).mkdir(exist_ok=True)
        (workspace / "reid" / run / "run.json").write_text(json.dumps({"data": {"name": data}}))
        (workspace / "reid" / run / "last.safetensors").write_text("weights")
    project = Project(workspace)
    names = sorted(project.store.state.tracklets, key=lambda name: -len(project.store.state.tracklets[name]))
    assert len(names) >= 4
    apply = counting(project.store)
    apply(NewIdentity(tracklets=(names[0],), name="Kept"))
    apply(NewIdentity(tracklets=(names[1],)))
    apply(Rename(identity=2, name=NAME))
    middle = project.store.state.tracklets[names[2]][1].frame
    tail = apply(Split(tracklet=names[2], frame=middle)).created
    apply(NewIdentity(tracklets=(tail,)))
    apply(Merge(source=3, into=2))
    apply(SecondLook(tracklet=names[0], answer=2))
    apply(SecondLook(tracklet=names[0], answer=1))
    apply(SetMark(tracklets=(names[3],), mark="distractor"))
    project.store.undo(user="ann", id="u1")
    project.store.redo(user="ann", id="u2")
    apply(NewIdentity(tracklets=tuple(names[4:5])))
    apply(Assign(tracklets=(names[3],), identity=4))
    project.close()
    return files, workspace


def counting(store):
    def apply(operation):
        return store.apply(operation, user="ann", id=f"op-{len(store.entries)}")

    return apply


@pytest.fixture
def workspace(flown, tmp_path):
    shutil.copytree(flown[1], tmp_path / "runs")
    return tmp_path / "runs"


def boxes_by_label(workspace):
    """Identity or mark -> (flight, frame, box) of each detection."""
    with LabelStore(workspace / LABELS, create=False) as store:
        labels = store.state.labelled()
    rows = read_table(workspace / "flight01" / "detections" / "detections.parquet").set_index(["frame", "rank"])
    found = {}
    for (_, frame, rank), label in labels.items():
        found.setdefault(label, set()).add((frame, *rows.loc[(frame, rank), BOX].tolist()))
    return found


def run_forget(workspace):
    with workspace_to_oneself(workspace), LabelStore(workspace / LABELS, create=False) as store:
        whom = select_identity(workspace, store, 2)
        forget(workspace, store, whom)
    return whom


def test_nothing_of_the_person_is_left(workspace, flown, tmp_path):
    folder = workspace / "flight01"
    before = boxes_by_label(workspace)
    crops = read_table(folder / "crops" / "crops.parquet")
    keys = {(frame, *box) for frame, *box in before[2]}
    mine = [(row.frame, row.x1, row.y1, row.x2, row.y2) in keys for row in crops.itertuples()]
    pictures = [(folder / "crops" / crop).read_bytes() for crop in crops.loc[mine, "crop"]]
    assert len(pictures) > 3
    looks = [
        bytes(np.asarray(look, np.float16))
        for look in read_table(folder / "appearance" / "appearance.parquet")["look"]
    ]

    whom = run_forget(workspace)
    part = whom.flights["flight01"]
    assert len(part.tracklets) == 2
    after = boxes_by_label(workspace)
    assert after == {label: boxes for label, boxes in before.items() if label != 2}

    files = [path for path in workspace.rglob("*") if path.is_file()]
    for path in files:
        content = path.read_bytes()
        assert NAME.encode() not in content, path
        assert not any(picture in content for picture in pictures), path
    tables = [path for path in folder.rglob("*.parquet") if path.is_dir() or path.parent.suffix != ".parquet"]
    for path in tables:
        rows = pd.read_parquet(path)
        if set(BOX) <= set(rows):
            kept = {(row.frame, row.x1, row.y1, row.x2, row.y2) for row in rows.itertuples()}
            assert not kept & keys, path
        if "rank" in rows and path.name == "detections.parquet":
            for _, those in rows.groupby("frame"):  # closed up, by score as ever
                assert those["rank"].tolist() == list(range(len(those)))
                assert those["score"].is_monotonic_decreasing
    gone = len(part.gone)
    kept = [
        bytes(np.asarray(look, np.float16))
        for look in read_table(folder / "appearance" / "appearance.parquet")["look"]
    ]
    assert set(kept) < set(looks)
    assert len(looks) - gone <= len(kept) < len(looks)
    assert not (workspace / "dataset").exists()
    assert not (folder / "overlay").exists()
    assert not (workspace / ".forget").exists()
    grey = 0
    for frame, boxes in part.boxes.items():  # the frames as JPEGs
        image = cv2.imread(next(folder.glob(f"frames/images/*/{frame:08d}.jpg")))
        x, y = boxes[0].reshape(2, 2).mean(axis=0).astype(int)
        if 0 <= x < 480 and 0 <= y < 270:
            assert abs(image[y, x].astype(int) - 128).max() < 10
            grey += 1
    assert grey > 3


def test_the_labels_can_be_gone_on_with(workspace, flown, tmp_path):
    run_forget(workspace)
    with LabelStore(workspace / LABELS, create=False) as store:
        assert store.state.identities == {1: "Kept", 4: ""}
        assert store.state.second_looks[next(iter(store.state.members[1]))] == (1, 1)
        write_log(tmp_path / "log.jsonl", store.entries)
        chain = store.chain
    replay(tmp_path / "log.jsonl", tmp_path / "again.sqlite")
    with LabelStore(tmp_path / "again.sqlite") as again:
        assert again.chain == chain
    project = Project(workspace)  # checks that every crop is there, and that the tracklets are those labelled
    new = counting(project.store)(NewIdentity())
    assert new.created == 5  # a number is never given twice
    project.close()


def test_no_stage_is_stale_and_none_brings_the_person_back(workspace, flown):
    files, _ = flown
    whom = run_forget(workspace)
    boxes = whom.flights["flight01"].boxes
    results = run_stages(settings(workspace), files.video, TRACKS, progress_bar)
    assert {result.skipped for result in results} == {True}
    run_stages(settings(workspace, crops=CropsConfig(padding=0.0)), files.video, CROPS, progress_bar)
    assert shown(workspace, boxes) == 0
    other = settings(workspace, detector=SMALL.model_copy(update={"floor": 0.03}))
    results = run_stages(other, files.video, CROPS, progress_bar)
    assert not results[1].skipped  # detected again
    assert shown(workspace, boxes) == 0


def shown(workspace, boxes):
    """How many crops of these places show more than grey."""
    folder = workspace / "flight01" / "crops"
    count = 0
    for row in read_table(folder / "crops.parquet").itertuples():
        here = boxes.get(row.frame)
        if here is not None and iou(np.array([[row.x1, row.y1, row.x2, row.y2]]), here).max() >= 0.5:
            count += cv2.imread(str(folder / row.crop)).std() > 20
    return count


def content(workspace):
    return {
        path.relative_to(workspace).as_posix(): path.read_bytes()
        for path in workspace.rglob("*")
        if path.is_file() and path.name not in (".lock", LABELS)
    }


@pytest.mark.parametrize("survived", [0, 1, 7])
def test_a_run_that_is_killed_goes_on(workspace, tmp_path, monkeypatch, survived):
    twin = tmp_path / "twin"
    shutil.copytree(workspace, twin)
    run_forget(twin)
    left = survived
    replace = Path.replace

    def killed(self, target):
        nonlocal left
        if ".forget/files" in self.as_posix() and ".part-" not in self.name:
            left -= 1
            if left < 0:
                raise KeyboardInterrupt
        return replace(self, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", killed)
        with pytest.raises(KeyboardInterrupt):
            run_forget(workspace)
    with pytest.raises(PipelineError, match="was interrupted here; run it again"):
        run_stages(settings(workspace), workspace / "flight01", FRAMES, progress_bar)
    result = CliRunner().invoke(main, ["forget", "2", "--workspace", str(workspace), "--yes"])
    assert result.exit_code == 0, result.output
    assert content(workspace) == content(twin)
    assert boxes_by_label(workspace) == boxes_by_label(twin)


def test_it_asks_first_and_knows_its_people(workspace):
    result = CliRunner().invoke(main, ["forget", "2", "--workspace", str(workspace)], input="n\n")
    assert result.exit_code == 1
    assert NAME in result.output
    assert "not deleted: the videos" in result.output
    assert 2 in boxes_by_label(workspace)
    with (
        LabelStore(workspace / LABELS) as store,
        pytest.raises(PipelineError, match="no identity 9; known: 1, 2, 4"),
    ):
        select_identity(workspace, store, 9)


def test_a_journal_from_elsewhere_deletes_nothing_outside(workspace, tmp_path):
    (tmp_path / "precious").mkdir()
    (workspace / ".forget").mkdir()
    (workspace / ".forget" / "journal.json").write_text(
        '{"step": "delete", "delete": ["../precious"], "move": [], "flights": []}'
    )
    with pytest.raises(PipelineError, match="no file of this workspace"):
        resume(workspace)
    assert (tmp_path / "precious").exists()


def test_what_cannot_be_prepared_deletes_nothing(workspace):
    before = content(workspace)
    damaged = next((workspace / "flight01" / "appearance").rglob("part-*.parquet"))
    damaged.write_bytes(damaged.read_bytes()[:-9])
    with pytest.raises(PipelineError, match="nothing was deleted"):
        run_forget(workspace)
    after = content(workspace)
    assert {name for name in before if before[name] != after.get(name)} == {
        damaged.relative_to(workspace).as_posix()
    }
    assert 2 in boxes_by_label(workspace)


def vanishing(monkeypatch, workspace, place, table):
    """The first part of `table` vanishes when the commit comes to the function `place`."""
    part = next((workspace / "flight01" / table).glob("part-*.parquet"))
    real = getattr(commit, place)

    def call(*arguments):
        part.unlink(missing_ok=True)
        return real(*arguments)

    monkeypatch.setattr(commit, place, call)
    return part


@pytest.mark.parametrize(
    "table", ["frames/frames.parquet", "motion/motion.parquet", "appearance/appearance.parquet"]
)
def test_a_part_that_vanishes_while_files_are_prepared_deletes_nothing(workspace, monkeypatch, table):
    before = content(workspace)
    part = vanishing(monkeypatch, workspace, "rewrite", table)
    with pytest.raises(PipelineError, match=rf"{part.name}.* nothing was deleted|nothing was deleted.*{part.name}"):
        run_forget(workspace)
    before.pop(part.relative_to(workspace).as_posix())
    assert content(workspace) == before
    assert 2 in boxes_by_label(workspace)


@pytest.mark.parametrize("table", ["frames/frames.parquet", "detections/detections.parquet"])
def test_a_part_that_vanishes_later_is_told_and_its_stage_is_stale(workspace, monkeypatch, table):
    part = vanishing(monkeypatch, workspace, "_update_manifest", table)
    with pytest.raises(PipelineError, match=rf"{part.name}: vanished meanwhile .*; the person is erased"):
        run_forget(workspace)
    assert [each.path for each in StageFolder(part.parents[1]).broken()] == [part]
    assert not (workspace / ".forget").exists()
    with LabelStore(workspace / LABELS) as store:
        assert 2 not in store.state.exists


@pytest.mark.parametrize("table", ["appearance/appearance.parquet", "detections/detections.parquet"])
def test_where_a_prepared_part_vanishes_the_old_one_does_not_stay(workspace, monkeypatch, table):
    real, gone = commit._delete, []

    def call(*arguments):
        gone.append(min((workspace / ".forget" / "files" / "flight01" / table).glob("part-*.parquet")))
        gone[0].unlink()
        return real(*arguments)

    monkeypatch.setattr(commit, "_delete", call)
    with pytest.raises(PipelineError, match=rf"{table}/part-\d+\.parquet: vanished meanwhile"):
        run_forget(workspace)
    assert not (workspace / "flight01" / table / gone[0].name).exists()


def test_what_killed_runs_left_goes_too(workspace):
    left = [
        ".part-report/crops/0.jpg",
        ".part-former-report/crops/0123456789abcdef.jpg",
        ".part-dataset/query/0.jpg",
        "reid/drone/test/.part-ranked/000.jpg",
        "reid/drone/test/.part-queries.parquet",
        "flight01/crops/images/.part-00000000/0.jpg",
        "flight01/clip/.part-clip.mp4",
    ]
    for name in left:
        (workspace / name).parent.mkdir(parents=True, exist_ok=True)
        (workspace / name).write_text(NAME)
    run_forget(workspace)
    assert not [path for path in workspace.rglob("*") if path.is_file() and NAME.encode() in path.read_bytes()]
    assert not list(workspace.rglob(".part-*"))


def test_networks_that_learnt_from_the_person_go_and_others_stay(workspace):
    run_forget(workspace)
    left = sorted(path.relative_to(workspace / "reid").as_posix() for path in (workspace / "reid").rglob("*.*"))
    assert left == ["source/last.safetensors", "source/run.json"]


def test_no_copy_of_the_labels_keeps_the_person(workspace):
    text = workspace / f"{LABELS}.log.jsonl"
    assert NAME in text.read_text()
    with LabelStore(workspace / LABELS) as store:
        back_up(store._connection, workspace / LABELS)
    text.write_text(text.read_text().replace(NAME, f"{NAME}!"))
    assert recover(workspace / LABELS).kept is not None
    copies = [path for path in workspace.glob(f"{LABELS}.*") if NAME.encode() in path.read_bytes()]
    assert len(copies) == 4  # the text, the backup, the damaged files
    run_forget(workspace)
    assert sorted(path.name for path in workspace.glob(f"{LABELS}*")) == [LABELS, text.name]
    assert not [path for path in workspace.rglob("*") if path.is_file() and NAME.encode() in path.read_bytes()]
    with LabelStore(workspace / LABELS) as store:
        assert read_log(text) == store.entries
