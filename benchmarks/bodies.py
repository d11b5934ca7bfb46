"""Bodies for the small detector: trained alike for a few minutes, compared at equal CPU time of detection.

python benchmarks/bodies.py --train train.json images/ --held-out held-out.json images/ \
    --body resnet18=resnet18_to_layer3_imagenet.pth --body efficientnet-lite0=efficientnet-lite0-57934424.pth

Each body gets the FPN over strides 4, 8 and 16, the RPN and the heads of preset `small`; these begin at random, the
body with its file. The first body's input is 960 px; those of the others are made so large that an image costs as
much CPU time. Evaluated without an average of the weights: runs are short.
"""

import argparse
import statistics
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torchvision.models import mobilenet_v2, shufflenet_v2_x1_0
from torchvision.models.detection import FasterRCNN
from torchvision.models.feature_extraction import create_feature_extractor
from torchvision.ops import FeaturePyramidNetwork

from detector.annotations.coco import AnnotatedImage, read_coco
from detector.backends.images import read_image
from detector.backends.torchvision import Predictor, with_thresholds
from detector.config import Augmentation, DataSource, DetectorConfig, Resize
from detector.evaluation.coco_ap import person_ap
from detector.models.bodies import body_of
from detector.models.faster_rcnn import build
from detector.models.presets import ARCHITECTURES
from detector.training.data import TrainingSamples, collate

_SIDE = 960  # px, of the first body's input
_STEP = 32  # px: sides that are tried


def _taps(body: nn.Module, *nodes: str) -> nn.Module:
    """`body` up to the last of `nodes`, giving the maps of these in a dict."""
    return create_feature_extractor(body, list(nodes))


# each gives its maps at strides 4, 8 and 16
BODIES: dict[str, Callable[[], nn.Module]] = {
    "resnet18": lambda: body_of("resnet18", nn.BatchNorm2d)[0],
    "efficientnet-lite0": lambda: body_of("efficientnet-lite0", partial(nn.BatchNorm2d, eps=1e-3))[0],
    "mobilenet_v2": lambda: _taps(mobilenet_v2(), "features.3", "features.6", "features.13"),
    "shufflenet_v2": lambda: _taps(shufflenet_v2_x1_0(), "maxpool", "stage2", "stage3"),
}


class Backbone(nn.Module):
    """A body with an FPN of 64 channels over strides 4, 8 and 16."""

    def __init__(self, name: str, weights: Path) -> None:
        super().__init__()
        self.body = BODIES[name]()
        print(f"{name}: {load(self.body, weights)} tensors from {weights.name}", flush=True)
        with torch.no_grad():
            channels = [level.shape[1] for level in self.body.eval()(torch.zeros(1, 3, 64, 64)).values()]
        self.fpn = FeaturePyramidNetwork(channels, 64)
        self.out_channels = 64

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Feature maps (n, 64, H/s, W/s) for s = 4, 8, 16 of `images` (n, 3, H, W)."""
        features: dict[str, Tensor] = self.fpn(OrderedDict(zip("012", self.body(images).values(), strict=True)))
        return features


def load(body: nn.Module, weights: Path) -> int:
    """Put the tensors of a file into `body`, by name or else in their order; returns how many fitted."""
    content = torch.load(weights, map_location="cpu", weights_only=True)
    state: Mapping[str, Tensor] = content.get("state_dict", content)
    own = {name: value for name, value in body.state_dict().items() if not name.endswith("num_batches_tracked")}
    given = {name: value for name, value in state.items() if not name.endswith("num_batches_tracked")}
    if not own.keys() & given.keys():
        given = dict(zip(own, given.values(), strict=False))
    fitting = {name: value for name, value in given.items() if name in own and value.shape == own[name].shape}
    body.load_state_dict(fitting, strict=False)
    return len(fitting)


def model_of(name: str, weights: Path) -> FasterRCNN:
    model = build(ARCHITECTURES["small"])
    model.backbone = Backbone(name, weights)
    return model.to(memory_format=torch.channels_last)


def train(model: FasterRCNN, samples: TrainingSamples, iterations: int, batch: int) -> float:
    """Seconds of CPU time an iteration."""
    rate = 1e-3
    optimizer = torch.optim.AdamW(model.parameters(), lr=rate, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, iterations, pct_start=0.1)
    model.train()
    begin = time.process_time()
    for number in range(iterations):
        images, targets = collate([samples[number * batch + each] for each in range(batch)])
        with torch.autocast("cpu", torch.bfloat16):
            loss = sum(model(images, targets).values())
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 10)
        optimizer.step()
        schedule.step()
    return (time.process_time() - begin) / iterations


def predictor(model: FasterRCNN, side: int) -> Predictor:
    config = DetectorConfig(device="cpu", precision="fp32", floor=0.01, max_detections=500)
    return Predictor(with_thresholds(model, config), Resize(width=side, height=side), config)


def seconds(model: FasterRCNN, side: int, pictures: list[np.ndarray]) -> float:
    """CPU seconds an image, the median."""
    detector = predictor(model, side)
    spent = []
    for picture in pictures:
        prepared = detector.preprocess(picture)
        begin = time.process_time()
        detector.predict([prepared])
        spent.append(time.process_time() - begin)
    return statistics.median(spent)


def side_for(model: FasterRCNN, allowed: float, pictures: list[np.ndarray]) -> int:
    """The side at which an image costs about `allowed` seconds: both grow with the area."""
    return round(_SIDE * (allowed / seconds(model, _SIDE, pictures)) ** 0.5 / _STEP) * _STEP


def measured(model: FasterRCNN, side: int, held_out: list[AnnotatedImage], pictures: list[np.ndarray]) -> str:
    detector = predictor(model, side)
    found = [detector.predict([detector.preprocess(read_image(image.path))])[0] for image in held_out]
    spent = 1e3 * seconds(model, side, pictures)
    return f"at {side} px {spent:.0f} ms an image, AP50 {person_ap(held_out, found)['AP50']:.3f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--train", type=Path, nargs=2, required=True, metavar=("JSON", "IMAGES"))
    parser.add_argument("--held-out", type=Path, nargs=2, required=True, metavar=("JSON", "IMAGES"))
    parser.add_argument("--body", action="append", required=True, metavar="NAME=FILE")
    parser.add_argument("--iterations", type=int, default=300)
    parser.add_argument("--batch", type=int, default=8)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    data, held_out = (
        DataSource(annotations=annotations, images=images)
        for annotations, images in (arguments.train, arguments.held_out)
    )
    persons = read_coco(held_out)
    pictures = [read_image(image.path) for image in persons[:: max(1, len(persons) // 5)]]
    how = Augmentation(crop=320, person_height=(6, 110), on_person=0.75)
    count = arguments.iterations * arguments.batch
    allowed: float | None = None
    for name, _, file in (body.partition("=") for body in arguments.body):
        torch.manual_seed(0)
        model = model_of(name, Path(file))
        samples = TrainingSamples([data], how, Resize(width=_SIDE, height=_SIDE), seed=0, count=count, cache_gb=4)
        spent = train(model, samples, arguments.iterations, arguments.batch)
        parameters = sum(parameter.numel() for parameter in model.parameters()) / 1e6
        parts = [f"{parameters:.1f} million parameters, {spent:.2f} s of CPU an iteration"]
        parts.append(measured(model, _SIDE, persons, pictures))
        if allowed is None:
            allowed = seconds(model, _SIDE, pictures)
        else:
            parts.append(measured(model, side_for(model, allowed, pictures), persons, pictures))
        print(f"{name:18}", "; ".join(parts), flush=True)


if __name__ == "__main__":
    main()
