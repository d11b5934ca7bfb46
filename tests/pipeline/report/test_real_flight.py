"""A part of a real flight with made-up telemetry, from the video to a person's page and to the search."""

import os
import shutil
from fractions import Fraction
from itertools import islice
from pathlib import Path

import av
import pandas as pd
import pytest
from click.testing import CliRunner

from annotate.log.store import LABELS, LabelStore
from annotate.operations import NewIdentity
from annotate.records import read_tracklets
from pipeline.chain.table import TRACKS
from pipeline.cli import main
from pipeline.config.models import CameraConfig, FlightConfig, ReportConfig
from pipeline.engine.progress import progress_bar
from pipeline.report import write_report
from pipeline.run.flight import run_stages
from tests.pipeline.report.test_person import check_figures, section

FRAMES, FPS = 30, 10
CUE = """{number}
00:00:{begin:06.3f} --> 00:00:{end:06.3f}
2024-09-17 14:30:{begin:06.3f}
[latitude: 47.05{number:04d}] [longitude: 8.300000] [rel_alt: 12.0 abs_alt: 512.0] [gb_yaw: 90.0 gb_pitch: -30.0]

"""


@pytest.fixture
def flown(tmp_path):
    if "UAVPIPE_SAMPLE_DATA" not in os.environ:
        pytest.skip("UAVPIPE_SAMPLE_DATA names no folder of sample data")
    video = tmp_path / "part.mp4"
    given = Path(os.environ["UAVPIPE_SAMPLE_DATA"], "video", "uav123_person11.mp4")
    with av.open(given) as source, av.open(video, "w") as target:
        stream = target.add_stream("libx264", rate=Fraction(FPS), options={"crf": "18"})
        stream.width, stream.height, stream.pix_fmt = 1280, 720, "yuv420p"
        for number, frame in enumerate(islice(source.decode(video=0), FRAMES)):
            frame.pts, frame.time_base, frame.pict_type = number, Fraction(1, FPS), 0
            target.mux(stream.encode(frame))
        target.mux(stream.encode(None))
    cues = (
        CUE.format(number=each + 1, begin=each / FPS, end=(each + 1) / FPS).replace(".", ",", 2)
        for each in range(FRAMES)
    )
    video.with_suffix(".SRT").write_text("".join(cues))
    config = FlightConfig(
        video=video,
        workspace=tmp_path / "runs",
        detector={"weights": "embedded", "threshold": 0.5},
        camera=CameraConfig(fov_deg=70),
    )
    run_stages(config, video, TRACKS, progress_bar)
    longest = sorted(read_tracklets(config.workspace, "part"), key=lambda each: -len(each.detections))[:2]
    with LabelStore(config.workspace / LABELS) as store:
        store.add_flight("part", read_tracklets(config.workspace, "part"))
        for each in longest:
            store.apply(NewIdentity(tracklets=(f"part/{each.number}",)), user="ann", id=str(each.number))
    return config.workspace


def test_from_the_video_to_the_page_and_the_search(flown):
    page = write_report(flown, ReportConfig(clip_s=0), progress_bar).read_text()
    assert check_figures(flown, page) == 2  # two pedestrians are in it
    facts, cells, _, part = section(page, 1)
    assert facts["first seen"].startswith("2024-09-17 14:30:0")
    assert "± " in cells[0][4]  # a place, and its circle
    assert "<svg" in part
    crops = pd.read_parquet(flown / "part/crops/crops.parquet")
    crop = flown / "part/crops" / crops["crop"].iloc[0]
    photo = shutil.copy(crop, flown.parent / "photo.jpg")  # a crop of the workspace would not find its own tracklet
    ran = CliRunner().invoke(main, ["find", str(photo), "--all", "--no-audit", "--workspace", str(flown)])
    assert ran.exit_code == 0, ran.output
    assert "2024-09-17 14:30:0" in ran.stdout
