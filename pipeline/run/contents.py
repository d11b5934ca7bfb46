"""The flights of a workspace, and whether a finished stage was made from what is there; from manifests alone."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline.chain.table import CROPS, DATASET, DETECT, TRACKS, ChainStage
from pipeline.errors import PipelineError
from pipeline.workspace.folders import CARD, check_whole

Manifests = Mapping[ChainStage, Mapping[str, Any] | None]


def flight_folders(workspace: Path) -> list[Path]:
    """The folders of the flights in `workspace`, finished or not, by name.

    Raises:
        PipelineError: there is none, or somebody is half forgotten there.

    """
    check_whole(workspace)
    flights = [path for path in sorted(workspace.glob("*")) if is_flight(path)]
    if not flights:
        raise PipelineError(f"{workspace}: no flights here; name the --workspace")
    return flights


def is_flight(path: Path) -> bool:
    """Whether the folder `path` is that of a flight."""
    if path.name.startswith(".") or not path.is_dir() or (path / DATASET.file).exists():
        return False
    return (path / CARD).exists() or any((path / stage.folder).is_dir() for stage in (DETECT, CROPS, TRACKS))


def changed_inputs(stage: ChainStage, manifests: Manifests, card: Mapping[str, Any] | None) -> str:
    """What the finished `stage` of a flight was made from that is another by now; "" where nothing is.

    Args:
        stage: one of `manifests`.
        manifests: of the flight's stages.
        card: of the flight, see `read_card`.

    """
    inputs = (manifests[stage] or {})["inputs"]
    now = {other.name: (manifest or {}).get("fingerprint") for other, manifest in manifests.items()}
    recorded = {other.name: inputs.get(other.name, inputs.get(other.folder)) for other in manifests}
    now["video"], recorded["video"] = (card or {}).get("sha256"), inputs.get("video")
    changed = (name for name, each in recorded.items() if None not in (each, now[name]) and each != now[name])
    return ", ".join(f"other {name}" for name in changed if name != stage.name)
