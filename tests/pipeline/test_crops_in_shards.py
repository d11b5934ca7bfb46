"""One flight with its crops as files and in tar files: whatever reads crops sees the same."""

import json
import shutil
import subprocess
import tarfile
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
import torch
from click.testing import CliRunner

from annotate.errors import AnnotateError
from annotate.exchange.admit import Reading
from annotate.log.store import LABELS, LabelStore
from annotate.operations import Assign, NewIdentity, Seen, Split
from annotate.project import Project
from detector.config import DetectorConfig
from pipeline.chain.table import CROPS, TRACKS
from pipeline.cli import main
from pipeline.config.models import CropsConfig, DatasetConfig, FlightConfig, FramesConfig, ReportConfig, ThinConfig
from pipeline.dataset.stage import run_dataset
from pipeline.engine.progress import progress_bar
from pipeline.errors import PipelineError
from pipeline.labelling.suggestions import embed_flights, labelled_crops
from pipeline.lineage.subjects import trace
from pipeline.privacy.forget.commit import forget, workspace_to_oneself
from pipeline.privacy.forget.selection import select_identity
from pipeline.report import write_report
from pipeline.run.flight import run_stages
from pipeline.run.import_detections import import_detections
from pipeline.simulate import simulate_flight
from pipeline.stages.crop_store import Crops, ShardWriter, index_of, read_picture
from pipeline.workspace.tables import read_table
from reid.checkpoint import save_checkpoint
from reid.config import NetworkConfig
from reid.network import Network
from reid.training.run_folder import identity

NETWORK = NetworkConfig(backbone="squeezenet1_1", height=48, width=32, global_branch=None)
NAME = "flight01"
TAR = CropsConfig(store="tar")
PLACES = ["crop", "offset"]


def settings(workspace, **sections):
    return FlightConfig(workspace=workspace, **({"frames": FramesConfig(segment_frames=8)} | sections))


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    path = tmp_path_factory.mktemp("flight") / f"{NAME}.mp4"
    simulate_flight(path, people=2, seconds=3, seed=3, size=(320, 180), fps=8, altitude=12)
    return path


@pytest.fixture(scope="module")
def boxes(tmp_path_factory):
    """Five people who walk; the second and the third overlap."""
    path = tmp_path_factory.mktemp("boxes") / "boxes.csv"
    rows = [
        f"{frame},{left + 2 * frame},{top},{left + 2 * frame + 30},{top + 70},{0.95 - left / 10_000}"
        for frame in range(24)
        for left, top in ((10, 60), (60, 50), (82, 70), (140, 40), (200, 90))
    ]
    path.write_text("frame,x1,y1,x2,y2,score\n" + "\n".join(rows))
    return path


@pytest.fixture(scope="module")
def flown(video, boxes, tmp_path_factory):
    """The labelled workspaces with files and with shards, by store."""
    root = tmp_path_factory.mktemp("flown")
    import_detections(settings(root / "files"), video, boxes, Reading(), progress_bar)
    run_stages(settings(root / "files"), video, TRACKS, progress_bar)
    shutil.copytree(root / "files", root / "tar")
    run_stages(settings(root / "tar", crops=TAR), video, TRACKS, progress_bar)
    label(root / "files")
    for name in (LABELS, f"{LABELS}.log.jsonl"):
        shutil.copy(root / "files" / name, root / "tar" / name)
    return {"files": root / "files", "tar": root / "tar"}


def label(workspace):
    project = Project(workspace)
    names = sorted(project.store.state.tracklets, key=lambda name: -len(project.store.state.tracklets[name]))
    for number, name in enumerate(names[:5], start=1):
        content = project.store.state.tracklets[name]
        half = project.store.apply(
            Split(tracklet=name, frame=content[len(content) // 2].frame), user="ann", id=f"s{number}"
        ).created
        project.store.apply(NewIdentity(tracklets=(name,)), user="ann", id=f"n{number}")
        project.store.apply(Assign(tracklets=(half,), identity=number), user="ann", id=f"a{number}")
    project.close()


@pytest.fixture
def both(flown, tmp_path):
    """Copies that a test may change, by store."""
    return {store: shutil.copytree(flown[store], tmp_path / store / "runs") for store in flown}


def crops(workspace):
    return read_table(workspace / NAME / "crops" / "crops.parquet")


def pictures(workspace):
    """The bytes of each crop, by frame and rank."""
    rows = crops(workspace)
    return {
        (frame, rank): read_picture(workspace / NAME / "crops" / crop)
        for frame, rank, crop in zip(rows["frame"], rows["rank"], rows["crop"], strict=True)
    }


def stored(workspace):
    return sorted(path for path in (workspace / NAME / "crops").rglob("*") if path.is_file())


def shards(workspace):
    return [path for path in stored(workspace) if path.suffix == ".tar"]


def content(folder, *suffixes):
    """The bytes of its files, by name."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.suffix in suffixes
    }


def same_rows(workspaces):
    files, tar = crops(workspaces["files"]), crops(workspaces["tar"])
    pd.testing.assert_frame_equal(files.drop(columns="crop"), tar.drop(columns=PLACES))
    return files, tar


def test_the_table_is_the_same_but_for_the_places(flown):
    files, tar = same_rows(flown)
    assert len(files) > 30
    assert "offset" not in files
    names = [file.replace("/", ".tar/").replace("images.tar/", "images/") for file in files["crop"]]
    assert tar["crop"].tolist() == names


def test_a_crop_has_the_same_bytes(flown):
    assert pictures(flown["tar"]) == pictures(flown["files"])


def test_a_shard_is_a_plain_tar_file_of_the_same_files(flown, tmp_path):
    found = {}
    for shard in shards(flown["tar"]):
        subprocess.run(["tar", "xf", shard], cwd=tmp_path, check=True)
        with tarfile.open(shard) as archive:
            for each in archive:
                assert (each.mtime, each.uid, each.gid, each.uname, each.mode) == (0, 0, 0, "", 0o644)
                found[f"{shard.stem}/{each.name}"] = archive.extractfile(each).read()
    images = flown["files"] / NAME / "crops" / "images"
    assert found == content(images, ".jpg")
    assert {path.name for path in tmp_path.iterdir()} == {name.split("/")[1] for name in found}


def test_there_are_as_many_files_as_segments(flown):
    segments = {crop.split("/")[1] for crop in crops(flown["tar"])["crop"]}
    assert [path.name for path in shards(flown["tar"])] == sorted(segments)
    assert not list((flown["tar"] / NAME / "crops").rglob("*.jpg"))


def test_a_finished_stage_is_up_to_date_and_files_need_no_new_fingerprint(flown, video):
    for store, config in (("files", CropsConfig()), ("tar", TAR)):
        results = run_stages(settings(flown[store], crops=config), video, CROPS, progress_bar)
        assert {each.skipped for each in results} == {True}
    for store, recorded in (("files", None), ("tar", "tar")):
        manifest = json.loads((flown[store] / NAME / "crops" / "manifest.json").read_text())
        assert manifest["section"].get("store") == recorded


@pytest.mark.parametrize("survived", [1, 25])
def test_a_run_that_is_killed_ends_with_the_same_bytes(flown, video, tmp_path, monkeypatch, survived):
    workspace = tmp_path / "runs"
    shutil.copytree(flown["tar"], workspace)
    shutil.rmtree(workspace / NAME / "crops")
    add, left = ShardWriter.add, survived

    def killed(self, name, data):
        nonlocal left
        left -= 1
        if left < 0:
            raise KeyboardInterrupt
        return add(self, name, data)

    with monkeypatch.context() as patch:
        patch.setattr(ShardWriter, "add", killed)
        with pytest.raises(KeyboardInterrupt):
            run_stages(settings(workspace, crops=TAR), video, CROPS, progress_bar)
    run_stages(settings(workspace, crops=TAR), video, CROPS, progress_bar)
    assert content(workspace / NAME / "crops", ".tar", ".parquet") == content(
        flown["tar"] / NAME / "crops", ".tar", ".parquet"
    )
    assert not list(workspace.rglob(".part-*"))


@pytest.mark.parametrize(("store", "other"), [("tar", CropsConfig()), ("files", TAR)])
def test_another_store_leaves_nothing_of_the_one_before(both, flown, video, store, other):
    run_stages(settings(both[store], crops=other), video, CROPS, progress_bar)
    wanted = flown["tar" if other is TAR else "files"]
    names = {path.relative_to(both[store]) for path in stored(both[store])}
    assert names == {path.relative_to(wanted) for path in stored(wanted)}
    assert pictures(both[store]) == pictures(flown["files"])


def test_a_segment_without_crops_has_no_shard(both, video):
    config = settings(both["tar"], crops=TAR, detector=DetectorConfig(threshold=1.0))
    run_stages(config, video, CROPS, progress_bar)
    assert shards(both["tar"]) == []
    results = run_stages(config, video, CROPS, progress_bar)
    assert results[-1].skipped


# --- damage


def cut(path):
    path.write_bytes(path.read_bytes()[:-10240])


def garble(path):
    """The bytes of one crop change, and the header of the next."""
    data = bytearray(path.read_bytes())
    data[700] ^= 1
    second = data.find(b"00000", 1024)
    data[second : second + 8] = b"99999999"
    path.write_bytes(data)


def run_verify(workspace, monkeypatch):
    monkeypatch.chdir(workspace.parent)
    return CliRunner().invoke(main, ["verify"]).output


@pytest.mark.parametrize("damage", [Path.unlink, cut])
def test_a_lost_or_cut_shard_is_one_line_and_is_written_again(both, flown, video, monkeypatch, damage):
    shard, sound = shards(both["tar"])[1], run_verify(both["tar"], monkeypatch)
    assert ("undamaged" in sound, "no stage made" in sound) == (True, False), sound
    damage(shard)
    out = run_verify(both["tar"], monkeypatch)
    assert [line for line in out.splitlines() if "jpg" in line] == []
    what = "another length than was written" if shard.exists() else "missing"
    assert out.count(f"images/{shard.name}: {what}") == 1
    with pytest.raises(AnnotateError, match=rf"{shard}/.*jpg: missing, and \d+ more .*; run `uavpipe crops` again"):
        Project(both["tar"], crops=Crops(), write=False)
    run_stages(settings(both["tar"], crops=TAR), video, CROPS, progress_bar)
    assert pictures(both["tar"]) == pictures(flown["files"])


def test_changed_bytes_are_named_one_by_one_and_mended(both, flown, video, monkeypatch):
    shard = shards(both["tar"])[0]
    first, second = list(index_of(shard))[:2]
    garble(shard)
    out = run_verify(both["tar"], monkeypatch)
    assert f"images/{shard.name}/{first}: other bytes than were written" in out
    assert f"images/{shard.name}/{second}: damaged: its shard has something else there" in out
    assert out.count(".jpg: ") == 2
    verified = TAR.model_copy(update={"verify": True})
    run_stages(settings(both["tar"], crops=verified), video, CROPS, progress_bar)
    assert pictures(both["tar"]) == pictures(flown["files"])


def test_a_damaged_shard_makes_no_data_set(both):
    shard = shards(both["tar"])[0]
    garble(shard)
    with pytest.raises(PipelineError, match=rf"{shard}/.*: (changed since it was cut|damaged)"):
        run_dataset(both["tar"], DatasetConfig(protocol="tracklet", gap_s=0, min_crops=2))


# --- readers


def test_the_labelling_app_shows_the_same(flown):
    shown = {}
    for store, given in (("files", None), ("tar", Crops())):
        project = Project(flown[store], crops=given, write=False)
        with project.reading() as state:
            cut = [each for name in state.tracklets for each in project.detections(state, name) if each.crop]
            shown[store] = {
                (each.frame, each.rank): project.crop(NAME, Seen(each.frame, each.rank)) for each in cut
            }
        with pytest.raises(AnnotateError, match="no crop of detection 99 in frame 0"):
            project.crop(NAME, Seen(0, 99))
        project.close()
    assert len(shown["tar"]) > 20
    assert shown["tar"] == shown["files"]


def test_the_data_set_is_the_same(both):
    config = DatasetConfig(protocol="tracklet", gap_s=0, min_crops=2, thin=ThinConfig(frames=2, difference=1.0))
    found = {store: run_dataset(workspace, config) for store, workspace in both.items()}
    files, tar = (found[store].folder for store in ("files", "tar"))
    assert len(content(tar, ".jpg")) > 5
    assert content(tar, ".jpg") == content(files, ".jpg")
    ours, theirs = (pd.read_parquet(folder / "dataset.parquet").drop(columns="crop") for folder in (tar, files))
    pd.testing.assert_frame_equal(ours, theirs)
    assert found["tar"].counts == found["files"].counts
    assert run_dataset(both["tar"], config).skipped


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("network") / "small.safetensors"
    save_checkpoint(path, Network(NETWORK).state_dict(), network=NETWORK, training={})
    return path


def test_embeddings_and_searches_are_the_same(both, weights):
    answers = {}
    for store, workspace in both.items():
        embed_flights(workspace, weights, progress_bar, "cpu")
        crop = workspace / NAME / "crops" / crops(workspace)["crop"][0]
        options = ["--workspace", str(workspace), "--weights", str(weights), "--device", "cpu", "--format", "json"]
        ran = CliRunner().invoke(main, ["find", str(crop), *options])
        assert ran.exit_code == 0, ran.output
        rows = pd.read_parquet(workspace / NAME / "embeddings" / "embeddings.parquet")
        found = json.loads(ran.stdout)["answers"]
        answers[store] = (rows.to_dict("list"), [(each["tracklet"], each["similarity"]) for each in found])
    assert len(answers["tar"][1]) > 1
    assert answers["tar"] == answers["files"]


def test_a_training_of_suggestions_takes_the_same(flown):
    digests = set()
    for workspace in flown.values():
        with LabelStore(workspace / LABELS, write=False) as store, store.reading() as state:
            samples = labelled_crops(workspace, state)
        assert len(samples) > 10
        data = type("Data", (), {"name": "", "train": samples})
        config = type("Config", (), {"model_dump": lambda self, mode: {}})()
        digests.add(identity(config, data)["data"]["sha256"])
    assert len(digests) == 1


def test_the_report_has_the_same_pictures(both):
    shown = {}
    for store, workspace in both.items():
        write_report(workspace, ReportConfig(clip_s=0), progress_bar)
        shown[store] = sorted(content(workspace / "report", ".jpg").values())
    assert len(shown["tar"]) > 5
    assert shown["tar"] == shown["files"]


def test_a_crop_in_a_shard_is_traced(flown, both):
    rows = crops(flown["tar"])
    subject = f"runs/{NAME}/crops/{rows['crop'][3]}"
    found = trace(subject, flown["tar"])["detection"]
    assert (found["frame"], found["rank"]) == (rows["frame"][3], rows["rank"][3])
    assert found["crop_is_there"]
    shards(both["tar"])[0].unlink()
    assert not trace(subject, both["tar"])["detection"]["crop_is_there"]


# --- erasing a person


def erase(workspace, identity=2):
    with workspace_to_oneself(workspace), LabelStore(workspace / LABELS, create=False) as store:
        selection = select_identity(workspace, store, identity)
        forget(workspace, store, selection)
    return selection


def own_pictures(workspace, selection):
    gone = selection.flights[NAME].gone
    return [data for key, data in pictures(workspace).items() if Seen(*key) in gone]


def test_an_erased_person_is_gone_from_the_shards(both, video):
    with LabelStore(both["tar"] / LABELS, write=False) as store:
        selection = select_identity(both["tar"], store, 2)
    before, mine = pictures(both["tar"]), own_pictures(both["tar"], selection)
    assert len(mine) > 3
    erase(both["tar"])
    erase(both["files"])
    for path in both["tar"].rglob("*"):
        data = path.read_bytes() if path.is_file() else b""
        assert not any(picture in data for picture in mine), path
    after = pictures(both["tar"])
    assert after == pictures(both["files"])  # painted over where the person is on other people's crops
    assert any(before.get(key, data) != data for key, data in after.items())
    same_rows(both)
    for shard in shards(both["tar"]):
        with tarfile.open(shard) as archive:
            assert archive.getnames() == list(index_of(shard))
    results = run_stages(settings(both["tar"], crops=TAR), video, TRACKS, progress_bar)
    assert {each.skipped for each in results} == {True}


def test_an_erasure_that_is_killed_is_finished(both, tmp_path, monkeypatch):
    twin = shutil.copytree(both["tar"], tmp_path / "twin")
    erase(twin)
    left, replace = 1, Path.replace

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
            erase(both["tar"])
    result = CliRunner().invoke(main, ["forget", "2", "--workspace", str(both["tar"]), "--yes"])
    assert result.exit_code == 0, result.output
    assert content(both["tar"], ".tar", ".parquet") == content(twin, ".tar", ".parquet")


def test_a_shard_of_an_unfinished_run_is_erased_whoever_it_shows(both):
    folder = both["tar"] / NAME / "crops"
    stray = folder / "images" / "00000999.tar"
    shutil.copy(shards(both["tar"])[0], stray)
    erase(both["tar"])
    assert not stray.exists()


def test_a_shard_that_cannot_be_rewritten_deletes_nothing(both):
    for shard in shards(both["tar"]):
        garble(shard)
    before = content(both["tar"], ".tar", ".parquet", ".sqlite")
    with pytest.raises(PipelineError, match=r"nothing was deleted, as not all could be prepared: .*damaged"):
        erase(both["tar"])
    assert content(both["tar"], ".tar", ".parquet", ".sqlite") == before


# --- tables and shards from elsewhere


@pytest.mark.parametrize(
    "row",
    [
        {"offset": -512},
        {"offset": 0},
        {"offset": 1 << 60},
        {"bytes": 0},
        {"bytes": -1},
        {"bytes": (1 << 31) - 1},
        {"offset": None},
        {"offset": 1024},
        {"crop": "images/00000000.tar/../../manifest.json"},
        {"crop": "images/00000000.tar/00000999_000.jpg"},
    ],
    ids=str,
)
def test_an_index_that_lies_is_an_error_for_its_crop_alone(both, row):
    folder = both["tar"] / NAME / "crops"
    part = folder / "crops.parquet" / "part-00000000.parquet"
    rows = pd.read_parquet(part)
    good = read_picture(folder / rows["crop"][1])
    rows["offset"] = rows["offset"].astype("Int64")
    for column, value in row.items():
        rows.loc[0, column] = value
    rows.to_parquet(part, index=False)
    with pytest.raises(OSError, match=r"damaged: its shard|not in the table of crops|Not a directory"):
        read_picture(folder / rows["crop"][0])
    assert read_picture(folder / rows["crop"][1]) == good


def test_a_shard_that_is_a_link_out_of_the_workspace_is_not_shown(both, tmp_path):
    shard = shards(both["tar"])[0]
    shutil.move(shard, tmp_path / "elsewhere.tar")
    shard.symlink_to(tmp_path / "elsewhere.tar")
    project = Project(both["tar"], crops=Crops(), write=False)
    seen = next(seen for seen, each in project._detections[NAME].items() if each.crop and shard.name in each.crop)
    with pytest.raises(AnnotateError, match="a link out of the flight's folder of crops"):
        project.crop(NAME, seen)
    project.close()
    with pytest.raises(PipelineError, match="a link"):
        run_dataset(both["tar"], DatasetConfig(protocol="tracklet", gap_s=0, min_crops=2))


def test_pictures_are_the_same_pixels(flown):
    for workspace in flown.values():
        key, data = next(iter(pictures(workspace).items()))
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
        row = crops(workspace).set_index(["frame", "rank"]).loc[key]
        assert image.shape[:2] == (row["bottom"] - row["top"], row["right"] - row["left"])
