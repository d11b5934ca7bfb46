"""The description in an exported model, read without OpenVINO and without trust in the file."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import ParseError, parse
from pydantic import Field, ValidationError

from detector.config import DetectorConfig, Section
from detector.errors import DetectorError
from detector.models.presets import Architecture

if TYPE_CHECKING:
    from detector.models.weights import WeightsSource

FORMAT = "uavpipe.detector.openvino.1"
SECTION = "uavpipe"  # of the model's runtime information
_MAX_BYTES = 100_000_000  # of the .xml, which has no weights: that of a Faster R-CNN has one or two million


class Answers(Section):
    """Detection settings that are fixed in an exported model."""

    floor: float = Field(ge=0, le=1)
    nms_iou: float = Field(gt=0, le=1)
    max_detections: int = Field(ge=1)

    @classmethod
    def of(cls, config: DetectorConfig) -> "Answers":
        """The settings in `config`."""
        return cls(floor=config.floor, nms_iou=config.nms_iou, max_detections=config.max_detections)


@dataclass(frozen=True)
class ExportedHeader:
    """The description of an exported model.

    Attributes:
        architecture: of the checkpoint that was exported.
        answers: its fixed settings.
        terms: as the checkpoint states them.

    """

    architecture: Architecture
    answers: Answers
    terms: str = ""


def describe_export(config: DetectorConfig, source: "WeightsSource", form: str) -> dict[str, str]:
    """The description to put into a model of format `form` that is exported from the checkpoint `source`."""
    return {
        "format": form,
        "architecture": source.checkpoint_architecture.model_dump_json(exclude_none=True),
        "answers": Answers.of(config).model_dump_json(),
        "weights_sha256": source.sha256,
        "terms": source.terms,
    }


def read_openvino_header(path: Path) -> ExportedHeader:
    """The header of the OpenVINO model `path`.

    Raises:
        DetectorError: missing, without its .bin, or not a detector that uavpipe exported.

    """
    for file in (path, path.with_suffix(".bin")):
        if not file.is_file():
            raise DetectorError(f"{file}: no such file; an OpenVINO model is an .xml and a .bin beside it")
    if path.stat().st_size > _MAX_BYTES:
        raise DetectorError(f"{path}: {path.stat().st_size:,} bytes, more than the .xml of any detector")
    try:
        root = parse(path).getroot()
    except (ParseError, DefusedXmlException, ValueError, OSError) as error:
        raise DetectorError(f"{path}: not an OpenVINO model: {error}") from None
    section = root.find(f"rt_info/{SECTION}")
    entries = {each.tag: each.get("value", "") for each in section} if section is not None else {}
    if entries.get("format") != FORMAT:
        raise DetectorError(
            f"{path}: not a detector of this project; expected an .xml that 'uavpipe detector export' wrote"
        )
    return header_of(entries, path)


def header_of(entries: Mapping[str, str], path: Path) -> ExportedHeader:
    """The header in `entries`, which `describe_export` wrote into the model `path`.

    Raises:
        DetectorError: it is damaged.

    """
    try:
        architecture = Architecture.model_validate_json(entries["architecture"])
        answers = Answers.model_validate(json.loads(entries["answers"]))
        return ExportedHeader(architecture, answers, entries.get("terms", ""))
    except (KeyError, ValueError, ValidationError):
        raise DetectorError(f"{path}: its description is damaged; export the model again") from None


def require_answers(has: Answers, config: DetectorConfig, path: Path) -> None:
    """Check that the exported model `path` gives the boxes that `config` asks for: no setting adds left-out ones.

    Raises:
        DetectorError: it was exported with other settings.

    """
    wanted = Answers.of(config)
    if wanted.floor < has.floor or wanted.max_detections > has.max_detections or wanted.nms_iou != has.nms_iou:
        differs = ", ".join(
            f"{name} {value:g}" for name, value in has.model_dump().items() if value != getattr(wanted, name)
        )
        raise DetectorError(
            f"{path}: exported with {differs}, but the configuration needs more or other boxes; "
            "export it again with --set, as in --set floor=0.02"
        )
