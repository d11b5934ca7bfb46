"""The columns of the tables of a workspace, with their pandas types; docs/python.md says what they hold."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

_LABEL = {"tracklet": "string", "identity": "Int64", "mark": "string"}
_BOX = dict.fromkeys(("x1", "y1", "x2", "y2"), "float32")
_WHERE = {
    **dict.fromkeys(("latitude", "longitude", "radius_m"), "float64"),
    "places": "string",
    **dict.fromkeys(("drone_latitude", "drone_longitude"), "float64"),
    **dict.fromkeys(("speed_m_s", "plane_x_m", "plane_y_m"), "float64"),
    "plane_piece": "Int64",
}

FLIGHTS = {
    "flight": "string",
    "video": "string",
    "sha256": "string",
    "frames": "Int64",
    "lost": "Int64",
    "detections": "Int64",
    "crops": "Int64",
    "tracklets": "Int64",
}
FRAMES = {
    "flight": "string",
    "frame": "int32",
    "pts_s": "float64",
    "key": "bool",
    "corrupt": "bool",
    "lost": "bool",
    "suspect": "bool",
    "damage": "string",
    "width": "Int32",
    "height": "Int32",
    "altitude_m": "float64",
    "latitude": "float64",
    "longitude": "float64",
    "heading_deg": "float64",
    "pitch_deg": "float64",
}
DETECTIONS = {
    "flight": "string",
    "frame": "int32",
    "pts_s": "float64",
    "rank": "int32",
    **_BOX,
    "score": "float32",
    **_LABEL,
}
CROPS = {
    "flight": "string",
    "crop": "string",
    "frame": "int32",
    "pts_s": "float64",
    "rank": "int32",
    "score": "float32",
    **_BOX,
    "left": "Int32",
    "top": "Int32",
    "right": "Int32",
    "bottom": "Int32",
    "sharpness": "float32",
    "bytes": "Int32",
    "crc32": "Int64",
    "suspect": "bool",
    **_LABEL,
}
TRACKLETS = {
    "tracklet": "string",
    "flight": "string",
    "identity": "Int64",
    "name": "string",
    "mark": "string",
    "boxes": "int64",
    "crops": "int64",
    "first_frame": "int64",
    "last_frame": "int64",
}
IDENTITIES = {
    "identity": "int64",
    "name": "string",
    "flights": "int64",
    "tracklets": "int64",
    "boxes": "int64",
    "crops": "int64",
}
SIGHTINGS = {
    "tracklet": "string",
    "flight": "string",
    "identity": "Int64",
    "name": "string",
    "mark": "string",
    "begin": "datetime64[ms]",
    "end": "datetime64[ms]",
    "clock": "string",
    "zone": "string",
    "begin_s": "float64",
    "end_s": "float64",
    "first_frame": "int64",
    "last_frame": "int64",
    **_WHERE,
    "boxes": "int64",
    "suspect": "int64",
    "crop": "string",
    "tags": "string",
    "note": "string",
}
ANSWERS = {"answer": "int64", "likely": "bool", "score": "float64", "similarity": "float64", **SIGHTINGS}


def typed(rows: pd.DataFrame, columns: Mapping[str, str]) -> pd.DataFrame:
    """`rows` with just these columns, in their order and types; what is missing is NA, and False of a bool."""
    rows = rows.reindex(columns=list(columns)).reset_index(drop=True)
    flags = [name for name, kind in columns.items() if kind == "bool"]
    return rows.assign(**{name: np.equal(rows[name], True) for name in flags}).astype(dict(columns))
