"""The training of the bundled re-ID network: the features of larger networks in a small one, from crops alone.

python benchmarks/distil_embedder.py market=0.26 cuhk=0.19 others=0.22 simulated=0.16 visdrone=0.04 --mixed 0.13 \
    --teachers person-reidentification-retail-0277.xml person-reidentification-retail-0286.xml --out run

Each FOLDER=SHARE is a folder of crops, of any layout, and its share of a batch. Those of --mixed are made of them:
two persons joined at the belt, or one with another colour above or below it. Targets are the teachers' features,
joined with the colours of chest and legs. The student sees what drones show: small, blurred, cut-off persons. A
stopped run goes on. Colours, mixed crops and some kinds of damage are not in `uavpipe reid train --config distil`:
they are for making a network for everyone, not one for one's own flights.
"""

import argparse
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from reid.checkpoint import load_network, save_checkpoint
from reid.crops import read_crop, scaled
from reid.embedder import Embedder
from reid.network import Network
from reid.training.distillation import reduced, unit
from reid.weights import weights_file

HEIGHT, WIDTH = 256, 128  # px, the teachers' input; crops are kept so
CHEST, LEGS = (0.18, 0.45), (0.55, 0.85)  # shares of the height
_COLOURS = 0.12  # share of the colours in the inner product of targets
_SIMILARITIES = 5.0  # weight of the similarities in the loss
_SMALLEST = 24  # px, the least height that a crop is scaled down to
_DECAY = 0.997  # of the weights' moving average
_WARMUP = 50  # iterations
Crops = NDArray[np.uint8]  # (n, 256, 128, 3) RGB


def read_folder(folder: Path) -> Crops:
    """All images below `folder`, in the order of their names."""
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in (".jpg", ".png", ".bmp"))
    with ThreadPoolExecutor() as threads:
        return np.stack(list(threads.map(lambda path: read_crop(path, HEIGHT, WIDTH), paths)))


def mixed(crops: Crops, count: int, rng: np.random.Generator) -> Crops:
    """Persons whom nobody has seen: two joined at the belt, or one in another colour above or below it."""
    made = np.empty((count, HEIGHT, WIDTH, 3), np.uint8)
    for place in range(count):
        one, other = crops[rng.integers(len(crops), size=2)]
        belt = int(HEIGHT * rng.uniform(0.45, 0.55))
        part = slice(0, belt) if rng.random() < 0.5 else slice(belt, HEIGHT)
        made[place] = one
        made[place, part] = other[part] if rng.random() < 0.5 else _recoloured(one[part], rng)
    return made


def _recoloured(pixels: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    hsv = cv2.cvtColor(np.ascontiguousarray(pixels), cv2.COLOR_RGB2HSV).astype(np.int32)
    hsv[..., 0] = (hsv[..., 0] + rng.integers(180)) % 180
    hsv[..., 1] = (hsv[..., 1] * rng.uniform(0.4, 2.5)).clip(0, 255)
    hsv[..., 2] = (hsv[..., 2] * rng.uniform(0.4, 1.6)).clip(0, 255)
    return np.asarray(cv2.cvtColor(hsv.astype(np.uint8), cv2.COLOR_HSV2RGB))


def colours(crops: Crops) -> NDArray[np.float32]:
    """The mean colours of chest and legs, softly over a grid in CIELAB, less their mean: (n, 150), length 1."""
    steps = np.meshgrid([10, 50, 90], np.linspace(-40, 40, 5), np.linspace(-40, 40, 5), indexing="ij")
    grid = np.stack(steps, axis=-1).reshape(-1, 3)
    found = []
    for top, bottom in (CHEST, LEGS):
        part = crops[:, int(top * HEIGHT) : int(bottom * HEIGHT), WIDTH // 4 : 3 * WIDTH // 4]
        mean = part.mean((1, 2), dtype=np.float32)[:, None] / 255
        apart = (cv2.cvtColor(mean, cv2.COLOR_RGB2LAB) - grid) / (20, 14, 14)
        found.append(unit(np.exp(-np.square(apart).sum(axis=2) / 2).astype(np.float32)))
    joined = np.concatenate(found, axis=1)
    return unit(joined - joined.mean(axis=0))


def targets_of(crops: Crops, teachers: Sequence[Path], dimension: int) -> NDArray[np.float32]:
    """What the student's features are to be: (n, dimension), of length 1."""
    found = [colours(crops) * np.float32(np.sqrt(_COLOURS))]
    for path in teachers:
        teacher = Embedder.load(path, "cpu")
        starts = range(0, len(crops), 64)
        features = [teacher.embed(_sized(crops[start : start + 64], teacher.size)) for start in starts]
        found.append(unit(np.concatenate(features)) * np.float32(np.sqrt((1 - _COLOURS) / len(teachers))))
        print(f"{path.stem}: {len(crops):,} crops", flush=True)
    return reduced(np.concatenate(found, axis=1), dimension)


def _sized(crops: Crops, size: tuple[int, int]) -> NDArray[np.uint8]:
    return crops if crops.shape[1:3] == size else np.stack([scaled(crop, *size) for crop in crops])


def degraded(crop: NDArray[np.uint8], size: tuple[int, int], rng: np.random.Generator) -> NDArray[np.uint8]:
    """The crop (256, 128, 3) as a drone may show it, at `size`; its hue stays, since clothes are told by it."""
    image = _damaged(_cut(crop, rng), size[0], rng)
    pixels = scaled(image, *size).astype(np.float32)
    if rng.random() < 0.6:
        pixels = (pixels - 128) * rng.uniform(0.7, 1.3) + 128 * rng.uniform(0.65, 1.3)
    if rng.random() < 0.2:
        pixels += rng.normal(0, rng.uniform(2, 10), (*size, 1))
    if rng.random() < 0.5:
        pixels = pixels[:, ::-1].copy()
    if rng.random() < 0.25:
        height, width = (rng.uniform(0.1, 0.5, 2) * size).astype(int)
        top, left = rng.integers(size[0] - height), rng.integers(size[1] - width)
        pixels[top : top + height, left : left + width] = rng.uniform(0, 255, 3)
    return np.asarray(pixels.clip(0, 255), np.uint8)


def _cut(crop: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Legs behind something, or a box that fits badly."""
    if rng.random() < 0.15:
        crop = crop[: int(HEIGHT * rng.uniform(0.6, 0.95))]
    if rng.random() < 0.3:
        (top, left), (bottom, right) = rng.uniform(0, 0.08, 2), 1 - rng.uniform(0, 0.08, 2)
        crop = crop[int(top * len(crop)) : int(bottom * len(crop)), int(left * WIDTH) : int(right * WIDTH)]
    return crop


def _damaged(image: NDArray[np.uint8], height: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Few pixels, blur, a codec's blocks."""
    if rng.random() < 0.5:
        factor = np.exp(rng.uniform(np.log(_SMALLEST), np.log(height))) / HEIGHT
        small = max(2, round(image.shape[1] * factor)), max(2, round(image.shape[0] * factor))
        image = np.asarray(cv2.resize(image, small, interpolation=cv2.INTER_AREA))
    if rng.random() < 0.3:
        image = np.asarray(cv2.GaussianBlur(image, (0, 0), rng.uniform(0.3, 1.2) * len(image) / height + 0.01))
    if rng.random() < 0.3:
        bgr = cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_RGB2BGR)
        data = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(25, 90))])[1]
        image = np.asarray(cv2.cvtColor(cv2.imdecode(data, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB))
    return image


def align(network: Network, crops: Crops, targets: NDArray[np.float32]) -> None:
    """Turn the student's last layer towards the targets, by least squares: their axes are new in each run."""
    size = network.config.height, network.config.width
    some = np.random.default_rng(0).permutation(len(crops))[:6000]
    with torch.inference_mode():
        parts = [
            network.eval()(torch.from_numpy(_sized(crops[part], size)).permute(0, 3, 1, 2))
            for part in np.array_split(some, 100)
        ]
    own, wanted = torch.cat(parts).double(), torch.from_numpy(targets[some]).double()
    turn = torch.linalg.solve(own.T @ own + 0.1 * torch.eye(own.shape[1]), own.T @ wanted)
    projection = network.backbone.projection
    assert projection is not None
    projection.weight.data = (turn.T @ projection.weight.double()).float()


def batches(
    crops: Crops, parts: Sequence[tuple[NDArray[np.int64], int]], size: tuple[int, int], numbers: range
) -> Iterator[tuple[NDArray[np.int64], Tensor]]:
    """The crops' numbers and the images, uint8 (n, 3, h, w), of each iteration: functions of its number alone."""

    def make(iteration: int) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
        rng = np.random.default_rng((1, iteration))
        chosen = np.concatenate([rng.choice(part, count) for part, count in parts])
        return chosen, np.stack([degraded(crops[each], size, rng) for each in chosen])

    with ThreadPoolExecutor(1) as threads:
        coming = threads.submit(make, numbers.start)
        for iteration in numbers:
            chosen, images = coming.result()
            coming = threads.submit(make, iteration + 1)
            yield chosen, torch.from_numpy(images).permute(0, 3, 1, 2)


class Training:
    """A student, its optimiser and its average, kept in a folder."""

    def __init__(self, network: Network, folder: Path, iterations: int, rate: float, constant: float) -> None:
        self.network, self.folder, self.iterations = network, folder, iterations
        self.rate, self.constant = rate, constant
        self.optimizer = torch.optim.AdamW(network.parameters(), lr=rate, weight_decay=1e-4)
        self.average = {name: value.clone() for name, value in network.state_dict().items()}
        self.done = 0
        network.to(memory_format=torch.channels_last)

    @property
    def state_file(self) -> Path:
        """What a stopped run goes on from."""
        return self.folder / "resume.pt"

    def resume(self) -> None:
        """Go on where the folder was left."""
        state = torch.load(self.state_file, weights_only=True)
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.average, self.done = state["average"], state["done"]

    def step(self, images: Tensor, wanted: Tensor) -> float:
        """One update; returns the mean of 1 - cosine."""
        left = (self.iterations - self.done) / (self.iterations * (1 - self.constant))
        for group in self.optimizer.param_groups:
            group["lr"] = self.rate * min(1.0, left, (self.done + 1) / _WARMUP)
        self.network.train()
        with torch.autocast("cpu", torch.bfloat16):
            features = self.network.backbone(images)
        features = F.normalize(features.float())
        apart = 1 - (features * wanted).sum(1).mean()
        loss = apart + _SIMILARITIES * (features @ features.T - wanted @ wanted.T).square().mean()
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        self.done += 1
        self._follow(min(_DECAY, self.done / (self.done + 9)))
        return float(apart.item())

    def _follow(self, decay: float) -> None:
        for name, value in self.network.state_dict().items():
            if value.is_floating_point():
                self.average[name].lerp_(value.detach(), 1 - decay)
            else:
                self.average[name].copy_(value)

    def save(self, about: dict[str, object]) -> None:
        """A checkpoint of the average, and all that a later run needs."""
        about = {"iterations": self.done, **about}
        name = f"{self.done}.safetensors"
        save_checkpoint(self.folder / name, self.average, network=self.network.config, training=about)
        state = {"network": self.network.state_dict(), "optimizer": self.optimizer.state_dict()}
        torch.save({**state, "average": self.average, "done": self.done}, self.state_file)


def crops_and_parts(given: argparse.Namespace) -> tuple[Crops, list[tuple[NDArray[np.int64], int]]]:
    """All crops, and of each source the numbers of its crops and how many a batch has of it."""
    sources = [each.rpartition("=") for each in given.folders]
    kept = [read_folder(Path(folder)) for folder, _, _ in sources]
    for (folder, _, share), own in zip(sources, kept, strict=True):
        print(f"{folder}: {len(own):,} crops, share {share}", flush=True)
    shares = [float(share) for _, _, share in sources]
    if given.mixed:
        kept.append(mixed(np.concatenate(kept), given.made, np.random.default_rng(0)))
        shares.append(given.mixed)
    ends = np.cumsum([len(own) for own in kept])
    counts = np.rint(np.array(shares) / sum(shares) * given.batch).astype(int).tolist()
    numbers = [np.arange(end - len(own), end) for end, own in zip(ends, kept, strict=True)]
    return np.concatenate(kept), list(zip(numbers, counts, strict=True))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", metavar="FOLDER=SHARE")
    parser.add_argument("--mixed", type=float, default=0.13, help="share of mixed crops")
    parser.add_argument("--made", type=int, default=8000, help="number of mixed crops")
    parser.add_argument("--teachers", type=Path, nargs="+", required=True)
    parser.add_argument("--init", default="embedded", help="a checkpoint of a network with a projection")
    parser.add_argument("--iterations", type=int, default=3800)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--rate", type=float, default=8e-4)
    parser.add_argument("--constant", type=float, default=0.4, help="share of the iterations before the rate falls")
    parser.add_argument("--terms", default="", help="of data and teachers, one line")
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    crops, parts = crops_and_parts(given)
    network, file = load_network(weights_file(given.init)), given.out / "targets.npy"
    if not file.exists():
        np.save(file, targets_of(crops, given.teachers, network.backbone.dimension))
    targets = np.load(file)
    training = Training(network, given.out, given.iterations, given.rate, given.constant)
    if training.state_file.exists():
        training.resume()
    else:
        align(network, crops, targets)
    train(
        training, crops, parts, targets, {"teachers": [each.stem for each in given.teachers], "terms": given.terms}
    )


def train(
    training: Training,
    crops: Crops,
    parts: Sequence[tuple[NDArray[np.int64], int]],
    targets: NDArray[np.float32],
    about: dict[str, object],
) -> None:
    """Until the last iteration; a line each 100, a checkpoint each 500."""
    size, goal = (training.network.config.height, training.network.config.width), torch.from_numpy(targets)
    began, lost = time.monotonic(), list[float]()
    for chosen, images in batches(crops, parts, size, range(training.done, training.iterations)):
        lost.append(training.step(images, goal[chosen]))
        if training.done % 100 == 0:
            pace = (time.monotonic() - began) / len(lost)
            print(f"{training.done}: 1 - cosine {np.mean(lost[-100:]):.4f}, {pace:.2f} s each", flush=True)
        if training.done % 500 == 0 or training.done == training.iterations:
            training.save(about)


if __name__ == "__main__":
    main()
