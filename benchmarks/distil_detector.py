"""A small detector with another body, which begins with what a trained one knows.

python benchmarks/distil_detector.py recipe.yaml --body efficientnet-lite0-57934424.pth --out start.safetensors

The new body and its FPN learn to give the maps of the teacher's FPN (hints: Romero et al., FitNets, 2015), from the
pictures of the recipe alone; places count the more, the more the teacher's RPN takes them for persons. RPN and
heads are the teacher's. `init: start.safetensors` of a recipe goes on from there with the annotations.
"""

import argparse
import math
import time
from pathlib import Path

import torch
from torch import Tensor, nn
from torchvision.models.detection import FasterRCNN

from detector.config import TrainConfig
from detector.models.checkpoint import load_checkpoint, read_state, save_checkpoint
from detector.models.faster_rcnn import build, load_body
from detector.models.presets import EFFICIENTNET
from detector.models.weights import EMBEDDED
from detector.training.data import TrainingSamples, collate
from pipeline.config.yaml import read_yaml_mapping, validate

_PERSONS = 20.0  # how much more a place counts that is a person for sure
_DECAY = 0.995  # of the weights' moving average
_WARMUP = 50  # iterations
_LOG = 50  # iterations


def teacher_of(path: Path) -> FasterRCNN:
    checkpoint = load_checkpoint(path)
    model = build(checkpoint.architecture)
    model.load_state_dict(checkpoint.state)
    return model.eval().requires_grad_(False)


def student_of(teacher: FasterRCNN, body: Path) -> FasterRCNN:
    student = build(EFFICIENTNET)
    heads = {name: value for name, value in teacher.state_dict().items() if not name.startswith("backbone.")}
    student.load_state_dict(heads, strict=False)
    load_body(student, read_state(body), body)
    return student.train()


def hint(student: FasterRCNN, teacher: FasterRCNN, images: list[Tensor]) -> Tensor:
    """The squared difference of the maps, of which 1 a level is what a constant map would have."""
    batch, _ = teacher.transform(images, None)
    with torch.no_grad():
        wanted = teacher.backbone(batch.tensors)
        logits, _ = teacher.rpn.head(list(wanted.values()))
    given = student.backbone(batch.tensors)
    levels = []
    for name, logit in zip(wanted, logits, strict=True):
        weight = 1 + _PERSONS * logit.sigmoid().amax(1, keepdim=True)
        target = wanted[name].float()
        scale = target.var(dim=(0, 2, 3)).mean() * weight.mean()
        levels.append((weight * (given[name].float() - target) ** 2).mean() / scale)
    return torch.stack(levels).sum()


def distil(
    student: FasterRCNN, teacher: FasterRCNN, samples: TrainingSamples, iterations: int, batch: int, rate: float
) -> dict[str, Tensor]:
    """The moving average of the student's weights."""
    parameters = list(student.backbone.parameters())
    optimizer = torch.optim.AdamW(parameters, rate, weight_decay=0.02)
    average = {name: value.clone() for name, value in student.state_dict().items()}
    losses, begin = [], time.monotonic()
    for number in range(iterations):
        for group in optimizer.param_groups:
            group["lr"] = (
                rate * min(1, (number + 1) / _WARMUP) * (0.5 + 0.5 * math.cos(math.pi * number / iterations))
            )
        images, _ = collate([samples[number * batch + each] for each in range(batch)])
        with torch.autocast("cpu", torch.bfloat16):
            loss = hint(student, teacher, list(images))
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, 10)
        optimizer.step()
        losses.append(loss.item())
        decay = min(_DECAY, (1 + number) / (10 + number))
        for name, value in student.state_dict().items():
            average[name] = average[name].lerp(value, 1 - decay) if value.is_floating_point() else value.clone()
        if not (number + 1) % _LOG:
            mean, spent = sum(losses[-_LOG:]) / _LOG, (time.monotonic() - begin) / (number + 1)
            print(f"{number + 1}: loss {mean:.3f}, {spent:.2f} s an iteration", flush=True)
    return average


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe", type=Path)
    parser.add_argument("--teacher", type=Path, default=EMBEDDED)
    parser.add_argument("--body", type=Path, required=True, help="ImageNet weights of EfficientNet-lite0")
    parser.add_argument("--iterations", type=int, default=1100)
    parser.add_argument("--learning-rate", type=float, default=2e-3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    config = validate(read_yaml_mapping(arguments.recipe), TrainConfig, "recipe")
    teacher = teacher_of(arguments.teacher)
    student = student_of(teacher, arguments.body)
    count = arguments.iterations * config.batch_size
    samples = TrainingSamples(
        config.train,
        config.augmentation,
        EFFICIENTNET.resize,
        seed=config.seed,
        count=count,
        cache_gb=config.cache_gb,
    )
    average = distil(student, teacher, samples, arguments.iterations, config.batch_size, arguments.learning_rate)
    training = {"description": f"FPN of {arguments.teacher.name}, distilled", "terms": config.terms}
    save_checkpoint(arguments.out, average, architecture=EFFICIENTNET, training=training)


if __name__ == "__main__":
    main()
