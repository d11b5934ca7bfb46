import json
import re
import shutil
from zlib import crc32

import pandas as pd
import pytest
from click.testing import CliRunner

from annotate.log.store import LABELS, LabelStore
from annotate.log.text import replay, write_log
from annotate.operations import Mark
from pipeline.cli import main
from pipeline.config.models import DatasetConfig
from pipeline.dataset import stage
from pipeline.dataset.stage import run_dataset
from pipeline.errors import PipelineError
from reid.datasets.load import load
from reid.evaluation.evaluate import Evaluation, Options


def content(folder):
    """All files but the manifest, which tells the time."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != "manifest.json"
    }


def test_a_data_set_comes_out_that_can_be_measured(workspace):
    result = run_dataset(workspace, DatasetConfig())
    table = pd.read_parquet(result.folder / "dataset.parquet")
    files = {path.name: path.parent.name for path in result.folder.glob("*/*.jpg")}
    folders = {"train": "bounding_box_train", "query": "query", "gallery": "bounding_box_test"}
    assert {row["name"]: folders[row["split"]] for _, row in table.iterrows()} == files
    assert result.counts["left_out"] == {"open": 10, "skipped": 5}
    assert len(table) + 15 == 90
    data = load(str(result.folder), "flight")
    assert (len(data.train), len(data.query), len(data.gallery)) == (30, 6, 24 + 15)
    Evaluation(data.query, data.gallery, Options(protocol="strict"), train=data.train)
    for _, row in table.iterrows():
        assert (result.folder / files[row["name"]] / row["name"]).samefile(workspace / row["crop"])


def test_crops_of_suspect_frames_are_left_out_and_counted(workspace):
    table = workspace / "f1" / "tracks" / "tracklets.parquet"
    rows = pd.read_parquet(table)
    rows["suspect"] = (rows["tracklet"] == 0) & (rows["frame"] < rows["frame"].min() + 2)
    rows.to_parquet(table, index=False)
    taken = run_dataset(workspace, DatasetConfig())
    assert taken.counts["left_out"]["suspect"] == 2
    assert not pd.read_parquet(taken.folder / "dataset.parquet")["suspect"].any()
    everything = run_dataset(workspace, DatasetConfig(suspect=True))
    assert "suspect" not in everything.counts["left_out"]
    assert pd.read_parquet(everything.folder / "dataset.parquet")["suspect"].sum() == 2


def test_a_crop_that_was_changed_is_named(workspace):
    table = workspace / "f1" / "crops" / "crops.parquet"
    rows = pd.read_parquet(table)
    rows["crc32"] = [crc32((workspace / "f1" / "crops" / crop).read_bytes()) for crop in rows["crop"]]
    rows.to_parquet(table, index=False)
    run_dataset(workspace, DatasetConfig())
    crop = workspace / "f1" / "crops" / rows["crop"][0]
    before = crop.read_bytes()
    crop.write_bytes(before[:-9] + bytes(9))
    assert run_dataset(workspace, DatasetConfig()).skipped  # it is as long as it was
    for again in (DatasetConfig(seed=1), DatasetConfig(verify=True)):
        wanted = rf"{crop}: changed since it was cut, and 0 more of .*`uavpipe crops --set crops\.verify=true`"
        with pytest.raises(PipelineError, match=wanted):
            run_dataset(workspace, again)
    crop.write_bytes(before)
    assert run_dataset(workspace, DatasetConfig(verify=True)).skipped


def test_it_is_skipped_until_something_changes(workspace, label):
    assert not run_dataset(workspace, DatasetConfig()).skipped
    again = run_dataset(workspace, DatasetConfig())
    assert again.skipped
    assert again.counts["crops"] == 75
    assert not run_dataset(workspace, DatasetConfig(seed=1)).skipped
    assert run_dataset(workspace, DatasetConfig(seed=1)).skipped
    label(workspace, {"f2/7": Mark.DISTRACTOR})
    assert run_dataset(workspace, DatasetConfig(seed=1)).counts["crops"] == 80
    next((workspace / "dataset").glob("query/*")).unlink()
    assert not run_dataset(workspace, DatasetConfig(seed=1)).skipped
    cut = next((workspace / "dataset").glob("query/*"))
    cut.unlink()  # it is a link to the crop
    cut.write_bytes(b"cut off")
    assert not run_dataset(workspace, DatasetConfig(seed=1)).skipped
    assert run_dataset(workspace, DatasetConfig(seed=1)).skipped


def test_the_same_labels_and_seed_give_the_same_bytes(workspace):
    first = content(run_dataset(workspace, DatasetConfig()).folder)
    shutil.rmtree(workspace / "dataset")
    assert content(run_dataset(workspace, DatasetConfig()).folder) == first


def test_the_labels_log_gives_the_same_data_set(workspace, tmp_path):
    first = content(run_dataset(workspace, DatasetConfig()).folder)
    with LabelStore(workspace / LABELS) as store:
        write_log(tmp_path / "log.jsonl", store.entries)
    shutil.rmtree(workspace / "dataset")
    for path in workspace.glob(f"{LABELS}*"):
        path.unlink()
    replay(tmp_path / "log.jsonl", workspace / LABELS)
    assert content(run_dataset(workspace, DatasetConfig()).folder) == first


def test_a_failure_leaves_the_former_one_whole(workspace, monkeypatch):
    folder = run_dataset(workspace, DatasetConfig()).folder
    before = content(folder)
    monkeypatch.setattr(stage, "page", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        run_dataset(workspace, DatasetConfig(seed=1))
    assert content(folder) == before
    assert not list(workspace.glob(".part-*"))
    assert run_dataset(workspace, DatasetConfig()).skipped


def test_what_a_killed_run_left_is_swept(workspace):
    run_dataset(workspace, DatasetConfig())
    for name in (".part-dataset", ".part-former-dataset"):
        (workspace / name / "query").mkdir(parents=True)
    assert run_dataset(workspace, DatasetConfig()).skipped
    assert not list(workspace.glob(".part-*"))


def test_a_flight_called_dataset_is_not_overwritten(workspace, fly):
    fly(workspace, "dataset", [(0, 3)])
    with pytest.raises(PipelineError, match="dataset: already exists but was not created by uavpipe"):
        run_dataset(workspace, DatasetConfig())
    assert (workspace / "dataset" / "crops" / "crops.parquet").exists()


def test_names_stay_when_a_flight_comes_in(workspace, fly, label):
    before = pd.read_parquet(run_dataset(workspace, DatasetConfig()).folder / "dataset.parquet")
    fly(workspace, "a0", [(0, 5)])
    label(workspace, {"a0/0": 1})
    after = pd.read_parquet(run_dataset(workspace, DatasetConfig()).folder / "dataset.parquet")
    assert set(before["name"]) < set(after["name"])
    assert after.set_index("crop").loc[before["crop"], "name"].tolist() == before["name"].tolist()


def test_one_flight_is_made_for_the_tracklet_protocol(tmp_path, fly, label):
    fly(tmp_path, "f1", [(20 * number, 6) for number in range(8)])
    label(tmp_path, {f"f1/{number}": number // 2 + 1 for number in range(8)})
    result = run_dataset(tmp_path, DatasetConfig(gap_s=0.5))
    assert result.counts["protocol"] == "tracklet"
    assert result.counts["identities"] == {"train": 2, "test": 2, "few_crops": 0, "seen_once": 0}
    assert result.counts["leakage"]["flight"]["queries"] == 0


def test_several_flights_in_which_nobody_is_met_again_too(tmp_path, fly, label):
    fly(tmp_path, "f1", [(20 * number, 6) for number in range(8)])
    fly(tmp_path, "f2", [(0, 6), (20, 2)])  # a stranger, and one in f3 too, whose crops are too few
    fly(tmp_path, "f3", [(0, 1)])
    label(tmp_path, {f"f1/{number}": number // 2 + 1 for number in range(8)})
    label(tmp_path, {"f2/0": 5, "f2/1": 6, "f3/0": 6})
    result = run_dataset(tmp_path, DatasetConfig(gap_s=0.5))
    assert result.counts["protocol"] == "tracklet"
    assert result.counts["identities"] == {"train": 3, "test": 2, "few_crops": 1, "seen_once": 1}


def test_too_few_crops_for_everybody_is_an_error(workspace):
    with pytest.raises(PipelineError, match="6 have fewer than 40 crops"):
        run_dataset(workspace, DatasetConfig(min_crops=40))


def test_the_command_says_what_came_out(workspace):
    arguments = ["dataset", "--workspace", str(workspace), "--set", "dataset.thin.frames=2"]
    shown = CliRunner().invoke(main, arguments)
    assert shown.exit_code == 0, shown.output
    assert "45 crops of 2 flights, protocol flight" in shown.output
    assert "gallery  21 crops of 3 identities, 6 junk, 3 distractors" in shown.output
    assert "left out 10 open, 5 skipped, 30 thinned" in shown.output
    assert re.search(r"chance   random features get mAP 0\.\d{3}, rank-1 0\.\d{3}$", shown.output, re.M)
    assert "up to date" in CliRunner().invoke(main, arguments).output
    figures = json.loads((workspace / "dataset" / "statistics.json").read_text())
    assert figures["splits"]["train"]["crops"] == 18


@pytest.mark.parametrize(("people", "told"), [(1, "; no evaluation is possible: whatever the features"), (2, None)])
def test_few_people_are_all_for_the_test(tmp_path, fly, label, people, told):
    for flight in ("f1", "f2"):
        fly(tmp_path, flight, [(7 * number, 5) for number in range(people)])
    label(tmp_path, {f"{flight}/{number}": number + 1 for flight in ("f1", "f2") for number in range(people)})
    shown = CliRunner().invoke(main, ["dataset", "--workspace", str(tmp_path)])
    assert shown.exit_code == 0, shown.output
    assert f"of {people} identit" in shown.output
    assert ("no evaluation is possible" in shown.output) == bool(told)
    assert (told or "random features get") in shown.output


def test_without_labels_it_says_what_to_do(tmp_path):
    shown = CliRunner().invoke(main, ["dataset", "--workspace", str(tmp_path)])
    assert shown.exit_code == 1
    assert shown.output.splitlines() == [
        f"uavpipe: {tmp_path / LABELS}: no labels yet; first: uavpipe label --workspace {tmp_path}"
    ]
