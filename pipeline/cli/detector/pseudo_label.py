"""`uavpipe detector pseudo-label`: annotations of one's own flights by a detector, to train another one on."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pipeline.cli.options import PATH, settings_option
from pipeline.cli.outputs import writes

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from detector.annotations.conversion import ConvertedImage
    from detector.backends.protocol import PersonDetector
    from detector.records import Detections
    from pipeline.video import Frame, Video

_ANNOTATIONS = "annotations.json"
_QUALITY = 95  # of the JPEG files
_PERSON, _IGNORED = (0, 220, 0), (255, 0, 0)
_NEAR_S = 0.1  # the noise has changed by then, and the boxes of a person who runs still overlap


@click.command("pseudo-label")
@click.argument("videos", type=PATH, nargs=-1, required=True)
@click.option("--out", type=PATH, required=True, help="Write annotations.json, images/ and look/ to this folder.")
@click.option(
    "--weights",
    multiple=True,
    default=("auto",),
    show_default="auto",
    help="Detect with auto, embedded, coco or a model. Repeated: the score of a box is the mean of all detectors'.",
)
@click.option("--every", default=15, show_default=True, type=click.IntRange(1), help="Take each n-th frame.")
@click.option(
    "--near",
    type=click.IntRange(0),
    metavar="N",
    help="Accept as persons only what is found N frames before or after, too; 0 accepts all.  [default: 0.1 s in "
    "videos, 0 in folders of images]",
)
@click.option("--sure", default=0.5, show_default=True, help="From this score a box is a person.")
@click.option("--doubt", default=0.12, show_default=True, help="From this score up to --sure it is ignored.")
@settings_option("tiles={size: 480}")
@writes("out", inside=(_ANNOTATIONS,))
def pseudo_label(
    videos: tuple[Path, ...],
    out: Path,
    weights: tuple[str, ...],
    every: int,
    near: int | None,
    sure: float,
    doubt: float,
    settings: tuple[str, ...],
) -> None:
    """Annotate frames of VIDEOS by a detector, better than the one to be trained: larger, or with tiles.

    What is neither a person nor background for sure becomes a region to ignore. Look at the result, in OUT/look,
    before you train on it: persons are green, regions to ignore are red. The annotations are written after each
    video. Each detector runs in the backend of its file (.onnx, .xml), unless --set backend=… is for both.
    """
    from detector.annotations.conversion import write_coco
    from detector.backends.load import load_predictor
    from detector.config import DetectorConfig
    from pipeline.config.yaml import apply_settings, validate
    from pipeline.engine.progress import progress_bar

    if not 0 < doubt <= sure <= 1:
        raise click.UsageError(f"--doubt {doubt:g} --sure {sure:g}: expected 0 < doubt <= sure <= 1")
    teachers = []
    for each in weights:
        # The mean of scores below this share of --doubt is below --doubt, too.
        content = apply_settings({"weights": each, "floor": doubt / len(weights), "threshold": sure}, settings)
        teachers.append(load_predictor(validate(content, DetectorConfig, "detector")))
    opened = _by_name(videos)
    images: list[ConvertedImage] = []
    for name, video in opened.items():
        for folder in ("images", "look"):
            (out / folder / name).mkdir(parents=True, exist_ok=True)
        with progress_bar(name, len(range(0, video.frame_count, every))) as advance:
            frames = _sound(video, every, _default_near(video) if near is None else near)
            for image in _images(frames, name, teachers, sure, doubt, out):
                images.append(image)
                advance(1)
        write_coco(out / _ANNOTATIONS, images, ["person"])
    _tell(out, images)


def _default_near(video: "Video") -> int:
    return 0 if video.path.is_dir() else max(1, round(_NEAR_S * video.fps))


def _by_name(videos: tuple[Path, ...]) -> "dict[str, Video]":
    from pipeline.errors import PipelineError
    from pipeline.video import open_video

    opened: dict[str, Video] = {}
    for path in videos:
        name = re.sub(r"[^\w.-]", "_", path.stem) or "video"
        if name in opened:
            raise PipelineError(f"{path}: its images would be in the folder of {opened[name].path}; rename one")
        opened[name] = open_video(path)
    return opened


def _images(
    frames: "Iterator[tuple[Frame, list[Frame]]]",
    name: str,
    teachers: "list[PersonDetector]",
    sure: float,
    doubt: float,
    out: Path,
) -> "Iterator[ConvertedImage]":
    from detector.annotations.conversion import ConvertedImage
    from detector.training.pseudo_labels import lasts, pseudo_labels
    from pipeline.workspace.jpeg import write_jpeg

    for frame, nearby in frames:
        found = _found(teachers, frame).above(doubt)
        lasting = lasts(found, (_found(teachers, other) for other in nearby))
        annotations = pseudo_labels(found, sure, lasting)
        file = f"{name}/{frame.index:07d}.jpg"
        write_jpeg(out / "images" / file, frame.image, _QUALITY)
        write_jpeg(out / "look" / file, _drawn(frame.image, annotations), _QUALITY)
        height, width = frame.image.shape[:2]
        yield ConvertedImage(f"images/{file}", (width, height), name, annotations)


def _found(teachers: "list[PersonDetector]", frame: "Frame") -> "Detections":
    from detector.training.pseudo_labels import joined

    return joined([teacher.predict([teacher.preprocess(frame.image)])[0] for teacher in teachers])


def _drawn(image: "NDArray[np.uint8]", annotations: "list[dict[str, Any]]") -> "NDArray[np.uint8]":
    import cv2
    import numpy as np

    drawn = image.copy()
    for row in annotations:
        left, top, width, height = (round(value) for value in row["bbox"])
        colour = _IGNORED if row["iscrowd"] else _PERSON
        cv2.rectangle(drawn, (left - 1, top - 1), (left + width, top + height), colour)
    return np.asarray(drawn)


def _sound(video: "Video", every: int, near: int) -> "Iterator[tuple[Frame, list[Frame]]]":
    """Each `every`-th frame that is not in doubt, and those `near` frames after and before it, if they are not."""
    held: dict[int, Frame] = {}
    chosen = 0
    for frame in video.read_all():
        if frame.index >= chosen - near and not frame.suspect:
            held[frame.index] = frame
        while chosen + near <= frame.index:
            yield from _with_nearby(held, chosen, near)
            chosen += every
            held = {index: each for index, each in held.items() if index >= chosen - near}
    for last in range(chosen, max(held, default=-1) + 1, every):
        yield from _with_nearby(held, last, near)


def _with_nearby(held: "Mapping[int, Frame]", chosen: int, near: int) -> "Iterator[tuple[Frame, list[Frame]]]":
    if chosen in held:
        beside = (chosen + near, chosen - near) if near else ()
        yield held[chosen], [held[index] for index in beside if index in held]


def _tell(out: Path, images: "list[ConvertedImage]") -> None:
    counts = Counter(row["iscrowd"] for image in images for row in image.annotations)
    click.echo(
        f"{out / _ANNOTATIONS}: {len(images):,} images of {len({image.clip for image in images})} clips, "
        f"{counts[0]:,} persons, {counts[1]:,} regions to ignore"
    )
    click.echo(f"Look at {out / 'look'}: persons are green, regions to ignore red. For a recipe:")
    click.echo(f"  train: [{{annotations: {out / _ANNOTATIONS}, images: {out}}}]")
