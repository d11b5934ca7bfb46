"""The networks that flights were detected and embedded with, and the terms of their weights."""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from detector.models.weights import EMBEDDED as DETECTOR
from pipeline.chain.table import DETECT, EMBEDDINGS, TRAIN
from pipeline.lineage.commands import weights_of
from pipeline.stages.detect import IMPORTED
from pipeline.workspace.manifest import StageFolder
from reid.errors import ReidError
from reid.header import read_header
from reid.weights import EMBEDDED as EMBEDDER
from reid.weights import weights_hash

_STAGES = DETECT, EMBEDDINGS


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
    made = [(stage, StageFolder(flight / stage.folder).manifest()) for flight in flights for stage in _STAGES]
    used = dict.fromkeys(
        (stage, str(manifest["inputs"]["weights"]))
        for stage, manifest in made
        if manifest and "weights" in manifest["inputs"] and IMPORTED not in manifest["section"]
    )
    return [
        *(_detector(sha256) for stage, sha256 in used if stage is DETECT),
        *(_embedder(sha256, workspace) for stage, sha256 in used if stage is EMBEDDINGS),
    ]


def _detector(sha256: str) -> Network:
    source = weights_of(sha256)
    if source is None:
        return _network("detector", sha256, None, "")
    return _network("detector", sha256, source.path, source.terms)


def _embedder(sha256: str, workspace: Path) -> Network:
    path = next((each for each in _embedders(workspace) if weights_hash(each) == sha256), None)
    terms = ""
    if path is not None:
        with suppress(ReidError):  # a foreign model
            terms = read_header(path).terms
    return _network("embedder", sha256, path, terms)


def _embedders(workspace: Path) -> Iterator[Path]:
    """Where embedders are taken from and written to, as far as they are there."""
    yield EMBEDDER
    yield from sorted(workspace.glob("suggestions/*.safetensors"))
    yield from sorted(workspace.glob(f"{TRAIN.folder}/*/*.safetensors"))


def _network(task: str, sha256: str, path: Path | None, terms: str) -> Network:
    if path is None:
        return Network(task, f"sha256 {sha256[:12]}…", "not known: the file is not here")
    name = "embedded" if path in (DETECTOR, EMBEDDER) else str(path)
    return Network(task, name, terms or "the file states none")
