"""How what the report shows was made: commands, hashes, settings and versions, from the manifests."""

import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from pipeline.lineage.back import back_from_metrics, dataset_lineage
from pipeline.lineage.commands import stage_of
from pipeline.report.records import Made
from pipeline.workspace.atomic import read_json

_STAGES = {
    "frames": "Frames",
    "detections": "Detections",
    "crops": "Crops",
    "motion": "The camera's motion",
    "appearance": "Looks",
    "tracks": "Tracklets",
    "embeddings": "Looks to a network",
    "clip": "Clip with boxes",
}
_EVALUATED_BY_DEFAULT = {("metric", "euclidean"), ("ap", "step"), ("repeats", 10), ("seed", 0)}
_HASH = 12  # letters of a hash that tell it from others


def made_id(*names: str) -> str:
    """The id of what the stage, data set or evaluation of these names made."""
    return quote("-".join(("made", *names)), safe="")  # a browser finds an id that stands in the address as it is


def made_of_flight(folder: Path) -> Iterator[Made]:
    """The finished stages of a flight."""
    for name, title in _STAGES.items():
        found = stage_of(folder, name)
        if found is not None:
            facts = [("from", _text(found["inputs"])), ("settings", _text(found["section"]))]
            facts += [("fingerprint", _short(found["fingerprint"])), ("with", _text(found["versions"]))]
            yield Made(
                made_id(folder.name, name), f"{title} of {folder.name}", found.get("command", ""), _kept(facts)
            )


def made_of_dataset(folder: Path) -> Made:
    """The data set in `folder`."""
    found = dataset_lineage(folder)
    facts = [
        ("labels", _short(found["labels_hash"])),
        ("flights", ", ".join(found["flights"])),
        ("settings", _text(found["section"])),
    ]
    return Made(made_id("dataset"), "Data set", found["command"], _kept(facts))


def made_of_evaluation(name: str, metrics: Path) -> Made:
    """The evaluation whose figures are in `metrics`.

    Raises:
        PipelineError: it is no file of figures.

    """
    found = back_from_metrics(metrics, None)
    facts: list[tuple[str, str]] = []
    for part in ("weights", "query", "gallery"):
        if part in found:
            file = found[part]
            facts.append((part, f"{file['path']}, sha256 {_short(file['sha256'])}, {file['state']}"))
    training = found.get("weights", {}).get("training")
    if training:
        known = {key: training.get(key) for key in ("iteration", "initial", "data")}
        facts.append(("learnt", _text(known)))
    if "data_set" in found:
        facts.append(
            ("data set", f"{found['data_set']['folder']}, labels {_short(found['data_set']['labels_hash'])}")
        )
    facts.append(("settings", _text(found["settings"])))
    return Made(made_id("evaluation", name), f"Evaluation {name}", _evaluate_command(metrics), _kept(facts))


def _evaluate_command(metrics: Path) -> str:
    content = read_json(metrics) or {}
    inputs, settings = content["inputs"], content["settings"]
    words = ["uavpipe", "reid", "evaluate"]
    if "weights" in inputs:
        words += ["--weights", inputs["weights"]["path"]]
    elif "query" in inputs:
        words += ["--features", inputs["query"]["path"], inputs["gallery"]["path"]]
    for option in ("data", "labels", "images", "train_labels"):
        value = inputs.get(option, [])
        values = [value] if isinstance(value, str) else value
        words += [f"--{option.replace('_', '-')}", *map(str, values)] * bool(values)
    for option, value in settings.items():
        if isinstance(value, bool):
            words += [f"--{option}"] * value
        elif (option, value) not in _EVALUATED_BY_DEFAULT:
            words += [f"--{option}", str(value)]
    return shlex.join([*words, "--out", str(metrics.parent)])


def _kept(facts: list[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    return tuple((name, text) for name, text in facts if text)


def _text(content: Any) -> str:
    """Nested settings on one line, hashes shortened."""
    if isinstance(content, Mapping):
        return ", ".join(f"{str(name).replace('_', ' ')} {_text(value)}" for name, value in content.items())
    if isinstance(content, list | tuple):
        return f"[{', '.join(map(_text, content))}]"
    if content is None:
        return "none"
    return _short(str(content))


def _short(text: str | None) -> str:
    is_hash = text is not None and len(text) == 64 and set(text) <= set("0123456789abcdef")
    return (text or "")[:_HASH] + "…" if is_hash else text or ""
