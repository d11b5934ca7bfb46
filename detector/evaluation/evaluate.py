"""Evaluation of a detector on annotated images, by COCO's and by VisDrone's rules."""

import json
from collections import deque
from collections.abc import Callable, Generator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Any

from detector.annotations.coco import AnnotatedImage, read_coco, require_persons
from detector.annotations.pictures import image_size
from detector.backends.batches import batched
from detector.backends.protocol import PersonDetector
from detector.config import DataSource
from detector.errors import DetectorError
from detector.evaluation.calibration import calibration_error, reliability
from detector.evaluation.coco_ap import MAX_DETECTIONS, person_ap, persons_by_size
from detector.evaluation.curves import Judged, by_altitude, by_height, judge_each, together
from detector.evaluation.intervals import Interval, ap50_interval
from detector.evaluation.visdrone_ap import person_visdrone_ap
from detector.records import Detections


def evaluate(predictor: PersonDetector, source: DataSource) -> dict[str, float]:
    """COCO's figures for `predictor` on the persons of `source`, and VisDrone's with "visdrone_" before the name.

    Raises:
        DetectorError: the data cannot be read, or show no person.

    """
    images = read_coco(source)
    require_persons(images, [source.annotations])
    found = detect(predictor, images)
    official = person_visdrone_ap(images, found, image_sizes(images))
    return person_ap(images, found) | {f"visdrone_{name}": value for name, value in official.items()}


def detect(
    predictor: PersonDetector, images: Sequence[AnnotatedImage], advance: Callable[[int], None] = lambda count: None
) -> list[Detections]:
    """The detections of `predictor` in each of `images`; `advance` is called with the number of images just done.

    Raises:
        DetectorError: an image cannot be read.

    """
    from detector.backends.images import read_image  # imports torch, which `measure` does not need

    def prepared(image: AnnotatedImage) -> Any:
        return predictor.preprocess(read_image(image.path))

    found: list[Detections] = []

    def take(batch: Future[list[Detections]]) -> None:
        done = batch.result()
        found.extend(done)
        advance(len(done))

    # Always in other threads: a predictor sets torch's number of threads for the calling thread, and a training
    # that is being evaluated must keep its own. A GPU must not wait while the next images are read.
    with ThreadPoolExecutor() as readers, ThreadPoolExecutor(predictor.workers) as predictors:
        waiting: deque[Future[list[Detections]]] = deque()
        coming = _ahead(readers, prepared, images, predictor.batch_size + predictor.workers)
        for batch in batched(coming, predictor.batch_size):
            waiting.append(predictors.submit(predictor.predict, batch))
            if len(waiting) > predictor.workers + 1:
                take(waiting.popleft())
        while waiting:
            take(waiting.popleft())
    return found


def _ahead(
    pool: ThreadPoolExecutor,
    prepared: Callable[[AnnotatedImage], Any],
    images: Sequence[AnnotatedImage],
    count: int,
) -> Generator[Any]:
    """What was `prepared` of each of `images`, by the threads of `pool`, `count` of them ahead."""
    running: deque[Future[Any]] = deque()
    for image in images:
        running.append(pool.submit(prepared, image))
        if len(running) > count:
            yield running.popleft().result()
    while running:
        yield running.popleft().result()


@dataclass(frozen=True, eq=False)
class Report:
    """All figures of an evaluation.

    Attributes:
        coco: figures by name, as `detector.evaluation.coco_ap.coco_ap` gives them.
        ap50_interval: of 95 %, of COCO's AP50 by resampling images; None with fewer than two that show persons.
        visdrone: figures by name, as `detector.evaluation.visdrone_ap.visdrone_ap` gives them.
        sizes: number of persons by COCO's sizes.
        parts: right and wrong detections of "all" persons, and by height.
        by_altitude: the same by the drone's altitude; empty where no image has one.
        detections: number of detections.

    """

    coco: dict[str, float]
    ap50_interval: Interval | None
    visdrone: dict[str, float]
    sizes: dict[str, int]
    parts: dict[str, Judged]
    by_altitude: dict[str, Judged]
    detections: int

    def as_json(self) -> str:
        """All figures as JSON; null for a figure without persons or detections."""
        bins = reliability(self.parts["all"])
        content: dict[str, Any] = {
            "images": self.parts["all"].images,
            "detections": self.detections,
            "coco": _known(self.coco),
            "intervals": {} if self.ap50_interval is None else {"AP50": list(self.ap50_interval)},
            "visdrone": _known(self.visdrone),
            "persons_by_size": self.sizes,
            "by_height": _contents(self.parts),
            "by_altitude": _contents(self.by_altitude),
            "reliability": [asdict(each) for each in bins],
            "calibration_error": calibration_error(bins),
        }
        return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def measure(
    images: Sequence[AnnotatedImage], found: Sequence[Detections], *, max_detections: int = MAX_DETECTIONS
) -> Report:
    """Measure what was `found` in each of `images`.

    Args:
        images: the ground truth.
        found: the detections of each image.
        max_detections: per image, for COCO's figures and the curves; VisDrone's take 500.

    Raises:
        DetectorError: the size of an image is neither annotated nor readable from its file.

    """
    each = judge_each(images, found, max_detections)
    judged = together(each)
    return Report(
        coco=person_ap(images, found, max_detections=max_detections),
        ap50_interval=ap50_interval(each),
        visdrone=person_visdrone_ap(images, found, image_sizes(images)),
        sizes=persons_by_size(images),
        parts={"all": judged, **by_height(judged)},
        by_altitude=by_altitude(images, each),
        detections=sum(map(len, found)),
    )


def _contents(parts: Mapping[str, Judged]) -> dict[str, Any]:
    return {
        name: {
            "images": part.images,
            "persons": len(part.person_heights),
            "AP50": part.ap50(),
            "thresholds": [asdict(point) for point in part.points()],
        }
        for name, part in parts.items()
    }


def image_sizes(images: Sequence[AnnotatedImage]) -> list[tuple[int, int]]:
    """Width and height of each image, px.

    Raises:
        DetectorError: one is neither annotated nor readable from its file.

    """
    try:
        return [image.size or image_size(image.path) for image in images]
    except DetectorError as error:
        raise DetectorError(f"{error}; its file is needed because the annotations lack width and height") from None


def _known(figures: dict[str, float]) -> dict[str, float | None]:
    return {name: value if value >= 0 else None for name, value in figures.items()}
