"""The protocol by which a network is evaluated on a data set."""

from pipeline.workspace.atomic import read_json
from reid.datasets.formats import FORMATS
from reid.datasets.load import parse
from reid.evaluation.protocols import PROTOCOLS, ProtocolName

FIGURES = "statistics.json"


def protocol_of(data: str | None) -> ProtocolName:
    """The protocol that `uavpipe dataset` made the data set `data` for; of other data `market`.

    Args:
        data: `[FORMAT:]PLACE`; None: no data set, but tables of labels.

    """
    kind, place = parse(data or "")
    made_for = (read_json(place / FIGURES) or {}).get("protocol") if kind is FORMATS["market"] and data else None
    return next((name for name in PROTOCOLS if name == made_for), "market")
