"""A workspace with something in every part of the report, and the page that was made of it."""

import fcntl
import json

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from annotate.log.store import LABELS, LabelStore
from annotate.operations import Rename
from detector.config import DetectorConfig, Resize
from pipeline.chain.table import TRACKS
from pipeline.cli import main
from pipeline.config.models import DatasetConfig, FlightConfig, ReportConfig
from pipeline.dataset.stage import run_dataset
from pipeline.engine.progress import progress_bar
from pipeline.labelling.from_ground_truth import label_by_ground_truth
from pipeline.report import write_report
from pipeline.run.demo import truth_of
from pipeline.run.flight import run_stages
from pipeline.simulate import simulate_flight

ODD = "flight #2 '50%' & <b>.mp4"
HOSTILE = '<script>alert("x")</script> & Söhne'
TABLE1 = """| mAP | triplet, 0.1 | proposed, 0.1 |
| --- | --: | --: |
| random | 9.2 ± 0.1 | 7.9 ± 0.3 |
| MSMT17 | no data | no data |

On market:data/drone, protocol market; 4 runs, 2 of 2 seeds.
"""


@pytest.fixture(scope="session")
def reported(tmp_path_factory, worker_id):
    """The workspace of two simulated flights with one cast, and its page; made once for all workers of the run."""
    base = tmp_path_factory.getbasetemp()
    folder = (base if worker_id == "master" else base.parent) / "flown"
    with folder.with_suffix(".lock").open("a+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        lock.seek(0)
        if not lock.read():
            _fly(folder)
            lock.write("made")
    return folder / "runs", folder / "runs" / "report" / "index.html"


def _fly(folder):
    folder.mkdir()
    videos = [
        simulate_flight(
            folder / name,
            people=6,
            seconds=2,
            seed=number,
            cast_seed=3,
            size=(640, 360),
            fps=10,
            altitude=12,
        ).video
        for number, name in ((1, "flight1.mp4"), (2, ODD))
    ]
    config = FlightConfig(
        videos=tuple(videos),
        workspace=folder / "runs",
        detector=DetectorConfig(weights="embedded", resize=Resize(width=640, height=640), threshold=0.3),
        dataset=DatasetConfig(protocol="tracklet", gap_s=0.0, min_crops=1),
    )
    for video in videos:
        run_stages(config, video, TRACKS, progress_bar)
    label_by_ground_truth(config.workspace, {video.stem: truth_of(video) for video in videos})
    with LabelStore(config.workspace / LABELS) as store:
        store.apply(Rename(identity=1, name=HOSTILE), user="ann", id="name")
    dataset = run_dataset(config.workspace, config.dataset)
    evaluated = config.workspace / "reid" / "embedded" / "test"
    _measure(dataset, evaluated)
    log = [{"iteration": 20 * step, "loss": 2.0 / step, "triplet": 1.0 / step} for step in range(1, 4)]
    (config.workspace / "reid" / "short").mkdir()
    (config.workspace / "reid" / "short" / "log.jsonl").write_text("".join(json.dumps(row) + "\n" for row in log))
    (config.workspace / "table1").mkdir()
    (config.workspace / "table1" / "table1.md").write_text(TABLE1)
    write_report(config.workspace, ReportConfig(clip_s=1.0, queries=3), progress_bar)


def _measure(dataset, folder):
    """Features of chance: what is measured does not matter here, only what is written down of it."""
    crops = pd.read_parquet(dataset.folder / "dataset.parquet")
    rng = np.random.default_rng(0)
    folder.mkdir(parents=True)
    places = {"query": "query", "gallery": "bounding_box_test"}
    arguments = []
    for split, place in places.items():
        rows = crops[crops["split"] == split]
        np.save(folder / f"{split}.npy", rng.normal(size=(len(rows), 8)).astype(np.float32))
        table = rows[["identity", "camera", "tracklet"]].assign(path=[f"{place}/{name}" for name in rows["name"]])
        table.to_csv(folder / f"{split}.csv", index=False)
        arguments.append(str(folder / f"{split}.npy"))
    result = CliRunner().invoke(
        main,
        [
            *("reid", "evaluate", "--features", *arguments, "--images", *[str(dataset.folder)] * 2),
            *("--protocol", "tracklet", "--out", str(folder)),
        ],
    )
    assert result.exit_code == 0, result.output
