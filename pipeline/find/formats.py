"""Answers as text: a table to read, CSV, JSON, and the formats of map programs."""

from collections.abc import Iterator, Sequence
from typing import Any

from pipeline.find.find import Findings
from pipeline.find.search import Answer, Found
from pipeline.sightings.formats import as_csv, as_json, as_record, as_table, on_map, short
from pipeline.sightings.records import Sighting


def written(findings: Findings, answers: Sequence[Answer], form: str) -> str:
    """`answers`, some of `findings`, in a format of sightings, without the last line's end.

    Raises:
        PipelineError: as `on_map`.

    """
    if form == "table":
        return as_table([_line(*each) for each in _rows(findings, answers)])
    records = as_records(findings, answers)
    if form == "csv":
        return as_csv(records)
    if form != "json":
        return on_map([sighting for *_, sighting in _rows(findings, answers)], records, form)
    calibration = findings.calibration
    return as_json(
        {
            "anybody": bool(findings.likely),
            "tracklets": findings.tracklets,
            "own": list(findings.own),
            "tracklets_without_crop": findings.without,
            "calibration": None if calibration is None else _origin(calibration.__dict__),
            "answers": records,
        }
    )


def as_records(findings: Findings, answers: Sequence[Answer]) -> list[dict[str, Any]]:
    """The columns of each tracklet of `answers`, some of `findings`: answer, likely, score, those of a sighting."""
    return [_record(*each) for each in _rows(findings, answers)]


def _rows(findings: Findings, answers: Sequence[Answer]) -> Iterator[tuple[int, Answer, Found, Sighting]]:
    for number, answer in enumerate(answers, 1):
        for found in answer.found:
            yield number, answer, found, findings.sightings[found.tracklet]


def _record(number: int, answer: Answer, found: Found, sighting: Sighting) -> dict[str, Any]:
    score = None if found.score is None else round(found.score, 4)
    similarity = round(found.similarity, 4)
    ranked = {"answer": number, "likely": answer.likely, "score": score, "similarity": similarity}
    return ranked | as_record(sighting)


def _line(number: int, answer: Answer, found: Found, sighting: Sighting) -> dict[str, str]:
    score = "-" if found.score is None else f"{100 * found.score:.0f} %"
    ranked = {"answer": f"{number}{'' if answer.likely else ' (unlikely)'}", "right": score}
    return ranked | {"similarity": f"{found.similarity:.3f}"} | short(sighting)


def _origin(calibration: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in calibration.items() if name != "strangers"}
