"""The tables that labelling reads are those that the chain writes."""

import pytest

from annotate import records
from pipeline.chain import table
from pipeline.stages import appearance, crops, detect, frames

LAYOUT = [
    (records.FRAMES, table.FRAMES),
    (records.DETECTIONS, table.DETECT),
    (records.CROPS, table.CROPS),
    (records.APPEARANCE, table.APPEARANCE),
    (records.TRACKLETS, table.TRACKS),
    (records.EMBEDDINGS, table.EMBEDDINGS),
]


@pytest.mark.parametrize(("path", "stage"), LAYOUT)
def test_each_table_is_in_the_folder_of_its_stage(path, stage):
    assert path == stage.output


def test_the_columns_that_are_read_are_written():
    assert {"frame", "rank", "pts_s", "x1", "y1", "x2", "y2", "score"} <= set(detect.SCHEMA.names)
    assert {"frame", "rank", "crop", "sharpness"} <= set(crops.SCHEMA.names)
    assert {"frame", "rank", "look"} <= set(appearance.SCHEMA.names)
    assert "frame" in frames.SCHEMA.names
