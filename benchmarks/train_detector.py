"""Training throughput: `uavpipe detector train` against bare forward, backward and update on batches in memory.

python benchmarks/train_detector.py --annotations train.json --images images/ [--preset small] [--rounds 3]

Both do the same number of iterations on the same samples; the rest of ours is reading, augmenting, logging
and the moving average. Rounds alternate; medians are printed.
"""

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path

import torch

from detector.config import DataSource, TrainConfig
from detector.models.faster_rcnn import build
from detector.models.presets import ARCHITECTURES
from detector.training.data import TrainingSamples, collate
from detector.training.sampling import use_numbered_samplers
from detector.training.train import train


def ours(config: TrainConfig) -> float:
    """Images a second over the second half of a run: workers have started, images are cached."""
    with tempfile.TemporaryDirectory() as folder:
        train(config, Path(folder))
        rows = [json.loads(line) for line in (Path(folder) / "log.jsonl").read_text().splitlines()]
    return float(rows[-1]["images_per_s"])


def bare(config: TrainConfig) -> float:
    """Images a second of the model alone on the samples of the run's second half."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    samples = TrainingSamples(
        config.train,
        config.augmentation,
        ARCHITECTURES[config.preset].resize,
        seed=config.seed,
        count=config.iterations * config.batch_size,
        cache_gb=config.cache_gb,
    )
    numbers = [
        range(at * config.batch_size, (at + 1) * config.batch_size)
        for at in range(config.iterations // 2 - 1, config.iterations)
    ]
    batches = [collate([samples[number] for number in batch]) for batch in numbers]
    torch.manual_seed(config.seed)
    model = build(ARCHITECTURES[config.preset]).to(device).train()
    samplers = use_numbered_samplers(model)
    optimizer = torch.optim.AdamW(model.parameters(), config.learning_rate)
    mixed = config.precision != "fp32"
    dtype = torch.bfloat16 if config.precision == "bf16" else torch.float16
    started = 0.0
    for turn, ((images, targets), batch) in enumerate(zip(batches, numbers, strict=True)):
        if turn == 1:  # the first one warms up
            _wait(device)
            started = time.perf_counter()
        for sampler in samplers:
            sampler.seeds = batch
        with torch.autocast(device.type, dtype, enabled=mixed):
            losses = model(
                [image.to(device) for image in images],
                [{name: value.to(device) for name, value in target.items()} for target in targets],
            )
        optimizer.zero_grad()
        sum(losses.values()).backward()
        optimizer.step()
    _wait(device)
    return (len(batches) - 1) * config.batch_size / (time.perf_counter() - started)


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--annotations", type=Path, required=True)
    parser.add_argument("--images", type=Path, required=True)
    parser.add_argument("--preset", default="small")
    parser.add_argument("--precision", default="fp32")
    parser.add_argument("--iterations", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    config = TrainConfig(
        preset=arguments.preset,
        train=(DataSource(annotations=arguments.annotations, images=arguments.images),),
        iterations=arguments.iterations,
        log_every=arguments.iterations // 2,
        checkpoint_every=10 * arguments.iterations,
        precision=arguments.precision,
    )
    rates: dict[str, list[float]] = {"ours": [], "bare": []}
    for _ in range(arguments.rounds):
        rates["ours"].append(ours(config))
        rates["bare"].append(bare(config))
    medians = {name: statistics.median(values) for name, values in rates.items()}
    for name, value in medians.items():
        print(f"{name:5} {value:6.2f} images/s  ({', '.join(f'{rate:.2f}' for rate in rates[name])})")
    print(f"ours / bare: {medians['ours'] / medians['bare']:.2f}")


if __name__ == "__main__":
    main()
