"""Data sets with the layout of Market-1501, and our own, which add flights and tracklets.

`0002_c1s1_000451_03.jpg` is identity 2, camera 1, sequence 1, frame 451, third box of the frame (Zheng et al. 2015,
"Scalable Person Re-identification: A Benchmark"). DukeMTMC-reID and CUHK03-NP have the same folders, and names
without a sequence. Our own data sets also have a table `dataset.parquet`, a row for each crop; of its columns
`name`, `flight`, `tracklet` and, if it has it, `altitude_m` count here.
"""

import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from reid.datasets.parts import Parts
from reid.errors import ReidError
from reid.labels import Label, is_label, label_of_name
from reid.records import DISTRACTOR
from reid.sources import image_files

FOLDERS = ("bounding_box_train", "query", "bounding_box_test")
_TABLE = "dataset.parquet"


def read_market(folder: Path) -> Parts:
    """The data set in `folder`: bounding_box_train, query and bounding_box_test, those that are there.

    Without a table, the flight is camera and sequence, and the tracklet a person in a sequence.

    Raises:
        ReidError: all three are missing, query or gallery is empty, a file has another name, or the table is
            damaged.

    """
    groups = [_images(folder / part, may_be_empty=part == FOLDERS[0]) for part in FOLDERS]
    if not any(groups):
        raise ReidError(f"{folder}: no data set; expected images in its folders {', '.join(FOLDERS)}")
    origins = _origins(folder / _TABLE) if (folder / _TABLE).exists() else None
    if origins is not None:  # other pictures are the user's own
        groups = [[path for path in group if path.name in origins or is_label(path.name)] for group in groups]
    return Parts(*([_label(path, origins) for path in group] for group in groups))


def _images(folder: Path, *, may_be_empty: bool) -> list[Path]:
    """The images of a part; a data set for tests alone may have an empty folder for training."""
    if not folder.is_dir() or (may_be_empty and not any(folder.iterdir())):
        return []
    return image_files(folder)


def _label(path: Path, origins: Mapping[str, tuple[str, str, float]] | None) -> Label:
    label = label_of_name(path.name, path, str(path))
    if origins is None:
        person_in_sequence = label.flight and label.identity > DISTRACTOR
        return replace(label, tracklet=str(label.identity)) if person_in_sequence else label
    if path.name not in origins:
        raise ReidError(f"{path}: not in {_TABLE}; remove it, or make the data set again")
    flight, tracklet, altitude = origins[path.name]
    return replace(label, flight=flight, tracklet=tracklet, altitude=altitude)


def _origins(table: Path) -> dict[str, tuple[str, str, float]]:
    """Flight, tracklet and altitude of each crop."""
    import pandas as pd

    columns = ["name", "flight", "tracklet"]
    try:
        content = pd.read_parquet(table)
        rows = content[columns].fillna("").astype(str)
        altitudes = content["altitude_m"].astype(float) if "altitude_m" in content else [math.nan] * len(rows)
    except (OSError, ValueError, KeyError) as error:  # pyarrow's own errors are ValueErrors
        raise ReidError(
            f"{table}: expected a table with {', '.join(columns)}: {' '.join(str(error).split())[:100]}"
        ) from None
    return dict(zip(rows["name"], zip(rows["flight"], rows["tracklet"], altitudes, strict=True), strict=True))
