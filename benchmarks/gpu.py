"""Detection by preset and precision: frames/s of ready images, and the GPU's memory. `make gpu` runs it.

The weights are random, so that every frame has as many RoIs as there can be: the slowest and largest case. Scaling,
decoding and writing are not included; detect_stage.py measures them.

    python benchmarks/gpu.py [--device auto] [--frames 64] [--presets small fpn paper-c4]
"""

import argparse
import time

import numpy as np
import torch

from detector.backends.torchvision import Predictor, with_thresholds
from detector.config import DetectorConfig
from detector.models.faster_rcnn import build
from detector.models.presets import ARCHITECTURES


def measure(preset: str, precision: str, device: str, frames: int) -> str:
    """A row of the table."""
    torch.manual_seed(0)
    config = DetectorConfig(device=device, precision=precision)
    model = with_thresholds(build(ARCHITECTURES[preset]), config)
    predictor = Predictor(model, ARCHITECTURES[preset].resize, config)
    on_gpu = predictor.device.type == "cuda"
    image = np.random.default_rng(0).integers(0, 256, (1080, 1920, 3), np.uint8)
    batch = [predictor.preprocess(image)] * predictor.batch_size
    predictor.predict(batch)  # not measured: loads and chooses kernels
    if on_gpu:
        torch.cuda.reset_peak_memory_stats()
    rounds = max(1, frames // len(batch))
    begin = time.perf_counter()
    for _ in range(rounds):
        predictor.predict(batch)
    seconds = (time.perf_counter() - begin) / (rounds * len(batch))
    memory = f"{torch.cuda.max_memory_allocated() / 2**30:.1f}" if on_gpu else "–"
    return f"| {preset} | {precision} | {len(batch)} | {1000 * seconds:.1f} | {1 / seconds:.1f} | {memory} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--frames", type=int, default=64)
    parser.add_argument("--presets", nargs="+", choices=ARCHITECTURES, default=list(ARCHITECTURES))
    arguments = parser.parse_args()
    on_gpu = arguments.device.startswith("cuda") or (arguments.device == "auto" and torch.cuda.is_available())
    print("| preset | precision | batch | ms per frame | frames/s | GiB |\n|---|---|---|---|---|---|")
    for preset in arguments.presets:
        for precision in ("fp32", "fp16", "bf16") if on_gpu else ("fp32",):
            print(measure(preset, precision, arguments.device, arguments.frames), flush=True)


if __name__ == "__main__":
    main()
