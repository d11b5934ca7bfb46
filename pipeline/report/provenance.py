"""Provenance of what the report shows: commands, hashes, settings and versions, from the manifests."""

import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from pipeline.chain.table import CHAIN, DATASET, EVALUATE, Scope
from pipeline.lineage.back import back_from_metrics, dataset_lineage
from pipeline.lineage.commands import stage_of
from pipeline.report.records import Provenance
from pipeline.workspace.atomic import read_json
from reid.evaluation.evaluate import Options

_FIELDS = {"ap": "average_precision"}  # options that `Options`, with the defaults, calls otherwise
_HASH = 12  # letters of a hash that are shown


def provenance_id(*names: str) -> str:
    """The id of the `Provenance` of the stage, data set or evaluation of these names."""
    return quote("-".join(("provenance", *names)), safe="")  # a browser compares it with the address as written


def provenance_of_flight(folder: Path) -> Iterator[Provenance]:
    """The finished stages of a flight."""
    for stage in (each for each in CHAIN if each.scope is not Scope.WORKSPACE):
        found = stage_of(folder, stage)
        if found is not None:
            facts = [("from", _text(found["inputs"])), ("settings", _text(found["section"]))]
            facts += [("fingerprint", _short(found["fingerprint"])), ("with", _text(found["versions"]))]
            title = f"{stage.title} of {folder.name}"
            yield Provenance(provenance_id(folder.name, stage.folder), title, found["command"], _kept(facts))


def provenance_of_dataset(folder: Path) -> Provenance:
    """The data set in `folder`."""
    found = dataset_lineage(folder)
    facts = [
        ("labels", _short(found["labels_hash"])),
        ("flights", ", ".join(found["flights"])),
        ("settings", _text(found["section"])),
    ]
    return Provenance(provenance_id(DATASET.folder), DATASET.title, found["command"], _kept(facts))


def provenance_of_evaluation(name: str, metrics: Path) -> Provenance:
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
        facts += [("training", _text(known)), ("terms", _text(training.get("terms", "")))]
    if "data_set" in found:
        facts.append(
            ("data set", f"{found['data_set']['folder']}, labels {_short(found['data_set']['labels_hash'])}")
        )
    facts.append(("settings", _text(found["settings"])))
    return Provenance(
        provenance_id(EVALUATE.name, name), f"{EVALUATE.title} {name}", _evaluate_command(metrics), _kept(facts)
    )


def _evaluate_command(metrics: Path) -> str:
    content = read_json(metrics) or {}
    inputs, settings = content["inputs"], content["settings"]
    words = ["uavpipe", *EVALUATE.command.split()]
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
        elif option == "metric" or value != getattr(Options, _FIELDS.get(option, option), None):
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
