"""The networks that flights were detected and embedded with, and the terms of their weights."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from detector.errors import DetectorError
from detector.models.header import Header as DetectorHeader
from detector.models.header import read_header as read_detector
from detector.models.weights import EMBEDDED as DETECTOR
from pipeline.chain.table import DETECT, EMBEDDINGS, TRAIN, ChainStage
from pipeline.lineage.commands import sha256_of
from pipeline.stages.detect import IMPORTED
from pipeline.workspace.manifest import StageFolder
from reid.errors import ReidError
from reid.header import Header as EmbedderHeader
from reid.header import read_header as read_embedder
from reid.weights import EMBEDDED as EMBEDDER

_READ: dict[ChainStage, tuple[str, Callable[[Path], DetectorHeader | EmbedderHeader]]] = {
    DETECT: ("detector", read_detector),
    EMBEDDINGS: ("embedder", read_embedder),
}


@dataclass(frozen=True)
class Network:
    """A network in use.

    Attributes:
        task: "detector" or "embedder".
        weights: the file: embedded, or its path; its hash where the file is not here.
        terms: that the file states, or why there are none.

    """

    task: str
    weights: str
    terms: str


def networks_of(workspace: Path, flights: Iterable[Path]) -> list[Network]:
    """The networks that made the detections and the embeddings of `flights`, folders in `workspace`.

    Weights are looked for where uavpipe takes and writes them: beside its code, in `weights/`, in the workspace.
    """
    made = [(stage, StageFolder(flight / stage.folder).manifest()) for flight in flights for stage in _READ]
    used = dict.fromkeys(
        (stage, manifest["inputs"]["weights"])
        for stage, manifest in made
        if manifest and "weights" in manifest["inputs"] and IMPORTED not in manifest["section"]
    )
    places = {
        DETECT: (DETECTOR, *sorted(Path("weights").glob("*"))),
        EMBEDDINGS: (
            EMBEDDER,
            *sorted(workspace.glob("suggestions/*.safetensors")),
            *sorted(workspace.glob(f"{TRAIN.folder}/*/*.safetensors")),
        ),
    }
    networks = [_network(stage, str(sha256), places[stage]) for stage, sha256 in used]
    return sorted(networks, key=lambda each: each.task)


def _network(stage: ChainStage, sha256: str, places: Sequence[Path]) -> Network:
    task, read = _READ[stage]
    path = next((each for each in places if sha256_of(each) == sha256), None)
    if path is None:
        return Network(task, f"sha256 {sha256[:12]}…", "not known: the file is not here")
    try:
        terms = read(path).terms
    except (DetectorError, ReidError):  # weights of other tools
        terms = ""
    return Network(task, "embedded" if path == places[0] else str(path), terms or "the file states none")
