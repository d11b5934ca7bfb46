"""Files that a command writes where the user says: never its own input, never a file that uavpipe did not write."""

import json
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, is_dataclass
from functools import wraps
from pathlib import Path
from typing import Any

import click

from pipeline.cli.errors import UserError
from pipeline.files import read_regular

MARK = "uavpipe"  # in the pictures that a command writes
_MODEL = re.compile(rb"uavpipe")  # in the description that a model of uavpipe has
_PICTURE = re.compile(rb"uavpipe|atplotlib")
# How the files begin that uavpipe writes; of models and pictures, what is anywhere in them.
_SIGNS = {
    # COCO annotations, detections, tracks, figures
    ".json": re.compile(
        rb'\A(\{"images":\[\{"id":1,"file_name":|\[\]|\[\{"image_id":|\{"videos":\[|'
        rb'\{\n  "(figures|images|mAP|mINP|rank|anybody)|\[\n  \{\n    "(answer|tracklet|labeller)":)'
    ),
    ".parquet": re.compile(rb"first_hit|distance|impostor_pairs"),  # names of columns of an evaluation's tables
    ".npy": re.compile(rb"\A\x93NUMPY"),
    ".csv": re.compile(
        rb"\A(path\r?\n|height,recall,|source,loss,margin,seed,|tracklet,(flight|label),|answer,likely,|labeller,labels,)"
    ),
    ".md": re.compile(rb"\A\| mAP \|"),
    ".geojson": re.compile(rb'\A\{\s*"type": "FeatureCollection",\s*"generator": "uavpipe"'),
    ".safetensors": _MODEL,
    ".onnx": _MODEL,
    ".xml": re.compile(rb"\A<\?xml [^>]*>\n<annotations>\n<version>|uavpipe"),  # CVAT itself indents
    ".html": re.compile(rb'<meta name="generator" content="uavpipe">'),
    ".jsonl": re.compile(rb'\A\{"format":"uavpipe'),
    ".txt": re.compile(rb"\A(\d+,\d+(,[-+.e\d]+){8}\n|(tracklet +(person|label)|answer +right|labeller +labels) )"),
}
_Command = Callable[..., Any]
_RUN = ("log.jsonl", "resume.pt", "last.safetensors", "best.safetensors")


def writes(
    option: str, *beside: str, inside: tuple[str, ...] = ()
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Refuse a command, before it begins, that would write over its input or over a file of somebody else.

    Args:
        option: the parameter that names the file; None is no file.
        beside: suffixes of the files that the command writes beside it, as ".csv".
        inside: names of the files that the command writes, if `option` names a folder.

    Raises:
        UserError: from the command; the file is an input too, or uavpipe did not write it.

    """

    def decorate(command: _Command) -> _Command:
        @wraps(command)
        def guarded(**given: Any) -> Any:
            if (out := given.get(option)) is not None:
                inputs = list(_paths({name: value for name, value in given.items() if name != option}))
                # An .onnx has no .bin; that of its name is of another export.
                others = [each for each in beside if each != ".bin" or out.suffix == ".xml"]
                files = [out / name for name in inside] or [out, *map(out.with_suffix, others)]
                for path in files:
                    _check(path, inputs, out)
            return command(**given)

        return guarded

    return decorate


def print_json(content: Any) -> None:
    """Print `content` as JSON: records as objects, NaN as null, what else JSON does not have as its text."""
    text = json.dumps(content, default=_plain)
    click.echo(json.dumps(json.loads(text, parse_constant=lambda _: None), indent=2, ensure_ascii=False))


def _plain(value: Any) -> Any:
    return asdict(value) if is_dataclass(value) and not isinstance(value, type) else str(value)


def print_or_write(text: str, out: Path | None) -> None:
    """Print `text`, or write it to the file `out`, whole or not at all.

    Raises:
        UserError: the file cannot be written.

    """
    if out is None:
        click.echo(text)
        return
    from pipeline.workspace.atomic import atomic_file

    try:
        with atomic_file(out) as temporary:
            temporary.write_text(f"{text}\n" if text else "", "utf-8")
    except OSError as error:
        raise UserError(f"{out}: cannot be written: {error.strerror}") from None
    click.echo(f"{out}: written", err=True)


def copy_video(file: Path, target: Path) -> None:
    """Copy `file` to `target`.

    Raises:
        UserError: `target` exists and is another video, or cannot be written.

    """
    from pipeline.files import file_sha256
    from pipeline.workspace.atomic import atomic_file

    refuse_other_video(target, target.is_file() and file_sha256(target) == file_sha256(file))
    try:
        with atomic_file(target) as temporary:
            shutil.copyfile(file, temporary)
    except OSError as error:
        raise UserError(f"{target}: cannot be written: {error.strerror}") from None


def refuse_other_video(video: Path, own: bool) -> None:
    """Refuse to write over `video` unless it is uavpipe's `own`: a video has no sign of it.

    Raises:
        UserError: it exists and is another one.

    """
    if video.exists() and not own:
        raise UserError(f"{video}: exists, and is no file that this command wrote; {_ADVICE}")


def writes_run(description: str) -> Callable[[_Command], _Command]:
    """Refuse a training, before it begins, in a folder with files of a training's names that it did not write.

    Args:
        description: name of the file in the folder that describes a training.

    Raises:
        UserError: from the command, which gets the folder as `output`.

    """

    def decorate(command: _Command) -> _Command:
        @wraps(command)
        def guarded(**given: Any) -> Any:
            output: Path = given["output"]
            there = [output / name for name in _RUN if (output / name).exists()]
            if there and not (output / description).exists():
                raise UserError(f"{there[0]}: exists, but no {description} of a training beside it; {_ADVICE}")
            return command(**given)

        return guarded

    return decorate


_ADVICE = "name another place, or move it"


def _paths(value: Any) -> Iterator[Path]:
    """The paths in the parameters of a command; of FORMAT:PLACE the place."""
    if isinstance(value, Path):
        yield value
    elif isinstance(value, str):
        yield from map(Path, {value, value.partition(":")[2]} - {""})
    elif isinstance(value, Mapping):
        yield from (path for each in value.values() for path in _paths(each))
    elif isinstance(value, tuple | list):
        yield from (path for each in value for path in _paths(each))


def _check(path: Path, inputs: list[Path], lead: Path) -> None:
    if not path.exists():
        return
    for each in inputs:
        if _same(path, each):
            raise UserError(f"{path}: is read by this command, which would write over it; {_ADVICE}")
    if path.is_dir():
        raise UserError(f"{path}: is a folder; expected the name of a file")
    if not _is_ours(lead if path.suffix == ".bin" else path):  # the weights beside an .xml have no sign
        raise UserError(f"{path}: exists, and is no file that this command wrote; {_ADVICE}")


def _same(path: Path, other: Path) -> bool:
    try:
        return path.samefile(other)
    except (OSError, ValueError):
        return False


def _is_ours(path: Path) -> bool:
    sign = _SIGNS.get(path.suffix.lower(), _PICTURE)
    try:
        content = read_regular(path)
    except OSError:
        return False
    return not content or sign.search(content) is not None  # nothing is lost of an empty file
