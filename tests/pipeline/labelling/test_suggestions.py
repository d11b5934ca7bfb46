import json

import numpy as np
import pandas as pd
import pytest
import torch
from click.testing import CliRunner

from annotate.log.store import LABELS
from annotate.operations import Mark, NewIdentity, SetMark
from annotate.project import Project
from annotate.suggestions.features import read_features
from pipeline.cli import main
from pipeline.engine.progress import progress_bar
from pipeline.errors import PipelineError
from pipeline.labelling import suggestions
from pipeline.labelling.suggestions import PER_TRACKLET, embed_flights, labelled_crops, retrain
from reid.checkpoint import save_checkpoint
from reid.config import NetworkConfig
from reid.embedder import Embedder
from reid.network import Network


@pytest.fixture
def weights(tmp_path):
    return save_weights(tmp_path / "small.safetensors", seed=0)


def save_weights(path, seed):
    torch.manual_seed(seed)
    config = NetworkConfig(backbone="squeezenet1_1", height=48, width=32, global_branch=None)
    save_checkpoint(path, Network(config).state_dict(), network=config, training={})
    return path


@pytest.fixture
def workspace(make_workspace, walk):
    """Persons 1 to 5, each in both flights, and one tracklet more."""
    return make_workspace(
        {
            "f1": [walk(person, 0, 40) for person in range(1, 6)],
            "f2": [*(walk(person, 0, 9) for person in range(1, 6)), walk(1, 20, 5)],
        }
    )


def label(workspace, *groups):
    project = Project(workspace)
    for number, tracklets in enumerate(groups):
        project.store.apply(NewIdentity(tracklets=tracklets), user="ann", id=f"n{number}")
    project.close()


def test_the_table_has_what_the_network_makes_of_the_crops(workspace, weights):
    count = embed_flights(workspace, weights, progress_bar, "cpu")
    assert count == 5 * PER_TRACKLET + 5 * 9 + 5
    features = read_features(workspace, ["f1", "f2"])
    assert features.source.startswith("re-id model ")
    project = Project(workspace)
    first = project.store.state.tracklets["f2/3"]
    paths = [workspace / each.crop for each in project.detections(project.store.state, "f2/3")]
    raw = Embedder.load(weights, "cpu").embed_files(paths)
    expected = raw / np.linalg.norm(raw, axis=1, keepdims=True)
    np.testing.assert_allclose(features.flights["f2"].of(first), expected, atol=2e-3)  # kept in half precision
    project.close()


def test_what_holds_is_not_done_again(workspace, weights, tmp_path, caplog):
    embed_flights(workspace, weights, progress_bar, "cpu")
    assert embed_flights(workspace, weights, progress_bar, "cpu") == 0
    (workspace / "f2/embeddings/embeddings.parquet").unlink()
    assert not caplog.text
    assert embed_flights(workspace, weights, progress_bar, "cpu") == 5 * 9 + 5
    assert "f2: embeddings run again: a file is damaged or gone: embeddings.parquet" in caplog.text
    other = save_weights(tmp_path / "other.safetensors", seed=1)
    assert embed_flights(workspace, other, progress_bar, "cpu") > 100
    assert "f1: embeddings run again: other weights" in caplog.text


def test_while_the_tables_are_as_they_were_no_crops_are_chosen(workspace, weights, monkeypatch):
    embed_flights(workspace, weights, progress_bar, "cpu")
    chosen = []
    choose = suggestions.choose_crops
    monkeypatch.setattr(suggestions, "choose_crops", lambda *given: chosen.append(given[1]) or choose(*given))
    assert embed_flights(workspace, weights, progress_bar, "cpu") == 0
    assert chosen == []
    table = workspace / "f1/crops/crops.parquet"
    pd.read_parquet(table).assign(more=1).to_parquet(table)  # the crops are the same
    manifest = workspace / "f2/embeddings/manifest.json"
    former = {name: value for name, value in json.loads(manifest.read_text()).items() if name != "check"}
    del former["counts"]["tables"]  # as earlier versions wrote it
    manifest.write_text(json.dumps(former))
    assert embed_flights(workspace, weights, progress_bar, "cpu") == 0
    assert chosen == ["f1", "f2"]


def test_the_crops_of_a_tracklet_are_spread_evenly():
    sizes = np.r_[np.arange(1, 80), 1, 1, 500]
    groups, ends = np.repeat(np.arange(len(sizes)) * 3, sizes), np.cumsum(sizes)
    expected = [
        place
        for end, size in zip(ends, sizes, strict=True)
        for place in (end - size + np.linspace(0, size - 1, min(size, PER_TRACKLET)).round()).tolist()
    ]
    assert suggestions._spread_places(groups).tolist() == expected


def test_a_table_that_names_a_file_elsewhere_is_refused(workspace, weights):
    table = workspace / "f2/crops/crops.parquet"
    pd.read_parquet(table).assign(crop="../../../secret.jpg").to_parquet(table)
    with pytest.raises(PipelineError, match=r"crops\.parquet: .*secret\.jpg' is no file of a crop"):
        embed_flights(workspace, weights, progress_bar, "cpu")


def test_only_identities_with_two_crops_teach(workspace):
    label(workspace, ("f1/0", "f2/0"), ("f2/1",))
    project = Project(workspace)
    project.store.apply(SetMark(tracklets=("f1/2",), mark=Mark.JUNK), user="ann", id="j")
    with project.reading() as state:
        samples = labelled_crops(workspace, state)
    project.close()
    assert np.unique(samples.identities).tolist() == [1, 2]
    assert (samples.identities == 1).sum() == PER_TRACKLET + 9
    assert set(samples.cameras[samples.identities == 1]) == {0, 1}
    assert len(np.unique(samples.tracklets)) == 3
    assert len(samples.paths) == len(samples.identities)
    assert all(path.is_file() for path in samples.paths)


def test_a_network_that_learnt_from_the_labels_tells_its_persons_apart(workspace, weights):
    label(workspace, *((f"f1/{person}", f"f2/{person}") for person in range(5)))

    def gap():
        """How much more alike tracklets of one person are than those of two."""
        features = read_features(workspace, ["f1", "f2"])
        means = [
            features.flights[flight].of(state.tracklets[f"{flight}/{person}"]).mean(axis=0)
            for flight in ("f1", "f2")
            for person in range(5)
        ]
        alike = np.corrcoef(np.array(means))
        same = np.eye(10, k=5, dtype=bool)[:, :]
        other = np.triu(np.ones((10, 10), bool), 1) & ~same
        return alike[same].mean() - alike[other].mean()

    project = Project(workspace)
    state = project.store.state
    project.close()
    embed_flights(workspace, weights, progress_bar, "cpu")
    before = gap()
    assert retrain(workspace, weights, progress_bar, iterations=12, device="cpu") == 5
    assert (workspace / "suggestions" / "last.safetensors").is_file()
    assert gap() > before


def test_too_few_labels_are_told(workspace, weights):
    label(workspace, ("f1/0", "f2/0"))
    with pytest.raises(
        PipelineError, match=f"{LABELS}: 1 identities with two crops or more; label 4 of them first"
    ):
        retrain(workspace, weights, progress_bar, iterations=2, device="cpu")


def test_by_command(workspace, weights):
    shown = CliRunner().invoke(
        main, ["annotate", "embed", "--workspace", str(workspace), "--weights", str(weights), "--device", "cpu"]
    )
    assert shown.output == f"{workspace}: 130 crops embedded\n"
