"""Networks in a workspace that were trained on its people, and the evaluations of networks on them."""

from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from pipeline.chain.table import DATASET, EVALUATE
from pipeline.privacy.forget.places import EVALUATION, NETWORK, SUGGESTIONS, Places
from pipeline.stages.evaluation import FIGURES, QUERIES
from pipeline.workspace.atomic import read_json
from pipeline.workspace.entries import is_ours

_RUN = "run.json"


def made_of_people(places: Places, files: Sequence[str]) -> list[str]:
    """Those of `files` that are networks with their states and logs, trained on people, or evaluations on them."""
    runs = _trained(places, [name.removesuffix(_RUN) for name in files if PurePosixPath(name).name == _RUN])
    found = [name for name in files for run in runs if name.startswith(run) and is_ours(name[len(run) :], NETWORK)]
    measured = {name.rpartition("/")[0] + "/" for name in files if PurePosixPath(name).name in (FIGURES, QUERIES)}
    for folder in sorted(each for each in measured if each.startswith(f"{EVALUATE.folder}/")):
        found += [name for name in files if name.startswith(folder) and is_ours(name[len(folder) :], EVALUATION)]
    return found


def _trained(places: Places, folders: Iterable[str]) -> list[str]:
    """Those of the runs in `folders` that were trained on people of the workspace, or began from such a network.

    A network keeps something of those that its initial weights were trained on.
    """
    described = {folder: read_json(places.workspace / folder / _RUN) or {} for folder in folders}
    found = [folder for folder, run in described.items() if _is_ours(places, folder, run)]
    names = {PurePosixPath(folder).name for folder in found}
    while more := [each for each in described if each not in found and _begins_from(described[each], names)]:
        found += more
        names |= {PurePosixPath(folder).name for folder in more}
    return found


def _is_ours(places: Places, folder: str, run: dict[str, Any]) -> bool:
    data = run.get("data")
    known = {DATASET.folder, (places.workspace / DATASET.folder).resolve().name}
    return folder == f"{SUGGESTIONS}/" or (isinstance(data, dict) and data.get("name") in known)


def _begins_from(run: dict[str, Any], names: set[str]) -> bool:
    """Whether its initial weights are in a folder of one of `names`, wherever the workspace was then."""
    config = run.get("config")
    init = config.get("init") if isinstance(config, dict) else None
    return isinstance(init, str) and Path(init).parent.name in names
