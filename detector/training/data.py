"""Augmented training samples, each a function of (seed, number) alone, and their batches."""

import signal
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import DataLoader, Dataset

from detector.annotations.coco import AnnotatedImage, read_coco, require_persons
from detector.backends.images import read_image, resize, to_tensor
from detector.config import Augmentation, DataSource, Resize, TrainConfig
from detector.records import areas, sides

_GREY = 114  # colour of what is outside the image or must not be trained on
_MIN_VISIBLE = 0.4  # share of a person's box that must be inside a crop for the person to count
_MIN_SIDE = 2.0  # boxes narrower than this at the training scale are too small to train on

Sample = tuple[torch.Tensor, dict[str, torch.Tensor]]
Batch = tuple[list[torch.Tensor], list[dict[str, torch.Tensor]]]


class TrainingSamples(Dataset[Sample]):
    """Sample number n, for any n: drawn, cut and changed by a generator seeded with (seed, n).

    A resumed run therefore has the samples of an uninterrupted one.

    Raises:
        DetectorError: the annotations cannot be read.

    """

    def __init__(
        self,
        sources: Sequence[DataSource],
        augmentation: Augmentation | None,
        rule: Resize,
        *,
        seed: int,
        count: int,
        cache_gb: float,
    ) -> None:
        self._images = [read_coco(source) for source in sources]
        weights = np.array([source.weight for source in sources])
        self._weights = weights / weights.sum()
        self._augmentation, self._rule = augmentation, rule
        self._seed, self._count = seed, count
        self._cache = _ImageCache(int(cache_gb * 2**30))

    def __len__(self) -> int:
        return self._count

    @property
    def annotated(self) -> list[AnnotatedImage]:
        """The images of all sources."""
        return [image for images in self._images for image in images]

    def __getitem__(self, number: int) -> Sample:
        """Image uint8 (3, H, W) RGB and target: `boxes` float32 (n, 4) xyxy, `labels` int64 (n,), all 1."""
        rng = np.random.default_rng((self._seed, number))
        images = self._images[rng.choice(len(self._weights), p=self._weights)]
        chosen = images[rng.integers(len(images))]
        pixels = self._cache.get(chosen.path)
        if self._augmentation is None:
            image, boxes = _whole(pixels, chosen, self._rule)
            image, boxes = _flip(image, boxes, rng.random() < 0.5)
        else:
            image, boxes = _cut(pixels, chosen, self._augmentation, rng)
            image, boxes = _flip(image, boxes, rng.random() < self._augmentation.flip)
            image = change_pixels(image, self._augmentation, rng)
        kept = torch.from_numpy(boxes[(sides(boxes) >= _MIN_SIDE).all(axis=1)])
        return to_tensor(image), {"boxes": kept, "labels": torch.ones(len(kept), dtype=torch.int64)}


class _ImageCache:
    """Decoded images, the least recently used ones dropped beyond `limit` bytes."""

    def __init__(self, limit: int) -> None:
        self._limit, self._held = limit, 0
        self._images: OrderedDict[Path, NDArray[np.uint8]] = OrderedDict()

    def get(self, path: Path) -> NDArray[np.uint8]:
        if path in self._images:
            self._images.move_to_end(path)
            return self._images[path]
        image = read_image(path)
        self._images[path] = image
        self._held += image.nbytes
        while self._held > self._limit:
            self._held -= self._images.popitem(last=False)[1].nbytes
        return image


def _whole(
    pixels: NDArray[np.uint8], annotated: AnnotatedImage, rule: Resize
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    height, width = pixels.shape[:2]
    size = rule.size(width, height)
    ratio = np.array([size[0] / width, size[1] / height] * 2, np.float32)
    boxes = annotated.boxes * ratio
    return _blank(resize(pixels, *size, rule.filter), annotated.ignored * ratio, boxes), boxes


def _cut(
    pixels: NDArray[np.uint8], annotated: AnnotatedImage, how: Augmentation, rng: np.random.Generator
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """A square of the image at a random scale, most often around a person, `how.crop` pixels a side."""
    height, width = pixels.shape[:2]
    if len(annotated.boxes) and rng.random() < how.on_person:
        x1, y1, x2, y2 = annotated.boxes[rng.integers(len(annotated.boxes))]
        wanted = np.exp(rng.uniform(*np.log(how.person_height)))
        scale = float(np.clip(wanted / max(y2 - y1, 1), *how.scale))
        side = how.crop / scale
        # The person's centre is anywhere in the square except near its edge.
        left, top = (x1 + x2) / 2 - side * rng.uniform(0.1, 0.9), (y1 + y2) / 2 - side * rng.uniform(0.1, 0.9)
    else:
        scale = float(np.exp(rng.uniform(*np.log(how.scale))))
        side = how.crop / scale
        left, top = (rng.uniform(min(0.0, length - side), max(0.0, length - side)) for length in (width, height))
    window = _window(pixels, round(left), round(top), max(1, round(side)))
    origin = np.array([round(left), round(top)] * 2, np.float32)
    ratio = how.crop / window.shape[0]
    image = resize(window, how.crop, how.crop)
    boxes = (annotated.boxes - origin) * ratio
    return _blank(image, (annotated.ignored - origin) * ratio, boxes), _inside(boxes, how.crop)


def _blank(image: NDArray[np.uint8], ignored: NDArray[np.float32], boxes: NDArray[np.float32]) -> NDArray[np.uint8]:
    """A copy of `image` without what must not be trained on, but with every other person whole."""
    blanked = image.copy()
    for x1, y1, x2, y2 in np.rint(ignored).astype(int).clip(0):
        blanked[y1:y2, x1:x2] = _GREY
    if len(ignored):  # a hidden person is behind a visible one
        for x1, y1, x2, y2 in np.rint(boxes).astype(int).clip(0):
            blanked[y1:y2, x1:x2] = image[y1:y2, x1:x2]
    return blanked


def _window(pixels: NDArray[np.uint8], left: int, top: int, side: int) -> NDArray[np.uint8]:
    height, width = pixels.shape[:2]
    window = np.full((side, side, 3), _GREY, np.uint8)
    x1, y1 = min(max(left, 0), width), min(max(top, 0), height)
    x2, y2 = min(max(left + side, 0), width), min(max(top + side, 0), height)
    window[y1 - top : y2 - top, x1 - left : x2 - left] = pixels[y1:y2, x1:x2]
    return window


def _inside(boxes: NDArray[np.float32], side: int) -> NDArray[np.float32]:
    """The boxes clipped to the square, without those of which too little is inside."""
    clipped = boxes.clip(0, side)
    return clipped[areas(clipped) >= _MIN_VISIBLE * areas(boxes)].astype(np.float32)


def _flip(
    image: NDArray[np.uint8], boxes: NDArray[np.float32], do: bool
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    if not do:
        return image, boxes
    flipped = boxes.copy()
    flipped[:, [0, 2]] = image.shape[1] - boxes[:, [2, 0]]
    return np.ascontiguousarray(image[:, ::-1]), flipped


def change_pixels(image: NDArray[np.uint8], how: Augmentation, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Change light, colour and quality of `image` (uint8 (H, W, 3) RGB), as cameras and codecs of drones do."""
    if rng.random() < how.colour:
        image = _colour(image, rng)
    if rng.random() < how.grey:
        image = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    if rng.random() < how.blur:
        image = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.3, 1.5))
    if rng.random() < how.noise:
        grain = rng.normal(0, rng.uniform(2, 12), image.shape[:2]).astype(np.float32)
        image = (image + grain[..., None]).clip(0, 255).astype(np.uint8)
    if rng.random() < how.jpeg:
        bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
        data = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(25, 90))])[1]
        image = cv2.cvtColor(cv2.imdecode(data, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)
    return np.asarray(image)


def _colour(image: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    hsv = cv2.cvtColor(image, cv2.COLOR_RGB2HSV)
    hsv[..., 0] = (hsv[..., 0].astype(np.int16) + rng.integers(-8, 9)) % 180
    hsv[..., 1] = cv2.convertScaleAbs(hsv[..., 1], alpha=rng.uniform(0.5, 1.5))
    contrast, brightness = rng.uniform(0.65, 1.35), rng.uniform(-30, 30)
    levels = (np.arange(256) - 128) * contrast + 128 + brightness
    table = (levels.clip(0, 255) / 255) ** rng.uniform(0.75, 1.35) * 255
    return np.asarray(cv2.LUT(cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB), table.astype(np.uint8)))


def load_batches(config: TrainConfig, rule: Resize, numbers: Sequence[range], *, pin: bool) -> Iterator[Batch]:
    """Batches of training samples, loaded by worker processes.

    Args:
        config: the recipe.
        rule: how whole images are scaled.
        numbers: those of the samples of each batch.
        pin: whether batches go to a GPU, which copies faster from pinned memory.

    Raises:
        DetectorError: the annotations cannot be read, or show no person.

    """
    samples = TrainingSamples(
        config.train,
        config.augmentation,
        rule,
        seed=config.seed,
        count=config.iterations * config.batch_size,
        cache_gb=config.cache_gb,
    )
    require_persons(samples.annotated, [source.annotations for source in config.train])
    loader = DataLoader(
        samples,
        batch_sampler=numbers,  # type: ignore[arg-type]
        collate_fn=collate,
        num_workers=config.workers,
        pin_memory=pin,
        worker_init_fn=_quiet_worker,
    )
    # A forked worker would wait forever for the threads of OpenCV that were idle at the fork.
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    batches = iter(loader)  # forks
    cv2.setNumThreads(threads)
    return batches


def collate(samples: Sequence[Sample]) -> Batch:
    """Images and targets of a batch as the lists that torchvision's models take."""
    return [image for image, _ in samples], [target for _, target in samples]


def _quiet_worker(worker: int) -> None:
    # The main process answers a signal to the whole process group: it saves, then ends its workers.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    cv2.setNumThreads(1)
