"""The summary of an evaluation: its figures, those of chance, intervals, and figures of groups of queries."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from reid.evaluation.chance import Chance, chance_of
from reid.evaluation.evaluate import Options, Result
from reid.evaluation.intervals import Interval, QueryFigures, intervals, verification_statistics
from reid.evaluation.open_set import OpenSet, open_set_of
from reid.records import Picture

HEIGHTS = (0, 32, 64, 96, 128, 192, 256, 384)  # px, where the groups of queries begin
ALTITUDES = (0, 10, 20, 30, 50, 80, 120)  # metres, likewise
_OF_GROUPS = "mAP", "rank-1"


@dataclass(frozen=True, eq=False)
class Group:
    """Figures of the queries that are alike: crops of about one height, or from about one altitude.

    Attributes:
        least: height or altitude.
        below: the same; None: whatever is greater.
        queries: that have a right answer; draws of single-shot count once.
        figures: mAP and rank-1.
        intervals: of the figures.

    """

    least: int
    below: int | None
    queries: int
    figures: Mapping[str, float]
    intervals: Mapping[str, Interval]

    def content(self, measure: str) -> dict[str, Any]:
        """As `metrics.json` stores it; `measure` is that of `least` and `below`."""
        return {
            measure: [self.least, self.below],
            "queries": self.queries,
            **self.figures,
            "intervals": {name: list(interval) for name, interval in self.intervals.items()},
        }


@dataclass(frozen=True, eq=False)
class Summary:
    """The figures of an evaluation, and what they can be compared with.

    Attributes:
        figures: mAP, mINP, rank-1 … rank-20; TPR and TPIR where there are pairs and searches enough.
        intervals: of 95 %, by resampling persons; empty where there is one only.
        chance: the figures that chance gets.
        open_set: the distances behind TPR and TPIR.
        by_height: figures of groups of queries, by px; empty where the crops have no files.
        by_altitude: the same by metres above take-off; empty where no altitude is known.

    """

    figures: Mapping[str, float]
    intervals: Mapping[str, Interval]
    chance: Chance
    open_set: OpenSet
    by_height: tuple[Group, ...]
    by_altitude: tuple[Group, ...]

    def content(self) -> dict[str, Any]:
        """As `metrics.json` stores it."""
        return {
            **self.figures,
            "intervals": {name: list(interval) for name, interval in self.intervals.items()},
            "chance": self.chance.content(),
            "by_height": [group.content("height_px") for group in self.by_height],
            "by_altitude": [group.content("altitude_m") for group in self.by_altitude],
        }


def summary_of(result: Result, options: Options) -> Summary:
    """The summary of `result`, which was measured with `options`; the same numbers each time."""
    open_set = open_set_of(result, options.repeats)
    ranking = result.ranking
    queries = QueryFigures(
        np.tile(result.candidates.query.identities, len(ranking) // len(result.candidates.query)),
        ranking.average_precision,
        ranking.inverse_negative_penalty,
        ranking.first_hit,
        open_set.nearest_right,
        open_set.nearest_wrong,
    )
    statistics = queries.statistics() | verification_statistics(open_set.by_person)
    return Summary(
        {**result.figures, **open_set.figures()},
        intervals(statistics, queries),
        chance_of(result, options),
        open_set,
        tuple(_by(_heights(result), HEIGHTS, queries)),
        tuple(_by(result.candidates.query.altitudes, ALTITUDES, queries)),
    )


def _heights(result: Result) -> NDArray[np.float64]:
    """Of the query crops, px; NaN where it is not known."""
    return np.array([_height(path) or np.nan for path in result.candidates.query.paths], np.float64)


def _by(values: NDArray[np.float64], begins: Sequence[int], queries: QueryFigures) -> Iterator[Group]:
    """Groups of `queries` by the `values` of each, float64 (n,): a group from each of `begins` to the next."""
    if not np.isfinite(values).any():
        return
    repeats = len(queries.identities) // len(values)
    counted = np.tile(np.isfinite(values), repeats) & (queries.first_hit > 0)
    places = np.maximum(np.tile(np.digitize(values, begins), repeats) - 1, 0)  # what took off higher is below 0
    for place in np.unique(places[counted]):
        mine = (places == place) & counted
        own = _where(queries, mine)
        statistics = {name: own.statistics()[name] for name in _OF_GROUPS}
        one_each = np.ones((1, own.people().max() + 1))
        yield Group(
            begins[place],
            begins[place + 1] if place + 1 < len(begins) else None,
            int(mine.sum()) // repeats,
            {name: float(statistic(one_each)[0]) for name, statistic in statistics.items()},
            intervals(statistics, own),
        )


def _where(queries: QueryFigures, mask: NDArray[np.bool_]) -> QueryFigures:
    return QueryFigures(
        queries.identities[mask],
        queries.average_precision[mask],
        queries.inverse_negative_penalty[mask],
        queries.first_hit[mask],
    )


def _height(path: Path | Picture) -> int:
    """Of an image, px; its pixels are not decoded. 0: Pillow does not know the format, as OpenCV did."""
    try:
        with Image.open(path if isinstance(path, Path) else BytesIO(path.read_bytes())) as image:
            return int(image.height)
    except OSError:
        return 0
