"""Coverage as a table to read, GeoJSON, and a map in SVG."""

import json
from collections.abc import Iterator
from itertools import groupby
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.coverage.ground import Coverage
from pipeline.sightings.formats import as_table

FORMATS = ("table", "geojson", "svg")
BANDS = (0.25, 0.5, 0.75, 0.9)  # probabilities at which one begins
_SHADES = ("#eff3ff", "#bdd7e7", "#6baed6", "#3182bd", "#08519c")  # ColorBrewer's Blues: of the bands
_WIDTH = 640
_SVG = "http://www.w3.org/2000/svg"


def written(coverage: Coverage, form: str) -> str:
    """`coverage` in a format of `FORMATS`, without the last line's end."""
    if form == "geojson":
        return json.dumps({"type": "FeatureCollection", "generator": "uavpipe", "features": [*_features(coverage)]})
    return as_svg(coverage) if form == "svg" else as_table(areas(coverage))


def areas(coverage: Coverage) -> list[dict[str, str]]:
    """For each flight, and for all of several: how much ground it saw, by bands of probability; in words."""
    area = coverage.cell_m**2
    parts = [(each.flight, each.begin, 1 - each.missed, each.looks) for each in coverage.flights]
    if len(parts) > 1:
        parts.append(("all", None, coverage.found, coverage.looks))
    names = _band_names()
    return [
        {
            "flight": name,
            "begin": "-" if begin is None else f"{begin:%Y-%m-%d %H:%M:%S}",
            "seen": f"{area * (looks > 0).sum():,.0f} m²",
            **{
                band: f"{area * ((_bands(found) == number) & (looks > 0)).sum():,.0f} m²"
                for number, band in enumerate(names)
            },
        }
        for name, begin, found, looks in parts
    ]


def _band_names() -> list[str]:
    return [
        f"below {BANDS[0]:g}",
        *(f"{one:g} to {two:g}" for one, two in zip(BANDS, [*BANDS[1:], 1], strict=True)),
    ]


def _bands(found: NDArray[np.float64]) -> NDArray[np.int64]:
    """The band of each probability; what rounding put just below a limit is above it."""
    return np.asarray(np.searchsorted(np.array(BANDS), found + 1e-12, side="right"), np.int64)


def _features(coverage: Coverage) -> Iterator[dict[str, Any]]:
    """A polygon for each cell that was seen."""
    found, looks = coverage.found, coverage.looks
    for row, column in np.argwhere(looks > 0).tolist():
        ring = [(row, column), (row, column + 1), (row + 1, column + 1), (row + 1, column), (row, column)]
        corners = [coverage.corner(*each) for each in ring]
        own = [each for each in coverage.flights if each.looks[row, column]]
        yield {
            "type": "Feature",
            "geometry": {"type": "Polygon", "coordinates": [[[east, north] for north, east in corners]]},
            "properties": {
                "probability": round(float(found[row, column]), 3),
                "looks": int(looks[row, column]),
                "flights": [
                    {
                        "flight": each.flight,
                        "begin": None if each.begin is None else each.begin.isoformat(timespec="seconds"),
                        "first_s": round(float(each.first_s[row, column]), 1),
                        "last_s": round(float(each.last_s[row, column]), 1),
                    }
                    for each in own
                ],
            },
        }


def as_svg(coverage: Coverage) -> str:
    """The map: north is up, a shade for each band of probability, a scale bar, the centre in words."""
    looks, bands = coverage.looks, _bands(coverage.found)
    rows, columns = (np.flatnonzero((looks > 0).any(axis=axis)) for axis in (1, 0))
    if not len(rows):
        return '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 640 20"><text y="15">nothing</text></svg>'
    top, left = int(rows[-1]), int(columns[0])
    tall, wide = top - int(rows[0]) + 1, int(columns[-1]) - left + 1
    side = _WIDTH / max(wide, tall)
    shapes = []
    for row in rows.tolist():
        cells = ((column, int(bands[row, column]) if looks[row, column] else -1) for column in columns.tolist())
        for (band, _), run in groupby(cells, lambda each: (each[1], each[0] if each[1] < 0 else None)):
            own = [column for column, _ in run]
            if band >= 0:
                shapes.append(
                    f'<rect x="{(own[0] - left) * side:.1f}" y="{(top - row) * side:.1f}" '
                    f'width="{(own[-1] - own[0] + 1) * side:.1f}" height="{side:.1f}" fill="{_SHADES[band]}"/>'
                )
    bar_m = 10.0 ** np.floor(np.log10(max(wide * coverage.cell_m / 3, 1)))
    centre = coverage.corner(int(rows[0]) + tall / 2, left + wide / 2)
    high = tall * side
    legend = "".join(
        f'<rect x="{8 + 124 * n}" y="{high + 36:.0f}" width="16" height="16" fill="{shade}" stroke="#777"/>'
        f'<text x="{30 + 124 * n}" y="{high + 49:.0f}">{name}</text>'
        for n, (shade, name) in enumerate(zip(_SHADES, _band_names(), strict=True))
    )
    bar = bar_m / coverage.cell_m * side
    return (
        f'<svg xmlns="{_SVG}" viewBox="0 0 {_WIDTH} {high + 62:.0f}" font-family="sans-serif" '
        f'font-size="14" fill="currentColor" shape-rendering="crispEdges">{"".join(shapes)}'
        f'<path d="M8 {high + 14:.0f} v6 h{bar:.1f} v-6" fill="none" stroke="currentColor" stroke-width="2"/>'
        f'<text x="{bar + 16:.0f}" y="{high + 22:.0f}">{bar_m:g} m; north is up; centre {centre[0]:.5f}, '
        f"{centre[1]:.5f}</text>{legend}</svg>"
    )
