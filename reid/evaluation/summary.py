"""The summary of an evaluation: its figures, those of chance, intervals, and figures by the size of the queries."""

from collections.abc import Iterator, Mapping
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
_OF_GROUPS = "mAP", "rank-1"


@dataclass(frozen=True, eq=False)
class Group:
    """Figures of the queries whose crops are of about one height.

    Attributes:
        least: px.
        below: px; None: of any greater height.
        queries: that have a right answer; draws of single-shot count once.
        figures: mAP and rank-1.
        intervals: of the figures.

    """

    least: int
    below: int | None
    queries: int
    figures: Mapping[str, float]
    intervals: Mapping[str, Interval]

    def content(self) -> dict[str, Any]:
        """As `metrics.json` stores it."""
        return {
            "height_px": [self.least, self.below],
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
        by_height: figures of groups of queries; empty where the crops have no files.

    """

    figures: Mapping[str, float]
    intervals: Mapping[str, Interval]
    chance: Chance
    open_set: OpenSet
    by_height: tuple[Group, ...]

    def content(self) -> dict[str, Any]:
        """As `metrics.json` stores it."""
        return {
            **self.figures,
            "intervals": {name: list(interval) for name, interval in self.intervals.items()},
            "chance": self.chance.content(),
            "by_height": [group.content() for group in self.by_height],
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
        tuple(_by_height(result, queries)),
    )


def _by_height(result: Result, queries: QueryFigures) -> Iterator[Group]:
    paths = result.candidates.query.paths
    if not paths:
        return
    heights = np.tile([_height(path) for path in paths], len(queries.identities) // len(paths))
    places, repeats = np.digitize(heights, HEIGHTS) - 1, len(heights) // len(paths)
    for place in np.unique(places[result.ranking.valid & (heights > 0)]):
        mine = (places == place) & result.ranking.valid
        own = _where(queries, mine)
        statistics = {name: own.statistics()[name] for name in _OF_GROUPS}
        one_each = np.ones((1, own.people().max() + 1))
        yield Group(
            HEIGHTS[place],
            HEIGHTS[place + 1] if place + 1 < len(HEIGHTS) else None,
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
