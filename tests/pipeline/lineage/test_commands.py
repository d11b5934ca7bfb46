"""The command of a flight whose name is not its video's."""

import shlex

from pipeline.chain.table import FRAMES
from pipeline.config.flights import require_flights
from pipeline.config.models import load_config
from pipeline.lineage.commands import command_of
from pipeline.workspace.folders import CARD
from pipeline.workspace.manifest import write_record


def test_a_named_flight_keeps_its_name(tmp_path):
    for name in ("DJI_0001", "second card"):
        (tmp_path / name).mkdir()
        write_record(tmp_path / name / CARD, {"video": "/card2/DJI_0001.MP4", "sha256": "0"})
    plain, named = (
        shlex.split(command_of(FRAMES, tmp_path / name / FRAMES.folder, {})) for name in ("DJI_0001", "second card")
    )
    assert plain == ["uavpipe", "frames", "/card2/DJI_0001.MP4", "--workspace", str(tmp_path)]
    config = load_config(settings=[named[named.index("--set") + 1]])
    (video,) = require_flights(config)
    assert (str(video), config.name_of(video)) == ("/card2/DJI_0001.MP4", "second card")
